"""Who asks Azure, and for which subscription: what a person has on this computer. Found without the network."""

import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...model.errors import NotSetUpError
from ...model.spec import MachineSpec
from .endpoints import Endpoints, cli_folder

LOGIN = "az login"
SUBSCRIPTION_VARIABLE = "AZURE_SUBSCRIPTION_ID"

_SECRETS = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE")
_IDENTITY_SERVICES = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT")
_CHOICE = "AZURE_TOKEN_CREDENTIALS"
_ONE_OF_THE_CHAIN = re.compile(r"\w+Credential: ")


def login_source() -> str:
    """Return where azure-identity would find a login, in words for a person; "" when there is none. Never a secret."""
    environ = os.environ
    if environ.get("AZURE_CLIENT_ID") and environ.get("AZURE_TENANT_ID") and any(environ.get(name) for name in _SECRETS):
        return "AZURE_CLIENT_ID in the environment"
    named = next((name for name in (*_IDENTITY_SERVICES, _CHOICE) if environ.get(name)), "")
    if named:
        return f"{named} in the environment"
    profile = _profile_file()
    return str(profile) if profile.is_file() else ""


def login_hint() -> str:
    """Return what to do about a login that Azure does not take, whichever of them is in use."""
    source = login_source()
    if source.startswith("AZURE_CLIENT_ID"):
        given = next(name for name in _SECRETS if os.environ.get(name))
        look = f"Look at AZURE_TENANT_ID, AZURE_CLIENT_ID and {given} in the environment"
        renew = f"; a new secret: az ad app credential reset --id {os.environ['AZURE_CLIENT_ID']}"
        return look + (renew if given == "AZURE_CLIENT_SECRET" else "")
    if source.endswith(" in the environment"):
        return f"Look at {source}, or unset it and log in: {LOGIN}"
    return f"Log in: {LOGIN}"


def refusal_of(error: Exception) -> str:
    """Return what azure-identity's chain was told by the login in use, in one line: its own first line names none of them."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if _ONE_OF_THE_CHAIN.match(line)]
    own = "AzureCliCredential" if login_source().endswith(".json") else "EnvironmentCredential"
    by_entra = next((line for line in told if "AADSTS" in line), "")
    return by_entra or next((line for line in [*(one for one in told if one.startswith(own)), *lines]), type(error).__name__)


def find_subscription(machine: MachineSpec | None = None) -> str:
    """Return the subscription everything is asked for: the machine config's, the environment's, else the CLI's default one.

    Raises:
        NotSetUpError: there is none.
    """
    own = machine.subscription if machine is not None else ""
    named = own or os.environ.get(SUBSCRIPTION_VARIABLE, "").strip() or _cli_default()
    if not named:
        raise NotSetUpError(
            "No Azure subscription is set on this computer",
            "az login; az account set --subscription NAME (or in the machine config: subscription: ID)",
        )
    return named


def make_credential(endpoints: Endpoints) -> Any:
    """Return azure-identity's default chain for a cloud; nothing is asked yet.

    Raises:
        NotSetUpError: there is no login on this computer, or azure-identity is not installed.
    """
    if not login_source():
        raise NotSetUpError("No login for Azure was found on this computer", LOGIN)
    try:
        from azure.identity import DefaultAzureCredential  # here, because the library is imported when it is used
    except ImportError as error:
        raise NotSetUpError("Azure's libraries are not installed here", "pip install 'cloudtrain[azure]'") from error
    # It logs each failure before it raises it, and Python prints what nobody has asked for.
    logging.getLogger("azure.identity").addHandler(logging.NullHandler())
    is_served = any(os.environ.get(name) for name in _IDENTITY_SERVICES)
    return DefaultAzureCredential(
        authority=endpoints.authority,
        disable_instance_discovery=endpoints.is_own,
        # Looking for a metadata service costs a laptop a second for each command, and finds none.
        **({} if is_served or os.environ.get(_CHOICE) else {"exclude_managed_identity_credential": True}),
    )


def _cli_default() -> str:
    """Return the subscription `az account set` chose, "" when there is none."""
    try:
        profile = json.loads(_profile_file().read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return ""
    listed: Sequence[Mapping[str, Any]] = profile.get("subscriptions") or () if isinstance(profile, dict) else ()
    return next((str(each.get("id") or "") for each in listed if each.get("isDefault")), "")


def _profile_file() -> Path:
    return cli_folder() / "azureProfile.json"
