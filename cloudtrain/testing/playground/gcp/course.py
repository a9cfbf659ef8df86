"""A change in stages: each is there for whoever looks, lasts its time on the cloud's clock, and the next one follows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..timeline import Timeline, Timer
from .errors import Failure, OperationFailedError

UNSEEN_S = 5.0
"""A stage that nobody looks at lasts this much longer; one that was seen may end."""


@dataclass(frozen=True, slots=True)
class Step:
    """A stage: it lasts so long, and then something happens, which may raise `OperationFailedError` to end it all."""

    seconds: float
    action: Callable[[], None] = lambda: None


class Course:
    """Goes through steps. Called with the cloud's lock held."""

    def __init__(
        self, timeline: Timeline, steps: Sequence[Step], on_step: Callable[[], None], on_end: Callable[[Failure | None], None]
    ) -> None:
        """Call `on_step` when a further stage begins, and `on_end` with what went wrong, or None."""
        self._timeline, self._steps = timeline, list(steps)
        self._on_step, self._on_end = on_step, on_end
        self._timer: Timer | None = None
        self._ready: datetime = timeline.now()

    def begin(self) -> None:
        """Enter the first stage."""
        self._ready = self._timeline.now() + timedelta(seconds=self._steps[0].seconds)
        self._timer = self._timeline.after(self._steps[0].seconds + UNSEEN_S, self._next)

    def seen(self) -> None:
        """Let the present stage end when its time has come, because somebody has seen it."""
        if self._timer is not None:
            self._timer.due = min(self._timer.due, self._ready)

    def hurry(self) -> None:
        """Go through all stages whose time has come, seen or not."""
        while self._timer is not None and self._ready <= self._timeline.now():
            self._timeline.cancel(self._timer)
            self._next()

    def cancel(self, failure: Failure | None = None) -> None:
        """End it where it is."""
        if self._timer is not None:
            self._timeline.cancel(self._timer)
            self._timer = None
            self._on_end(failure)

    def _next(self) -> None:
        self._timer = None
        try:
            self._steps.pop(0).action()
        except OperationFailedError as error:
            self._on_end(error.failure)
            return
        if self._steps:
            self._on_step()
            self.begin()
        else:
            self._on_end(None)
