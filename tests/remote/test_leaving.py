"""What a job left is sent as far as it can travel, and what cannot is told."""

import os
import socket
from pathlib import Path

import pytest

from cloudtrain.remote.entry_there import CHUNK, RefusedError
from cloudtrain.remote.leaving_there import BrokenOffError, Leaving
from cloudtrain.remote.local import LocalRemote
from cloudtrain.testing.remote_files_contract import names

SIZE = 3 * CHUNK


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a folder whose file `large` takes several reads."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a").write_bytes(b"kept")
    (tmp_path / "results" / "large").write_bytes(b"x" * SIZE)
    (tmp_path / "results" / "z").write_bytes(b"kept too")
    return tmp_path / "results"


def test_a_file_that_becomes_shorter_under_our_hands_stays_behind_here_too(results: Path, tmp_path: Path) -> None:
    def shorten(done: int, total: int) -> None:
        if done > CHUNK:
            os.truncate(results / "large", 100)

    remote = LocalRemote(tmp_path, tmp_path / "cache")
    assert remote.pull(remote.home / "results", tmp_path / "back", shorten) == ("large",)
    assert names(tmp_path / "back") == ["a", "z"]


def test_a_file_that_was_shorter_before_it_was_opened_comes_as_it_is(results: Path) -> None:
    leaving = Leaving(str(results))
    os.truncate(results / "large", 5)
    came = {entry.name: (entry.size, b"".join(content)) for entry, content in leaving.contents()}
    assert came["large"] == (5, b"xxxxx")
    assert leaving.left == []


@pytest.mark.parametrize("now", ["nothing", "a folder", "a FIFO", "a link"])
def test_a_file_that_is_something_else_by_now_stays_behind(results: Path, now: str) -> None:
    leaving = Leaving(str(results))
    path = results / "large"
    path.unlink()
    {
        "nothing": lambda: None,
        "a folder": path.mkdir,
        "a FIFO": lambda: os.mkfifo(path),
        "a link": lambda: path.symlink_to("a"),
    }[now]()
    assert [entry.name for entry, _ in leaving.contents()] == [".", "a", "z"]
    assert leaving.left == ["large"]


def test_a_socket_stays_behind(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(results)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("door")
        leaving = Leaving(str(results))
    assert leaving.left == ["door"]


def test_a_folder_that_cannot_be_listed_stays_behind(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (results / "closed").mkdir()
    (results / "closed" / "x").write_bytes(b"")
    listdir = os.listdir

    def refusing(path: str) -> list[str]:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refusing)
    leaving = Leaving(str(results))
    assert [entry.name for entry, _ in leaving.contents()] == [".", "a", "closed", "large", "z"]
    assert leaving.left == ["closed"]


def test_what_cannot_be_read_to_its_end_stays_behind(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaving = Leaving(str(results))
    monkeypatch.setattr(os, "read", broken)
    for entry, content in leaving.contents():
        if entry.kind == "file":
            with pytest.raises(BrokenOffError):
                next(content)
    assert leaving.left == ["a", "large", "z"]


def broken(file: int, size: int) -> bytes:
    raise OSError(5, "Input/output error")


def test_a_root_that_is_a_file_and_becomes_shorter_is_an_error(results: Path) -> None:
    contents = Leaving(str(results / "large")).contents()
    _, content = next(contents)
    next(content)
    os.truncate(results / "large", 100)
    with pytest.raises(RefusedError, match="large cannot be read"):
        list(content)


def test_a_root_that_is_a_file_and_vanishes_is_an_error(results: Path) -> None:
    leaving = Leaving(str(results / "large"))
    (results / "large").unlink()
    with pytest.raises(RefusedError, match="large cannot be read"):
        list(leaving.contents())
