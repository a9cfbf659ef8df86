# This file also runs on the machine, on Python 3.8, whose zip knows no strict=.
# ruff: noqa: B905
"""Carry out what the receiver of files asks for: list a tree, hand out files and pieces of large ones.

Standard library only, Python 3.8 or newer; its source travels to the machine.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable

from .entry_there import RefusedError
from .frames_there import DONE, GET, LIST, LISTED, MOST_BODY, PIECE, Frame
from .leaving_there import is_hole, pread_all, read_file, read_steadily, walk
from .manifest_there import blocks
from .part_there import LARGE, chunk_at, is_empty

Answers = Iterable["tuple[int, object, bytes]"]

GONE = -1
"""What stands in the place of a file's size when it stays behind."""


class Sender:
    """Hands out one tree."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.verbs = {LIST: self._list, GET: self._get, PIECE: self._piece}

    def _list(self, _: Frame) -> Answers:
        """Tell what stands here in blocks, each with the sum so far; at last what stays behind."""
        left: list[str] = []
        total = 0
        for lot, block in blocks(walk(self._root, left.append)):
            total += sum(entry.size for entry in lot)
            yield LISTED, total, block
        yield DONE, total, zlib.compress(json.dumps(sorted(left)).encode(), 1)

    def _get(self, frame: Frame) -> Answers:
        sizes, contents, weight = [], [], 0
        for name, most in zip(*frame.words):
            content = self._content(name, most)
            sizes.append(GONE if content is None else len(content))
            contents.append(content or b"")
            weight += len(contents[-1])
            if weight > MOST_BODY:
                raise RefusedError("more is asked for than travels at once")
        yield DONE, sizes, b"".join(contents)

    def _content(self, name: str, most: int) -> bytes | None:
        try:
            found = read_steadily(self._root, name, min(most, LARGE), _is_read_well)
        except OSError:
            return None
        return None if found is None else found[1]

    def _piece(self, frame: Frame) -> Answers:
        """Hand out a chunk with the size and the time that the file has by now; nothing where it is nothing but zeros."""
        name, size, index = frame.words
        offset, length = chunk_at(size, index)
        try:
            file = read_file(self._root, name)
        except OSError:
            yield DONE, [GONE, 0], b""
            return
        try:
            content = bytes(length) if is_hole(file, length, offset) else pread_all(file, length, offset)
            info = os.fstat(file)
        except OSError:
            content, info = b"", None
        finally:
            os.close(file)
        if info is None or len(content) < length:
            yield DONE, [GONE, 0], b""
        elif is_empty(content):
            yield DONE, [info.st_size, info.st_mtime_ns], b""
        else:
            yield DONE, [info.st_size, info.st_mtime_ns], content


def _is_read_well(before: os.stat_result, after: os.stat_result) -> bool:
    """A file that grows meanwhile comes with the size it had; one that is written over is read again."""
    return after.st_mtime_ns == before.st_mtime_ns or after.st_size > before.st_size
