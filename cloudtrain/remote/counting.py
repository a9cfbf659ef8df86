"""Bytes that have arrived, added up by many threads and told by one."""

import threading

from .base import OnBytes


class Counting:
    """What is done of what is to do. Only `tell` calls out, and only the caller's own thread calls `tell`.

    Attributes:
        total: bytes in all; 0 while unknown.
    """

    def __init__(self, total: int, on_bytes: OnBytes | None) -> None:
        self.total = total
        self._done = 0
        self._told = -1
        self._on_bytes = on_bytes
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count some more; what is taken back is never told."""
        with self._lock:
            self._done += count

    @property
    def done(self) -> int:
        """How much has been counted, bytes."""
        return self._done

    def left(self) -> int:
        """Return how much is still to come, bytes."""
        return max(0, self.total - self._done)

    def tell(self) -> None:
        """Tell whoever wants to know, when there is something new."""
        done = min(self._done, self.total) if self.total else self._done
        if done > self._told and self._on_bytes is not None:
            self._told = done
            self._on_bytes(done, self.total)

    def finish(self) -> None:
        """Tell that all is done, whatever was counted on the way."""
        self._done = self.total
        self._told = min(self._told, self.total - 1)
        self.tell()
