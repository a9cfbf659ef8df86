"""A machine on Azure that ends its own bill: by the real keeper, a metadata service and a resource manager that only note."""

import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from cloudtrain.guest import azure_end

from .host import Host

ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm"
ENDING = [("deallocate", "POST", f"{ID}/deallocate"), ("delete", "DELETE", ID)]


class Azure(ThreadingHTTPServer):
    """Both services on one port; `refusals` are the answers given before asking is granted."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.refusals: list[int] = []
        self.identity = True
        self.cloud = "AzurePublicCloud"
        self.granted: queue.Queue[tuple[str, str]] = queue.Queue()
        self.refused = 0

    @property
    def environ(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.server_port}"
        return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": url, "CLOUDTRAIN_RESOURCE_MANAGER_URL": url + "/"}


class Handler(BaseHTTPRequestHandler):
    server: Azure

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        to = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(to.query).items()}
        if self.headers["Metadata"] != "true" or "api-version" not in asked:
            self.answer(400, {"error": "Bad request. Required metadata header not specified"})
        elif to.path == "/metadata/instance":
            self.answer(200, {"compute": {"resourceId": ID, "azEnvironment": self.server.cloud}})
        elif to.path == "/metadata/identity/oauth2/token" and asked.get("resource", "").endswith("/"):
            known = {"access_token": "the-token", "expires_in": "3600"}
            self.answer(*((200, known) if self.server.identity else (400, {"error_description": "Identity not found"})))
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        if urlsplit(self.path).query != "api-version=2024-11-01" or self.headers["Authorization"] != "Bearer the-token":
            self.answer(401, {})
        elif self.server.refusals:
            self.server.refused += 1
            self.answer(self.server.refusals.pop(0), {"error": {"code": "AuthorizationFailed"}})
        else:
            self.server.granted.put((self.command, urlsplit(self.path).path))
            self.answer(202, {})

    do_DELETE = do_POST

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    with Azure() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def machine(host: Host, azure: Azure) -> Host:
    host.guest = replace(host.guest, env={**host.guest.env, **azure.environ})
    for name in ("shutdown", "systemctl", "poweroff"):
        host.tool(name, f"echo {name} >> {host.folder}/called")
    return host


@pytest.mark.parametrize(("action", "method", "path"), ENDING)
def test_at_its_deadline_it_asks_until_it_is_granted_and_never_switches_off(
    machine: Host, azure: Azure, action: str, method: str, path: str
) -> None:
    azure.refusals = [403, 403, 429, 500]  # its right takes up to ten minutes to take effect
    machine.lease(-1, issued_at=1, end=action)
    machine.keep()
    assert azure.granted.get(timeout=30) == (method, path)
    assert azure.refused == 4
    assert not (machine.folder / "called").exists()
    assert "ALARM: this machine goes on billing" in machine.log
    assert "AuthorizationFailed" in machine.log


def test_a_lease_that_is_set_is_armed_by_a_keeper_that_may_ask(machine: Host, azure: Azure) -> None:
    wanted = {"deadline": 4_000_000_000, "issued_at": 1_790_000_000, "end": "deallocate"}
    shown = machine.guest.ask("lease", "--set", "--home", machine.home, stdin=wanted)
    assert (shown["armed"], shown["keeper"], shown["end"]) == (True, "running", "deallocate")
    azure.identity = False
    assert machine.guest.ask("lease", "--home", machine.home)["armed"] is False
    assert not (machine.folder / "called").exists()


def test_where_nobody_answers_nothing_is_armed_and_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, azure: Azure) -> None:
    azure.identity = False
    with pytest.raises(OSError, match="Identity not found"):
        azure_end.end("deallocate")
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")
    with pytest.raises(OSError, match="refused"):
        azure_end.end("deallocate")
    assert not azure_end.can_end()


def test_a_cloud_that_nobody_knows_is_not_guessed(monkeypatch: pytest.MonkeyPatch, azure: Azure) -> None:
    monkeypatch.delenv("CLOUDTRAIN_RESOURCE_MANAGER_URL")
    azure.cloud = "AzureMoonCloud"
    assert not azure_end.can_end()
    with pytest.raises(OSError, match="AzureMoonCloud"):
        azure_end.end("delete")
