"""How many streams a transfer is worth: decided by what is measured, never by a switch.

One SSH connection carries at most about 1.75 MiB per round trip, because its window is 2 MiB; one TCP connection suffers from
every lost packet; and one agent uses one core for its small files. More streams help there and nowhere else. So they are opened
when the rate says that the window is the limit, when it has sunk far below what the line has shown, or when the agent says it
has no time to spare; and only while enough is left to be worth a login.
"""

from collections import deque
from typing import NamedTuple

MOST_STREAMS = 8
"""Servers take ten logins at once (MaxStartups)."""

_SMALL = 4 << 20
_WINDOW_IS_FULL = 1.25 * (1 << 20)
_SHORTEST_RTT_S = 0.004
_SETTLING_S = 0.45
_SPAN_S = 1.0
_LOGIN_S = 0.15
_LOGIN_RTTS = 20
_GAIN = 1.15
_SAG = 0.6
_BUSY = 0.6
_MOST_FOR_CORES = 4


class Seen(NamedTuple):
    """What is known at one moment of a transfer: seconds on one clock, and bytes.

    Attributes:
        streams: how many work.
        rtt_s: None while unknown.
        busy_s: how long the agents worked so far, all together.
        cores: how many the machine has.
    """

    now: float
    done: int
    left: float
    streams: int
    rtt_s: float | None
    busy_s: float = 0.0
    cores: int = 1


class Pace:
    """Watches one transfer."""

    def __init__(self) -> None:
        self._samples: deque[Seen] = deque()
        self._changed = False
        self._best = 0.0
        self._before, self._streams_before = 0.0, MOST_STREAMS
        self._is_enough = False

    def wanted(self, seen: Seen) -> int:
        """Return how many streams there should be: as many as work, or more."""
        self._note(seen)
        rate = self._rate()
        if rate is None or seen.rtt_s is None or seen.left < _SMALL:
            return seen.streams
        if seen.streams > self._streams_before and rate < _GAIN * self._before:
            self._is_enough = True  # the last ones brought nothing
        self._best = max(self._best, rate)
        if self._is_enough or seen.left < rate * (_LOGIN_S + _LOGIN_RTTS * seen.rtt_s):
            return seen.streams
        wanted = max(self._for_line(seen, rate, seen.rtt_s), self._for_cores(seen))
        if wanted > seen.streams:
            self._before, self._streams_before = rate, seen.streams
        return wanted

    def _for_line(self, seen: Seen, rate: float, rtt_s: float) -> int:
        if rtt_s < _SHORTEST_RTT_S:
            return seen.streams
        is_full = rate * rtt_s / seen.streams >= _WINDOW_IS_FULL
        is_sagging = rate < _SAG * self._best and seen.now - self._samples[0].now >= _SPAN_S
        return min(MOST_STREAMS, max(4, 2 * seen.streams)) if is_full or is_sagging else seen.streams

    def _for_cores(self, seen: Seen) -> int:
        first = self._samples[0]
        busy = (seen.busy_s - first.busy_s) / (seen.now - first.now) / seen.streams
        return max(seen.streams, min(seen.cores, _MOST_FOR_CORES)) if busy >= _BUSY else seen.streams

    def _note(self, seen: Seen) -> None:
        if self._samples and seen.streams != self._samples[-1].streams:
            self._changed = True
            self._samples.clear()
        if not self._samples and not seen.done:
            return
        self._samples.append(seen)
        while len(self._samples) > 2 and seen.now - self._samples[1].now >= _SPAN_S:
            self._samples.popleft()

    def _rate(self) -> float | None:
        """Return the rate of the last second, bytes a second; None while it is too early to tell."""
        if len(self._samples) < 2:
            return None
        first, last = self._samples[0], self._samples[-1]
        span = last.now - first.now
        return (last.done - first.done) / span if span >= (_SPAN_S if self._changed else _SETTLING_S) else None
