"""Time as a thing that can be handed in, so that no test waits for it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time of day, a stopwatch, and patience."""

    def now(self) -> datetime:
        """Return the time of day: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
