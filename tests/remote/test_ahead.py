"""What the agent has looked at before it was asked: told as it was seen, for a while, and never of what a link leads to."""

import os
import threading
from pathlib import Path

import pytest

from cloudtrain.remote import ahead_there
from cloudtrain.remote.ahead_there import Ahead
from cloudtrain.remote.entry_there import Entry
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.frames_there import CHECK, Frame
from cloudtrain.remote.manifest_there import HAVE, SEND, blocks
from cloudtrain.remote.receiver_there import Receiver

NAMES = ["a", "b/c", "b/d/e", "f"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / "place" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "place"


def looked(root: Path) -> Ahead:
    """Return one that has seen all there is."""
    before = set(threading.enumerate())
    ahead = Ahead(str(root))
    for thread in set(threading.enumerate()) - before:
        thread.join()
    return ahead


def wanted(root: Path, ahead: Ahead | None, entries: list[Entry]) -> list[str]:
    """Return the names of files that the receiver asks for."""
    ((_, block),) = blocks(iter(entries))
    ((_, _, states),) = Receiver(str(root), ahead).verbs[CHECK](Frame(CHECK, None, block, b""))
    assert set(states) <= {HAVE, SEND}
    return [entry.name for entry, state in zip(entries, states, strict=True) if state == SEND]


def entries_of(root: Path) -> list[Entry]:
    return [entry for entry in gather_all(root) if entry.kind == "file"]


def gather_all(root: Path) -> list[Entry]:
    found = []
    for entry in gather(root, ["."]).entries:
        info = (root / entry.name).lstat()
        found.append(Entry(entry.name, entry.kind, info.st_size, info.st_mode & 0o777, info.st_mtime_ns))
    return found


def test_what_was_seen_is_told_and_what_differs_or_is_new_is_asked_for(place: Path) -> None:
    ahead = looked(place)
    entries = entries_of(place)
    assert wanted(place, ahead, entries) == []
    other = [entry._replace(size=9) if entry.name == "a" else entry for entry in entries]
    assert wanted(place, ahead, [*other, Entry("new", "file", 1, 0o600, 1)]) == ["a", "new"]


def test_nothing_is_looked_at_twice(place: Path) -> None:
    entries, ahead = entries_of(place), looked(place)
    for name in NAMES:
        (place / name).unlink()
    assert wanted(place, ahead, entries) == []
    assert wanted(place, None, entries) == [entry.name for entry in entries]


def test_what_was_seen_long_ago_is_looked_at_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries, ahead = entries_of(place), looked(place)
    (place / "a").unlink()
    monkeypatch.setattr(ahead_there, "FRESH_S", -1.0)
    assert wanted(place, ahead, entries) == ["a"]


def test_only_so_many_are_remembered(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_there, "MOST", 2)
    ahead = looked(place)
    assert len(ahead.seen()) == 2
    assert wanted(place, ahead, entries_of(place)) == []


def test_a_folder_that_became_a_link_is_not_there(place: Path) -> None:
    entries, ahead = entries_of(place), looked(place)
    (place / "b").rename(place / "other")
    (place / "b").symlink_to(place / "other")
    assert wanted(place, ahead, entries) == ["b/c", "b/d/e"]


def test_links_and_what_lies_behind_them_are_not_seen(place: Path) -> None:
    (place / "link").symlink_to(place / "a")
    (place / "folder").symlink_to(place / "b")
    os.mkfifo(place / "pipe")
    assert sorted(looked(place).seen()) == NAMES


def test_a_folder_that_is_not_there_or_cannot_be_read_is_nobodys_trouble(place: Path) -> None:
    assert looked(place / "nowhere").seen() == {}
    assert looked(place / "a").seen() == {}
