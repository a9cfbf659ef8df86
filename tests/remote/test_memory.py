"""The pretend machine's line breaks when it is told to, where it is told to, once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtrain.model.errors import HostUnreachableError, TransferError
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.memory import OPERATIONS, MemoryRemote


@pytest.fixture
def remote(tmp_path: Path) -> MemoryRemote:
    return MemoryRemote(tmp_path / "machine")


def call(remote: MemoryRemote, operation: str, tmp_path: Path) -> object:
    path = remote.home / "file"
    if operation == "stream":
        with remote.stream(["sh", "-c", "echo x > file; echo said"]) as chunks:
            return list(chunks)
    calls = {
        "run": lambda: remote.run(["touch", "file"]),
        "shell": lambda: remote.shell(["touch", "file"]),
        "write": lambda: remote.write(path, b""),
        "read": lambda: remote.read(path),
        "push": lambda: remote.push(gather(tmp_path / "here", ["."]), remote.home),
        "pull": lambda: remote.pull(remote.home / "results", tmp_path / "back"),
        "weigh": lambda: remote.weigh(remote.home / "file"),
        "update": lambda: remote.update(remote.home / "results", tmp_path / "back", lambda _: True),
        "others": lambda: remote.others(gather(tmp_path / "here", ["."]), remote.home),
        "remove": lambda: remote.remove(("results",), remote.home),
    }
    return calls[operation]()


@pytest.fixture
def world(remote: MemoryRemote, tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").write_text("")
    remote.write(remote.home / "results" / "x", b"")
    return tmp_path


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("after", [False, True])
def test_the_next_call_fails_before_or_after_it_took_effect(
    remote: MemoryRemote, world: Path, operation: str, after: bool
) -> None:
    only_looks = operation in ("read", "weigh", "others")
    if only_looks:
        remote.write(remote.home / "file", b"")
    remote.fail_next(operation, TransferError("told to"), after=after)
    with pytest.raises(TransferError, match="told to"):
        call(remote, operation, world)
    effects = {"pull": world / "back", "update": world / "back", "remove": Path(remote.home) / "results"}
    effect = effects.get(operation, Path(remote.home) / "file")
    assert effect.exists() is ((after or only_looks) != (operation == "remove"))
    if operation != "pull" or not after:
        call(remote, operation, world)


def test_there_is_no_other_operation(remote: MemoryRemote) -> None:
    with pytest.raises(ValueError, match="lunch"):
        remote.fail_next("lunch", TransferError("x"))


def test_a_stream_is_cut_at_that_byte_and_once(remote: MemoryRemote) -> None:
    remote.cut_after_bytes(5)
    with remote.stream(["echo", "0123456789"]) as chunks:
        assert until_it_breaks(chunks) == b"01234"
    with remote.stream(["echo", "0123456789"]) as chunks:
        assert b"".join(chunks) == b"0123456789\n"


def test_the_bytes_count_over_all_that_travels(remote: MemoryRemote, tmp_path: Path) -> None:
    remote.write(remote.home / "results", b"12345")
    remote.cut_after_bytes(8)
    remote.pull(remote.home / "results", tmp_path / "first")
    with pytest.raises(HostUnreachableError):
        remote.pull(remote.home / "results", tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_push_that_was_cut_leaves_no_half_file_and_may_be_repeated(remote: MemoryRemote, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "here" / name).write_bytes(bytes(3 << 20))
    files = gather(tmp_path / "here", ["."])
    remote.cut_after_bytes(4 << 20)
    with pytest.raises(HostUnreachableError):
        remote.push(files, remote.home / "work")
    assert [path.name for path in (Path(remote.home) / "work").iterdir()] == ["a"]
    remote.push(files, remote.home / "work")
    assert {path.stat().st_size for path in (Path(remote.home) / "work").iterdir()} == {3 << 20}


def until_it_breaks(chunks: Iterator[bytes]) -> bytes:
    """Return what came before the line broke."""
    said: list[bytes] = []
    with pytest.raises(HostUnreachableError):
        said.extend(chunks)  # a list keeps what came before the error
    return b"".join(said)
