"""What a job left is sent as far as it can travel, and what cannot is told."""

import io
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtrain.model.errors import TransferError
from cloudtrain.remote import ssh
from cloudtrain.remote.archive import unpack_tar
from cloudtrain.remote.leaving_there import BrokenOffError, Leaving
from cloudtrain.remote.local import LocalRemote
from cloudtrain.remote.ssh import SshRemote
from cloudtrain.remote.tar_there import CHUNK, RefusedError, pack
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


def sent(root: Path, meddle: Callable[[], object] = lambda: None) -> bytes:
    """Return what a machine sends; `meddle` happens when the first byte of `large` is on its way."""
    out = io.BytesIO()
    leaving = Leaving(str(root))

    def watch(size: int) -> None:
        if size == CHUNK:
            meddle()

    pack(leaving.filled(), out.write, watch)
    return out.getvalue() + json.dumps(leaving.left).encode()


def test_a_file_that_becomes_shorter_under_our_hands_stays_behind(results: Path, tmp_path: Path) -> None:
    stream = sent(results, lambda: os.truncate(results / "large", 100))
    assert unpack_tar(io.BytesIO(stream), tmp_path / "back") == ("large",)
    assert names(tmp_path / "back") == ["a", "z"]
    assert (tmp_path / "back" / "z").read_bytes() == b"kept too"


def test_a_file_that_becomes_shorter_under_our_hands_stays_behind_here_too(results: Path, tmp_path: Path) -> None:
    def shorten(done: int, total: int) -> None:
        if done > CHUNK:
            os.truncate(results / "large", 100)

    remote = LocalRemote(tmp_path, tmp_path / "cache")
    assert remote.pull(remote.home / "results", tmp_path / "back", shorten) == ("large",)
    assert names(tmp_path / "back") == ["a", "z"]


def test_a_file_that_grows_under_our_hands_is_cut(results: Path, tmp_path: Path) -> None:
    def grow() -> None:
        with (results / "large").open("ab") as file:
            file.write(b"more")

    assert unpack_tar(io.BytesIO(sent(results, grow)), tmp_path / "back") == ()
    assert (tmp_path / "back" / "large").read_bytes() == b"x" * SIZE


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


@pytest.mark.parametrize(
    "told", [b"[", b"{}", b"[1]", b'"large"', b"[" * 100_000, b"more", b"\0[]\0x"], ids=lambda told: repr(told[:8])
)
def test_what_follows_the_stream_is_names_or_the_stream_is_refused(results: Path, tmp_path: Path, told: bytes) -> None:
    stream = sent(results).removesuffix(b"[]")
    with pytest.raises(TransferError, match="what follows it"):
        unpack_tar(io.BytesIO(stream + told), tmp_path / "back")
    assert names(tmp_path) == ["results"]


def test_names_that_follow_the_stream_reach_nothing_else(results: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"untouched")
    told = ["../outside", str(tmp_path / "outside"), ".", "", "absent", "a/../a", "large"]
    stream = sent(results).removesuffix(b"[]") + json.dumps(told).encode()
    assert unpack_tar(io.BytesIO(stream), tmp_path / "back") == tuple(told)
    assert names(tmp_path) == ["back", "outside", "results"]
    assert names(tmp_path / "back") == ["a", "z"]


def test_more_names_than_may_follow_are_refused(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudtrain.remote.archive.MOST_TOLD", 10)
    with pytest.raises(TransferError, match="does not end"):
        unpack_tar(io.BytesIO(sent(results) + b" " * 10), tmp_path / "back")


def test_a_sender_that_dies_before_it_told_what_stayed_behind_is_no_success(
    asyncssh_line: SshRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*names: str) -> bytes:
        return source(*names).replace(b"out.write(json.dumps(", b"out.flush(); os._exit(9); (json.dumps(")

    source = ssh._source
    asyncssh_line.write(asyncssh_line.home / "results" / "a", b"1")
    assert asyncssh_line.pull(asyncssh_line.home / "results", tmp_path / "first") == ()
    monkeypatch.setattr(ssh, "_source", dying)
    with pytest.raises(TransferError, match="cannot come here"):
        asyncssh_line.pull(asyncssh_line.home / "results", tmp_path / "second")
    assert names(tmp_path) == ["first"]
