"""Bring files to a machine and back: at the line's speed, from where it broke, and never half.

One agent at the other end of each stream, our own source sent over the line, answers what this side asks; so this side alone
decides what is written and under which name. What it asks is in `sending` and `fetching`; who asks is in `crew`.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ..model.errors import RemoteFileError, TransferError
from .arrival import growing, staged
from .base import OnBytes
from .counting import Counting
from .crew import Crew, Line, Task
from .entry_there import Entry, shown
from .expecting import ExpectedPush
from .failure import failure
from .fetching import Pull
from .fileset import FileSet
from .frames_there import Frame
from .manifest_there import Guard

_MOST_ASKED_AHEAD = 6 << 20


def push(line: Line, files: FileSet, destination: str, on_bytes: OnBytes | None = None) -> None:
    """Bring files below `destination`; what is there with size and time already stays, and what has arrived is kept.

    Raises:
        TransferError: not everything arrived.
        HostUnreachableError: the line broke; calling again goes on where it was.
    """
    with closing(ExpectedPush(line, destination)) as push:
        push.carry(files, on_bytes)


def pull(
    line: Line, source: str, destination: Path, on_bytes: OnBytes | None = None, earlier: Path | None = None
) -> tuple[str, ...]:
    """Bring `source` here as `destination`, whole or not at all; return the names of what was left behind.

    Files of `earlier`, a former state of `source`, that are still the same there by size, time and mode do not travel again.

    What has come when the line breaks is kept beside `destination` under a hidden name, for the next call.

    Raises:
        RemoteFileError: there is no `source`.
        TransferError: it did not arrive whole, or was refused.
        HostUnreachableError: the line broke; calling again goes on where it was.
    """
    counting = Counting(0, on_bytes)
    key = hashlib.sha256(f"{source}\0{os.path.abspath(destination)}".encode("utf-8", "surrogateescape")).hexdigest()[:16]  # noqa: PTH100
    with staged(destination, key, earlier) as stage:
        job = Pull(stage.place, counting, Guard(names_fold=stage.names_fold))
        with Crew(line, Task(["take", source], _MOST_ASKED_AHEAD, _refuse_to_give(source)), job.work) as crew:
            crew.run(lambda: counting.left() or _MOST_ASKED_AHEAD, counting.tell)
        if stage.is_begun:
            job.remove_others()
        job.seal()
    counting.finish()
    return tuple(shown(name) for name in sorted(job.left))


def update(line: Line, source: str, place: Path, wants: Callable[[Entry], bool], on_bytes: OnBytes | None = None) -> None:
    """Add to `place`, or replace there, the files of `source` that are wanted and not there yet; nothing there is removed.

    Raises:
        RemoteFileError: there is no `source`.
        TransferError: it was refused.
        HostUnreachableError: the line broke; calling again goes on where it was.
    """
    counting = Counting(0, on_bytes)
    with growing(place) as names_fold:
        job = Pull(place, counting, Guard(names_fold=names_fold), wants)
        with Crew(line, Task(["take", source], _MOST_ASKED_AHEAD, _refuse_to_give(source)), job.work) as crew:
            crew.run(lambda: counting.left() or _MOST_ASKED_AHEAD, counting.tell)
        job.seal()


def _refuse_to_give(source: str) -> Callable[[Frame], Exception]:
    def refuse(frame: Frame) -> Exception:
        why, is_absent = failure(frame)
        if is_absent:
            return RemoteFileError(f"There is no {shown(source)}")
        return TransferError(f"{shown(source)} cannot come here: {why}", "Nothing was left half done here. Try again.")

    return refuse
