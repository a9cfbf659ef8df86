"""A push that may come: its agent has looked before, and others log in while its files are still being chosen."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.model.errors import HostUnreachableError
from cloudtrain.remote import crew
from cloudtrain.remote.ahead_there import is_vacant
from cloudtrain.remote.counting import Counting
from cloudtrain.remote.crew import Line, Peer
from cloudtrain.remote.expecting import ExpectedPush
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.packed import Found
from cloudtrain.remote.sending import Push
from cloudtrain.remote.work import Work
from cloudtrain.testing.remote_files_contract import plant, snapshot

GIB = 1 << 30
FAR_S = 0.04


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every line look as long as one across an ocean."""
    monkeypatch.setattr(crew.Crew, "_rtt_s", lambda self: FAR_S)


class Counted:
    """A line that counts who is asked for; `fails` is raised in place of all but the first."""

    def __init__(self, line: Line, fails: Exception | None = None) -> None:
        self.others = 0
        self._fails = fails
        self._open = line.open_another
        self.line = replace(line, open_another=self._open_another)

    def _open_another(self, order: object) -> Peer:
        self.others += 1
        if self._fails is not None:
            raise self._fails
        return self._open(order)


def soon(is_so: Callable[[], bool]) -> bool:
    """Say whether something becomes so before anybody would lose patience."""
    until = time.monotonic() + 20
    while not is_so() and time.monotonic() < until:
        time.sleep(0.001)
    return is_so()


def push(counted: Counted, there: Path, found: Found | None, wait: Callable[[ExpectedPush], bool], tree: Path) -> None:
    """Expect a push, wait for something, then make it."""
    expected = ExpectedPush(counted.line, str(there), found)
    try:
        assert wait(expected)
        expected.carry(gather(tree, ["."]), None)
    finally:
        expected.close()
    assert snapshot(there) == snapshot(tree)


@pytest.mark.usefixtures("far")
def test_others_log_in_while_much_is_found_and_nothing_stands_there(pipes, tmp_path: Path) -> None:
    counted, found = Counted(pipes()), Found()

    def wait(expected: ExpectedPush) -> bool:
        assert soon(lambda: expected._crew.is_vacant)
        assert counted.others == 0, "nothing was found yet"
        found.bytes = GIB
        return soon(lambda: counted.others == 3)

    push(counted, tmp_path / "there", found, wait, plant(tmp_path / "tree"))
    assert counted.others == 3


class Looked:
    """Stands in for a crew while a push is expected: says what stands there, and who was told to stand by for how much."""

    def __init__(self, vacant: bool) -> None:
        self.looks = 0
        self.stood: list[float] = []
        self._vacant = vacant

    @property
    def is_vacant(self) -> bool:
        self.looks += 1
        return self._vacant

    def stand_by(self, left: float) -> None:
        self.stood.append(left)


@pytest.mark.parametrize("vacant", [True, False])
def test_nobody_stands_by_where_something_stands(pipes, tmp_path: Path, vacant: bool) -> None:
    looked = Looked(vacant)

    def wait(expected: ExpectedPush) -> bool:
        crew, expected._crew = expected._crew, looked  # type: ignore[assignment]
        is_seen = soon(lambda: looked.looks > 3)
        expected._crew = crew
        return is_seen

    push(Counted(pipes()), tmp_path / "there", Found(5), wait, plant(tmp_path / "tree"))
    assert set(looked.stood) == ({5} if vacant else set())


@pytest.mark.usefixtures("far")
def test_for_little_nobody_else_logs_in(pipes, tmp_path: Path) -> None:
    counted, asked = Counted(pipes()), []

    def wait(expected: ExpectedPush) -> bool:
        stand_by = expected._crew.stand_by
        expected._crew.stand_by = lambda left: (asked.append(left), stand_by(left))  # type: ignore[method-assign, assignment]
        return soon(lambda: len(asked) > 2)

    push(counted, tmp_path / "there", Found(1 << 20), wait, plant(tmp_path / "tree"))
    assert counted.others == 0


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("fails", [OSError("no more processes"), HostUnreachableError("refused")], ids=str)
def test_one_that_cannot_log_in_is_one_fewer(pipes, tmp_path: Path, fails: Exception) -> None:
    counted = Counted(pipes(), fails)
    push(counted, tmp_path / "there", Found(GIB), lambda _: soon(lambda: counted.others == 3), plant(tmp_path / "tree"))


def test_a_push_that_never_comes_leaves_nobody_behind(pipes, tmp_path: Path) -> None:
    expected = ExpectedPush(pipes(), str(tmp_path / "there"), Found(GIB))
    expected.close()
    expected.close()
    assert not (tmp_path / "there").exists()


def test_a_folder_with_nothing_in_it_is_vacant_and_what_cannot_be_looked_at_is_not(tmp_path: Path) -> None:
    assert is_vacant(str(tmp_path / "absent"))
    assert is_vacant(str(tmp_path))
    (tmp_path / "file").touch()
    assert not is_vacant(str(tmp_path))
    assert not is_vacant(str(tmp_path / "file"))


def test_before_anything_is_asked_all_is_left_where_nothing_stands_and_nothing_is_known_elsewhere(tmp_path: Path) -> None:
    files = gather(plant(tmp_path / "tree"), ["."])
    push = Push(files, Counting(files.total_bytes, None), Work())
    assert push.left(is_vacant=True) == files.total_bytes > 0
    assert push.left(is_vacant=False) == 0
