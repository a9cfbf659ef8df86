"""How Google is asked: where, by whom, how often, and what an answer that is none becomes."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from threading import enumerate as enumerate_threads
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cloudtrain.model.errors import (
    ConfigError,
    CredentialsError,
    NotSetUpError,
    ProviderError,
    ProviderUnavailableError,
)
from cloudtrain.model.spec import MachineSpec
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.gcp import rest as rest_module
from cloudtrain.providers.gcp.endpoints import PATHS, Endpoints
from cloudtrain.providers.gcp.rest import TRIES, Rest
from cloudtrain.providers.gcp.translate import code_of
from cloudtrain.testing.clock import FakeClock

GET = ("compute.zones.list", "GET", "projects/p/zones")
WRITE = ("compute.instances.insert", "POST", "projects/p/zones/z/instances")


@dataclass
class Asked:
    """One request, as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: object


@dataclass
class Server:
    """Answers what it is told to, in order, the last for ever; remembers what was asked."""

    url: str = ""
    answers: list[tuple[int, object]] = field(default_factory=lambda: [(200, {})])
    asked: list[Asked] = field(default_factory=list)

    def says(self, *answers: tuple[int, object]) -> None:
        self.answers = list(answers)


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(
                self.command,
                parts.path,
                parse_qs(parts.query),
                {name.lower(): value for name, value in self.headers.items()},
                json.loads(body) if "json" in self.headers.get("Content-Type", "") else None,
            )
            told.asked.append(asked)
            status, answer = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            if status == 0:
                self.close_connection = True  # the line breaks
                return
            text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{told.url}/elsewhere")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{http.server_port}"
    Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    yield told
    http.shutdown()
    http.server_close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def rest(server: Server, clock: FakeClock, nobody_is_logged_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rest:
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "a-token")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    machine = MachineSpec("mine", "gcp", endpoint_url=server.url)
    return Rest(ProviderSettings(tmp_path, clock, lambda name: (), machine))


def error(reason: str, message: str = "no") -> dict:
    return {"error": {"code": 0, "message": message, "errors": [{"reason": reason}]}}


def test_a_call_is_sent_with_the_login_and_its_answer_returned(rest: Rest, server: Server) -> None:
    server.says((200, {"name": "op"}))
    assert rest.call(*WRITE, query={"requestId": "r"}, body={"name": "m"}) == {"name": "op"}
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/compute/v1/projects/p/zones/z/instances")
    assert (asked.query, asked.body) == ({"requestId": ["r"]}, {"name": "m"})
    assert asked.headers["authorization"] == "Bearer a-token"
    assert asked.headers["user-agent"].startswith("cloudtrain/")


def test_a_login_of_netrc_does_not_take_the_place_of_ours(
    rest: Rest, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    rest.call(*GET)
    assert server.asked[0].headers["authorization"] == "Bearer a-token"


@pytest.mark.parametrize(
    "trouble", [(0, {}), (503, error("backendError")), (429, {}), (403, error("rateLimitExceeded")), (500, b"<html>")]
)
@pytest.mark.parametrize(("call", "query"), [(GET, {}), (WRITE, {"requestId": "r"})])
def test_what_is_safe_to_repeat_is_asked_again(
    rest: Rest, server: Server, clock: FakeClock, trouble: tuple, call: tuple, query: dict
) -> None:
    server.says(trouble, trouble, (200, {"ok": "yes"}))
    assert rest.call(*call, query=query) == {"ok": "yes"}
    assert len(server.asked) == 3
    assert 1.5 <= clock.monotonic() <= 3.0


def test_it_is_not_asked_for_ever(rest: Rest, server: Server) -> None:
    server.says((503, error("backendError")))
    with pytest.raises(ProviderUnavailableError):
        rest.call(*GET)
    assert len(server.asked) == TRIES


@pytest.mark.parametrize("trouble", [(0, {}), (503, error("backendError"))])
def test_a_change_without_a_request_id_is_sent_once(rest: Rest, server: Server, trouble: tuple) -> None:
    server.says(trouble, (200, {}))
    with pytest.raises(ProviderUnavailableError):
        rest.call(*WRITE)
    assert len(server.asked) == 1


def test_a_refusal_is_not_asked_again(rest: Rest, server: Server) -> None:
    server.says((403, error("forbidden")))
    with pytest.raises(ProviderError) as caught:
        rest.call(*GET)
    assert (code_of(caught.value), len(server.asked)) == ("forbidden", 1)


def test_an_empty_answer_is_one(rest: Rest, server: Server) -> None:
    server.says((204, b""))
    assert rest.call("storage.objects.delete", "DELETE", "b/x/o/y") == {}


@pytest.mark.parametrize("answer", [(200, b"<html>log in</html>"), (200, [1]), (302, b"")])
def test_what_is_no_answer_of_googles_is_told_and_not_followed(rest: Rest, server: Server, answer: tuple) -> None:
    server.says(answer)
    with pytest.raises(ProviderUnavailableError, match=r"nothing of Google's"):
        rest.call(*WRITE)
    assert [asked.path for asked in server.asked] == ["/compute/v1/projects/p/zones/z/instances"]


def test_pages_are_all_read(rest: Rest, server: Server) -> None:
    server.says(
        (200, {"items": [{"n": 1}], "nextPageToken": "two"}), (200, {"nextPageToken": "three"}), (200, {"items": [{"n": 2}]})
    )
    assert list(rest.pages("compute.zones.list", "projects/p/zones", query={"filter": "x"})) == [{"n": 1}, {"n": 2}]
    assert [asked.query for asked in server.asked] == [
        {"filter": ["x"]},
        {"filter": ["x"], "pageToken": ["two"]},
        {"filter": ["x"], "pageToken": ["three"]},
    ]


def test_an_aggregated_list_is_one_of_what_every_zone_has(rest: Rest, server: Server) -> None:
    empty = {"warning": {"code": "NO_RESULTS_ON_PAGE"}}
    server.says(
        (200, {"items": {"zones/a": {"instances": [{"n": 1}]}, "zones/b": empty, "zones/c": {"instances": [{"n": 2}]}}})
    )
    assert list(rest.pages("compute.instances.aggregatedList", "x")) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    "answer",
    [
        {"items": {"zones/a": {"warning": {"code": "UNREACHABLE"}}}},
        {"items": {}, "unreachables": ["zones/a"]},
        {"items": [], "warning": {"code": "UNREACHABLE"}},
    ],
)
def test_a_zone_that_did_not_answer_does_not_look_empty(rest: Rest, server: Server, answer: dict) -> None:
    server.says((200, answer))
    with pytest.raises(ProviderUnavailableError, match="not every place answered"):
        list(rest.pages("compute.instances.aggregatedList", "x"))


def test_a_token_that_is_over_cannot_be_renewed_and_says_so(rest: Rest, server: Server) -> None:
    server.says((401, error("authError")))
    with pytest.raises(CredentialsError, match="authError"):
        rest.call(*GET)
    assert len(server.asked) == 1


@pytest.fixture
def robot(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log in as a service account whose tokens the server gives."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    told = {"type": "service_account", "private_key": pem, "client_email": "robot@p.iam", "token_uri": f"{server.url}/token"}
    (tmp_path / "robot.json").write_text(json.dumps(told))
    monkeypatch.delenv("CLOUDSDK_AUTH_ACCESS_TOKEN")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "robot.json"))


TOKEN = {"access_token": "given", "expires_in": 3600, "token_type": "Bearer"}


def test_a_service_accounts_token_is_asked_for_once_and_nobody_else_is_asked(
    rest: Rest, server: Server, robot: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = requests.Session.send
    monkeypatch.setattr(requests.Session, "send", lambda self, made, **how: (sent.append(made.url), send(self, made, **how))[1])
    server.says((200, TOKEN), (200, {"n": 1}), (200, {"n": 2}))
    assert [rest.call(*GET), rest.call(*GET)] == [{"n": 1}, {"n": 2}]
    assert [asked.path for asked in server.asked] == ["/token", *["/compute/v1/projects/p/zones"] * 2]
    assert server.asked[1].headers["authorization"] == "Bearer given"
    # google-auth's own session would ask a public host in a thread for where the account may be used.
    assert {urlsplit(url).hostname for url in sent} == {"127.0.0.1"}
    assert [thread.name for thread in enumerate_threads() if "oundary" in type(thread).__name__] == []


def test_a_token_that_is_over_before_its_time_is_renewed_once(rest: Rest, server: Server, robot: None) -> None:
    server.says((200, TOKEN), (401, error("authError")), (200, TOKEN | {"access_token": "fresh"}), (200, {"n": 1}))
    assert rest.call(*GET) == {"n": 1}
    assert server.asked[-1].headers["authorization"] == "Bearer fresh"
    server.says((401, error("authError")), (200, TOKEN), (401, error("authError")))
    with pytest.raises(CredentialsError):
        rest.call(*GET)


@pytest.mark.parametrize("answer", [(400, {"error": "invalid_grant", "error_description": "gone"}), (401, {})])
def test_a_token_that_is_not_given_is_said(rest: Rest, server: Server, robot: None, answer: tuple) -> None:
    server.says(answer)
    with pytest.raises(CredentialsError, match="Google gave no access token") as caught:
        rest.call(*GET)
    assert "gcloud auth application-default login" in caught.value.hint


def test_without_a_project_nothing_is_asked(rest: Rest, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    with pytest.raises(NotSetUpError, match="No Google Cloud project"):
        _ = rest.project
    assert server.asked == []


def test_without_a_login_nothing_is_asked(rest: Rest, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDSDK_AUTH_ACCESS_TOKEN")
    with pytest.raises(NotSetUpError, match="No login"):
        rest.call(*GET)
    assert server.asked == []


def test_without_the_library_the_line_to_type_is_said(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "google.auth.exceptions", None)
    with pytest.raises(NotSetUpError) as caught:
        rest.call(*GET)
    assert caught.value.hint == "pip install 'cloudtrain[gcp]'"


def test_pauses_are_not_the_same_for_everybody(
    server: Server, clock: FakeClock, rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_module.secrets, "randbelow", lambda below: below - 1)
    server.says((503, {}), (200, {}))
    rest.call(*GET)
    assert 0.99 < clock.monotonic() <= 1.0
    monkeypatch.setattr(rest_module.secrets, "randbelow", lambda below: 0)
    server.says((503, {}), (200, {}))
    rest.call(*GET)
    assert 1.49 < clock.monotonic() <= 1.5


Overrides = Callable[..., None]


@pytest.fixture
def overridden(nobody_is_logged_in: Path, monkeypatch: pytest.MonkeyPatch) -> Overrides:
    def override(**by_service: str) -> None:
        for service, address in by_service.items():
            monkeypatch.setenv(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}", address)

    return override


def bases(endpoints: Endpoints, services: Sequence[str] = tuple(PATHS)) -> set[str]:
    return {urlsplit(endpoints.base(service)).netloc for service in services}


def test_google_is_asked_at_its_public_hosts(overridden: Overrides) -> None:
    endpoints = Endpoints(None)
    assert endpoints.is_public()
    assert endpoints.base("compute") == "https://compute.googleapis.com/compute/v1/"
    assert endpoints.base("cloudbilling") == "https://cloudbilling.googleapis.com/v1/"
    assert endpoints.base("tpu") == "https://tpu.googleapis.com/v2alpha1/"


@pytest.mark.parametrize("written", ["http://127.0.0.1:9", "http://127.0.0.1:9/", "http://127.0.0.1:9/compute/v1/"])
def test_a_machine_config_names_one_host_for_all(overridden: Overrides, written: str) -> None:
    overridden(compute="https://other.example/compute/v1/", storage="https://other.example/storage/v1/")
    endpoints = Endpoints(written)
    assert bases(endpoints) == {"127.0.0.1:9"}
    assert endpoints.base("storage") == "http://127.0.0.1:9/storage/v1/"
    assert not endpoints.is_public()


@pytest.mark.parametrize("written", ["http://127.0.0.1:9/compute/v1/", "http://127.0.0.1:9"])
def test_where_compute_is_elsewhere_no_service_is_asked_at_a_public_host(overridden: Overrides, written: str) -> None:
    overridden(compute=written)
    endpoints = Endpoints(None)
    assert bases(endpoints) == {"127.0.0.1:9"}
    assert endpoints.base("compute") == "http://127.0.0.1:9/compute/v1/"
    assert endpoints.base("cloudquotas") == "http://127.0.0.1:9/v1/"


def test_a_service_of_its_own_is_asked_where_gcloud_says(overridden: Overrides) -> None:
    overridden(compute="http://127.0.0.1:9/compute/v1/", storage="http://127.0.0.2:8/storage/v1/", tpu="http://127.0.0.3:7/")
    endpoints = Endpoints(None)
    assert endpoints.base("storage") == "http://127.0.0.2:8/storage/v1/"
    assert endpoints.base("tpu") == "http://127.0.0.3:7/v2alpha1/"


def test_gclouds_active_configuration_counts_too(nobody_is_logged_in: Path) -> None:
    folder = nobody_is_logged_in / "configurations"
    folder.mkdir(parents=True)
    (folder / "config_default").write_text("[api_endpoint_overrides]\ncompute = http://127.0.0.1:9/compute/v1/\n")
    assert Endpoints(None).base("compute") == "http://127.0.0.1:9/compute/v1/"


@pytest.mark.parametrize("written", ["compute.example", "ftp://x/y", "http://"])
def test_what_is_no_address_is_said(overridden: Overrides, written: str) -> None:
    with pytest.raises(ConfigError, match="no web address"):
        Endpoints(written).base("compute")
