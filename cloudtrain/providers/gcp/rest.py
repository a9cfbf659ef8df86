"""Google's REST interfaces: one session for each provider object, opened when the first call is made."""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ... import __version__
from ...model.errors import CredentialsError, NotSetUpError, PermissionDeniedError, ProviderError, ProviderUnavailableError
from ..base import ProviderSettings
from ..cloud_time import CloudTime
from . import credentials
from .endpoints import Endpoints
from .translate import is_passing, missing_project, refused

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
WAITING_TIMEOUT_S = 150.0
"""For a call that Google answers when something has happened, within two minutes."""

TRIES = 5
LONGEST_PAUSE_S = 16.0
CONNECTIONS = 32

NOTHING: Mapping[str, str] = MappingProxyType({})

_ONLY_LOOKS = (".wait", ".testIamPermissions", ".signBlob")
"""How calls end that are sent like writes and change nothing."""


class Rest:
    """Asks Google. Safe to use from several threads. google-auth and requests are imported when the first call is made."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.time = CloudTime("Google Cloud")
        self._clock = settings.clock
        self._endpoints = Endpoints(settings.machine.endpoint_url if settings.machine is not None else None)
        self._lock = threading.RLock()
        self._made_session: Any = None
        self._made_credentials: Any = None
        self._found_login: credentials.Login | None = None
        self._config = settings.machine.name if settings.machine is not None else ""
        self._named_project = settings.machine.project if settings.machine is not None else ""
        self._found_project = ""

    @property
    def project(self) -> str:
        """Return the project everything is asked for.

        Raises:
            NotSetUpError: this computer has no login for Google, or no project is set.
        """
        with self._lock:
            if not self._found_project:
                self._found_project = self._named_project or credentials.find_project(self.login)
            if not self._found_project:
                raise NotSetUpError(
                    "No Google Cloud project is set on this computer",
                    "gcloud config set project PROJECT (or: export GOOGLE_CLOUD_PROJECT=PROJECT)",
                )
            return self._found_project

    @property
    def login(self) -> credentials.Login:
        """Return the login that is used.

        Raises:
            NotSetUpError: this computer has none.
        """
        with self._lock:
            if self._found_login is None:
                self._found_login = credentials.find_login()
            if self._found_login is None:
                raise NotSetUpError("No login for Google Cloud was found on this computer", credentials.LOGIN)
            return self._found_login

    @property
    def credentials(self) -> Any:
        """Return google-auth's credentials, for who must sign something.

        Raises:
            NotSetUpError: there is no login, or google-auth is not installed.
        """
        with self._lock:
            if self._made_credentials is None:
                self._made_credentials = credentials.credentials_of(self.login, self._endpoints.base("iamcredentials"))
            return self._made_credentials

    @property
    def is_public(self) -> bool:
        """Say whether Google is asked at its public hosts."""
        return self._endpoints.is_public()

    def call(
        self,
        method_id: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Call one of Google's methods and return its answer.

        `method_id` is Google's ("compute.instances.insert"), `method` HTTP's, and `path` lies below the service's version.
        What is safe to repeat (looking, and whatever bears a `requestId`) is asked up to five times when Google is busy or the
        line breaks.

        Raises:
            ProviderError: of the kind the table in `translate.py` says; ProviderUnavailableError where no answer came.
        """
        url = self._endpoints.base(method_id.partition(".")[0]) + path

        def ask() -> dict[str, Any]:
            return self._ask(method_id, method, path, url, query, body)

        if method == "GET" or "requestId" in query or method_id.endswith(_ONLY_LOOKS):
            return self._asked_again(ask)
        return ask()

    def pages(
        self, method_id: str, path: str, *, query: Mapping[str, str] = NOTHING, key: str = "items"
    ) -> Iterator[dict[str, Any]]:
        """Yield what a list has under `key`, page after page; of an aggregated list, what every zone or region has.

        Raises:
            ProviderError: see `call`; ProviderUnavailableError also where a zone did not answer: it must not look empty.
        """
        page_token = ""
        while True:
            page = self.call(method_id, "GET", path, query={**query, **({"pageToken": page_token} if page_token else {})})
            _refuse_gaps(method_id, page)
            items = page.get(key, ())
            if isinstance(items, Mapping):
                for place, scoped in items.items():
                    yield from _in_scope(method_id, place, scoped)
            else:
                yield from items
            page_token = str(page.get("nextPageToken", ""))
            if not page_token:
                return

    def _asked_again(self, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        for attempt in range(TRIES - 1):
            try:
                return ask()
            except ProviderError as error:
                if not is_passing(error):
                    raise
            # Many of us may have been refused at once: each comes back at another moment.
            self._clock.sleep(min(2.0**attempt, LONGEST_PAUSE_S) * (0.5 + secrets.randbelow(1000) / 2000))
        return ask()

    def _ask(
        self, method_id: str, method: str, path: str, url: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        reply = self._sent(method_id, method, url, query, body)
        if reply.status_code == 401 and self._renewed():
            reply = self._sent(method_id, method, url, query, body)
        try:
            answer = reply.json() if reply.content or reply.status_code >= 300 else {}
        except ValueError:
            answer = None
        if reply.status_code < 300 and isinstance(answer, dict):
            return answer
        if reply.status_code < 400:  # somebody between us and Google answered: a captive portal, say
            raise ProviderUnavailableError(
                f"{method_id}: {url} answered with HTTP {reply.status_code} and nothing of Google's",
                "Look at the network, then try again.",
            )
        raise self._told(refused(method_id, path, reply.status_code, answer if isinstance(answer, dict) else {}))

    def _told(self, error: ProviderError) -> ProviderError:
        """Return a refusal; one that means the project of all we ask says where that is named."""
        missing = missing_project(error)
        if not missing or missing != self.project:
            return error
        if self._named_project:
            source, line = f"`project:` of the machine config {self._config}", f"Correct `project:` in {self._config}"
        else:
            source, line = credentials.project_source(self.login)
            line = f"Name another one: {line}"
        told = PermissionDeniedError(
            f"Google knows no project {missing}, or this login may not see it; {source} names it",
            f"Look which there are: gcloud projects list\n{line}",
        )
        told.__cause__ = error.__cause__
        return told

    def _sent(self, method_id: str, method: str, url: str, query: Mapping[str, str], body: Mapping[str, Any] | None) -> Any:
        session = self._session()
        from requests.exceptions import RequestException  # here, because the library is imported when it is used

        timeout_s = WAITING_TIMEOUT_S if method_id.endswith(".wait") else READ_TIMEOUT_S
        try:
            reply = session.request(
                method, url, params=query, json=body, timeout=(CONNECT_TIMEOUT_S, timeout_s), allow_redirects=False
            )
        except RequestException as error:
            raise ProviderUnavailableError(
                f"{method_id}: Google did not answer: {error}", "Look at the network, then try again."
            ) from error
        self.time.heard(reply.headers.get("Date"))
        return reply

    def _session(self) -> Any:
        with self._lock:
            if self._made_session is None:
                self._made_session = self._opened()
            return self._made_session

    def _opened(self) -> Any:
        _ = self.credentials  # which says what is missing here, before anything is imported
        import requests
        from requests.adapters import HTTPAdapter

        session = requests.Session()
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
        session.headers["User-Agent"] = f"cloudtrain/{__version__}"
        # Not google-auth's own session: for a service account that one asks a public host in the background, and requests
        # without `auth` would take a login from ~/.netrc instead of ours.
        session.auth = self._signed
        return session

    def _signed(self, request: Any) -> Any:
        with self._lock:
            if not self.credentials.valid:
                self._renew()
            self.credentials.apply(request.headers)
        return request

    def _renewed(self) -> bool:
        """Ask for a new access token where the login is one that can; say whether it was."""
        with self._lock:
            if self.login.file is None and not self.login.impersonate:
                return False
            self._renew()
            return True

    def _renew(self) -> None:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        try:
            self.credentials.refresh(Request())
        except TransportError as error:
            raise ProviderUnavailableError(f"Google gave no access token: {error}", "Look at the network.") from error
        except GoogleAuthError as error:
            raise CredentialsError(f"Google gave no access token: {error}", f"Log in: {credentials.LOGIN}") from error


def _in_scope(method_id: str, place: str, scoped: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    _refuse_gaps(f"{method_id} ({place})", scoped)
    for name, listed in scoped.items():
        if name != "warning":
            yield from listed


def _refuse_gaps(what: str, answer: Mapping[str, Any]) -> None:
    missing = answer.get("unreachables") or answer.get("unreachable")
    if missing or answer.get("warning", {}).get("code") in ("UNREACHABLE", "PARTIAL_SUCCESS"):
        raise ProviderUnavailableError(
            f"{what}: not every place answered{f' ({missing})' if missing else ''}", "Try again in a minute."
        )
