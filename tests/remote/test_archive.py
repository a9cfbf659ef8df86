"""Tar streams: what is written comes back as it was, and what a hostile machine sends stays out."""

import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrain.model.errors import TransferError
from cloudtrain.remote.archive import unpack_tar, write_tar
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.local import LocalRemote
from cloudtrain.testing.remote_files_contract import names, plant, snapshot

Members = list[tuple[tarfile.TarInfo, bytes]]


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def stream(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    parts = [info.tobuf(form, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512) for info, content in members]
    return b"".join(parts) + bytes(1024)


def unpacked(content: bytes, tmp_path: Path, **limits: int) -> Path:
    unpack_tar(io.BytesIO(content), tmp_path / "back", **limits)
    return tmp_path / "back"


def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    planted = plant(tmp_path / "planted")
    out = io.BytesIO()
    told: list[tuple[int, int]] = []
    files = gather(planted, ["."])
    write_tar(files, out, lambda done, total: told.append((done, total)))
    assert snapshot(unpacked(out.getvalue(), tmp_path)) == snapshot(planted)
    assert told[-1] == (files.total_bytes, files.total_bytes)


def test_other_tars_read_ours(tmp_path: Path) -> None:
    out = io.BytesIO()
    write_tar(gather(plant(tmp_path / "planted"), ["."]), out)
    out.seek(0)
    with tarfile.open(fileobj=out, encoding="utf-8", errors="surrogateescape") as archive:
        archive.extractall(tmp_path / "theirs", filter="data")
    assert set(snapshot(tmp_path / "theirs")) == set(snapshot(tmp_path / "planted"))


HOSTILE = {
    "absolute": [member("/tmp/x", b"1")],
    "up": [member("../x", b"1")],
    "up inside": [member("a/../../x", b"1")],
    "dot": [member("a/./x", b"1")],
    "empty part": [member("a//x", b"1")],
    "link out": [member("a", type=tarfile.SYMTYPE, linkname="../x")],
    "absolute link": [member("a", type=tarfile.SYMTYPE, linkname="/etc")],
    "empty link": [member("a", type=tarfile.SYMTYPE, linkname="")],
    "link that turns back": [
        member("a", type=tarfile.SYMTYPE, linkname="b/c"),
        member("d", type=tarfile.SYMTYPE, linkname="a/../.."),
    ],
    "below a link": [member("a", type=tarfile.SYMTYPE, linkname="b"), member("a/x", b"1")],
    "below a file": [member("a", b"1"), member("a/x", b"1")],
    "a link in place of a folder": [member("a/x", b"1"), member("a", type=tarfile.SYMTYPE, linkname="b")],
    "the root as a link": [member(".", type=tarfile.SYMTYPE, linkname="x")],
    "below a root that is a file": [member(".", b"1"), member("a", b"1")],
    "twice": [member("a", b"1"), member("a", b"2")],
    "hard link": [member("a", b"1"), member("b", type=tarfile.LNKTYPE, linkname="a")],
    "hard link out": [member("b", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
    "device": [member("a", type=tarfile.CHRTYPE)],
    "block device": [member("a", type=tarfile.BLKTYPE)],
    "FIFO": [member("a", type=tarfile.FIFOTYPE)],
    "GNU long name": [member("n" * 200, b"1")],
    "sparse": [member("a", b"1", pax_headers={"GNU.sparse.major": "1"})],
    "negative size": [member("a", pax_headers={"size": "-512"})],
    "huge size": [member("a", pax_headers={"size": "9" * 18})],
    "folder with content": [member("a", b"1", type=tarfile.DIRTYPE)],
    "time of no calendar": [member("a", pax_headers={"mtime": "1e300"})],
    "NUL in a name": [member("a", pax_headers={"path": "a\0b"})],
    "deeper than a folder can be": [member("/".join("d" * 400), b"1")],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_streams_are_refused_and_leave_nothing(tmp_path: Path, kind: str) -> None:
    form = tarfile.GNU_FORMAT if kind.startswith("GNU") else tarfile.PAX_FORMAT
    with pytest.raises(TransferError):
        unpacked(
            stream(member("first", b"ok"), *HOSTILE[kind], form=form) if "root" not in kind else stream(*HOSTILE[kind]),
            tmp_path,
        )
    assert names(tmp_path) == []


def test_the_same_stream_without_the_hostile_part_comes_in(tmp_path: Path) -> None:
    assert names(unpacked(stream(member("first", b"ok")), tmp_path)) == ["first"]


@pytest.mark.parametrize("kind", ["negative size", "folder with content", "sparse"])
def test_an_impossible_size_is_told_before_anything_is_read(tmp_path: Path, kind: str) -> None:
    with pytest.raises(TransferError, match="impossible size"):
        unpacked(stream(*HOSTILE[kind]), tmp_path)


def test_special_bits_are_dropped(tmp_path: Path) -> None:
    back = unpacked(stream(member("tool", b"1", mode=0o6755), member("folder", type=tarfile.DIRTYPE, mode=0o1000)), tmp_path)
    assert stat.S_IMODE((back / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((back / "folder").stat().st_mode) == 0o700


def test_more_than_may_come_is_refused(tmp_path: Path) -> None:
    content = stream(member("a/b", b"12345"), member("c", b"12345"))
    with pytest.raises(TransferError, match="more bytes"):
        unpacked(content, tmp_path, most_bytes=9)
    with pytest.raises(TransferError, match="more files"):
        unpacked(content, tmp_path, most_files=3)
    assert names(tmp_path) == []
    unpacked(content, tmp_path, most_bytes=10, most_files=4)


def test_a_stream_that_ends_too_soon_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    whole = stream(member("a", b"1" * 700, mtime=1.5), member("b/" + "long" * 60, b""))
    for end in [*range(0, len(whole) - 1024, 256), len(whole) - 1025]:
        with pytest.raises(TransferError, match=r"too soon|damaged"):
            unpacked(whole[:end], tmp_path)
        assert names(tmp_path) == []


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(st.data())
def test_noise_never_gets_out_of_its_folder_and_never_breaks_but_politely(data: st.DataObject) -> None:
    whole = bytearray(
        stream(
            member("a", b"1" * 600, mtime=1.5),
            member("b", type=tarfile.SYMTYPE, linkname="a"),
            member("c/" + "d" * 150, b"2"),
            member("e", type=tarfile.DIRTYPE),
        )
    )
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            mend_checksums(whole)
    with TemporaryDirectory() as folder:
        try:
            unpack_tar(io.BytesIO(bytes(whole)), Path(folder) / "back")
        except TransferError:
            assert names(Path(folder)) == []
        else:
            assert names(Path(folder)) == ["back"]
            top = os.path.realpath(Path(folder) / "back")
            for path in Path(top).rglob("*"):
                assert os.path.realpath(path).startswith(top)


def mend_checksums(whole: bytearray) -> None:
    for start in range(0, len(whole), 512):
        if whole[start + 257 : start + 262] == b"ustar":
            block = whole[start : start + 148] + b" " * 8 + whole[start + 156 : start + 512]
            whole[start + 148 : start + 156] = b"%06o\0 " % sum(block)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
SAFE_NAMES = NAMES.filter(lambda name: name not in (".", "..") and len(os.fsencode(name)) < 200)


@settings(max_examples=40, deadline=None, database=None, derandomize=True)
@given(
    st.dictionaries(
        SAFE_NAMES, st.tuples(st.binary(max_size=2000), st.integers(0o400, 0o777), st.integers(-(10**18), 10**18)), max_size=5
    ),
    st.dictionaries(SAFE_NAMES, SAFE_NAMES, max_size=3),
)
def test_any_tree_arrives_identical_over_both_ways(files: dict[str, tuple[bytes, int, int]], links: dict[str, str]) -> None:
    with TemporaryDirectory() as folder:
        top = Path(folder)
        (top / "planted" / "sub").mkdir(parents=True)
        for name, (content, mode, mtime_ns) in files.items():
            for path in (top / "planted" / f"+{name}", top / "planted" / "sub" / f"+{name}"):
                path.write_bytes(content)
                path.chmod(mode)
                os.utime(path, ns=(mtime_ns, mtime_ns))
        for name, target in links.items():
            (top / "planted" / f"-{name}").symlink_to(target)
        chosen = gather(top / "planted", ["."])
        out = io.BytesIO()
        write_tar(chosen, out)
        out.seek(0)
        unpack_tar(out, top / "tar")
        remote = LocalRemote(top / "home", top / "cache")
        remote.push(chosen, remote.home / "work")
        remote.pull(remote.home / "work", top / "copied")
        assert snapshot(top / "tar") == snapshot(top / "planted")
        assert snapshot(top / "copied") == snapshot(top / "planted")


class Meddler(io.BytesIO):
    """Does something to a file while it is being sent."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        super().__init__()
        self._meddle = meddle

    def write(self, content: bytes) -> int:  # type: ignore[override]
        if len(content) > 1 << 19:
            self._meddle()
        return super().write(content)


@pytest.mark.parametrize("meddle", ["grow", "shrink", "rewrite"])
def test_a_file_that_changes_under_our_hands_is_noticed(tmp_path: Path, meddle: str) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(3 << 20))
    os.utime(path, ns=(1, 1))

    def change() -> None:
        if meddle == "shrink":
            os.truncate(path, 100)
            return
        with path.open("ab" if meddle == "grow" else "r+b") as file:
            file.write(b"more")

    with pytest.raises(TransferError, match="large changed while it was read"):
        write_tar(gather(tmp_path, ["."]), Meddler(change))


def test_a_file_that_became_something_else_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    files = gather(tmp_path, ["."])
    (tmp_path / "a").unlink()
    (tmp_path / "a").mkdir()
    with pytest.raises(TransferError, match="no longer the file"):
        write_tar(files, io.BytesIO())
