"""Whether this computer's cores have time to spare."""

import time
from collections.abc import Callable
from pathlib import Path

_SPAN_S = 0.5


class Cores:
    """Watches them over the last moments. `source` is what Linux tells of them; elsewhere nobody does."""

    def __init__(self, source: Path = Path("/proc/stat"), now: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._now = now
        self._began, self._before = now(), self._read()
        self._idle: float | None = None

    def idle(self) -> float | None:
        """Return the share of all cores' time that nobody used, renewed twice a second; None while it is unknown."""
        if self._before is not None and self._now() - self._began >= _SPAN_S:
            after = self._read()
            if after is not None and after[1] > self._before[1]:
                self._idle = (after[0] - self._before[0]) / (after[1] - self._before[1])
            self._began, self._before = self._now(), after
        return self._idle

    def _read(self) -> tuple[int, int] | None:
        """Return (idle, all), ticks since the start."""
        try:
            with self._source.open(encoding="ascii") as file:
                ticks = [int(word) for word in file.readline().split()[1:9]]
        except (OSError, ValueError):
            return None
        return (ticks[3] + ticks[4], sum(ticks)) if len(ticks) > 4 else None
