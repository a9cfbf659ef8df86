"""Where Google's services are asked: at the public hosts, or where a person says they are."""

from urllib.parse import urlsplit

from ...model.errors import ConfigError
from . import gcloud

PATHS = {
    "compute": "compute/v1/",
    "cloudbilling": "v1/",
    "cloudquotas": "v1/",
    "cloudresourcemanager": "v3/",
    "iam": "v1/",
    "iamcredentials": "v1/",
    "serviceusage": "v1/",
    "storage": "storage/v1/",
    "tpu": "v2alpha1/",
}
"""Below each service's host, the path of the version we speak."""


class Endpoints:
    """The address of each service.

    A machine config's `endpoint_url` is one host for all services. Else gcloud's overrides hold, each for its service; where
    Compute Engine is elsewhere, a service without one is asked there too: no call goes to a public host then.
    """

    def __init__(self, endpoint_url: str | None) -> None:
        self._one_host = _without(endpoint_url, PATHS["compute"]) if endpoint_url else ""

    def base(self, service: str) -> str:
        """Return the address below which a service's paths lie, with a slash at its end.

        Raises:
            ConfigError: what is written is no web address.
            CredentialsError: gcloud's configuration cannot be read.
        """
        if self._one_host:
            return f"{self._one_host}/{PATHS[service]}"
        own = _overridden(service)
        if own:
            # gcloud's override of one service names its version's path, that of another the host alone.
            return own + "/" if urlsplit(own).path else f"{own}/{PATHS[service]}"
        compute = _overridden("compute") if service != "compute" else ""
        origin = _origin(compute) if compute else f"https://{service}.googleapis.com"
        return f"{origin}/{PATHS[service]}"

    def is_public(self) -> bool:
        """Say whether Compute Engine is asked at Google's public host."""
        return self.base("compute") == f"https://compute.googleapis.com/{PATHS['compute']}"


def _overridden(service: str) -> str:
    text = gcloud.setting("api_endpoint_overrides", service)
    return _address(text) if text else ""


def _without(text: str, path: str) -> str:
    return _address(text).removesuffix("/" + path.rstrip("/"))


def _address(text: str) -> str:
    address = text.strip().rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"{text!r} is no web address", "Write one: https://HOST", field="endpoint_url")
    return address


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
