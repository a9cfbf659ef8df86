"""What makes a pretend cloud's time pass: when it is moved on, when somebody calls, and when nobody does."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Event, RLock, Thread

from .machine import Hypervisor
from .timeline import Timeline

LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Works:
    """What a cloud does as its time passes; all of it is called with the lock held.

    Attributes:
        next_due: when the next thing happens by itself, or None.
        fire_due: lets everything happen whose time has come.
        powered_off: follows a machine whose own operating system has switched it off.
        note: writes down what went wrong by itself.
    """

    next_due: Callable[[], datetime | None]
    fire_due: Callable[[], None]
    powered_off: Callable[[str], None]
    note: Callable[[str], None]


class Clockwork:
    """Drives a cloud. Every method may be called from any thread.

    Attributes:
        lock: held while anything of the cloud is looked at or changed.
    """

    def __init__(self, works: Works, timeline: Timeline, hypervisor: Hypervisor) -> None:
        self._works, self._timeline, self._hypervisor = works, timeline, hypervisor
        self.lock = RLock()
        self._woken, self._closing = Event(), False
        self._switched_off: SimpleQueue[str] = SimpleQueue()
        self._ticker = Thread(target=self._tick, daemon=True)

    def start(self) -> None:
        """Let things happen when nobody calls, from now on."""
        self._ticker.start()

    def close(self) -> None:
        """Let nothing more happen by itself."""
        self._closing = True
        self._woken.set()
        if self._ticker.is_alive():
            self._ticker.join()

    def wake(self) -> None:
        """Look again when the next thing is due."""
        self._woken.set()

    def power_off(self, id: str) -> None:
        """Take note that a machine's own operating system has switched it off."""
        self._switched_off.put(id)
        self._woken.set()

    def advance(self, seconds: float) -> None:
        """Move the time on: everything due on the way happens in order, in the cloud and on its machines.

        Raises:
            ValueError: time does not go back.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        with self.lock:
            end = self._timeline.now() + timedelta(seconds=seconds)
            while (due := self._works.next_due()) is not None and due <= end:
                self._skip((due - self._timeline.now()).total_seconds())
                self.settle()
            self._skip((end - self._timeline.now()).total_seconds())
            self.settle()

    def settle(self) -> None:
        """Let everything happen that is due."""
        with self.lock:
            try:
                self._hear_of_power_offs()
                self._works.fire_due()
                self._hear_of_power_offs()
            except Exception:  # not the caller's fault, and the cloud must not stand still: who looks at the events is told
                self._works.note(f"broke by itself: {traceback.format_exc()}")

    def _hear_of_power_offs(self) -> None:
        while True:
            try:
                self._works.powered_off(self._switched_off.get_nowait())
            except Empty:
                return

    def _skip(self, seconds: float) -> None:
        if seconds > 0:
            self._timeline.skip(seconds)
            self._hypervisor.advance(seconds)

    def _tick(self) -> None:
        while not self._closing:
            with self.lock:
                self.settle()
                due = self._works.next_due()
                wait = LONGEST_WAIT_S if due is None else (due - self._timeline.now()).total_seconds()
            self._woken.wait(min(max(wait, 0.01), LONGEST_WAIT_S))
            self._woken.clear()
