# This file also runs on the machine, on Python 3.8, whose zip knows no strict=.
# ruff: noqa: B905
"""Say in blocks what stands in a tree, and check every word of it when somebody else says it.

Standard library only, Python 3.8 or newer; its source travels to the machine. A block is one JSON list of columns, deflated:
a million names of usual length are some twenty megabytes of blocks, so blocks are kept and entries are not.
"""

from __future__ import annotations

import json
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from itertools import accumulate
from operator import sub
from typing import NamedTuple

from .entry_there import Entry, RefusedError, shown, stays_inside
from .frames_there import MOST_BODY, inflate

MOST_BYTES = 1 << 42
MOST_FILES = 4_000_000

# What a machine says of each entry that it is told of.
HAVE, SEND, SAME_SECOND, TOUCH_ONLY = range(4)

_ENTRIES_PER_BLOCK = 2048
_NAME_BYTES_PER_BLOCK = 1 << 19
_NO_NAMES = frozenset(("", ".", ".."))
_LONGEST_NAME = 4096
_DEEPEST = 256
LATEST_NS = (1 << 35) * 10**9
_KINDS = {"f": "file", "d": "folder", "l": "link"}


def blocks(entries: Iterable[Entry]) -> Iterator[tuple[list[Entry], bytes]]:
    """Hand out the entries in lots, each with its block."""
    lot: list[Entry] = []
    weight = 0
    for entry in entries:
        lot.append(entry)
        weight += len(entry.name) + len(entry.target)
        if len(lot) >= _ENTRIES_PER_BLOCK or weight >= _NAME_BYTES_PER_BLOCK:
            yield lot, pack_block(lot)
            lot, weight = [], 0
    if lot:
        yield lot, pack_block(lot)


def pack_block(entries: list[Entry]) -> bytes:
    """Return entries as a block. Of times, which lie close together, each says how far it is from the one before."""
    mtimes = [entry.mtime_ns for entry in entries]
    kinds = "".join("d" if entry.kind == "folder" else entry.kind[0] for entry in entries)
    columns = [
        [entry.name for entry in entries],
        kinds,
        [entry.size for entry in entries],
        [entry.mode for entry in entries],
        [*mtimes[:1], *map(sub, mtimes[1:], mtimes)],
        {str(index): entry.target for index, entry in enumerate(entries) if entry.target},
    ]
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode(), 1)


class Columns(NamedTuple):
    """A block's entries side by side; `kinds` has one letter for each, `targets` is told by the entry's number."""

    names: list[str]
    kinds: str
    sizes: list[int]
    modes: list[int]
    mtimes: list[int]
    targets: dict[str, str]

    def entry(self, index: int) -> Entry:
        """Return one of them."""
        kind = self.kinds[index]
        target = self.targets.get(str(index), "") if kind == "l" else ""
        return Entry(self.names[index], _KINDS[kind], self.sizes[index], self.modes[index] & 0o777, self.mtimes[index], target)


def unpack_columns(block: bytes) -> Columns:
    """Return a block's entries, each well-formed in itself.

    Raises:
        RefusedError: one is not, or the block is none.
    """
    try:
        columns = Columns(*json.loads(inflate(block, MOST_BODY)))
        names, kinds, sizes, modes, mtimes, targets = columns
        counts = {len(names), len(kinds), len(sizes), len(modes), len(mtimes)}
        texts, numbers = {*map(type, names), *map(type, targets.values()), type(kinds)}, set(map(type, sizes + modes + mtimes))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedError("the list of files is damaged") from error
    # A bool is a number to Python, and is none here.
    if len(counts) != 1 or texts - {str} or numbers - {int} or not _KINDS.keys() >= set(kinds):
        raise RefusedError("the list of files is damaged")
    columns = columns._replace(mtimes=list(accumulate(mtimes)))
    _refuse_impossible(columns)
    return columns


def unpack_block(block: bytes) -> Iterator[Entry]:
    """Hand out a block's entries. Raises RefusedError as `unpack_columns` does."""
    columns = unpack_columns(block)
    names, kinds, sizes, modes, mtimes, targets = columns
    for index, (name, kind, size, mode, mtime_ns) in enumerate(zip(names, kinds, sizes, modes, mtimes)):
        target = targets.get(str(index), "") if kind == "l" else ""
        yield Entry(name, _KINDS[kind], size, mode & 0o777, mtime_ns, target)


def _refuse_impossible(columns: Columns) -> None:
    names, kinds, sizes, _, mtimes, _ = columns
    if not names:
        return
    # The columns first: at the speed of the interpreter's own loops, and they hardly ever fail.
    if min(sizes) < 0 or max(sizes) > MOST_BYTES or kinds.strip("f"):
        for name, kind, size in zip(names, kinds, sizes):
            if not 0 <= size <= MOST_BYTES or (size and kind != "f"):
                raise RefusedError(f"{shown(name)} says an impossible size")
    if min(mtimes) <= -LATEST_NS or max(mtimes) >= LATEST_NS:
        raise RefusedError(f"{shown(names[mtimes.index(max(mtimes, key=abs))])} says an impossible time")


def check_name(name: object) -> list[str]:
    """Return a name's parts; "." has none.

    Raises:
        RefusedError: it leaves its folder.
    """
    if not isinstance(name, str):
        raise RefusedError("the stream is damaged: a name is no text")
    if name == ".":
        return []
    parts = name.split("/")
    if not _NO_NAMES.isdisjoint(parts) or "\0" in name:
        raise RefusedError(f"the name {shown(name)} leaves its folder")
    if len(name) > _LONGEST_NAME or len(parts) > _DEEPEST:
        raise RefusedError(f"the name {shown(name)} is too long")
    return parts


def is_beside(name: str, folder: str) -> bool:
    """Say whether a name is a plain one in this folder, which was checked: what `check_name` says, in less time."""
    parent, _, last = name.rpartition("/")
    return parent == folder and last not in _NO_NAMES and "\0" not in last and len(name) <= _LONGEST_NAME


class Guard:
    """Refuse what may not come, whoever sent it: every name is new, plain, and stands in a folder that came before it.

    The names must come as a walk does: the root as ".", then part by part in order, so that nothing has to be remembered but
    the folders that are open. On a disk that folds names, two that mean the same file there are refused.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES, *, names_fold: bool = False) -> None:
        self._bytes_left = most_bytes
        self._files_left = most_files
        self._last: list[str] | None = None
        self._open: list[str] | None = None
        self._folded: list[set[str]] | None = [] if names_fold else None

    def check(self, entry: Entry) -> None:
        """Raise RefusedError for an entry that may not come."""
        parts = check_name(entry.name)
        if (self._last is None) != (not parts) or (self._last is not None and not parts > self._last):
            raise RefusedError(f"{shown(entry.name)} comes twice, or not in its turn")
        self._last = parts
        self._enter(entry, parts)
        if entry.kind == "link" and (not parts or not stays_inside(entry.name, entry.target)):
            raise RefusedError(f"the link {shown(entry.name)} leaves its folder: it points to {shown(entry.target)}")
        self._bytes_left -= entry.size
        self._files_left -= 1
        if self._bytes_left < 0:
            raise RefusedError("more bytes would come than may come")
        if self._files_left < 0:
            raise RefusedError("more files would come than may come")

    def _enter(self, entry: Entry, parts: list[str]) -> None:
        parent = parts[:-1]
        if parts and (self._open is None or self._open[: len(parent)] != parent):
            raise RefusedError(f"{shown(entry.name)} stands below what is no folder")
        if parts:
            self._open = parent
        if self._folded is not None and parts:
            self._refuse_double(entry.name, parts, self._folded)
        if entry.kind == "folder":
            self._open = parts

    def _refuse_double(self, name: str, parts: list[str], folded: list[set[str]]) -> None:
        del folded[len(parts) :]
        while len(folded) < len(parts):
            folded.append(set())
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", parts[-1]).casefold())
        if key in folded[len(parts) - 1]:
            raise RefusedError(f"{shown(name)} and another name are the same on this disk")
        folded[len(parts) - 1].add(key)
