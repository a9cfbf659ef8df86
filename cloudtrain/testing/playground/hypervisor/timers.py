"""The hypervisor's clock, which can be moved on, and what is to happen on it."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(order=True, slots=True)
class _Timer:
    at: float
    number: int
    owner: str = field(compare=False)
    action: Callable[[], None] = field(compare=False)


class Timers:
    """Real time plus all that `advance` added. What comes due by itself happens in a thread of its own."""

    def __init__(self) -> None:
        """Start the clock."""
        self._ahead_s = 0.0
        self._timers: list[_Timer] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._watch, name="hypervisor timers", daemon=True)
        self._thread.start()

    def now(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic() + self._ahead_s

    def set(self, owner: str, delay_s: float, action: Callable[[], None]) -> None:
        """Let something happen after so many seconds."""
        with self._changed:
            heapq.heappush(self._timers, _Timer(self.now() + delay_s, next(self._numbers), owner, action))
            self._changed.notify()

    def cancel(self, owner: str) -> None:
        """Forget all that an owner has set."""
        with self._changed:
            self._timers = [timer for timer in self._timers if timer.owner != owner]
            heapq.heapify(self._timers)

    def advance(self, seconds: float) -> None:
        """Move the clock on; return when all that came due by that has happened, in its order.

        Raises:
            ValueError: time does not go back.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        with self._changed:
            self._ahead_s += seconds
        while timer := self._pop_due():
            timer.action()
        with self._changed:
            self._changed.notify()

    def close(self) -> None:
        """Let nothing more happen."""
        with self._changed:
            self._is_closed = True
            self._timers.clear()
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._is_closed:
                    return
                wait_s = self._timers[0].at - self.now() if self._timers else None
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
            if timer := self._pop_due():
                threading.Thread(target=timer.action, name="hypervisor timer", daemon=True).start()

    def _pop_due(self) -> _Timer | None:
        with self._changed:
            if self._timers and self._timers[0].at <= self.now():
                return heapq.heappop(self._timers)
            return None
