# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib.
# ruff: noqa: PTH115, PTH118, PTH120, PTH123
"""Carry a tree as a tar stream: the half that runs on the machine, and here, so that both ends speak the same tar.

Standard library only, Python 3.8 or newer, imports nothing of ours: its source travels to the machine. The reader takes
what the writer makes and nothing else: plain files, folders and links, pax records for what a header cannot hold.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

CHUNK = 1 << 20
REFUSED = 4
"""The exit code of a half that was refused something."""

_BLOCK = 512
_LONGEST_RECORDS = 1 << 16
_LATEST_S = 1 << 35
_MTIME = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9})\d{0,12})?")
_TYPES = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
_KINDS = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link"}
_ODD_TYPES = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a FIFO",
}


class RefusedError(Exception):
    """Something cannot travel, or what came is not what may come."""


class Entry(NamedTuple):
    """One thing that travels. `total` is the whole stream's content in bytes, told by the first entry or 0."""

    name: str
    kind: str
    size: int = 0
    mode: int = 0o644
    mtime_ns: int = 0
    target: str = ""
    total: int = 0


def describe(root: str, name: str) -> Entry | None:
    """Return what stands there, or None for what is neither file, folder nor link.

    Raises:
        RefusedError: a link that leaves `root`.
    """
    path = root if name == "." else os.path.join(root, name)
    info = os.lstat(path)
    mode = stat.S_IMODE(info.st_mode) & 0o777
    if stat.S_ISREG(info.st_mode):
        return Entry(name, "file", info.st_size, mode, info.st_mtime_ns)
    if stat.S_ISDIR(info.st_mode):
        return Entry(name, "folder", 0, mode, info.st_mtime_ns)
    if stat.S_ISLNK(info.st_mode):
        return Entry(name, "link", 0, 0o777, info.st_mtime_ns, link_target(root, name))
    return None


def link_target(root: str, name: str) -> str:
    """Return where a link points, relative to its own folder and without a way around.

    Raises:
        RefusedError: it leaves `root`.
    """
    path = os.path.join(root, name)
    target = os.readlink(path)
    top, end = os.path.realpath(root), os.path.realpath(path)
    if end != top and not end.startswith(top.rstrip("/") + "/"):
        raise RefusedError(f"the link {shown(name)} leaves its folder: it points to {shown(target)}")
    if stays_inside(name, target):
        return target
    return os.path.relpath(end, os.path.realpath(os.path.dirname(path)))


def stays_inside(name: str, target: str) -> bool:
    """Say whether a link's target stays below the root whatever other links stand there.

    Steps up may only come first: behind another link, ".." is not what it looks like.
    """
    parts = target.split("/")
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    is_plain = bool(target) and not target.startswith("/") and "\0" not in target and ".." not in parts[up:]
    return is_plain and up <= name.count("/")


def content_of(root: str, entry: Entry) -> Iterator[bytes]:
    """Hand out a file's content, exactly `entry.size` bytes.

    Raises:
        RefusedError: it is not, or no longer, the file that was described.
    """
    path = root if entry.name == "." else os.path.join(root, entry.name)
    changed = f"{shown(entry.name)} changed while it was read"
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        left = entry.size
        if not stat.S_ISREG(before.st_mode) or before.st_size != left:
            raise RefusedError(changed)
        while left:
            chunk = file.read(min(left, CHUNK))
            if not chunk:
                raise RefusedError(changed)
            left -= len(chunk)
            yield chunk
        if file.read(1) or os.fstat(file.fileno()).st_mtime_ns != before.st_mtime_ns:
            raise RefusedError(changed)


def pack(
    contents: Iterable[tuple[Entry, Iterator[bytes]]], write: Callable[[bytes], object], sent: Callable[[int], object]
) -> None:
    """Write entries with their content (exactly `size` bytes of it) as a tar stream; `sent` is told each piece's size."""
    for entry, content in contents:
        write(_header(entry))
        for chunk in content:
            write(chunk)
            sent(len(chunk))
        write(bytes(-entry.size % _BLOCK))
    write(bytes(2 * _BLOCK))


def with_content(root: str, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """Hand out each entry with its content.

    Raises:
        RefusedError: a file changed or cannot be read.
    """
    for entry in entries:
        yield entry, named(entry.name, content_of(root, entry)) if entry.kind == "file" else iter(())


def named(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Hand the pieces on; what the system says against reading them names the file."""
    try:
        yield from pieces
    except OSError as error:
        raise RefusedError(f"{shown(name)} cannot be read: {error.strerror}") from error


def members(source: BinaryIO) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """Hand out the entries of a tar stream with their content, to be read before the next one.

    Raises:
        RefusedError: it is no such stream, or ends too soon.
    """
    while True:
        block = _exactly(source, _BLOCK)
        if not block.strip(b"\0"):
            return
        head = _parse(block)
        records: dict[str, str] = {}
        if head.type == tarfile.XHDTYPE:
            records = _records(source, head.size)
            head = _parse(_exactly(source, _BLOCK))
        entry = _entry(head, records)
        content = _content(source, entry.size)
        yield entry, content
        for _ in content:
            pass
        _exactly(source, -entry.size % _BLOCK)


def shown(name: str) -> str:
    """Return a name as a person may see it: one line, no control characters, not endless."""
    text = name if name.isprintable() else ascii(name)
    return text if len(text) <= 300 else text[:300] + "…"


def _header(entry: Entry) -> bytes:
    info = tarfile.TarInfo(entry.name)
    info.type = _TYPES[entry.kind]
    info.size, info.mode, info.linkname = entry.size, entry.mode, entry.target
    seconds, fraction = divmod(abs(entry.mtime_ns), 10**9)
    sign = "-" if entry.mtime_ns < 0 else ""
    info.mtime = seconds
    records = {}
    if fraction or sign or seconds > 0o77777777777:
        records["mtime"] = f"{sign}{seconds}.{fraction:09d}"
    if entry.total:
        records["CLOUDTRAIN.total"] = str(entry.total)
    info.pax_headers = records
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _parse(block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise RefusedError(f"the stream is damaged: {error}") from error


def _records(source: BinaryIO, size: int) -> dict[str, str]:
    if not 0 < size <= _LONGEST_RECORDS:
        raise RefusedError(f"the stream is damaged: a record of {size} bytes")
    left = _exactly(source, size)
    _exactly(source, -size % _BLOCK)
    records = {}
    while left:
        digits, space, _ = left.partition(b" ")
        length = int(digits) if space and digits.isdigit() and len(digits) < 8 else 0
        key, equals, value = left[len(digits) + 1 : length - 1].partition(b"=")
        if length > len(left) or not equals or left[length - 1 : length] != b"\n":
            raise RefusedError("the stream is damaged: a broken record")
        records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        left = left[length:]
    return records


def _entry(head: tarfile.TarInfo, records: dict[str, str]) -> Entry:
    name = records.get("path", head.name)
    if head.type not in _KINDS:
        raise RefusedError(f"{shown(name)} is {_ODD_TYPES.get(head.type, 'of a kind that does not travel')}")
    kind = _KINDS[head.type]
    size = _number(records["size"]) if "size" in records else head.size
    if size < 0 or (size and kind != "file") or any(key.startswith("GNU.sparse") for key in records):
        raise RefusedError(f"{shown(name)} says an impossible size")
    target = records.get("linkpath", head.linkname) if kind == "link" else ""
    total = _number(records.get("CLOUDTRAIN.total", "0"))
    return Entry(name.rstrip("/") or "/", kind, size, head.mode & 0o777, _mtime_ns(head, records), target, total)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1


def _mtime_ns(head: tarfile.TarInfo, records: dict[str, str]) -> int:
    match = _MTIME.fullmatch(records.get("mtime", str(int(head.mtime))))
    if match is None or int(match[2]) > _LATEST_S:
        raise RefusedError(f"{shown(head.name)} says an impossible time")
    return (-1 if match[1] else 1) * (int(match[2]) * 10**9 + int((match[3] or "").ljust(9, "0")))


def _content(source: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        chunk = source.read(min(size, CHUNK))
        if not chunk:
            raise RefusedError("the stream ended too soon")
        size -= len(chunk)
        yield chunk


def _exactly(source: BinaryIO, size: int) -> bytes:
    return b"".join(_content(source, size))
