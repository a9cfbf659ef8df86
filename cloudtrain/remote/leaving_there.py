# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib.
# ruff: noqa: PTH208
"""Walk over what stands on a machine, and read it: the half of a pull that runs there, and here for a folder of this machine.

A job's output is what a stranger's program left, perhaps still at work: one odd thing in it must not cost the rest.

Standard library only, Python 3.8 or newer; its source travels to the machine.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator

from .entry_there import CHUNK, Entry, RefusedError, describe, shown

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_FILE = "it is no file any more"


class BrokenOffError(Exception):
    """A file has less in it than was described; it counts as left behind."""


def walk(root: str, leave: Callable[[str], object]) -> Iterator[Entry]:
    """Hand out the root as "." and all below it: a folder before what is in it, names in order, part by part.

    `leave` is told the names of what cannot travel. What is remembered is the folders that are open.

    Raises:
        RefusedError: the root itself cannot travel.
    """
    first = describe(root, ".")
    if first is None:
        raise RefusedError(f"{shown(root)} is neither a file nor a folder")
    yield first
    open_folders = [_names(root, ".", leave)] if first.kind == "folder" else []
    while open_folders:
        name = next(open_folders[-1], None)
        if name is None:
            open_folders.pop()
            continue
        entry = _described(root, name, leave)
        if entry is None:
            continue
        yield entry
        if entry.kind == "folder":
            open_folders.append(_names(root, name, leave))


def read_file(root: str, name: str) -> int:
    """Open a file to read it; return its descriptor. What is no file, or no longer one, raises OSError."""
    file = os.open(_path(root, name), _READ_FLAGS)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(_NO_FILE)
    return file


def read_steadily(
    root: str, name: str, most: int, is_steady: Callable[[os.stat_result, os.stat_result], bool]
) -> tuple[os.stat_result, bytes] | None:
    """Return what a small file is and at most `most` bytes of it, as it stood at one moment.

    `is_steady` compares what it was before it was read and after; what is not is read again, three times in all. None for
    a file that never rests, or became shorter. Raises OSError.
    """
    path = _path(root, name)
    for _ in range(3):
        file = os.open(path, _READ_FLAGS)
        try:
            before = os.fstat(file)
            if not stat.S_ISREG(before.st_mode):
                raise OSError(_NO_FILE)
            wanted = min(most, before.st_size)
            content = pread_all(file, wanted, 0)
            if len(content) == wanted and is_steady(before, os.fstat(file)):
                return before, content
        finally:
            os.close(file)
    return None


def read_unchanged(root: str, name: str, size: int, mtime_ns: int) -> tuple[os.stat_result, bytes] | None:
    """Return what a small file is and its content; None where that is not, or no longer, of this size and time. Raises OSError.

    The fewest calls for what is by far the most frequent: what was listed before it was read, and is the same after.
    """
    file = os.open(_path(root, name), _READ_FLAGS)
    try:
        content = pread_all(file, size, 0)
        info = os.fstat(file)
    finally:
        os.close(file)
    is_same = len(content) == size == info.st_size and info.st_mtime_ns == mtime_ns
    return (info, content) if is_same and stat.S_ISREG(info.st_mode) else None


def digest_of(root: str, name: str) -> str:
    """Return the SHA-256 of a file's content in hexadecimal; "" when it cannot be read."""
    digest = hashlib.sha256()
    try:
        file = read_file(root, name)
        with os.fdopen(file, "rb", buffering=0) as content:
            while True:
                chunk = content.read(CHUNK)
                if not chunk:
                    return digest.hexdigest()
                digest.update(chunk)
    except OSError:
        return ""


def pread_all(file: int, length: int, offset: int) -> bytes:
    """Return so many bytes from there on; fewer where the file ends. Raises OSError."""
    content = os.pread(file, length, offset)
    while len(content) < length:
        more = os.pread(file, length - len(content), offset + len(content))
        if not more:
            break
        content += more
    return content


def is_hole(file: int, length: int, offset: int) -> bool:
    """Say whether the disk holds nothing there, without reading it. A system that cannot tell says no."""
    seek_data = getattr(os, "SEEK_DATA", None)
    if seek_data is None:
        return False
    try:
        return os.lseek(file, offset, seek_data) >= offset + length
    except OSError as error:
        return error.errno == errno.ENXIO and os.fstat(file).st_size >= offset + length


class Leaving:
    """A tree as it stands when this is made.

    Attributes:
        left: names of what stays behind; complete when `contents` has come to its end.
        total: bytes of content, at most.

    Raises:
        RefusedError: the root itself cannot travel.
    """

    def __init__(self, root: str) -> None:
        self.left: list[str] = []
        self._root = root
        self._entries = list(walk(root, self.left.append))
        self.total = sum(entry.size for entry in self._entries)

    def contents(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Hand out the entries with content to be read before the next one.

        A file that grew is cut at the size it had. Reading one that ends too soon raises BrokenOffError.

        Raises:
            RefusedError: the root is a file and cannot be read, or not to its end.
        """
        for entry in self._entries:
            if entry.kind == "file":
                yield from self._file(entry)
            else:
                yield entry, iter(())

    def _file(self, entry: Entry) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        try:
            file = read_file(self._root, entry.name)
        except OSError as error:
            self._leave(entry.name, error)
            return
        try:
            entry = entry._replace(size=min(entry.size, os.fstat(file).st_size))
            yield entry, self._content(entry, file)
        finally:
            os.close(file)

    def _content(self, entry: Entry, file: int) -> Iterator[bytes]:
        left = entry.size
        while left:
            try:
                chunk = os.read(file, min(left, CHUNK))
            except OSError as error:
                self._leave(entry.name, error)
                raise BrokenOffError(entry.name) from error
            if not chunk:
                self._leave(entry.name, OSError("it became shorter meanwhile"))
                raise BrokenOffError(entry.name)
            left -= len(chunk)
            yield chunk

    def _leave(self, name: str, error: OSError) -> None:
        if name == ".":
            raise RefusedError(f"{shown(self._root)} cannot be read: {error.strerror or error}")
        self.left.append(name)


def _names(root: str, folder: str, leave: Callable[[str], object]) -> Iterator[str]:
    try:
        names = os.listdir(_path(root, folder))
    except OSError as error:
        if folder == ".":
            raise RefusedError(f"{shown(root)} cannot be read: {error.strerror}") from error
        leave(folder)
        return iter(())
    names.sort()
    return iter(names) if folder == "." else (f"{folder}/{name}" for name in names)


def _described(root: str, name: str, leave: Callable[[str], object]) -> Entry | None:
    try:
        entry = describe(root, name)
    except (RefusedError, OSError):
        entry = None
    if entry is None:
        leave(name)
    return entry


def _path(root: str, name: str) -> str:
    return root if name == "." else f"{root}/{name}"
