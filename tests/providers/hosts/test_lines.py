"""One line to each machine: kept, opened anew when it broke, and never to another machine."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.model.errors import HostKeyError, HostUnreachableError
from cloudtrain.providers.hosts.trust import endpoint_of
from cloudtrain.remote.guest_lines import GuestLines
from cloudtrain.testing.ssh_server import make_key, openssh_server

from .conftest import Box


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory):
    with GuestLines(tmp_path_factory.mktemp("fresh")) as lines:
        yield lines


def test_a_line_is_opened_once_and_again_after_close(free: tuple[Box, Box], fresh: GuestLines) -> None:
    end = endpoint_of(free[0].host)
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda verb: fresh.ask(end, ["claim", verb], b"").stdout, ["show", "show"]))
    assert said == [b'{"claim": null}\n'] * 2
    assert len(fresh._lines) == 1
    fresh.close()
    assert fresh._lines == {}
    assert fresh.ask(end, ["claim", "show"], b"").exit_code == 0


def test_a_machine_that_went_away_is_told_and_its_line_let_go(tmp_path: Path, fresh: GuestLines) -> None:
    with openssh_server(tmp_path / "box") as server:
        assert fresh.ask(server.endpoint, ["claim", "show"], b"").exit_code == 0
        for line in fresh._lines.values():
            line.close()
    with pytest.raises(HostUnreachableError):
        fresh.ask(server.endpoint, ["claim", "show"], b"")
    assert fresh._lines == {}


def test_another_host_key_is_refused(free: tuple[Box, Box], fresh: GuestLines, tmp_path: Path) -> None:
    other = make_key(tmp_path / "key")
    with pytest.raises(HostKeyError):
        fresh.ask(replace(endpoint_of(free[0].host), host_keys=(other,)), ["claim", "show"], b"")
    assert fresh._lines == {}
