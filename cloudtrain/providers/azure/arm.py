"""Azure Resource Manager: one pipeline for each provider object, opened when the first call is made."""

import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from ...model.clock import Clock
from ...model.errors import ProviderUnavailableError
from ..base import ProviderSettings
from ..cloud_time import CloudTime
from .endpoints import Endpoints, find_endpoints
from .login import find_subscription, make_credential
from .operation import Operation, started
from .pipeline import Answer, Pipeline
from .translate import refused, unregistered
from .versions import RESOURCES

NOTHING: Mapping[str, str] = MappingProxyType({})

REGISTERING_S = 300.0
"""How long a subscription may take to register a resource provider, in seconds; a minute or two is usual."""

PACE_S = 5.0


class Arm:
    """Asks Azure Resource Manager. Safe to use from several threads. Azure's libraries are imported at the first call."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._made_pipeline: Pipeline | None = None
        self._made_credential: Any = None
        self._found_endpoints: Endpoints | None = None
        self._found_subscription = ""
        self._registered: list[str] = []

    @property
    def endpoints(self) -> Endpoints:
        """Return where Azure is asked.

        Raises:
            ConfigError: an address in the machine config or the environment is none.
        """
        with self._lock:
            if self._found_endpoints is None:
                self._found_endpoints = find_endpoints(self._settings.machine)
            return self._found_endpoints

    @property
    def subscription(self) -> str:
        """Return the subscription everything is asked for.

        Raises:
            NotSetUpError: this computer has no login for Azure, or no subscription is set.
        """
        with self._lock:
            if not self._found_subscription:
                self._found_subscription = find_subscription(self._settings.machine)
            return self._found_subscription

    @property
    def clock(self) -> Clock:
        """Return the clock that waiting goes by."""
        return self._settings.clock

    @property
    def registered(self) -> tuple[str, ...]:
        """Return the resource providers that had to be registered with the subscription meanwhile."""
        return tuple(self._registered)

    @property
    def credential(self) -> Any:
        """Return azure-identity's credential, for who must ask another service than Resource Manager.

        Raises:
            NotSetUpError: there is no login, or azure-identity is not installed.
        """
        with self._lock:
            if self._made_credential is None:
                self._made_credential = make_credential(self.endpoints)
            return self._made_credential

    def below(self, place: str) -> str:
        """Return the path of something in the subscription: of "resourceGroups/ct-1", say."""
        return f"/subscriptions/{self.subscription}/{place}"

    def call(
        self,
        act: str,
        method: str,
        path: str,
        *,
        api: str,
        query: Mapping[str, str] = NOTHING,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Ask and return the answer, {} where it is empty.

        `act` says in Azure's words what is asked ("Microsoft.Compute/virtualMachines/read"), for errors; `path` begins with
        "/subscriptions/…" and `api` is the interface's version. What is throttled or meets a 5xx is asked again by the
        pipeline: all we ask is safe to repeat.

        Raises:
            ProviderError: of the kind the table in `translate.py` says; ProviderUnavailableError where no answer came.
        """
        return self._answer(act, method, self._url(path, api, query), body).content

    def pages(self, act: str, path: str, *, api: str, query: Mapping[str, str] = NOTHING) -> Iterator[dict[str, Any]]:
        """Yield what a list has, page after page.

        Raises:
            ProviderError: see `call`; ProviderUnavailableError also where a page's next one lies with somebody else.
        """
        url = self._url(path, api, query)
        while url:
            page = self._answer(act, "GET", url, None).content
            yield from page.get("value", ())
            url = str(page.get("nextLink") or "")
            if url:
                self.refuse_strangers(act, url)

    def begin(
        self,
        act: str,
        method: str,
        path: str,
        *,
        api: str,
        query: Mapping[str, str] = NOTHING,
        body: Mapping[str, Any] | None = None,
    ) -> Operation:
        """Ask for what takes a while; return it as accepted, to be followed. See `call`."""
        url = self._url(path, api, query)
        return started(self, act, url, self._answer(act, method, url, body))

    def ask_again(self, act: str, url: str) -> Answer:
        """Ask for an address that Azure itself has named, and return its answer with its headers. See `call`."""
        self.refuse_strangers(act, url)
        return self._answer(act, "GET", url, None)

    def refuse_strangers(self, act: str, url: str) -> None:
        """Refuse to send our token anywhere but to the Resource Manager we asked.

        Raises:
            ProviderUnavailableError: the address lies somewhere else.
        """
        if not url.startswith(f"{self.endpoints.manager}/"):
            raise ProviderUnavailableError(f"{act}: Azure names an address that is not its own: {url}")

    @property
    def time(self) -> CloudTime:
        """Return what Azure's replies say of this computer's clock."""
        return self._pipeline().time

    def now(self) -> datetime:
        """Return the time of day."""
        return self._settings.clock.now()

    def _url(self, path: str, api: str, query: Mapping[str, str]) -> str:
        return f"{self.endpoints.manager}{quote(path)}?{urlencode({**query, 'api-version': api}, quote_via=quote)}"

    def _answer(self, act: str, method: str, url: str, body: Mapping[str, Any] | None) -> Answer:
        pipeline = self._pipeline()
        answer = pipeline.sent(act, method, url, body)
        namespace = unregistered(answer.status, answer.content) if answer.status in (403, 409) else ""
        if namespace and self._register(pipeline, namespace):
            answer = pipeline.sent(act, method, url, body)
        if answer.status < 300:
            return answer
        raise refused(act, url.removeprefix(self.endpoints.manager).partition("?")[0], answer.status, answer.content)

    def _register(self, pipeline: Pipeline, namespace: str) -> bool:
        """Register a resource provider with the subscription, which costs nothing, and wait for it; say whether it is."""
        act, path = f"{namespace}/register/action", self.below(f"providers/{namespace}")
        told = f"This subscription has not used {namespace} before"
        answer = pipeline.sent(act, "POST", self._url(f"{path}/register", RESOURCES, NOTHING), None)
        give_up_at = self.clock.monotonic() + REGISTERING_S
        if answer.status < 300:
            self._settings.say(f"{told}: it is being registered, once and for nothing; that takes a minute or two …")
        while answer.status < 300 and answer.content.get("registrationState") != "Registered":
            if self.clock.monotonic() >= give_up_at:
                return False
            self.clock.sleep(PACE_S)
            answer = pipeline.sent(act, "GET", self._url(path, RESOURCES, NOTHING), None)
        if answer.status < 300:
            self._registered.append(namespace)
        return answer.status < 300

    def _pipeline(self) -> Pipeline:
        with self._lock:
            if self._made_pipeline is None:
                _ = self.subscription  # which says what is missing here, before anything is imported
                self._made_pipeline = Pipeline(self.endpoints, self.credential, self._settings.clock)
            return self._made_pipeline
