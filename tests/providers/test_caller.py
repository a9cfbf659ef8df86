"""From where a machine may be reached."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from cloudtrain.model.errors import ProviderError, ProviderUnavailableError
from cloudtrain.model.spec import MachineSpec, SshSettings
from cloudtrain.providers.caller import SERVICE_VARIABLE, allowed_from


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    said = {"text": ""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said["text"].encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv(SERVICE_VARIABLE, f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield lambda text: said.update(text=text)
    server.shutdown()
    server.server_close()


def machine(*allowed: str) -> MachineSpec:
    return MachineSpec("mine", "aws", ssh=SshSettings(allow_from=allowed))


def written(found: tuple) -> list[str]:
    return [str(block) for block in found]


def test_the_service_says_who_asks(service: Callable[[str], None]) -> None:
    service("203.0.113.7\n")
    assert written(allowed_from(machine())) == ["203.0.113.7/32"]
    assert written(allowed_from(None)) == ["203.0.113.7/32"]
    service("2001:db8::7")
    assert written(allowed_from(machine())) == ["2001:db8::7/128"]


@pytest.mark.parametrize("nonsense", ["", "<html>", "203.0.113.7/0", "1.2.3.4, 5.6.7.8", "\xff"])
def test_an_answer_that_is_no_address_is_none(service: Callable[[str], None], nonsense: str) -> None:
    service(nonsense)
    with pytest.raises(ProviderUnavailableError) as caught:
        allowed_from(machine())
    assert "allow_from" in caught.value.hint


def test_a_service_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for address in ("http://127.0.0.1:1/", "file:///etc/hosts"):
        monkeypatch.setenv(SERVICE_VARIABLE, address)
        with pytest.raises(ProviderUnavailableError):
            allowed_from(machine())


def test_what_is_written_counts_and_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVICE_VARIABLE, "http://127.0.0.1:1/")
    assert written(allowed_from(machine("10.0.0.0/8", "2001:db8::/64"))) == ["10.0.0.0/8", "2001:db8::/64"]
    assert written(allowed_from(machine("203.0.113.7"))) == ["203.0.113.7/32"]


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0", "198.51.100.1/0"])
def test_everybody_is_refused(everybody: str) -> None:
    with pytest.raises(ProviderError, match="everybody"):
        allowed_from(machine("203.0.113.7", everybody))


def test_what_is_no_block_is_named() -> None:
    with pytest.raises(ProviderError, match="'home' is no block"):
        allowed_from(machine("home"))
