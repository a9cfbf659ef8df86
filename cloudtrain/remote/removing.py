"""Remove from the machine what a file set does not have: only when somebody asks for it, never as part of a push."""

import hashlib
import json
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..model.errors import RemoteFileError, TransferError
from .crew import Crew, Line, Task
from .entry_there import RefusedError
from .failure import failure
from .fileset import FileSet
from .frames_there import LIST, LISTED, REMOVE, Frame, inflate
from .manifest_there import Guard, unpack_block
from .work import Item, Work

_MOST_TOLD = 1 << 26
_AT_ONCE = 1000


def others(line: Line, files: FileSet, destination: str) -> tuple[str, ...]:
    """Return what stands below `destination` and is not in the set: names of folders without what is in them.

    A file that stands in the set's name as another kind counts as there: a push replaces it.

    Raises:
        TransferError: it cannot be listed.
        HostUnreachableError: the line broke.
    """
    listing = _Listing(Strangers(files))
    try:
        _run(line, ["take", destination], iter([listing]))
    except RemoteFileError:
        return ()
    return tuple(listing.strangers.found)


def remove(line: Line, names: tuple[str, ...], destination: str) -> None:
    """Remove these below `destination`, folders with all that is in them; what is gone already is no error.

    Raises:
        TransferError: something could not be removed.
        HostUnreachableError: the line broke.
    """
    lots = (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
    _run(line, ["put", destination], map(_Removal, lots))


class Strangers:
    """What stands somewhere and is not in a file set, gathered name by name as a walk finds them.

    Attributes:
        found: names, of a folder without what is in it.
    """

    def __init__(self, files: FileSet) -> None:
        self.found: list[str] = []
        self._wanted = array("Q", sorted(_marks(files)))

    def look_at(self, name: str) -> None:
        """Keep a name that is not wanted."""
        if name != "." and not self._is_wanted(name) and not self._is_below_found(name):
            self.found.append(name)

    def _is_wanted(self, name: str) -> bool:
        mark = _mark(name)
        place = bisect_left(self._wanted, mark)
        return place < len(self._wanted) and self._wanted[place] == mark

    def _is_below_found(self, name: str) -> bool:
        return bool(self.found) and name.startswith(self.found[-1] + "/")


def _marks(files: FileSet) -> Iterator[int]:
    """Hand out a mark for every name in the set and every folder above one, which come one after the other there."""
    open_folders: list[str] = []
    for entry in files.entries:
        yield _mark(entry.name)
        parents = entry.name.split("/")[:-1]
        if parents != open_folders:
            open_folders = parents
            yield from (_mark("/".join(parents[:end])) for end in range(1, len(parents) + 1))


def _mark(name: str) -> int:
    """Return eight bytes that stand for a name: of a million names, two share one in a chance of thirty million to one.

    Then something stays on the machine that might have been removed; nothing is ever removed that is wanted.
    """
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest(), "big")


def _run(line: Line, order: list[str], items: Iterator[Item]) -> None:
    work = Work(items)
    try:
        with Crew(line, Task(order, 0, _refuse), work) as crew:
            crew.run(_nothing, _nothing)
    except RefusedError as error:
        raise TransferError(f"The machine cannot be cleared: {error}") from error


def _nothing() -> int:
    return 0


def _refuse(frame: Frame) -> Exception:
    why, is_absent = failure(frame)
    if is_absent:
        return RemoteFileError("It is not there")
    return TransferError(f"The machine cannot be cleared: {why}")


@dataclass(slots=True)
class _Listing:
    """Asks what is there, and keeps the names that are not wanted."""

    strangers: Strangers
    guard: Guard = field(default_factory=Guard)
    weight: int = 0

    def ask(self) -> tuple[int, object, bytes]:
        return LIST, None, b""

    def answer(self, frame: Frame) -> bool:
        if frame.kind == LISTED:
            for entry in unpack_block(frame.body):
                self.guard.check(entry)
                self.strangers.look_at(entry.name)
            return False
        told = json.loads(inflate(frame.body, _MOST_TOLD))
        if not isinstance(told, list) or not all(isinstance(name, str) for name in told):
            raise RefusedError("what it leaves out are no names")
        for name in told:  # sockets and the like, and links that lead out
            self.strangers.look_at(name)
        return True


@dataclass(slots=True)
class _Removal:
    """Has names removed."""

    names: tuple[str, ...]
    weight: int = 0

    def ask(self) -> tuple[int, object, bytes]:
        return REMOVE, list(self.names), b""

    def answer(self, _: Frame) -> bool:
        return True
