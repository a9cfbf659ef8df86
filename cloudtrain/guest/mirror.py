"""While a job runs: its outputs' finished files are copied to its place in object storage. Nothing of it disturbs the job."""

from __future__ import annotations

import os
import queue
import threading
import time
from typing import Any, Callable, Mapping, Sequence

from .errors import GuestError
from .folder import PART_BYTES, ChangedError, Folder, folder_at
from .line import BrokenLineError
from .outputs import Checkpoints, Mark, files_of, mark_of

EVERY_S = 60.0
"""Seconds between two looks. A file counts as finished when two looks find it alike."""

HURRY_S = 2.0
"""Seconds between two looks when the job was asked to end."""

LAST_COPY_S = 600.0
"""How long the last copy may take, in seconds, when nobody is in a hurry."""

LAST_TRIES, LAST_PAUSE_S = 3, 3.0


class Mirror:
    """Copies from a thread of its own."""

    def __init__(
        self,
        work: str,
        checkpoints: Checkpoints,
        folder: Folder,
        wake: Callable[[], Any],
        every_s: float = EVERY_S,
        pause_s: float = LAST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a mirror of the outputs in `work`; `wake` is called in its thread when there is something to hear or see."""
        self._work = work
        self._checkpoints = checkpoints
        self._folder = folder
        self._wake = wake
        self._every_s = every_s
        self._pause_s = pause_s
        self._clock = clock
        self._copied: dict[str, Mark] = {}
        self._before: dict[str, Mark] = {}
        self._is_known = False
        self._trouble = ""
        self._unreadable: set[str] = set()
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._next = threading.Event()
        self._leave_by: float | None = None
        self._is_last = False
        self.is_done = False

    def start(self) -> None:
        """Look from now on."""
        # A daemon: a question that hangs must not keep the supervisor.
        threading.Thread(target=self._run, name="mirror", daemon=True).start()

    def leave_by(self, moment: float) -> None:
        """Be quick: the job is to end, and so is the last copy, by that time of the clock; the earliest counts."""
        self._leave_by = moment if self._leave_by is None else min(self._leave_by, moment)
        self._next.set()

    def finish(self) -> float:
        """Copy what is not copied yet: the job is over. Return until when that may take, by the clock."""
        self.leave_by(self._clock() + LAST_COPY_S)
        self._is_last = True
        self._next.set()
        return self.time_is_up_at

    @property
    def time_is_up_at(self) -> float:
        """Return when the last copy is over, whole or not, by the clock."""
        return float("inf") if self._leave_by is None else self._leave_by

    def words(self) -> list[str]:
        """Return what happened since this was asked last, for the job's log."""
        said = []
        while not self._words.empty():
            said.append(self._words.get())
        return said

    def look(self) -> None:
        """Copy what has changed and is finished."""
        found = files_of(self._work, self._checkpoints.outputs)
        finished = {name: mark for name, mark in found.items() if self._before.get(name) == mark}
        self._before = found
        self._copy(finished)

    def last_look(self) -> None:
        """Copy all that has changed: nobody writes any more. What fails is tried again while there is time."""
        for attempt in range(1, LAST_TRIES + 1):
            may_help = self._copy(files_of(self._work, self._checkpoints.outputs))
            if not may_help or self._is_too_late() or attempt == LAST_TRIES:
                break
            self._next.clear()
            self._next.wait(min(self._pause_s, max(0.0, self.time_is_up_at - self._clock())))
        left = [
            name for name, mark in files_of(self._work, self._checkpoints.outputs).items() if self._copied.get(name) != mark
        ]
        if left:
            self._say(
                f"{len(left)} of the outputs' files are not in {self._checkpoints.url} as they are now, {left[0]} among them"
            )

    def _run(self) -> None:
        while not self._is_last:
            self._next.clear()
            self._guarded(self.look)
            if not self._is_last:
                self._next.wait(self._every_s if self._leave_by is None else min(self._every_s, HURRY_S))
        self._guarded(self.last_look)
        self.is_done = True
        self._wake()

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # whatever it is, it is nothing to the job
            self._fail(f"{type(error).__name__}: {error}")

    def _copy(self, files: Mapping[str, Mark]) -> bool:
        """Copy what is not there yet, the oldest first: what names others is written after them. Say whether to try again."""
        try:
            self._learn()
            due = sorted(
                (name for name, mark in files.items() if self._copied.get(name) != mark), key=lambda name: files[name][1]
            )
            together: list[str] = []
            for name in due:
                if files[name][0] <= PART_BYTES:
                    together.append(name)
                    continue
                self._copy_small(together)
                together = []
                self._put_large(name)
            self._copy_small(together)
        except (GuestError, BrokenLineError) as error:
            self._fail(str(error))
            return isinstance(error, BrokenLineError)
        self._recover()
        return False

    def _learn(self) -> None:
        """Find out once what is there already: what was restored, or carried over, needs no copying."""
        if self._is_known:
            return
        found = files_of(self._work, self._checkpoints.outputs)
        for stored in self._folder.names():
            size, changed_ns = found.get(stored.name, (-1, 0))
            if size == stored.size and changed_ns <= stored.at * 1e9:
                self._copied[stored.name] = (size, changed_ns)
        self._is_known = True

    def _copy_small(self, names: Sequence[str]) -> None:
        self._folder.for_each(self._put_small, names)

    def _put_small(self, name: str) -> None:
        if self._is_too_late():
            raise GuestError("there was no time left to copy it")
        self._put(name, self._folder.put_whole)

    def _put_large(self, name: str) -> None:
        self._put(name, lambda name, path: self._folder.put_in_parts(name, path, self._is_too_late))

    def _put(self, name: str, put: Callable[[str, str], None]) -> None:
        path = os.path.join(self._work, name)
        mark = mark_of(path)
        try:
            put(name, path)
        except (ChangedError, FileNotFoundError):
            return  # it is not finished, or gone: the next look will tell
        except OSError as error:
            if name not in self._unreadable:
                self._unreadable.add(name)
                self._say(f"{name} cannot be read, and is not copied to {self._checkpoints.url}: {error.strerror}")
            return
        if mark is not None:
            self._copied[name] = mark

    def _is_too_late(self) -> bool:
        return self._clock() >= self.time_is_up_at

    def _fail(self, why: str) -> None:
        if not self._trouble:
            self._say(f"the outputs could not be copied to {self._checkpoints.url}: {why}; it is tried again")
        self._trouble = why

    def _recover(self) -> None:
        if self._trouble:
            self._say(f"the outputs are copied to {self._checkpoints.url} again")
        self._trouble = ""

    def _say(self, text: str) -> None:
        self._words.put(text)
        self._wake()


def of_job(work: str, checkpoints: Checkpoints, environ: Mapping[str, str], wake: Callable[[], Any]) -> Mirror:
    """Return a mirror that reaches the place with what the machine itself may.

    Raises:
        GuestError: the address is none.
    """
    return Mirror(work, checkpoints, folder_at(checkpoints.url, checkpoints.region, environ), wake)
