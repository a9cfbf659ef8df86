"""A push that may come: its agent has looked before, and others log in while its files are still being chosen."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.model.errors import HostUnreachableError
from cloudtrain.remote import crew, expecting
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
PATIENCE_S = 20
"""Nobody waits so long but for something that never comes."""


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is found looked at so often that no test waits for it."""
    monkeypatch.setattr(expecting, "_LOOK_EVERY_S", 0.001)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every line look as long as one across an ocean."""
    monkeypatch.setattr(crew.Crew, "_rtt_s", lambda self: FAR_S)


class Tally:
    """What other threads noted; whoever waits for so much of it is woken."""

    def __init__(self) -> None:
        self.noted: list[float] = []
        self._changed = threading.Condition()

    def note(self, what: float) -> None:
        """Add something."""
        with self._changed:
            self.noted.append(what)
            self._changed.notify_all()

    def reaches(self, count: int) -> bool:
        """Wait for so many; say whether they came."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.noted) >= count, PATIENCE_S)


class Counted:
    """A line that counts who is asked for; `fails` is raised in place of all but the first."""

    def __init__(self, line: Line, fails: Exception | None = None) -> None:
        self.asked = Tally()
        self._fails = fails
        self._open = line.open_another
        self.line = replace(line, open_another=self._open_another)

    @property
    def others(self) -> int:
        """How many were asked for besides the first."""
        return len(self.asked.noted)

    def _open_another(self, order: object) -> Peer:
        self.asked.note(1)
        if self._fails is not None:
            raise self._fails
        return self._open(order)


def hears_that_it_is_vacant(expected: ExpectedPush) -> bool:
    """Wait for the first agent's word; say whether it is that nothing stands there."""
    with expected._work.changed:
        return expected._work.changed.wait_for(lambda: expected._crew.is_vacant, PATIENCE_S)


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
        assert hears_that_it_is_vacant(expected)
        assert counted.others == 0, "nothing was found yet"
        found.bytes = GIB
        return counted.asked.reaches(3)

    push(counted, tmp_path / "there", found, wait, plant(tmp_path / "tree"))
    assert counted.others == 3


class Looked:
    """Stands in for a crew while a push is expected: says what stands there, and who was told to stand by for how much."""

    def __init__(self, vacant: bool) -> None:
        self.looks, self.stood = Tally(), Tally()
        self._vacant = vacant

    @property
    def is_vacant(self) -> bool:
        self.looks.note(1)
        return self._vacant

    def stand_by(self, left: float) -> None:
        self.stood.note(left)


@pytest.mark.parametrize("vacant", [True, False])
def test_nobody_stands_by_where_something_stands(pipes, tmp_path: Path, vacant: bool) -> None:
    looked = Looked(vacant)

    def wait(expected: ExpectedPush) -> bool:
        crew, expected._crew = expected._crew, looked  # type: ignore[assignment]
        is_seen = looked.looks.reaches(3)
        expected._crew = crew
        return is_seen

    push(Counted(pipes()), tmp_path / "there", Found(5), wait, plant(tmp_path / "tree"))
    assert set(looked.stood.noted) == ({5} if vacant else set())


@pytest.mark.usefixtures("far")
def test_for_little_nobody_else_logs_in(pipes, tmp_path: Path) -> None:
    counted, asked = Counted(pipes()), Tally()

    def wait(expected: ExpectedPush) -> bool:
        stand_by = expected._crew.stand_by
        expected._crew.stand_by = lambda left: (asked.note(left), stand_by(left))  # type: ignore[method-assign, assignment]
        return asked.reaches(3)

    push(counted, tmp_path / "there", Found(1 << 20), wait, plant(tmp_path / "tree"))
    assert counted.others == 0


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("fails", [OSError("no more processes"), HostUnreachableError("refused")], ids=str)
def test_one_that_cannot_log_in_is_one_fewer(pipes, tmp_path: Path, fails: Exception) -> None:
    counted = Counted(pipes(), fails)
    push(counted, tmp_path / "there", Found(GIB), lambda _: counted.asked.reaches(3), plant(tmp_path / "tree"))


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
