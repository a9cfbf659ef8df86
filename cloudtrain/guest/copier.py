"""What a supervisor has to do with the copying of its job's outputs: begin it, hear of it, give it time at the end."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Callable

from .errors import GuestError
from .job import Job

if TYPE_CHECKING:
    from .mirror import Mirror

AFTER_GRACE_S = 10.0
"""How long after the grace of a job that was asked to end its outputs may still be copied, in seconds."""

_LOOK_S = 15.0  # how often the clock on the wall is compared while nothing happens


class Copier:
    """Copies a job's outputs where its order names a place for them; else does nothing."""

    def __init__(self, job: Job, say: Callable[[str], Any], wake: Callable[[], Any]) -> None:
        """Write to the job's log with `say`; have the supervisor listen with `wake`, from any thread."""
        self._job = job
        self._say = say
        self._wake = wake
        self._mirror: Mirror | None = None

    @property
    def is_at_work(self) -> bool:
        """Say whether anything is copied."""
        return self._mirror is not None

    def begin(self) -> None:
        """Copy from now on."""
        if self._job.checkpoints is None:
            return
        try:
            from . import mirror  # costs the start of a job that has nothing to copy

            self._mirror = mirror.of_job(self._job.work, self._job.checkpoints, {**os.environ, **self._job.env}, self._wake)
        except (GuestError, ImportError) as error:  # a Python without TLS must not cost the job
            self._say(f"the outputs are copied nowhere: {error}")
            return
        self._mirror.start()

    def hear(self) -> None:
        """Put what there is to tell into the job's log."""
        for text in self._mirror.words() if self._mirror is not None else ():
            self._say(text)

    def hurry(self, grace_s: float) -> None:
        """Look often from now on, and be done soon after the job's grace: it was asked to end."""
        if self._mirror is not None:
            self._mirror.leave_by(time.monotonic() + grace_s + AFTER_GRACE_S)

    def finish(self, remaining_s: Callable[[], float | None], listen: Callable[[float], Any]) -> None:
        """Copy what is left, now that the job is over, as long as there is time; `listen` hears the supervisor's signals.

        `remaining_s` gives the seconds to the job's deadline.
        """
        if self._mirror is None:
            return
        self._mirror.finish()
        while not self._mirror.is_done and time.monotonic() < self._mirror.time_is_up_at:
            remaining = remaining_s()
            if remaining is not None and remaining <= 0:
                self.hurry(self._job.grace_s)
                remaining = None
            listen(min(_LOOK_S, self._mirror.time_is_up_at - time.monotonic(), _LOOK_S if remaining is None else remaining))
        self.hear()
