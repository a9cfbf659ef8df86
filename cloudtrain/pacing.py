"""How fast something travels, when it will be there, and what the machine has cost by then."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from .model.clock import Clock
from .model.event import Event, Progress, Tell

WINDOW_S = 10.0
"""The speed is that of the last so many seconds: what was there already counts at once and says nothing of the line."""


def paced(tell: Tell, clock: Clock, files: int, usd: Callable[[], float | None]) -> Tell:
    """Return a listener that hands events on, a stage's progress in bytes with speed, time left, files in all and dollars."""
    return _Pacing(tell, clock, files, usd).tell


def meter(usd_per_hour: float | None, clock: Clock) -> Callable[[], float | None]:
    """Return what says how much a machine of that price has cost since now, USD; None without a price."""
    began = clock.monotonic()
    return lambda: usd_per_hour * (clock.monotonic() - began) / 3600 if usd_per_hour else None


class _Pacing:
    def __init__(self, tell: Tell, clock: Clock, files: int, usd: Callable[[], float | None]) -> None:
        self._tell = tell
        self._clock = clock
        self._files = files
        self._usd = usd
        self._seen: deque[tuple[float, int]] = deque()

    def tell(self, event: Event) -> None:
        if not isinstance(event, Progress) or event.unit != "bytes":
            self._tell(event)
            return
        speed = self._speed(event.done)
        left = (event.total - event.done) / speed if speed and event.total else None
        self._tell(replace(event, files=self._files, bytes_per_second=speed, seconds_left=left, usd=self._usd()))

    def _speed(self, done: int) -> float | None:
        now = self._clock.monotonic()
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()  # another file, or the same from its beginning
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW_S:
            self._seen.popleft()
        began, had = self._seen[0]
        return (done - had) / (now - began) if now > began else None
