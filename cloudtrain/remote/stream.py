"""One agent at work: threads that ask, a thread that hears the answers, and what is under way between them."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..model.errors import CloudtrainError, TransferError
from .entry_there import RefusedError
from .frames_there import BEAT, DONE, FAILED, HELLO, LISTED, PING, PONG, Frame, encode, squeezed
from .press import Press, Ticket
from .wire import Wire
from .work import Item, Work

_PINGS = 5
_MOST_ITEMS = 48
_FIRST_UNDER_WAY = 4 << 20
_AHEAD_S = 0.5
_SLACK_S = 0.2


class Asked(NamedTuple):
    """What is under way: a question, its bytes on the line, how the press has it sent, and when it was asked, seconds."""

    item: Item
    sent: int
    ticket: Ticket
    at: float


class Stream:
    """Carries a work's items over one wire until there are no more.

    Attributes:
        is_ready: the agent has spoken.
        rtt_s: the shortest time an answer took, to a ping or a question; None until there are two of them, or one that had
            no content in its way.
        cores: how many the machine has.
        is_vacant: nothing stood there before, as the agent says that was told to expect something.
        busy_s: how long the agent says it worked on what it was given.
        carried: bytes on the line that were answered for, either way.
        arrived: bytes of content that were, as they are when nothing is squeezed.
        is_called: it is to take part; until then it is there in case it will be.
        horizon_s: how long all that is left will take, for a stream that the others shall not have to wait for.
        error: why the wire broke, if it did.
    """

    def __init__(self, wire: Wire, work: Work, press: Press, most_under_way: int, refuse: Callable[[Frame], Exception]) -> None:
        self.is_ready = False
        self.rtt_s: float | None = None
        self._first_rtt_s: float | None = None
        self._heard_at = math.inf
        self.cores = 1
        self.is_vacant = False
        self.busy_s = 0.0
        self.carried = 0
        self.arrived = 0
        self.is_called = False
        self.horizon_s: float | None = None
        self.error: Exception | None = None
        self._wire = wire
        self._work = work
        self._refuse = refuse
        self._press = press
        self._most = most_under_way
        self._allowed = min(most_under_way, _FIRST_UNDER_WAY)
        self._in_order = threading.Lock()
        self._under_way: deque[Asked] = deque()
        self._weight = 0
        self._arrivals: deque[tuple[float, int]] = deque()
        self._usual = 0
        self._pings = 0
        self._is_ping_due = self._has_clear_way = False
        self._threads: list[threading.Thread] = []

    def start(self, opening: Sequence[bytes]) -> None:
        """Send the agent over, tell it what it is for, and begin."""
        self._threads = [
            threading.Thread(target=self._begin, args=(opening,), daemon=True),
            threading.Thread(target=self._hear, daemon=True),
        ]
        for thread in self._threads[:]:
            thread.start()

    def join(self) -> None:
        """Wait until all threads have ended; the wire must have been ended before."""
        for thread in self._threads:
            thread.join()

    def _begin(self, opening: Sequence[bytes]) -> None:
        try:
            self._wire.send(opening)
        except OSError:
            return  # whoever hears the answers learns what became of the wire
        # While one waits for the line, the other reads and squeezes what comes next.
        second = threading.Thread(target=self._ask, daemon=True)
        self._threads.append(second)
        second.start()
        self._ask()

    def _ask(self) -> None:
        try:
            while (item := self._work.take(self._is_free)) is not None:
                self._ask_one(item)
        except OSError:
            return  # as above

    def _ask_one(self, item: Item) -> None:
        with self._work.changed:
            ticket = self._press.ask(item.weight)
        try:
            question = item.ask()
        except Exception as error:
            self._work.fail(error)
            return
        if question is None:
            with self._work.changed:
                self._press.lost([ticket])
            self._work.finished()
            return
        kind, words, body = question
        deflated = self._squeezed(body) if body and ticket.is_squeezed else None
        pieces = encode(kind, words, body, deflated=deflated, may_deflate=ticket.is_squeezed)
        with self._in_order:
            if self._note(item, len(body if deflated is None else deflated), ticket):
                self._wire.send(pieces)

    def _squeezed(self, body: bytes) -> bytes | None:
        """Return a body deflated; None where that makes it no smaller, or is not wanted any more when there is room for it."""
        with self._press.room:
            if not self._press.is_on:
                return None
            began, worked = time.monotonic(), time.thread_time()
            deflated = squeezed(body)
            took, at_work = time.monotonic() - began, time.thread_time() - worked
        with self._work.changed:
            self._press.squeezed(len(body), took, at_work)
        return deflated

    def _note(self, item: Item, sent: int, ticket: Ticket) -> bool:
        """Note that a question is about to be sent; return False, and give it back, where the wire is broken."""
        with self._work.changed:
            if self.error is not None:
                self._press.lost([ticket])
                self._work.give_back([item])
                return False
            self._under_way.append(Asked(item, sent, ticket, time.monotonic()))
            self._weight += item.weight
        if self._is_ping_due:
            self._is_ping_due = False
            self._wire.send(encode(PING, time.monotonic()))
        return True

    def _is_free(self) -> bool:
        """Say whether another item may be asked for: two are always under way, but for what would keep the others waiting."""
        if self.error is not None or not self.is_called or self._is_last_to_end():
            return False
        return len(self._under_way) < 2 or (self._weight < self._allowed and len(self._under_way) < _MOST_ITEMS)

    def _is_last_to_end(self) -> bool:
        rate = self.rate()
        if self.horizon_s is None or not rate:
            return False
        return (self._weight + self._usual) / rate > self.horizon_s + _SLACK_S

    def _hear(self) -> None:
        try:
            self._wire.greet()
            while True:
                self._take(self._wire.receive())
        except (EOFError, OSError) as error:
            self._broke(error)
        except CloudtrainError as error:
            if isinstance(error, TransferError):
                self._work.fail(error)
            self._broke(error)
        except RefusedError as error:
            self._work.fail(error)
            self._broke(error)
        except Exception as error:
            # Whatever a hostile machine makes of the words ends here.
            self._work.fail(error)
            self._broke(error)

    def _take(self, frame: Frame) -> None:
        if frame.kind == BEAT:
            return
        if frame.kind in (HELLO, PONG):
            self._measure(frame)
            return
        with self._work.changed:
            item = self._under_way[0].item if self._under_way else None
        if item is None or frame.kind not in (DONE, LISTED, FAILED):
            raise RefusedError("the machine answers what nobody asked")
        if frame.kind == FAILED:
            self._work.fail(self._refuse(frame))
            return
        try:
            is_last = item.answer(frame)
        except OSError as error:
            self._work.fail(error)
            raise RefusedError("what came finds no place on this computer") from error  # and the line is not to blame
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise RefusedError("the machine's answer makes no sense") from error
        if is_last:
            self._finish(item, frame)

    def _finish(self, item: Item, frame: Frame) -> None:
        with self._work.changed:
            asked = self._under_way.popleft()
            self._weight -= item.weight
            self.carried += asked.sent + frame.carried
            self._press.answered(asked.ticket, item.weight, asked.sent + frame.carried)
            now = time.monotonic()
            if asked.at >= self._heard_at:  # else its own start is in it
                self._took(now - asked.at)
            self._allow(now, item.weight)
            if isinstance(frame.words, float) and 0 <= frame.words < 60:
                self.busy_s += frame.words
        self._work.finished()

    def rate(self) -> float:
        """Return how many bytes of content were answered for in a second of late; 0 while unknown."""
        if len(self._arrivals) < 2:
            return 0.0
        # What does not arrive slows it down as well, unless there is nothing that could.
        now = time.monotonic() if self._under_way else self._arrivals[-1][0]
        return (self.arrived - self._arrivals[0][1]) / max(1e-3, now - self._arrivals[0][0])

    def _allow(self, now: float, weight: int) -> None:
        """Let so much be under way as arrives in the next moment: what waits here for a slow line, no other stream can take."""
        self._usual = weight or self._usual
        self.arrived += weight
        self._arrivals.append((now, self.arrived))
        while len(self._arrivals) > 2 and now - self._arrivals[1][0] >= _AHEAD_S:
            self._arrivals.popleft()
        if now - self._arrivals[0][0] >= _AHEAD_S:
            self._allowed = min(self._most, int(self.rate() * ((self.rtt_s or 0.0) + _AHEAD_S)))
        else:
            self._allowed = min(self._most, max(self._allowed, _FIRST_UNDER_WAY + 2 * self.arrived))

    def _measure(self, frame: Frame) -> None:
        """Take the time of a ping, and send the next one while they are few and nothing stands in their way."""
        now = time.monotonic()
        if frame.kind == HELLO:
            self._heard_at = now
            self.cores, self.is_vacant = _facts(frame.words)
            with self._work.changed:
                self.is_ready = True
                self._work.changed.notify_all()
        elif isinstance(frame.words, float) and 0 <= now - frame.words < 60:
            self._took(now - frame.words, has_clear_way=self._has_clear_way)
        if self._pings < _PINGS:
            self._pings += 1
            # A thread that is sending sends the ping with what comes next; whoever hears must never wait to be heard.
            self._has_clear_way = not self._weight
            self._is_ping_due = not self._wire.send_if_free(encode(PING, now))
            self._has_clear_way &= not self._is_ping_due

    def _took(self, rtt_s: float, *, has_clear_way: bool = False) -> None:
        if self._first_rtt_s is None and not has_clear_way:
            self._first_rtt_s = rtt_s
        else:
            self.rtt_s = min(self.rtt_s or self._first_rtt_s or rtt_s, rtt_s)

    def _broke(self, error: Exception) -> None:
        with self._work.changed:
            self.error = error
            lost = list(self._under_way)
            self._under_way.clear()
            self._weight = 0
            self._press.lost([asked.ticket for asked in lost])
            self._work.give_back([asked.item for asked in lost])
        self._wire.end()


def _facts(words: object) -> tuple[int, bool]:
    """Return what an agent says of its machine: its cores, and whether nothing stands there; sense alone counts."""
    cores, is_vacant = words if isinstance(words, list) and len(words) == 2 else (1, False)
    return (cores if type(cores) is int else 1), is_vacant is True
