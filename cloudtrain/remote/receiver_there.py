# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib; and zip
# knows no strict= there.
# ruff: noqa: B905, PTH101, PTH115, PTH118, PTH119
"""Carry out what the sender of files asks for: look what is there, put what is missing, prove, finish, remove.

Standard library only, Python 3.8 or newer; its source travels to the machine. Several of these, one per stream, may fill the
same folder: none remembers anything that another would have to know.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import Any

from .ahead_there import Ahead, Seen
from .entry_there import Entry, RefusedError, shown
from .frames_there import BATCH, CHECK, CHUNK, DIGEST, DONE, FORGET, PROVE, REMOVE, SEAL, TOUCH, WHOLE, Frame
from .landing_there import Landing
from .leaving_there import digest_of
from .manifest_there import HAVE, SAME_SECOND, SEND, TOUCH_ONLY, check_name, is_beside, unpack_block, unpack_columns
from .part_there import LARGE, Part

Answers = Iterable["tuple[int, object, bytes]"]


class Receiver:
    """Fills one folder. `ahead` has looked at it already."""

    def __init__(self, root: str, ahead: Ahead | None = None) -> None:
        self._root = root
        self._ahead = ahead
        self._landing = Landing(root)
        self.verbs = {
            CHECK: self._check,
            BATCH: self._batch,
            CHUNK: self._chunk,
            PROVE: self._prove,
            WHOLE: self._whole,
            TOUCH: self._touch,
            DIGEST: self._digest,
            SEAL: self._seal,
            FORGET: self._forget,
            REMOVE: self._remove,
        }

    def _check(self, frame: Frame) -> Answers:
        """Tell of each entry whether it must be sent, and of large files which chunks are claimed to be here."""
        self._landing.folder(".")
        columns = unpack_columns(frame.body)
        seen = self._ahead.seen() if self._ahead else {}
        states = bytearray()
        claims = {}
        folder, is_there = "", True
        for index, (name, kind, size, mode, mtime_ns) in enumerate(zip(*columns[:5])):
            info = seen.get(name)
            if not (name.rpartition("/")[0] == folder if info else is_beside(name, folder)):
                check_name(name)
                folder, is_there = name.rpartition("/")[0], self._landing.is_reached(name)
            if not is_there:
                states.append(SEND)
                continue
            if info and kind == "f" and info == (size, mtime_ns, stat.S_IFREG | mode & 0o777):
                state = HAVE  # as most of them are
            elif kind == "f":
                info = info or self._look(name)
                state = _file_state(info, size, mode, mtime_ns) if info else SEND
            else:
                state = self._state(columns.entry(index))
            states.append(state)
            if state == SEND and kind == "f" and size > LARGE:
                claimed = Part(self._landing, columns.entry(index)).claimed()
                if claimed:
                    claims[str(index)] = list(_ranges(claimed))
        yield DONE, claims, bytes(states)

    def _look(self, name: str) -> Seen | None:
        """Return what a file is; None where there is none."""
        try:
            info = os.lstat(self._landing.path(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Seen(info.st_size, info.st_mtime_ns, info.st_mode) if stat.S_ISREG(info.st_mode) else None

    def _state(self, entry: Entry) -> int:
        """Tell it of a folder or a link."""
        path = self._landing.path(entry.name)
        try:
            info = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return SEND
        if entry.kind == "folder" and stat.S_ISDIR(info.st_mode):
            is_same = (info.st_mode & 0o777, info.st_mtime_ns) == (entry.mode & 0o777 | 0o700, entry.mtime_ns)
            return HAVE if is_same else SEND
        if entry.kind == "link" and stat.S_ISLNK(info.st_mode):
            return HAVE if os.readlink(path) == entry.target else SEND
        return SEND

    def _batch(self, frame: Frame) -> Answers:
        content = memoryview(frame.body)
        names, sizes, modes, mtimes = columns_of(frame.words)
        if min(sizes, default=0) < 0 or sum(sizes) != len(content):
            raise RefusedError("the stream is damaged: the content is not that of the files")
        at = 0
        for name, size, mode, mtime_ns in zip(names, sizes, modes, mtimes):
            self._landing.file(name, mode, mtime_ns, [content[at : at + size]])
            at += size
        yield DONE, None, b""

    def _chunk(self, frame: Frame) -> Answers:
        *columns, index = frame.words
        Part(self._landing, _entry(*columns)).write(_number(index), frame.body, frame.digest)
        yield DONE, None, b""

    def _prove(self, frame: Frame) -> Answers:
        *columns, indices = frame.words
        yield DONE, Part(self._landing, _entry(*columns)).prove(map(_number, indices)), b""

    def _whole(self, frame: Frame) -> Answers:
        Part(self._landing, _entry(*frame.words)).finish()
        yield DONE, None, b""

    def _forget(self, frame: Frame) -> Answers:
        Part(self._landing, _entry(*frame.words)).forget()
        yield DONE, None, b""

    def _touch(self, frame: Frame) -> Answers:
        for name, _, mode, mtime_ns in zip(*columns_of(frame.words)):
            path = os.path.join(self._landing.parent(name), os.path.basename(name))
            os.chmod(path, mode & 0o777)
            os.utime(path, ns=(mtime_ns, mtime_ns))
        yield DONE, None, b""

    def _digest(self, frame: Frame) -> Answers:
        check_name(frame.words)
        yield DONE, digest_of(self._root, frame.words), b""

    def _seal(self, frame: Frame) -> Answers:
        """Make links, or give folders their mode and time: what comes when every file is in its place."""
        for entry in unpack_block(frame.body):
            check_name(entry.name)
            if entry.kind == "link":
                self._landing.link(entry)
            else:
                self._landing.settle(entry)
        yield DONE, None, b""

    def _remove(self, frame: Frame) -> Answers:
        for name in frame.words:
            check_name(name)
            self._landing.remove(name)
        yield DONE, None, b""


def _file_state(info: Seen, size: int, mode: int, mtime_ns: int) -> int:
    if info.size != size:
        return SEND
    if info.mtime_ns != mtime_ns:
        return SAME_SECOND if info.mtime_ns // 10**9 == mtime_ns // 10**9 else SEND
    return HAVE if info.mode & 0o7777 == mode & 0o777 else TOUCH_ONLY


def columns_of(words: Any) -> tuple[list[str], list[int], list[int], list[int]]:
    """Return the names, sizes, modes and times of some files, each name checked."""
    names, sizes, modes, mtimes = words
    if set(map(type, sizes + modes + mtimes)) - {int} or set(map(type, names)) - {str} or len(set(map(len, words))) > 1:
        raise RefusedError("files come without their name, size, mode or time")
    folder = ""
    for name in names:
        if not is_beside(name, folder):
            check_name(name)
            folder = name.rpartition("/")[0]
    return names, sizes, modes, mtimes


def _entry(name: object, size: object, mode: object, mtime_ns: object) -> Entry:
    check_name(name)
    if type(size) is not int or type(mode) is not int or type(mtime_ns) is not int:
        raise RefusedError(f"{shown(str(name))} comes without its size, mode or time")
    return Entry(str(name), "file", size, mode & 0o777, mtime_ns)


def _number(value: object) -> int:
    if type(value) is not int:
        raise RefusedError(f"the stream is damaged: {shown(str(value))} is no number")
    return value


def _ranges(numbers: list[int]) -> Iterator[list[int]]:
    """Hand out runs of numbers as [first, behind the last]."""
    start = numbers[0]
    for before, number in zip(numbers, [*numbers[1:], -1]):
        if number != before + 1:
            yield [start, before + 1]
            start = number
