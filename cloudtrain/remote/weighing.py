"""Count and weigh what stands on a machine before any of it travels. Nothing but the counts is kept."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ..model.errors import RemoteFileError, TransferError
from .crew import Crew, Line, Task
from .entry_there import Entry, RefusedError, shown
from .failure import failure
from .frames_there import LIST, LISTED, Frame
from .manifest_there import Guard, unpack_block
from .work import Work


class Weight(NamedTuple):
    """How many files there are, and bytes in them."""

    files: int = 0
    bytes: int = 0

    def with_entry(self, entry: Entry) -> "Weight":
        """Return the weight with one more entry: only files count."""
        return Weight(self.files + 1, self.bytes + entry.size) if entry.kind == "file" else self


def weigh(line: Line, source: str) -> Weight:
    """Return how much a file or a folder is.

    Raises:
        RemoteFileError: there is no `source`.
        TransferError: it cannot be listed.
        HostUnreachableError: the line broke.
    """
    scales = _Scales()
    work = Work(iter([scales]))

    def refuse(frame: Frame) -> Exception:
        why, is_absent = failure(frame)
        if is_absent:
            return RemoteFileError(f"There is no {shown(source)}")
        return TransferError(f"{shown(source)} cannot come here: {why}")

    try:
        with Crew(line, Task(["take", source], 0, refuse), work) as crew:
            crew.run(_nothing, _nothing)
    except RefusedError as error:
        raise TransferError(f"{shown(source)} cannot be weighed: {error}") from error
    return scales.seen


def _nothing() -> int:
    return 0


@dataclass(slots=True)
class _Scales:
    """Asks what is there, and adds it up."""

    seen: Weight = field(default_factory=Weight)
    guard: Guard = field(default_factory=Guard)
    weight: int = 0

    def ask(self) -> tuple[int, object, bytes]:
        return LIST, None, b""

    def answer(self, frame: Frame) -> bool:
        if frame.kind != LISTED:
            return True
        for entry in unpack_block(frame.body):
            self.guard.check(entry)
            self.seen = self.seen.with_entry(entry)
        return False
