"""This computer's time, in a module of its own because looking something up in the ledger needs no more."""

import time
from datetime import UTC, datetime


class SystemClock:
    """This computer's time."""

    def now(self) -> datetime:
        """Return the time of day, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
