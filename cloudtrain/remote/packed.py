"""Many entries in little room: packed in blocks as a transfer sends them, and made anew whenever somebody looks at them."""

import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, overload

from .entry_there import Entry
from .manifest_there import blocks, unpack_block


class FileEntry(NamedTuple):
    """One file, folder or link.

    Attributes:
        name: relative to the set's root, with forward slashes.
        size: bytes; 0 for folders and links.
        kind: "file", "folder" (only empty folders and chosen ones need naming) or "link".
    """

    name: str
    size: int = 0
    kind: str = "file"


@dataclass(slots=True)
class Found:
    """How much there is of what is still being looked for, bytes: for another thread to see."""

    bytes: int = 0


class PackedBlock(NamedTuple):
    """A part of the entries as a transfer sends it.

    Attributes:
        length, size: how many entries there are, and bytes in them.
        has_others: not all of them are files.
    """

    content: bytes
    length: int
    size: int
    has_others: bool


class PackedEntries(Sequence[FileEntry]):
    """A sequence that is never changed, in which a million names take some tens of megabytes.

    While it is made, `found` says how much has been found.

    Attributes:
        total_bytes: the sum of the files' sizes.
        seen_at: when the first of them was looked at, seconds of `time.monotonic`.
        blocks: all of them, each with mode and time, as it was seen.
    """

    def __init__(self, entries: Iterable[Entry], found: Found | None = None) -> None:
        self.seen_at = time.monotonic()
        self.blocks: list[PackedBlock] = []
        self.total_bytes = 0
        self._starts: list[int] = []
        self._count = 0
        for lot, content in blocks(entries):
            size = sum([entry.size for entry in lot])
            self.blocks.append(PackedBlock(content, len(lot), size, any(entry.kind != "file" for entry in lot)))
            self._starts.append(self._count)
            self._count += len(lot)
            self.total_bytes += size
            if found is not None:
                found.bytes = self.total_bytes

    def whole(self) -> Iterator[Entry]:
        """Hand out all of them with mode and time."""
        for block in self.blocks:
            yield from unpack_block(block.content)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[FileEntry]:
        return map(_in_short, self.whole())

    @overload
    def __getitem__(self, index: int) -> FileEntry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[FileEntry]: ...
    def __getitem__(self, index: int | slice) -> FileEntry | Sequence[FileEntry]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        number = index + self._count if index < 0 else index
        if not 0 <= number < self._count:
            raise IndexError(index)
        block = bisect_right(self._starts, number) - 1
        return _in_short(next(islice(unpack_block(self.blocks[block].content), number - self._starts[block], None)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as of every sequence that is equal to a list


def _in_short(entry: Entry) -> FileEntry:
    return FileEntry(entry.name, entry.size, entry.kind)
