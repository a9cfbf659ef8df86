"""Azure's own pipeline: its logins, its retries and its connections, and none of its generated clients."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ... import __version__
from ...model.clock import Clock
from ...model.errors import CredentialsError, NotSetUpError, ProviderUnavailableError
from ..cloud_time import CloudTime
from .endpoints import Endpoints
from .login import login_hint, refusal_of

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
TRIES = 5
LONGEST_PAUSE_S = 16.0
METHODS = ("GET", "HEAD", "PUT", "DELETE", "POST", "PATCH")
"""All of ours are safe to repeat: what they make has names that do not change."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Resource Manager answered.

    Attributes:
        content: the JSON object in it; {} where it is empty.
        headers: by name in small letters.
    """

    status: int
    content: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class Pipeline:
    """Sends requests that bear a login. Safe to use from several threads."""

    def __init__(self, endpoints: Endpoints, credential: Any, clock: Clock) -> None:
        try:
            from azure.core.pipeline.policies import RequestIdPolicy, RetryPolicy, UserAgentPolicy
            from azure.core.pipeline.transport import RequestsTransport
            from azure.mgmt.core import ARMPipelineClient
            from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy
        except ImportError as error:
            raise NotSetUpError("Azure's libraries are not installed here", "pip install 'cloudtrain[azure]'") from error
        transport = RequestsTransport(connection_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S)
        transport.sleep = clock.sleep  # the pauses between tries, too, go by the clock we were handed
        transport.open()  # not safe from several threads, using it is
        retries = RetryPolicy(retry_total=TRIES - 1, retry_status=TRIES - 1, retry_backoff_max=LONGEST_PAUSE_S)
        policies = [
            RequestIdPolicy(),
            UserAgentPolicy(base_user_agent=f"cloudtrain/{__version__}"),
            retries,
            ARMChallengeAuthenticationPolicy(credential, endpoints.scope),
        ]
        self._client: Any = ARMPipelineClient(endpoints.manager, policies=policies, transport=transport)
        self.time = CloudTime("Azure")
        self._first, self._is_logged_in = threading.Lock(), False

    def sent(self, act: str, method: str, url: str, body: Mapping[str, Any] | None) -> Answer:
        """Send one request and return its answer, whatever its status.

        Raises:
            CredentialsError: there is no login that works.
            ProviderUnavailableError: no answer of Azure's came.
        """
        with self._first:  # the others wait for the first one's token, and do not fetch one each
            if not self._is_logged_in:
                answer = self._answer(act, method, url, body)
                self._is_logged_in = True
                return answer
        return self._answer(act, method, url, body)

    def _answer(self, act: str, method: str, url: str, body: Mapping[str, Any] | None) -> Answer:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.core.rest import HttpRequest

        request = HttpRequest(method, url, headers={"Accept": "application/json"}, json=body)
        try:
            reply = self._client.send_request(request, retry_on_methods=METHODS)
            self.time.heard(reply.headers.get("Date"))
            return _read(act, reply)
        except ClientAuthenticationError as error:
            raise CredentialsError(f"Azure gave no access token: {refusal_of(error)}", login_hint()) from error
        except AzureError as error:
            raise ProviderUnavailableError(
                f"{act}: Azure did not answer: {_first_line(error)}", "Look at the network, then try again."
            ) from error


def _read(act: str, reply: Any) -> Answer:
    try:
        content = reply.json() if reply.content else {}
    except ValueError:
        content = None
    if isinstance(content, list):  # some lists come as they are, without the object that holds them elsewhere
        content = {"value": content}
    if reply.status_code < 400 and not isinstance(content, dict):
        raise ProviderUnavailableError(  # somebody between us and Azure answered: a captive portal, say
            f"{act}: {reply.request.url.partition('?')[0]} answered with HTTP {reply.status_code} and nothing of Azure's",
            "Look at the network, then try again.",
        )
    headers = {name.lower(): value for name, value in reply.headers.items()}
    return Answer(reply.status_code, content if isinstance(content, dict) else {}, headers)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
