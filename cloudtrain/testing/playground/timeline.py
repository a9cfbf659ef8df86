"""The pretend cloud's own time: this computer's, moved on at will, and what is to happen at which moment of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...model.clock import Clock


@dataclass(eq=False)
class Timer:
    """Something that happens once the time has come. `due` may be moved."""

    due: datetime
    action: Callable[[], None]


class Timeline:
    """A clock that can be set forward, and its timers. Not for several threads: the cloud's lock is around it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = timedelta()
        self._timers: list[Timer] = []

    def now(self) -> datetime:
        """Return the cloud's time: aware, UTC."""
        return self._clock.now() + self._offset

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Let something happen so many seconds from now."""
        return self.at(self.now() + timedelta(seconds=seconds), action)

    def at(self, due: datetime, action: Callable[[], None]) -> Timer:
        """Let something happen at a moment; one that has passed is as good as now."""
        timer = Timer(due, action)
        self._timers.append(timer)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget a timer; one that has fired is forgotten already."""
        if timer in self._timers:
            self._timers.remove(timer)

    def next_due(self) -> datetime | None:
        """Return when the next timer is due, or None."""
        return min((timer.due for timer in self._timers), default=None)

    def fire_due(self) -> None:
        """Let everything happen whose time has come, in order; what that sets up for now happens too."""
        while due := self._due():
            first = min(due, key=lambda timer: timer.due)
            self._timers.remove(first)
            first.action()

    def skip(self, seconds: float) -> None:
        """Set the clock forward without firing anything."""
        self._offset += timedelta(seconds=seconds)

    def _due(self) -> list[Timer]:
        now = self.now()
        return [timer for timer in self._timers if timer.due <= now]
