"""What a pull asks of the machine: what it has, and then to hand out what is not here yet. Nothing it answers is believed."""

import json
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .counting import Counting
from .download import Download
from .entry_there import Entry, RefusedError, shown
from .frames_there import DONE, GET, LIST, LISTED, Frame, inflate
from .landing_there import Landing
from .leaving_there import walk
from .manifest_there import MOST_BYTES, Guard, unpack_block
from .part_there import LARGE
from .sender_there import GONE
from .work import Item, Work

Question = tuple[int, object, bytes]

MOST_LISTED = 1 << 28
"""The most that a machine's list of files may take here, deflated, bytes."""

MOST_TOLD = 1 << 26
"""The most that the names of what stays behind may take, bytes."""

_BATCH_BYTES = 1 << 20
_BATCH_FILES = 1000


def everything(_: Entry) -> bool:
    """Want every file."""
    return True


def is_here(landing: Landing, entry: Entry) -> bool:
    """Say whether a file stands in its place already, by size, time and mode."""
    if not landing.is_reached(entry.name):
        return False
    try:
        info = os.lstat(landing.path(entry.name))
    except OSError:
        return False
    return (info.st_mode, info.st_size, info.st_mtime_ns) == (stat.S_IFREG | entry.mode, entry.size, entry.mtime_ns)


class Pull:
    """Brings one tree of the machine to a place that is ours alone; of its files those that `wants` says yes to.

    Attributes:
        left: names of what stayed behind.
    """

    def __init__(self, place: Path, counting: Counting, guard: Guard, wants: Callable[[Entry], bool] = everything) -> None:
        self.landing = Landing(str(place))
        self.counting = counting
        self.left: list[str] = []
        self.work = Work(iter([Listing(self)]))
        self._place = place
        self._guard = guard
        self._wants = wants
        self._blocks: list[bytes] = []
        self._listed = 0
        self._leaving = threading.Lock()

    def add_block(self, block: bytes) -> None:
        """Take a part of the list, to be read when it is wanted.

        Raises:
            RefusedError: the list does not end.
        """
        self._listed += len(block) + 64
        if self._listed > MOST_LISTED:
            raise RefusedError("the list of files does not end")
        self._blocks.append(block)
        self.work.add(self._expand(block))

    def leave(self, name: str) -> None:
        """Note that a file stays behind.

        Raises:
            RefusedError: it is the root itself.
        """
        if name == ".":
            raise RefusedError("it cannot be read to its end")
        with self._leaving:
            self.left.append(name)

    def seal(self) -> None:
        """Make the links, then give folders their mode and time."""
        for entry in self._entries():
            if entry.kind == "link":
                self.landing.link(entry)
        folders = [entry for entry in self._entries() if entry.kind == "folder"]
        for entry in reversed(folders):
            self.landing.settle(entry)

    def remove_others(self) -> None:
        """Remove what an earlier attempt brought and is there no more.

        What is here and what was listed are walked over side by side: both come in the same order.
        """
        listed = map(_order, self._entries())
        wanted = next(listed, None)
        others: list[str] = []
        for entry in walk(str(self._place), others.append):
            while wanted is not None and wanted < _order(entry):
                wanted = next(listed, None)
            if wanted != _order(entry):
                others.append(entry.name)
        for name in others:
            self.landing.remove(name)

    def _expand(self, block: bytes) -> Iterator[Item]:
        batch: list[Entry] = []
        weight = 0
        for entry in unpack_block(block):
            self._guard.check(entry)
            if entry.kind == "folder":
                self.landing.folder(entry.name)
            elif entry.kind == "file" and (not self._wants(entry) or is_here(self.landing, entry)):
                self.counting.add(entry.size)
            elif entry.kind == "file" and entry.size > LARGE:
                yield from Download(self, entry).items()
            elif entry.kind == "file":
                batch.append(entry)
                weight += entry.size
            if weight >= _BATCH_BYTES or len(batch) >= _BATCH_FILES:
                yield Files(self, batch, weight)
                batch, weight = [], 0
        if batch:
            yield Files(self, batch, weight)

    def _entries(self) -> Iterator[Entry]:
        for block in self._blocks:
            yield from unpack_block(block)


@dataclass(slots=True)
class Listing:
    """Asks what is there."""

    pull: Pull
    weight: int = 0

    def ask(self) -> Question:
        """Ask."""
        return LIST, None, b""

    def answer(self, frame: Frame) -> bool:
        """Keep a block, or, at the end, the names of what stays behind."""
        if frame.kind == LISTED:
            self.pull.add_block(frame.body)
            return False
        told = json.loads(inflate(frame.body, MOST_TOLD))
        if not isinstance(told, list) or not all(isinstance(name, str) for name in told):
            raise RefusedError("what stays behind are no names")
        for name in told:
            self.pull.leave(name)
        if type(frame.words) is int and 0 <= frame.words <= MOST_BYTES:
            self.pull.counting.total = frame.words
        return True


@dataclass(slots=True)
class Files:
    """Asks for small files, several at once."""

    pull: Pull
    entries: Sequence[Entry]
    weight: int

    def ask(self) -> Question:
        """Name them, with the most that each may have."""
        return GET, [[entry.name for entry in self.entries], [entry.size for entry in self.entries]], b""

    def answer(self, frame: Frame) -> bool:
        """Put them in their places."""
        sizes: list[Any] = frame.words
        if frame.kind != DONE or len(sizes) != len(self.entries):
            raise RefusedError("the machine answers what nobody asked")
        content = memoryview(frame.body)
        for entry, size in zip(self.entries, sizes, strict=True):
            if size == GONE:
                self.pull.leave(entry.name)
                continue
            if type(size) is not int or not 0 <= size <= min(entry.size, len(content)):
                raise RefusedError(f"{shown(entry.name)} comes with more than it has")
            self.pull.landing.file(entry.name, entry.mode, entry.mtime_ns, [content[:size]])
            content = content[size:]
        if content:
            raise RefusedError("more content comes than files")
        self.pull.counting.add(self.weight)
        return True


def _order(entry: Entry) -> list[str]:
    return [] if entry.name == "." else entry.name.split("/")
