"""The streams of one transfer: one to begin with, more when measuring says so, fewer when they bring nothing or one breaks."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..model.errors import HostUnreachableError
from .cores import Cores
from .frames_there import Frame
from .pace import MOST_STREAMS, Pace, Seen, squeezed_to, standing_by
from .press import Press
from .stream import Stream
from .wire import Wire
from .work import Work

_TICK_S, _EARLY_TICK_S = 0.1, 0.02


class Peer(Protocol):
    """An agent that was sent for.

    Attributes:
        wire: leads to it.
        opening: what it must hear first, its order included.
    """

    wire: Wire
    opening: Sequence[bytes]

    def last_words(self) -> str:
        """Return what was said against it, once the stream has ended."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """How agents are reached, each with its order.

    Attributes:
        open_first: over the connection that stands.
        open_another: over a connection of its own.
        translate: what it means when a client gives up with these words.
    """

    open_first: Callable[[object], Peer]
    open_another: Callable[[object], Peer]
    translate: Callable[[str], Exception]


@dataclass(frozen=True, slots=True)
class Task:
    """What the agents are for.

    Attributes:
        order: told to each agent first.
        first_order: told to the first one in its place, if that is another.
        most_under_way: bytes that may be asked for on one stream before the answer to the first is there.
        refuse: the error for an agent that says it failed.
    """

    order: object
    most_under_way: int
    refuse: Callable[[Frame], Exception]
    first_order: object = None


class Crew:
    """Works on one `Work`. Enter it, `run` it as often as there is something new to do, leave it."""

    def __init__(self, line: Line, task: Task, work: Work) -> None:
        self._line = line
        self._task = task
        self._work = work
        self._members: list[tuple[Peer, Stream]] = []
        self._asked_for = 1
        self._asking = threading.Lock()
        self._wanted = 1
        self._pace = Pace()
        self._cores = Cores()
        self._press = Press(time.monotonic, os.cpu_count() or 1)

    def __enter__(self) -> "Crew":
        self._add(self._line.open_first(self._task.first_order or self._task.order))
        self._call()
        return self

    def __exit__(self, *_: object) -> None:
        self._work.end()
        for peer, _stream in self._members:
            peer.wire.end()
        for peer, stream in self._members:
            stream.join()
            peer.close()

    @property
    def streams(self) -> int:
        """How many streams have carried something so far."""
        return sum(stream.carried > 0 for _, stream in self._members)

    @property
    def is_vacant(self) -> bool:
        """Say whether the first agent has said that nothing stood there before."""
        return self._members[0][1].is_vacant

    def stand_by(self, left: float) -> None:
        """Have as many logged in as so many bytes may soon need; another thread that does so is left to it."""
        self._ask_for(standing_by(left, self._rtt_s()))

    def run(self, left: Callable[[], float], on_tick: Callable[[], object]) -> None:
        """Return when all is done; `left` says how many bytes are to come, `on_tick` is called now and then.

        Raises:
            Exception: what made the work fail, or the first stream break.
        """
        while not self._work.is_done():
            self._work.wait(_TICK_S if self._rtt_s() else _EARLY_TICK_S)
            on_tick()
            self._raise_what_failed()
            self._look_at_pace(left())
        self._raise_what_failed()
        on_tick()

    def _raise_what_failed(self) -> None:
        peer, first = self._members[0]
        if self._work.error is not None:
            raise self._work.error
        if isinstance(first.error, (EOFError, OSError)):
            raise self._line.translate(peer.last_words()) from first.error
        if first.error is not None:
            raise first.error

    def _look_at_pace(self, left: float) -> None:
        streams = [stream for _, stream in self._members]
        first, rtt_s = streams[0], self._rtt_s()
        carried, arrived = sum(stream.carried for stream in streams), sum(stream.arrived for stream in streams)
        on_the_line = left * squeezed_to(carried, arrived)
        working = max(1, sum(stream.is_called and stream.is_ready and stream.error is None for stream in streams))
        seen = Seen(
            time.monotonic(),
            carried,
            on_the_line,
            working,
            rtt_s,
            sum(stream.busy_s for stream in streams),
            first.cores,
            self._press.turn,
            self._cores.idle(),
        )
        wanted = self._pace.wanted(seen)
        self._ask_for(max(wanted, standing_by(on_the_line, rtt_s)))
        if wanted < working or self._pace.is_late(seen):
            self._wanted = wanted
        elif wanted > working:
            self._wanted = max(self._wanted, wanted)
        self._call()
        self._look_ahead(left)

    def _rtt_s(self) -> float | None:
        return min((stream.rtt_s for _, stream in self._members if stream.rtt_s), default=None)

    def _ask_for(self, count: int) -> None:
        if not self._asking.acquire(blocking=False):
            return
        try:
            while self._asked_for < min(count, MOST_STREAMS):
                self._asked_for += 1
                # One stream fewer is slower, and nothing else.
                with contextlib.suppress(OSError, HostUnreachableError):
                    self._add(self._line.open_another(self._task.order))
        finally:
            self._asking.release()

    def _look_ahead(self, left: float) -> None:
        """Tell the streams how long all of it will take, but the fastest one, which may always go on."""
        streams = [stream for _, stream in self._members if stream.is_called and stream.error is None]
        rates = [stream.rate() for stream in streams]
        with self._work.changed:
            for stream, rate in zip(streams, rates, strict=True):
                stream.horizon_s = left / sum(rates) if 0 < rate < max(rates) else None
            if len(streams) > 1:
                self._work.changed.notify_all()

    def _call(self) -> None:
        """Have as many work as are wanted of those that can, the first ones first; the others finish what they have begun."""
        streams = [stream for _, stream in self._members]
        with self._work.changed:
            # The first one is given work while its agent is still on its way; what one that logs in holds, all would wait for.
            able = [stream for stream in streams if stream.error is None and (stream.is_ready or stream is streams[0])]
            called = able[: self._wanted]
            if any(stream.is_called != (stream in called) for stream in able):
                for stream in able:
                    stream.is_called = stream in called
                self._press.team(len(called))
                self._work.changed.notify_all()

    def _add(self, peer: Peer) -> None:
        stream = Stream(peer.wire, self._work, self._press, self._task.most_under_way, self._task.refuse)
        self._members.append((peer, stream))
        stream.start(peer.opening)
