# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib.
# ruff: noqa: PTH118, PTH208
"""Send what stands on a machine: the half of a pull that runs there, and here for a folder of this machine.

A job's output is what a stranger's program left, perhaps still at work: one odd thing in it must not cost the rest.

Standard library only, Python 3.8 or newer. On the machine its source stands behind that of tar_there.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator

from .tar_there import CHUNK, REFUSED, Entry, RefusedError, describe, pack, shown

ABSENT = 3
"""The exit code where there is nothing to send."""

MOST_TOLD = 1 << 26
"""The most that follows a stream, bytes: the names of what was left behind."""


class BrokenOffError(Exception):
    """A file has less in it than was described; it counts as left behind."""


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
        self._entries = self._scan()
        self.total = self._entries[0].total

    def contents(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Hand out the root as "." and all below it, sorted, with content to be read before the next one.

        A file that grew is cut at the size it had. Reading one that ends too soon raises BrokenOffError.

        Raises:
            RefusedError: the root is a file and cannot be read, or not to its end.
        """
        for entry in self._entries:
            if entry.kind == "file":
                yield from self._file(entry)
            else:
                yield entry, iter(())

    def filled(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Hand out the same with zeros where a file ends too soon, for a stream that has told its size already."""
        for entry, content in self.contents():
            yield entry, _filled(entry.size, content)

    def _scan(self) -> list[Entry]:
        first = describe(self._root, ".")
        if first is None:
            raise RefusedError(f"{shown(self._root)} is neither a file nor a folder")
        below: list[Entry] = []
        waiting = ["."] if first.kind == "folder" else []
        while waiting:
            for name in self._list(waiting.pop()):
                entry = self._described(name)
                if entry is not None:
                    below.append(entry)
                    if entry.kind == "folder":
                        waiting.append(name)
        total = first.size + sum(entry.size for entry in below)
        return [first._replace(total=total), *sorted(below)]

    def _list(self, folder: str) -> list[str]:
        try:
            names = os.listdir(self._path(folder))
        except OSError as error:
            self._leave(folder, str(error.strerror))
            return []
        return names if folder == "." else [f"{folder}/{name}" for name in names]

    def _described(self, name: str) -> Entry | None:
        try:
            entry = describe(self._root, name)
        except (RefusedError, OSError):
            entry = None
        if entry is None:
            self._leave(name, "")
        return entry

    def _leave(self, name: str, why: str) -> None:
        if name == ".":
            raise RefusedError(f"{shown(self._root)} cannot be read: {why}")
        self.left.append(name)

    def _file(self, entry: Entry) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        try:
            file = os.open(self._path(entry.name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._leave(entry.name, str(error.strerror))
            return
        try:
            info = os.fstat(file)
            if stat.S_ISREG(info.st_mode):
                entry = entry._replace(size=min(entry.size, info.st_size))
                yield entry, self._content(entry, file)
            else:
                self._leave(entry.name, "it is no file any more")
        finally:
            os.close(file)

    def _content(self, entry: Entry, file: int) -> Iterator[bytes]:
        left = entry.size
        while left:
            try:
                chunk, why = os.read(file, min(left, CHUNK)), "it became shorter meanwhile"
            except OSError as error:
                chunk, why = b"", str(error.strerror)
            if not chunk:
                self._leave(entry.name, why)
                raise BrokenOffError(entry.name)
            left -= len(chunk)
            yield chunk

    def _path(self, name: str) -> str:
        return self._root if name == "." else os.path.join(self._root, name)


def _filled(size: int, content: Iterator[bytes]) -> Iterator[bytes]:
    left = size
    try:
        for chunk in content:
            left -= len(chunk)
            yield chunk
    except BrokenOffError:
        while left:
            zeros = bytes(min(left, CHUNK))
            left -= len(zeros)
            yield zeros


def main(source: str) -> int:
    """Write the tree there to standard output, and behind it as JSON what was left behind; return the exit code."""
    root = os.path.realpath(source)
    if not os.path.lexists(root):
        return ABSENT
    try:
        with open(1, "wb", buffering=CHUNK, closefd=False) as out:
            leaving = Leaving(root)
            pack(leaving.filled(), out.write, lambda _: None)
            out.write(json.dumps(sorted(leaving.left)).encode())
    except (RefusedError, OSError) as error:
        # What is still buffered is sent now, but the end of the stream is not: nobody takes it for whole.
        print(getattr(error, "strerror", None) or error, file=sys.stderr)
        return REFUSED
    return 0
