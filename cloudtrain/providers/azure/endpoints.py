"""Where Azure is asked, and where a login for it is: the public cloud, a sovereign one, or an address of one's own."""

import configparser
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...model.errors import ConfigError
from ...model.spec import MachineSpec

MANAGER_VARIABLE = "CLOUDTRAIN_RESOURCE_MANAGER_URL"
AUTHORITY_VARIABLE = "AZURE_AUTHORITY_HOST"
DISCOVERY_VARIABLE = "CLOUDTRAIN_DISABLE_INSTANCE_DISCOVERY"

_PUBLIC = "AzureCloud"
_CLOUDS = {
    # the Azure CLI's name: authority, Resource Manager, portal
    _PUBLIC: ("https://login.microsoftonline.com", "https://management.azure.com", "https://portal.azure.com"),
    "AzureUSGovernment": (
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net",
        "https://portal.azure.us",
    ),
    "AzureChinaCloud": ("https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn", "https://portal.azure.cn"),
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where one cloud answers.

    Attributes:
        authority: where logins are made ("https://login.microsoftonline.com").
        manager: Azure Resource Manager ("https://management.azure.com").
        portal: the console for people.
        is_own: the authority is none of Microsoft's; nobody else is to be asked about it.
    """

    authority: str
    manager: str
    portal: str
    is_own: bool = False

    @property
    def scope(self) -> str:
        """Return what an access token is asked for."""
        return f"{self.manager}/.default"


def find_endpoints(machine: MachineSpec | None) -> Endpoints:
    """Return where to ask: the machine config's addresses, else the environment's, else those of the CLI's cloud.

    An authority of a sovereign cloud brings that cloud's Resource Manager with it.

    Raises:
        ConfigError: an address is none.
    """
    written = (machine.authority_url, machine.resource_manager_url) if machine is not None else (None, None)
    authority = written[0] or os.environ.get(AUTHORITY_VARIABLE)
    manager = written[1] or os.environ.get(MANAGER_VARIABLE)
    own_authority = _address(authority, "authority_url") if authority else ""
    known = next((each for each in _CLOUDS.values() if each[0] == own_authority), None)
    default = known or _CLOUDS.get(_cloud_of_cli() if not own_authority else _PUBLIC, _CLOUDS[_PUBLIC])
    return Endpoints(
        own_authority or default[0],
        _address(manager, "resource_manager_url") if manager else default[1],
        default[2],
        is_own=(bool(own_authority) and known is None) or bool(os.environ.get(DISCOVERY_VARIABLE)),
    )


def cli_folder() -> Path:
    """Return where the Azure CLI keeps its settings."""
    return Path(os.environ.get("AZURE_CONFIG_DIR") or Path.home() / ".azure")


def _cloud_of_cli() -> str:
    own = os.environ.get("AZURE_CLOUD_NAME")
    if own:
        return own
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(cli_folder() / "config", encoding="utf-8")
        return settings.get("cloud", "name", fallback=_PUBLIC)
    except (configparser.Error, OSError, UnicodeDecodeError):
        return _PUBLIC  # what is wrong with it, the CLI tells when it is asked for a login


def _address(text: str, field: str) -> str:
    address = text.strip().rstrip("/")
    if "://" not in address:
        address = f"https://{address}"  # as azure-identity takes AZURE_AUTHORITY_HOST
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"{text!r} is no web address", "Write one: https://HOST", field=field)
    return address
