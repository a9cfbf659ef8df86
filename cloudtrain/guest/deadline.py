"""When a job's time is up: by the clock on the wall and by one that nobody can set, whichever comes first."""

from __future__ import annotations

import time
from typing import Callable


class Deadline:
    """A moment in Unix time that no change of the clock can postpone. None never comes."""

    def __init__(
        self,
        at: float | None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at = at
        self._now = now
        self._monotonic = monotonic
        self._latest = None if at is None else monotonic() + (at - now())

    def remaining_s(self) -> float | None:
        """Return the seconds left, at most 0 when the time is up, or None when it never is."""
        if self._at is None or self._latest is None:
            return None
        # The clock that cannot be set sleeps with a sleeping machine; the one on the wall does not.
        return min(self._at - self._now(), self._latest - self._monotonic())
