"""The engine over real connections: several at once, and cut by who carries them."""

import os
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.model.errors import HostUnreachableError
from cloudtrain.remote import crew, transfer
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.pace import Pace
from cloudtrain.remote.ssh import SshRemote
from cloudtrain.remote.stream import Stream
from cloudtrain.testing.remote_files_contract import names, plant, snapshot
from cloudtrain.testing.ssh_server import SshServer
from tests.shares import one_in

MIB = 1 << 20

RELAY = """\
import os, socket, sys, threading
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
left = int(open(sys.argv[2]).read() or 1 << 60)
def carry(read, write):
    global left
    while chunk := read(1 << 16):
        left -= len(chunk)
        if left < 0:
            os._exit(1)
        write(chunk)
def up():
    carry(lambda size: os.read(0, size), line.sendall)
    line.shutdown(1)
threading.Thread(target=up, daemon=True).start()
carry(line.recv, lambda chunk: os.write(1, chunk))
"""


@pytest.fixture
def cuttable(openssh: SshServer, control: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SshRemote, Path]]:
    """Return a line, and the file that says how many bytes each of its connections carries."""
    folder = tmp_path_factory.mktemp("relay")
    (folder / "relay.py").write_text(RELAY)
    (folder / "left").write_text("")
    relay = f"{sys.executable} {folder / 'relay.py'} {openssh.endpoint.port} {folder / 'left'}"
    with SshRemote(replace(openssh.endpoint, proxy_command=relay), control_folder=control) as remote:
        assert remote.home
        yield remote, folder / "left"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = plant(tmp_path_factory.mktemp("planted") / "tree")
    (root / "x").write_bytes(random.Random(1).randbytes(9 * MIB))
    return root


@pytest.mark.parametrize("seed", one_in(5, range(5)))
def test_a_connection_cut_anywhere_leaves_nothing_half_and_the_rest_follows(
    cuttable: tuple[SshRemote, Path], tree: Path, tmp_path: Path, seed: int
) -> None:
    remote, left = cuttable
    chance = random.Random(seed)
    there = remote.home / f"work{seed}"
    wanted = snapshot(tree)
    broken = 0
    for go in (lambda: remote.push(gather(tree, ["."]), there), lambda: remote.pull(there, tmp_path / "back")):
        left.write_text(str(chance.randrange(MIB, 9 * MIB)))
        remote.close()
        while True:
            try:
                go()
                break
            except HostUnreachableError:
                broken += 1
                here = snapshot(Path(there)) if Path(there).exists() else {}
                assert {
                    name: state for name, state in here.items() if state[0] == "file" and ".arriving" not in name
                }.items() <= wanted.items()
                left.write_text("" if chance.random() < 0.5 else str(chance.randrange(5 * MIB, 12 * MIB)))
                remote.close()
    assert broken >= 1
    assert snapshot(Path(there)) == wanted
    assert snapshot(tmp_path / "back") == wanted
    assert names(tmp_path) == ["back"]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let every transfer begin when it has the four streams it wants, none twice before each once.

    Return how many of them carried something.
    """
    opened: list[int] = []
    started: list[Stream] = []
    leave, start, is_free = crew.Crew.__exit__, Stream.start, Stream._is_free

    def starting(self: Stream, *rest: object) -> None:
        started.append(self)
        start(self, *rest)  # type: ignore[arg-type]

    def is_free_in_its_turn(self: Stream) -> bool:
        if len(started) < 4 or not all(each.is_called or each.error for each in started) or not is_free(self):
            return False
        return not is_at_work(self) or all(is_at_work(each) or each.error for each in started)

    def is_at_work(stream: Stream) -> bool:
        return stream.carried > 0 or bool(stream._under_way)

    def leaving(self: crew.Crew, *rest: object) -> None:
        opened.append(self.streams)
        started.clear()
        leave(self, *rest)

    monkeypatch.setattr(Stream, "start", starting)
    monkeypatch.setattr(Stream, "_is_free", is_free_in_its_turn)
    monkeypatch.setattr(Pace, "wanted", lambda self, seen: 4)
    monkeypatch.setattr(crew.Crew, "__exit__", leaving)
    return opened


@pytest.mark.parametrize("line", ["openssh_line", "paramiko_line"])
def test_several_connections_carry_one_file_and_many(
    request: pytest.FixtureRequest, line: str, tmp_path: Path, tree: Path, eager: list[int]
) -> None:
    remote: SshRemote = request.getfixturevalue(line)
    for number in range(5):  # a connection that cannot be made on a busy computer is one fewer, and no trouble
        there, back = remote.home / f"several{number}", tmp_path / f"back{number}"
        remote.push(gather(tree, ["."]), there)
        remote.pull(there, back)
        assert snapshot(Path(there)) == snapshot(back) == snapshot(tree)
        if min(eager[-2:]) >= 2:
            return
    raise AssertionError(f"one connection did it all: {eager}")


def test_a_connection_that_cannot_be_made_is_one_fewer(pipes, tmp_path: Path, tree: Path, eager: list[int]) -> None:
    whole = pipes()
    for after in (0, 30, 100_000):
        line = replace(whole, open_another=pipes(after=after).open_first)
        transfer.push(line, gather(tree, ["."]), str(tmp_path / f"there{after}"))
        assert snapshot(tmp_path / f"there{after}") == snapshot(tree)
        transfer.pull(line, str(tree), tmp_path / f"back{after}")
        assert snapshot(tmp_path / f"back{after}") == snapshot(tree)
    assert eager[:4] == [1, 1, 1, 1]
    assert not [name for name in os.listdir(tmp_path / "there0") if name.startswith(".arriving")]
