"""In whose name a machine on Azure asks Blob Storage: its own identity's, as the metadata service gives a token for it."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Mapping

from .azure_end import metadata
from .errors import GuestError
from .folder import NotYetError

FRESH_S = 300.0
"""A token that is good for no longer than this, in seconds, is asked for again."""

_RESOURCE = "https%3A%2F%2Fstorage.azure.com%2F"
_DOMAINS = {
    "AzurePublicCloud": "blob.core.windows.net",
    "AzureUSGovernmentCloud": "blob.core.usgovcloudapi.net",
    "AzureChinaCloud": "blob.core.chinacloudapi.cn",
}
"""Where Blob Storage is, by the name that a machine's metadata has for its cloud."""

Ask = Callable[[str], Mapping[str, Any]]


class StorageIdentity:
    """Asks the metadata service and remembers the answer while it is fresh. Any thread may call it."""

    def __init__(self, ask: Ask = metadata, now: Callable[[], float] = time.time) -> None:
        """Take what asks the metadata service, as `azure_end.metadata` does; `now` gives Unix seconds."""
        self._ask = ask
        self._now = now
        self._lock = threading.Lock()
        self._token, self._expires = "", 0.0

    def token(self) -> str:
        """Return a token for Blob Storage.

        Raises:
            NotYetError: the machine has no identity, or does not know it yet.
        """
        with self._lock:
            if self._expires - self._now() < FRESH_S:
                self._token, self._expires = self._asked()
            return self._token

    def forget(self) -> None:
        """Ask anew next time: what was given is not taken."""
        with self._lock:
            self._expires = 0.0

    def domain(self) -> str:
        """Return what the addresses of storage accounts end with in this machine's cloud.

        Raises:
            NotYetError: the metadata service does not say.
            GuestError: it names a cloud that is not known.
        """
        try:
            cloud = str(self._ask("instance?api-version=2021-02-01")["compute"].get("azEnvironment") or "AzurePublicCloud")
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise NotYetError(f"the machine does not know its cloud: {error}") from None
        if cloud not in _DOMAINS:
            raise GuestError(f"where {cloud} keeps blobs is not known: CLOUDTRAIN_BLOB_URL names it")
        return _DOMAINS[cloud]

    def _asked(self) -> tuple[str, float]:
        try:
            told = self._ask(f"identity/oauth2/token?api-version=2018-02-01&resource={_RESOURCE}")
        except (OSError, ValueError) as error:
            raise NotYetError(f"the machine has no identity, or does not know it yet: {error}") from None
        try:
            return str(told["access_token"]), float(told["expires_on"])
        except (KeyError, TypeError, ValueError):
            # What was told holds a secret, and so may the parser's own words.
            raise NotYetError("the metadata service gives a token that cannot be read") from None
