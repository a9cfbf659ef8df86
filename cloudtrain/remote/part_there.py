# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib.
# ruff: noqa: PTH108, PTH110, PTH118
"""A large file that arrives in chunks, in any order, over several streams and, when the line breaks, over several days.

Standard library only, Python 3.8 or newer; its source travels to the machine. Beside its place stand the part and a journal of
what has come: one record per chunk, (index, SHA-256), appended in one write. A part is found again by name, size and time.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import struct
from collections.abc import Iterable

from .entry_there import Entry, RefusedError, shown
from .landing_there import Landing

LARGE = 1 << 20
"""Files of more bytes than this travel in chunks."""

_LARGEST_CHUNK = 1 << 23
_CHUNKS_WANTED = 256
_RECORD = struct.Struct(">Q32s")
_EMPTY = bytes(32)
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_ZEROS = bytes(_LARGEST_CHUNK)


def chunk_size(size: int) -> int:
    """Return the chunks' size for a file of that size, bytes: 1 to 8 MiB, the last one is shorter."""
    step = LARGE
    while step < _LARGEST_CHUNK and size > step * _CHUNKS_WANTED:
        step *= 2
    return step


def chunk_count(size: int) -> int:
    """Return into how many chunks a file of that size is cut."""
    return -(-size // chunk_size(size))


def chunk_at(size: int, index: int) -> tuple[int, int]:
    """Return a chunk's place: (offset, length). Raises RefusedError where there is none."""
    step = chunk_size(size)
    if not 0 <= index * step < size:
        raise RefusedError(f"there is no chunk {index} in {size} bytes")
    return index * step, min(step, size - index * step)


def is_empty(content: bytes) -> bool:
    """Say whether there is nothing but zeros in at most 8 MiB."""
    return _ZEROS.startswith(content)


class Part:
    """A file on its way. Only its name, size, time and mode count."""

    def __init__(self, landing: Landing, entry: Entry) -> None:
        self._landing = landing
        self._entry = entry
        self._size = entry.size
        key = f"{entry.name}\0{entry.size}\0{entry.mtime_ns}".encode("utf-8", "surrogateescape")
        self._mark = f".arriving-{hashlib.sha256(key).hexdigest()[:24]}"
        self._folder: str | None = None

    def claimed(self) -> list[int]:
        """Return the chunks that the journal knows, whether they are still what they were or not.

        A journal without its part knows nothing, and one with a broken record is not believed.
        """
        if not self._landing.is_reached(self._entry.name):
            return []
        with contextlib.suppress(FileNotFoundError):  # nothing has come
            size = os.lstat(self._path + "-journal").st_size
            if size % _RECORD.size == 0 and os.path.exists(self._path):
                return sorted(self._journal())
            os.unlink(self._path + "-journal")
        return []

    def write(self, index: int, content: bytes, digest: bytes) -> None:
        """Put a chunk in its place; without content it is nothing but zeros."""
        offset, length = chunk_at(self._size, index)
        if content and len(content) != length:
            raise RefusedError(f"a chunk of {shown(self._entry.name)} has another size than it should")
        file = self._open()
        if file is None:
            return
        try:
            view = memoryview(content)
            while view:
                written = os.pwrite(file, view, offset)
                offset, view = offset + written, view[written:]
        finally:
            os.close(file)
        self._note(index, digest if content else _EMPTY)

    def prove(self, indices: Iterable[int]) -> list[int]:
        """Read chunks again; return those that are not what the journal says."""
        known = self._journal()
        file = self._open()
        if file is None:
            return []
        try:
            return [index for index in indices if not self._is_sound(file, index, known.get(index))]
        finally:
            os.close(file)

    def finish(self) -> None:
        """Make it the file it is meant to be. Raises RefusedError when chunks are missing."""
        file = self._open()
        if file is None:
            return
        try:
            missing = chunk_count(self._size) - len(self._journal())
            if missing:
                raise RefusedError(f"{missing} chunks of {shown(self._entry.name)} are missing")
            os.fchmod(file, self._entry.mode & 0o777)
            os.utime(file, ns=(self._entry.mtime_ns, self._entry.mtime_ns))
        finally:
            os.close(file)
        self._landing.move(self._path, self._entry.name)
        os.unlink(self._path + "-journal")

    def forget(self) -> None:
        """Remove what has come of it."""
        for path in (self._path, self._path + "-journal"):
            with contextlib.suppress(FileNotFoundError):  # nothing has come
                os.unlink(path)

    @property
    def _path(self) -> str:
        if self._folder is None:
            self._folder = self._landing.parent(self._entry.name)
        return os.path.join(self._folder, self._mark)

    def _open(self) -> int | None:
        """Return the part, made if need be; None when it is whole already and has its name."""
        try:
            file = os.open(self._path, _FLAGS)
        except FileNotFoundError:
            if self._is_whole():
                return None
            file = os.open(self._path, _FLAGS | os.O_CREAT, 0o600)
        if os.fstat(file).st_size != self._size:
            os.ftruncate(file, self._size)
        return file

    def _is_whole(self) -> bool:
        try:
            info = os.lstat(self._landing.path(self._entry.name))
        except OSError:
            return False
        return (info.st_size, info.st_mtime_ns) == (self._size, self._entry.mtime_ns)

    def _is_sound(self, file: int, index: int, digest: bytes | None) -> bool:
        offset, length = chunk_at(self._size, index)
        content = os.pread(file, length, offset)
        if digest == _EMPTY:
            return len(content) == length and is_empty(content)
        return len(content) == length and hashlib.sha256(content).digest() == digest

    def _note(self, index: int, digest: bytes) -> None:
        journal = os.open(self._path + "-journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if os.write(journal, _RECORD.pack(index, digest)) != _RECORD.size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(journal)

    def _journal(self) -> dict[int, bytes]:
        try:
            journal = os.open(self._path + "-journal", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return {}
        with os.fdopen(journal, "rb") as file:
            said = file.read()
        whole = len(said) - len(said) % _RECORD.size
        count = chunk_count(self._size)
        return {index: digest for index, digest in _RECORD.iter_unpack(said[:whole]) if index < count}
