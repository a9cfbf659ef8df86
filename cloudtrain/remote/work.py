"""What is to be done in one transfer: whichever stream is free takes the next piece, so they balance themselves."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from .entry_there import RefusedError
from .frames_there import Frame


class Item(Protocol):
    """One question to an agent. It may be asked again on another stream when the first one breaks."""

    @property
    def weight(self) -> int:
        """Bytes of content that travel with it, about."""
        ...

    def ask(self) -> tuple[int, object, bytes] | None:
        """Return the frame to send: kind, words, body; None when there is nothing to ask any more."""
        ...

    def answer(self, frame: Frame) -> bool:
        """Take an answer; return whether it was the last one."""
        ...


class Work:
    """The queue. `plan` are the first questions; answers may add more; sources are read only as fast as they are worked off.

    Whoever has no plan yet gives it later, by `begin`.

    Attributes:
        changed: notified whenever anything here changes.
        error: what went wrong for good.
    """

    def __init__(self, plan: Iterator[Item] | None = None) -> None:
        lock = threading.RLock()
        self.changed = threading.Condition(lock)
        # Of the same lock: whoever waits for the end need not look at every change.
        self._settled = threading.Condition(lock)
        self.error: Exception | None = None
        self._plan = plan
        self._sources: deque[Iterator[Item]] = deque()
        self._again: deque[Item] = deque()
        self._open = 0
        self._is_over = False
        self._plan_is_next = True

    def begin(self, plan: Iterator[Item]) -> None:
        """Give the plan to whoever waits for it."""
        with self.changed:
            self._plan = plan
            self.changed.notify_all()

    def take(self, is_free: Callable[[], bool]) -> Item | None:
        """Return the next item once there is one and the stream is free for it; None when all is over."""
        with self.changed:
            while not self._is_over and self.error is None:
                item = self._next() if is_free() else None
                if item is not None:
                    self._open += 1
                    return item
                self._tell_if_settled()
                self.changed.wait()
        return None

    def wait(self, timeout_s: float) -> None:
        """Return when nothing is left to do, when it has failed, or after so many seconds."""
        with self.changed:
            if self.error is None and not self.is_done():
                self._settled.wait(timeout_s)

    def add(self, source: Iterator[Item]) -> None:
        """Add items, read when they are wanted."""
        with self.changed:
            self._sources.append(source)
            self.changed.notify_all()

    def finished(self) -> None:
        """Note that an item is done with."""
        with self.changed:
            self._open -= 1
            self.changed.notify_all()
            self._tell_if_settled()

    def give_back(self, items: Sequence[Item]) -> None:
        """Take items back from a stream that broke."""
        with self.changed:
            self._open -= len(items)
            self._again.extend(items)
            self.changed.notify_all()

    def fail(self, error: Exception) -> None:
        """Give up; the first reason counts."""
        with self.changed:
            self.error = self.error or error
            self.changed.notify_all()
            self._tell_if_settled()

    def end(self) -> None:
        """Send everybody home."""
        with self.changed:
            self._is_over = True
            self.changed.notify_all()

    def is_done(self) -> bool:
        """Say whether nothing is left to do."""
        with self.changed:
            return not (self._open or self._plan or self._sources or self._again)

    def _tell_if_settled(self) -> None:
        if self.error is not None or self.is_done():
            self._settled.notify_all()

    def _next(self) -> Item | None:
        """Return the next item, questions of the plan and content by turns."""
        try:
            if self._again:
                return self._again.popleft()
            self._plan_is_next = not self._plan_is_next
            if self._plan_is_next or not self._sources:
                return self._from_plan() or self._from_sources()
            return self._from_sources() or self._from_plan()
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # Sources are made of what a machine answered, and it may have answered anything.
            self.error = self.error or RefusedError(f"the machine's answer makes no sense: {error}")
            return None
        except Exception as error:
            self.error = self.error or error
            return None

    def _from_plan(self) -> Item | None:
        item = next(self._plan, None) if self._plan else None
        if item is None and self._plan:
            self._plan = None
            self.changed.notify_all()
        return item

    def _from_sources(self) -> Item | None:
        while self._sources:
            item = next(self._sources[0], None)
            if item is not None:
                return item
            self._sources.popleft()
            self.changed.notify_all()
        return None
