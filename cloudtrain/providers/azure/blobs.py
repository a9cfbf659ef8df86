"""The blob service of one storage account, asked with the person's own login."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from ... import __version__
from ...model.clock import Clock
from ...model.errors import CredentialsError, ProviderError, ProviderUnavailableError
from .login import login_hint, refusal_of
from .signing import SERVICE_VERSION, DelegationKey, service_time
from .translate import refused

SCOPE = "https://storage.azure.com/.default"
PAGE = "5000"
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
TRIES = 4
PAUSE_S = 1.0
"""Before the second try; twice that before each further one."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One blob. `etag` without quotes."""

    name: str
    bytes: int
    etag: str


class Blobs:
    """Asks one account's blob service. requests is imported when the first question is asked."""

    def __init__(self, address: str, credential: Any, clock: Clock) -> None:
        """Take the service's address, with a slash at its end, and azure-identity's credential."""
        self._address = address
        self._credential = credential
        self._clock = clock
        self._made_session: Any = None

    def listed(self, container: str, prefix: str) -> Iterator[Listed]:
        """Yield the blobs of a container whose names begin so, in their order; no folders.

        Raises:
            ProviderError: Azure refused or did not answer.
        """
        query = {"restype": "container", "comp": "list", "prefix": prefix, "maxresults": PAGE}
        marker = ""
        while True:
            reply = self._asked("list", "GET", container, {**query, **({"marker": marker} if marker else {})})
            page = _read(reply.content)
            for blob in page.iter("Blob"):
                found = _blob(blob)
                if found is not None:
                    yield found
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return

    def read_a_byte(self, container: str, name: str) -> None:
        """See that a blob can be read.

        Raises:
            ProviderError: Azure refused or did not answer.
        """
        self._asked("read", "GET", f"{container}/{quote(name)}", {}, headers={"x-ms-range": "bytes=0-0"})

    def delegation_key(self, start: datetime, end: datetime) -> DelegationKey:
        """Return a key that signs links in the name of the login.

        Raises:
            ProviderError: Azure refused or did not answer.
        """
        body = f"<KeyInfo><Start>{service_time(start)}</Start><Expiry>{service_time(end)}</Expiry></KeyInfo>"
        query = {"restype": "service", "comp": "userdelegationkey"}
        reply = self._asked("generateUserDelegationKey", "POST", "", query, body=body)
        told = {child.tag: child.text or "" for child in _read(reply.content)}
        try:
            return DelegationKey.read(told)
        except KeyError as error:
            raise ProviderUnavailableError(f"Blob Storage gave a key without {error}") from error

    def _asked(
        self,
        act: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        session = self._session()
        from requests.exceptions import RequestException

        url = self._address + path
        try:
            reply = session.request(
                method,
                url,
                params=query,
                data=body,
                headers={**self._headers(), **(headers or {})},
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                allow_redirects=False,
            )
        except RequestException as error:
            raise ProviderUnavailableError(f"{url} did not answer: {error}", "Look at the network, then try again.") from error
        if 200 <= reply.status_code < 300:
            return reply
        code = reply.headers.get("x-ms-error-code", "")
        # A reply that says nothing of the kind is somebody else's: a firewall's, or a captive portal's.
        told = {"error": {"code": code, "message": _said(reply.content)}} if code else {}
        raise refused(f"Blob Storage: {act}", path, reply.status_code, told)

    def _headers(self) -> Mapping[str, str]:
        from azure.core.exceptions import AzureError

        try:
            token = self._credential.get_token(SCOPE).token
        except AzureError as error:
            told = f"Azure gave no access token for Blob Storage: {refusal_of(error)}"
            raise CredentialsError(told, login_hint()) from error
        return {
            "Authorization": f"Bearer {token}",
            "x-ms-version": SERVICE_VERSION,
            "x-ms-date": format_datetime(self._clock.now(), usegmt=True),
        }

    def _session(self) -> Any:
        if self._made_session is None:
            import requests
            from requests.adapters import HTTPAdapter
            from urllib3.util import Retry

            again = Retry(TRIES - 1, status_forcelist=(429, 500, 502, 503, 504), backoff_factor=PAUSE_S, raise_on_status=False)
            self._made_session = requests.Session()
            for scheme in ("https://", "http://"):
                self._made_session.mount(scheme, HTTPAdapter(max_retries=again))
            self._made_session.headers["User-Agent"] = f"cloudtrain/{__version__}"
            self._made_session.auth = lambda request: request  # ours is in the headers; ~/.netrc has nothing to say
        return self._made_session


def _read(content: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(content.removeprefix(b"\xef\xbb\xbf"))  # noqa: S314 - Azure's own answer, over TLS
    except ElementTree.ParseError as error:
        raise ProviderUnavailableError(f"Blob Storage answered with nothing of Azure's: {error}") from error


def _blob(found: ElementTree.Element) -> Listed | None:
    """Return a blob of a list; None for a folder, which accounts with a tree of folders list like one."""
    properties = found.find("Properties")
    named = found.find("Name")
    if properties is None or named is None or properties.findtext("ResourceType") == "directory":
        return None
    name = unquote(named.text or "") if named.get("Encoded") == "true" else named.text or ""
    if not name or name.endswith("/"):
        return None
    return Listed(name, int(properties.findtext("Content-Length") or 0), (properties.findtext("Etag") or "").strip('"'))


def _said(content: bytes) -> str:
    try:
        return (_read(content).findtext("Message") or "").partition("\n")[0]
    except ProviderError:
        return ""
