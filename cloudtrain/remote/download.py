"""One large file on its way here: its chunks in any order, begun anew when it is written over there."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .entry_there import Entry, RefusedError, shown
from .frames_there import PIECE, Frame
from .part_there import Part, chunk_at, chunk_count
from .sender_there import GONE
from .work import Item

if TYPE_CHECKING:
    from .fetching import Pull

Question = tuple[int, object, bytes]

_MOST_TRIES = 3


@dataclass(slots=True)
class Download:
    """One large file on its way here. It is begun anew when it is written over meanwhile; growing it may.

    Attributes:
        part: what has come of it.
    """

    pull: "Pull"
    entry: Entry
    tries: int = 1
    part: Part = field(init=False)
    is_over: bool = False
    _missing: int = 0
    _latest_ns: int = 0
    _has_grown: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.part = Part(self.pull.landing, self.entry)
        self._missing = chunk_count(self.entry.size)
        self._latest_ns = self.entry.mtime_ns

    def items(self) -> Iterator[Item]:
        """Hand out what is missing; what an earlier attempt brought is read again before it is believed."""
        claimed = self.part.claimed()
        had = set(claimed)
        for index in range(chunk_count(self.entry.size)):
            if index not in had:
                yield Piece(self, index)
        for index in claimed:
            yield Proof(self, index)

    def prove(self, index: int) -> None:
        """Count a chunk that is here and sound, or ask for it."""
        if self.part.prove([index]):
            self.pull.work.add(iter([Piece(self, index)]))
        else:
            self._count(index)

    def arrived(self, index: int, frame: Frame) -> None:
        """Put a chunk in its place, and after the last one the file in its own."""
        size, mtime_ns = frame.words
        if any(type(word) is not int for word in frame.words) or len(frame.body) not in (
            0,
            chunk_at(self.entry.size, index)[1],
        ):
            raise RefusedError(f"a chunk of {shown(self.entry.name)} has another size than it should")
        if self.is_over:
            return
        if size == GONE:
            self._end()
            self.pull.leave(self.entry.name)
            return
        if mtime_ns != self.entry.mtime_ns:
            self._latest_ns = mtime_ns
            self._has_grown = self._has_grown or size > self.entry.size
        self.part.write(index, frame.body, frame.digest)
        self._count(index)

    def _count(self, index: int) -> None:
        self.pull.counting.add(chunk_at(self.entry.size, index)[1])
        with self._lock:
            self._missing -= 1
            is_last = not self._missing
        if is_last:
            self._finish()

    def _finish(self) -> None:
        if self._latest_ns == self.entry.mtime_ns or self._has_grown:
            self.part.finish()
            return
        self._end()
        if self.tries >= _MOST_TRIES:
            self.pull.leave(self.entry.name)
            return
        self.pull.counting.add(-self.entry.size)
        again = Download(self.pull, self.entry._replace(mtime_ns=self._latest_ns), self.tries + 1)
        self.pull.work.add(again.items())

    def _end(self) -> None:
        self.is_over = True
        self.part.forget()


@dataclass(slots=True)
class Piece:
    """Asks for one chunk."""

    download: Download
    index: int

    @property
    def weight(self) -> int:
        """The chunk's size."""
        return chunk_at(self.download.entry.size, self.index)[1]

    def ask(self) -> Question | None:
        """Name it."""
        entry = self.download.entry
        return None if self.download.is_over else (PIECE, [entry.name, entry.size, self.index], b"")

    def answer(self, frame: Frame) -> bool:
        """Take it."""
        self.download.arrived(self.index, frame)
        return True


@dataclass(slots=True)
class Proof:
    """Reads a chunk again that came in an earlier attempt; the machine is asked nothing."""

    download: Download
    index: int
    weight: int = 0

    def ask(self) -> Question | None:
        """Read it."""
        if not self.download.is_over:
            self.download.prove(self.index)
        return None

    def answer(self, _: Frame) -> bool:
        """Nothing was asked."""
        return True
