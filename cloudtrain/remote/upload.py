"""One large file on its way to the machine: its chunks in any order, begun anew when it changes under our hands."""

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .entry_there import Entry
from .frames_there import CHUNK, FORGET, PROVE, WHOLE, Frame
from .leaving_there import is_hole, pread_all, read_file
from .part_there import chunk_at, chunk_count, is_empty
from .work import Item

if TYPE_CHECKING:
    from .sending import Push

Question = tuple[int, object, bytes]

MOST_TRIES = 3
"""How often a file that changes is sent before it is left."""

_PROVEN_AT_ONCE = 16


class Upload:
    """Sends one file. `claimed` are runs of chunks that the machine says it has: [first, behind the last]."""

    def __init__(self, push: "Push", entry: Entry, claimed: Sequence[Sequence[int]], tries: int = 1) -> None:
        self.push = push
        self.entry = entry
        self._claimed = claimed
        self._tries = tries
        self._missing = chunk_count(entry.size)
        self._is_over = False
        self._lock = threading.Lock()

    @property
    def words(self) -> list[object]:
        """What names it to the machine."""
        return [self.entry.name, self.entry.size, self.entry.mode, self.entry.mtime_ns]

    @property
    def is_over(self) -> bool:
        """Say whether nothing more of it need travel."""
        return self._is_over

    def items(self) -> Iterator[Item]:
        """Hand out first what is surely missing, then what must be proven."""
        start = 0
        count = chunk_count(self.entry.size)
        for first, behind in [*self._claimed, (count, count)]:
            for index in range(start, first):
                yield Chunk(self, index)
            start = max(start, behind)
        for first, behind in self._claimed:
            for at in range(first, min(behind, count), _PROVEN_AT_ONCE):
                yield Proof(self, list(range(at, min(behind, count, at + _PROVEN_AT_ONCE))))

    def read(self, index: int) -> bytes | None:
        """Return a chunk; b"" for nothing but zeros, None when the file is over."""
        offset, length = chunk_at(self.entry.size, index)
        try:
            file = read_file(self.push.root, self.entry.name)
            try:
                content = bytes(length) if is_hole(file, length, offset) else pread_all(file, length, offset)
                is_same = self._is_same(os.fstat(file))
            finally:
                os.close(file)
        except OSError as error:
            self._leave(f"cannot be read: {error.strerror or error}")
            return None
        if not is_same or len(content) != length:
            self.begin_anew()
            return None
        return b"" if is_empty(content) else content

    def arrived(self, indices: Sequence[int]) -> None:
        """Note chunks that are there; after the last one, the file gets its name."""
        self.push.counting.add(sum(chunk_at(self.entry.size, index)[1] for index in indices))
        with self._lock:
            self._missing -= len(indices)
            is_whole = not self._missing and not self._is_over
        if is_whole:
            self.push.work.add(iter([Whole(self)]))

    def is_unchanged(self) -> bool:
        """Say whether the file is what it was when it was listed; it is begun anew when not."""
        try:
            is_same = self._is_same(self._stat())
        except OSError as error:
            self._leave(f"cannot be read: {error.strerror}")
            return False
        if not is_same:
            self.begin_anew()
        return is_same

    def begin_anew(self) -> None:
        """Send the file as it is by now, or leave it when it never rests."""
        if self._tries >= MOST_TRIES:
            self._leave("changed while it was read")
        elif self._end():
            try:
                info = self._stat()
            except OSError as error:
                self.push.leave(self.entry.name, f"cannot be read: {error.strerror}")
                return
            now = self.entry._replace(size=info.st_size, mode=info.st_mode & 0o777, mtime_ns=info.st_mtime_ns)
            self.push.work.add(self.push.send(now, self._tries + 1))

    def _leave(self, why: str) -> None:
        if self._end():
            self.push.leave(self.entry.name, why)

    def _end(self) -> bool:
        """Let nothing more of it travel, and have what has come removed; return False when that was so already."""
        with self._lock:
            if self._is_over:
                return False
            self._is_over = True
        self.push.work.add(iter([Forget(self)]))
        return True

    def _stat(self) -> os.stat_result:
        return (Path(self.push.root) / self.entry.name).lstat()

    def _is_same(self, info: os.stat_result) -> bool:
        return (info.st_size, info.st_mtime_ns) == (self.entry.size, self.entry.mtime_ns)


@dataclass(slots=True)
class Chunk:
    """Sends one chunk."""

    upload: Upload
    index: int

    @property
    def weight(self) -> int:
        """The chunk's size."""
        return chunk_at(self.upload.entry.size, self.index)[1]

    def ask(self) -> Question | None:
        """Read it."""
        content = None if self.upload.is_over else self.upload.read(self.index)
        return None if content is None else (CHUNK, [*self.upload.words, self.index], content)

    def answer(self, _: Frame) -> bool:
        """Note that it is there."""
        self.upload.arrived([self.index])
        return True


@dataclass(slots=True)
class Proof:
    """Has the machine read chunks again that came in an earlier attempt."""

    upload: Upload
    indices: list[int]
    weight: int = 0

    def ask(self) -> Question | None:
        """Name them."""
        return None if self.upload.is_over else (PROVE, [*self.upload.words, self.indices], b"")

    def answer(self, frame: Frame) -> bool:
        """Note those that are sound, and send the others."""
        bad = set(frame.words)
        self.upload.push.work.add(Chunk(self.upload, index) for index in sorted(bad.intersection(self.indices)))
        self.upload.arrived([index for index in self.indices if index not in bad])
        return True


@dataclass(slots=True)
class Whole:
    """Gives the file its name, unless it has changed meanwhile."""

    upload: Upload
    weight: int = 0

    def ask(self) -> Question | None:
        """Look at the file once more."""
        if self.upload.is_over or not self.upload.is_unchanged():
            return None
        return WHOLE, self.upload.words, b""

    def answer(self, _: Frame) -> bool:
        """Nothing is left to note."""
        return True


@dataclass(slots=True)
class Forget:
    """Has removed what came of a file that is not that file any more."""

    upload: Upload
    weight: int = 0

    def ask(self) -> Question:
        """Name it."""
        return FORGET, self.upload.words, b""

    def answer(self, _: Frame) -> bool:
        """Nothing is left to note."""
        return True
