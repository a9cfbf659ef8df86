"""A clock that a test turns by hand."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
"""Where a clock stands when a test does not care."""


class FakeClock:
    """A clock that stands still until it is told to go on; sleeping moves it at once."""

    def __init__(self, start: datetime = NOON) -> None:
        """Begin at `start`, which must be aware.

        Raises:
            ValueError: `start` has no time zone.
        """
        if start.tzinfo is None:
            raise ValueError("a clock needs an aware time")
        self._start = start.astimezone(UTC)
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """Return the time of day: aware, UTC."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Return the seconds that passed since the beginning."""
        return self._elapsed_s

    def sleep(self, seconds: float) -> None:
        """Let the time pass without waiting for it."""
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Move the time on.

        Raises:
            ValueError: time does not go back.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        self._elapsed_s += seconds
