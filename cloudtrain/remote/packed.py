"""Many entries in little room: packed in blocks, and made anew whenever somebody looks at them."""

import os
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, overload

_PER_BLOCK = 2048
_KINDS = ("file", "folder", "link")


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


class PackedEntries(Sequence[FileEntry]):
    """A sequence that is never changed, in which a million names take some ten megabytes.

    Attributes:
        total_bytes: the sum of the files' sizes.
    """

    def __init__(self, entries: Iterable[FileEntry]) -> None:
        self._blocks: list[bytes] = []
        self._starts: list[int] = []
        self._count = 0
        self.total_bytes = 0
        source = iter(entries)
        while block := list(islice(source, _PER_BLOCK)):
            self._blocks.append(_pack(block))
            self._starts.append(self._count)
            self._count += len(block)
            self.total_bytes += sum(entry.size for entry in block)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[FileEntry]:
        for block in self._blocks:
            yield from _unpack(block)

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
        return next(islice(_unpack(self._blocks[block]), number - self._starts[block], None))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as of every sequence that is equal to a list


def _pack(block: list[FileEntry]) -> bytes:
    names = os.fsencode("\0".join([entry.name for entry in block]))
    sizes = array("q", [len(block), *[entry.size for entry in block]])
    kinds = bytes([_KINDS.index(entry.kind) for entry in block])
    return zlib.compress(sizes.tobytes() + kinds + names, 1)


def _unpack(block: bytes) -> Iterator[FileEntry]:
    plain = memoryview(zlib.decompress(block))
    count = plain[:8].cast("q")[0]
    sizes, kinds = plain[8 : 8 + 8 * count].cast("q"), plain[8 + 8 * count : 8 + 9 * count]
    names = os.fsdecode(bytes(plain[8 + 9 * count :])).split("\0")
    return map(FileEntry, names, sizes, [_KINDS[kind] for kind in kinds])
