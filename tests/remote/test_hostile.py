"""A machine that lies: whatever it says, nothing is written but inside the destination, and nothing of it stays."""

import json
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrain.model.errors import CloudtrainError, RemoteFileError, TransferError
from cloudtrain.remote import fetching, transfer
from cloudtrain.remote.entry_there import Entry, RefusedError
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.frames_there import (
    BATCH,
    CHECK,
    CHUNK,
    DONE,
    FAILED,
    GET,
    HELLO,
    LIST,
    LISTED,
    MAGIC,
    ORDER,
    PIECE,
    PING,
    PROVE,
    Frame,
    encode,
    receive,
)
from cloudtrain.remote.manifest_there import Guard, pack_block, unpack_block
from cloudtrain.remote.receiver_there import Receiver
from cloudtrain.testing.remote_files_contract import names

MIB = 1 << 20
ROOT = Entry(".", "folder", 0, 0o755, 1)
Said = Iterable[list[bytes]]
Answers = dict[int, Callable[[Frame], Said]]


def liar(answers: Answers) -> Callable[[object], None]:
    """Return what serves a line with these answers; what it is not told to answer it leaves open."""

    def serve(peer) -> None:
        try:
            peer.write([MAGIC])
            while True:
                frame = receive(peer.read)
                if frame.kind == ORDER:
                    peer.write(encode(HELLO, 2))
                elif frame.kind != PING:
                    for pieces in answers.get(frame.kind, lambda _: ())(frame):
                        peer.write(pieces)
        except (EOFError, OSError):
            return

    return serve


def listing(*entries: Entry, left: object = ()) -> Callable[[Frame], Said]:
    def answer(_: Frame) -> Said:
        yield encode(LISTED, 0, pack_block(list(entries)))
        yield encode(DONE, 0, zlib.compress(json.dumps(left).encode()))

    return answer


def giving(content: bytes, words: object | None = None) -> Callable[[Frame], Said]:
    return lambda frame: [encode(DONE, [len(content)] if words is None else words, content)]


def file(name: str, size: int = 1, **fields: object) -> Entry:
    return Entry(name, "file", size)._replace(**fields)


NAMES = {
    "absolute": [file("/tmp/x")],
    "up": [file("../x")],
    "up inside": [Entry("a", "folder"), file("a/../../x")],
    "dot": [file("a/./x")],
    "empty part": [file("a//x")],
    "empty": [file("")],
    "NUL": [file("a\0b")],
    "link out": [Entry("a", "link", target="../x")],
    "absolute link": [Entry("a", "link", target="/etc")],
    "empty link": [Entry("a", "link", target="")],
    "link that turns back": [Entry("a", "link", target="b/c"), Entry("d", "link", target="a/../..")],
    "below a link": [Entry("a", "link", target="b"), file("a/x")],
    "below a file": [file("a"), file("a/x")],
    "below nothing": [file("a/x")],
    "twice": [file("a"), file("a")],
    "out of turn": [file("b"), file("a")],
    "a folder again": [Entry("a", "folder"), file("a/x"), file("b"), file("a/y")],
    "the root again": [ROOT],
    "huge": [file("a", 1 << 43)],
    "negative": [file("a", -1)],
    "folder with content": [Entry("a", "folder", 1)],
    "time of no calendar": [file("a", mtime_ns=1 << 70)],
    "deeper than a folder can be": [file("/".join("d" * 400))],
    "long": [file("n" * 5000)],
}


def pulled(pipes, tmp_path: Path, answers: Answers) -> Path:
    transfer.pull(pipes(liar(answers)), "results", tmp_path / "inner" / "back")
    return tmp_path / "inner" / "back"


@pytest.mark.parametrize("kind", NAMES)
def test_names_that_may_not_be_are_refused_and_leave_nothing(pipes, tmp_path: Path, kind: str) -> None:
    all_of_it: Answers = {GET: lambda frame: [encode(DONE, [1] * len(frame.words[0]), b"x" * len(frame.words[0]))]}
    answers = {LIST: listing(ROOT, *NAMES[kind]), **all_of_it}
    with pytest.raises(TransferError):
        pulled(pipes, tmp_path, answers)
    assert names(tmp_path / "inner") == []


def test_the_same_listing_without_the_lie_comes_in(pipes, tmp_path: Path) -> None:
    back = pulled(pipes, tmp_path, {LIST: listing(ROOT, file("a"), Entry("b", "link", target="a")), GET: giving(b"x")})
    assert names(back) == ["a", "b"]
    assert (back / "b").read_bytes() == b"x"


def test_without_a_root_nothing_comes(pipes, tmp_path: Path) -> None:
    for entries in ([file("a")], [Entry(".", "link", target="x")], [file("."), file("a")]):
        with pytest.raises(TransferError):
            pulled(pipes, tmp_path, {LIST: listing(*entries), GET: giving(b"x")})
        assert names(tmp_path / "inner") == []


LIES: dict[str, Answers] = {
    "more than it has": {LIST: listing(ROOT, file("a")), GET: giving(b"xx")},
    "more than it says": {LIST: listing(ROOT, file("a")), GET: giving(b"xx", [1])},
    "less than it says": {LIST: listing(ROOT, file("a", 3)), GET: giving(b"x", [3])},
    "a negative size": {LIST: listing(ROOT, file("a", 3)), GET: giving(b"x", [-2])},
    "true": {LIST: listing(ROOT, file("a", 3)), GET: giving(b"x", [True])},
    "other content": {
        LIST: listing(ROOT, file("a", 3)),
        GET: lambda _: [[encode(DONE, [3], b"abc")[0], b"abd"]],
    },
    "more files": {LIST: listing(ROOT, file("a")), GET: giving(b"x", [1, 0])},
    "no list": {LIST: listing(ROOT, file("a")), GET: giving(b"x", {"a": 1})},
    "a list where content is due": {LIST: listing(ROOT, file("a")), GET: lambda _: [encode(LISTED, [1], b"x")]},
    "a long chunk": {LIST: listing(ROOT, file("a", 2 * MIB)), PIECE: giving(bytes(2 * MIB), [2 * MIB, 0])},
    "a short chunk": {LIST: listing(ROOT, file("a", 2 * MIB)), PIECE: giving(b"x", [2 * MIB, 0])},
    "a chunk of nothing known": {LIST: listing(ROOT, file("a", 2 * MIB)), PIECE: giving(b"", ["x", 0])},
    "left is no list": {LIST: listing(ROOT, left={"a": 1})},
    "left are no names": {LIST: listing(ROOT, left=[1])},
    "left is the root": {LIST: listing(ROOT, left=["."])},
    "an answer to nothing": {LIST: lambda _: [encode(DONE, None), encode(DONE, None)]},
    "no block": {LIST: lambda _: [encode(LISTED, 0, b"noise")]},
    "a block of noise": {LIST: lambda _: [encode(LISTED, 0, zlib.compress(b"[[" * 100_000))]},
    "unknown": {LIST: lambda _: [encode(99)]},
    "no frame": {LIST: lambda _: [[b"noise" * 100]]},
    "another hash": {LIST: lambda _: [spoilt(encode(LISTED, 0, pack_block([ROOT])))]},
    "other words": {LIST: lambda _: [[encode(DONE, "a")[0].replace(b'"a"', b'"b"')]]},
    "a failure that is none": {LIST: lambda _: [encode(FAILED, 7)]},
}


def spoilt(pieces: list[bytes]) -> list[bytes]:
    return [pieces[0], bytes(len(pieces[1]))]


@pytest.mark.parametrize("kind", LIES)
def test_lies_are_refused_and_leave_nothing(pipes, tmp_path: Path, kind: str) -> None:
    with pytest.raises(TransferError):
        pulled(pipes, tmp_path, LIES[kind])
    assert names(tmp_path / "inner") == []


def test_what_unpacks_to_more_than_it_says_is_refused(pipes, tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(1 << 26))
    lies = (encode(LISTED, 0, bytes(100), deflated=bomb), encode(LISTED, 0, bomb))
    for pieces in lies:
        with pytest.raises(TransferError):
            pulled(pipes, tmp_path, {LIST: lambda _, pieces=pieces: [pieces]})


def test_a_list_without_end_is_refused(pipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_: Frame) -> Said:
        number = 0
        yield encode(LISTED, 0, pack_block([ROOT]))
        while True:
            number += 1
            yield encode(LISTED, 0, pack_block([Entry(f"{number:09d}", "folder")]))

    monkeypatch.setattr(fetching, "MOST_LISTED", 10_000)
    with pytest.raises(TransferError, match="does not end"):
        pulled(pipes, tmp_path, {LIST: endless})
    assert names(tmp_path / "inner") == []


@pytest.mark.parametrize(("guard", "words"), [(Guard(most_bytes=9), "more bytes"), (Guard(most_files=2), "more files")])
def test_more_than_may_come_is_refused_before_it_comes(guard: Guard, words: str) -> None:
    guard.check(ROOT)
    guard.check(file("a", 5))
    with pytest.raises(RefusedError, match=words):
        guard.check(file("b", 5))


def test_names_that_are_one_on_this_disk_are_refused_there_alone() -> None:
    for pair in (("a", "A"), ("caf\u00e9", "cafe\u0301"), ("strasse", "stra\u00dfe")):
        entries = [ROOT, *map(file, sorted(pair))]
        strict = Guard(names_fold=True)
        strict.check(entries[0])
        strict.check(entries[1])
        with pytest.raises(RefusedError, match="the same on this disk"):
            strict.check(entries[2])
        lax = Guard()
        for entry in entries:
            lax.check(entry)
    guard = Guard(names_fold=True)
    for entry in (ROOT, Entry("a", "folder"), file("a/x"), Entry("b", "folder"), file("b/X")):
        guard.check(entry)


def test_what_is_not_there_and_what_fails_are_told_apart(pipes, tmp_path: Path) -> None:
    with pytest.raises(RemoteFileError, match="no results"):
        pulled(pipes, tmp_path, {LIST: lambda _: [encode(FAILED, ["gone", "absent"])]})
    with pytest.raises(TransferError, match="disk on fire"):
        pulled(pipes, tmp_path, {LIST: lambda _: [encode(FAILED, ["disk on fire", ""])]})


CHECKS = {
    "too few": [encode(DONE, {}, b"\1")],
    "unknown state": [encode(DONE, {}, b"\7\7")],
    "claims beyond the end": [encode(DONE, {"0": [[0, 10**18]]}, b"\1\1")],
    "negative claims": [encode(DONE, {"0": [[-5, -1]]}, b"\1\1")],
    "claims of text": [encode(DONE, {"0": [["a", "b"]]}, b"\1\1")],
    "no claims": [encode(DONE, [], b"\1\1")],
}


@pytest.mark.parametrize("kind", CHECKS)
def test_lies_during_a_push_end_it_and_never_hang(pipes, tmp_path: Path, kind: str) -> None:
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "a").write_bytes(os.urandom(2 * MIB))
    (tmp_path / "planted" / "b").write_bytes(b"b")

    def check(frame: Frame) -> Said:
        return [CHECKS[kind][0]] if list(unpack_block(frame.body)) else [encode(DONE, {}, b"")]

    answers: Answers = {CHECK: check, PROVE: lambda _: [encode(DONE, [0, 1, "x", -7])]}
    answers |= {kind: lambda _: [encode(FAILED, ["no room", ""])] for kind in (BATCH, CHUNK)}
    with pytest.raises(CloudtrainError):
        transfer.push(pipes(liar(answers)), gather(tmp_path / "planted", ["."]), "there")


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.data())
def test_noise_in_a_stream_never_gets_out_of_its_folder(pipes, tmp_path_factory, data: st.DataObject) -> None:
    top = tmp_path_factory.mktemp("noise")
    said = [b"".join(encode(LISTED, 3, pack_block([ROOT, file("a"), Entry("b", "folder"), file("b/c", 2)])))]
    said.append(b"".join(encode(DONE, 3, zlib.compress(b"[]"))))
    said.append(b"".join(encode(DONE, [1, 2], b"xyz")))
    spot = data.draw(st.integers(0, 2))
    spoilt_one = bytearray(said[spot])
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt_one[data.draw(st.integers(0, len(spoilt_one) - 1))] = data.draw(st.integers(0, 255))
    said[spot] = bytes(spoilt_one)
    answers: Answers = {LIST: lambda _: [[said[0]], [said[1]]], GET: lambda _: [[said[2]]]}
    line = pipes(liar(answers), patience_s=0.05)
    try:
        transfer.pull(line, "results", top / "back")
    except CloudtrainError:
        assert {name[:10] for name in names(top)} <= {".arriving-"}
    else:
        assert names(top) == ["back"]
        assert {str(path.relative_to(top / "back")) for path in (top / "back").rglob("*")} == {"a", "b", "b/c"}


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", ".."])
def test_the_machine_too_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    receiver = Receiver(str(tmp_path / "there"))
    columns = [[name], [1], [0o644], [1]]
    single = [name, 1, 0o644, 1]
    for kind, words in ((BATCH, columns), (CHUNK, [*single, 0])):
        with pytest.raises(RefusedError):
            list(receiver.verbs[kind](Frame(kind, words, b"x", b"")))
    with pytest.raises(RefusedError):
        list(receiver.verbs[CHECK](Frame(CHECK, None, pack_block([file(name)]), b"")))
    assert names(tmp_path) in ([], ["there"])
