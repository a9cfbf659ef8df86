"""How many streams a transfer is worth: decided by what is measured, never by a switch.

One SSH connection carries at most about 1.75 MiB per round trip, because its window is 2 MiB; one TCP connection suffers from
every lost packet; and one agent uses one core for its small files. More streams help there and nowhere else. So they are called
when the rate says that the window is the limit, when it has sunk far below what the line has shown, when the agent says it has
no time to spare, or to find out, when a lot of time is left; only while enough is left to be worth a login; and they are
sent home when they brought nothing. A login is the longest part of it, so it is begun early where they are likely to be called.
Where no core here has time to spare, only a full window calls for more: another stream would live on what the others lose.
"""

from collections import deque
from math import ceil
from typing import NamedTuple

MOST_STREAMS = 8
"""Servers take ten logins at once (MaxStartups)."""

_SMALL = 4 << 20
_BEGUN = 1 << 20
_WINDOW = 1.75 * (1 << 20)
_WINDOW_IS_FULL, _WINDOW_IS_USED = 1.5 * (1 << 20), 0.8 * (1 << 20)
_SHORTEST_RTT_S = 0.004
_GIGABIT = 125e6
_SETTLING_S = 0.3
_SPAN_S = 1.0
_LOGIN_S = 0.15
_LOGIN_RTTS = 20
_GAIN, _LARGE_GAIN = 1.15, 1.5
_SAG = 0.7
_BUSY = 0.6
_SPARE = 0.1
_MOST_FOR_CORES = 4
_WORTH_A_TRIAL_S = 4.0
_TRIAL_AFTER_S = 0.6
_ENOUGH_FOR_S = 30.0


class Seen(NamedTuple):
    """What is known at one moment of a transfer: seconds on one clock, and bytes on the line, squeezed or not.

    Attributes:
        streams: how many work.
        rtt_s: None while unknown.
        busy_s: how long the agents worked so far, all together.
        cores: how many the machine has.
        idle: the share of this computer's cores that had nothing to do of late; None where nobody tells.
        turn: changes when content begins to be squeezed, or no longer is: rates before and after do not compare.
    """

    now: float
    done: int
    left: float
    streams: int
    rtt_s: float | None
    busy_s: float = 0.0
    cores: int = 1
    turn: int = 0
    idle: float | None = None


class Pace:
    """Watches one transfer."""

    def __init__(self) -> None:
        self._samples: deque[Seen] = deque()
        self._began: float | None = None
        self._changed = False
        self._best = 0.0
        self._before, self._streams_before = 0.0, MOST_STREAMS
        self._may_try = False
        self._enough_until, self._enough_rate, self._enough_for_s = 0.0, 0.0, _ENOUGH_FOR_S

    def wanted(self, seen: Seen) -> int:
        """Return how many streams should work."""
        self._note(seen)
        rate = self._rate()
        if rate is None or seen.rtt_s is None or seen.left < _SMALL:
            return seen.streams
        if seen.streams > self._streams_before:
            was, self._streams_before = self._streams_before, MOST_STREAMS
            self._may_try = rate >= _LARGE_GAIN * self._before
            if rate < _GAIN * self._before:
                self._enough_until, self._enough_rate = seen.now + self._enough_for_s, rate
                self._enough_for_s *= 2
                # A window that was full still is; then it is something else that had no time.
                is_full = self._before * seen.rtt_s / was >= _WINDOW_IS_FULL
                return seen.streams if is_full else was
        self._best = max(self._best, rate)
        if self._is_enough(seen.now, rate) or self.is_late(seen):
            return seen.streams
        wanted = max(self._for_line(seen, rate, seen.rtt_s), self._for_cores(seen))
        if wanted > seen.streams:
            self._before, self._streams_before = rate, seen.streams
        return wanted

    def is_late(self, seen: Seen) -> bool:
        """Say whether too little is left for a stream that has not begun: it would begin slowly, and all would wait for it."""
        rate = self._rate()
        return rate is not None and seen.left < rate * _login_s(seen.rtt_s or 0.0)

    def _for_line(self, seen: Seen, rate: float, rtt_s: float) -> int:
        if rtt_s < _SHORTEST_RTT_S:
            return seen.streams
        fullest = max(rate, self._latest(seen)) if seen.streams == 1 else rate
        is_full = fullest * rtt_s / seen.streams >= _WINDOW_IS_FULL
        seconds = seen.now - self._samples[0].now
        is_sagging = rate < _SAG * self._best and seconds >= _SPAN_S
        is_open = seen.idle is None or seen.idle >= _SPARE
        if not (is_full or (is_open and (is_sagging or self._is_worth_a_trial(seen, rate, rtt_s)))):
            return seen.streams
        return min(MOST_STREAMS, max(_for_distance(rtt_s), 2 * seen.streams))

    def _is_enough(self, now: float, rate: float) -> bool:
        """Say whether more brought nothing lately, and nothing is worse since."""
        return now < self._enough_until and rate >= _SAG * self._enough_rate

    def _is_worth_a_trial(self, seen: Seen, rate: float, rtt_s: float) -> bool:
        """Say whether to find out what more would bring: once, when much time is left, and on while it brings a lot."""
        has_settled = self._began is not None and seen.now - self._began >= _TRIAL_AFTER_S  # each stream begins slowly
        is_thin = rate * rtt_s / seen.streams < _WINDOW_IS_USED  # else hardly anything gets lost on the way
        return (seen.streams == 1 or self._may_try) and is_thin and has_settled and seen.left > rate * _WORTH_A_TRIAL_S

    def _for_cores(self, seen: Seen) -> int:
        first = self._samples[0]
        busy = (seen.busy_s - first.busy_s) / (seen.now - first.now) / seen.streams
        return max(seen.streams, min(seen.cores, _MOST_FOR_CORES)) if busy >= _BUSY else seen.streams

    def _note(self, seen: Seen) -> None:
        if self._samples and seen.streams != self._samples[-1].streams:
            self._changed = True
            self._began = None
            self._samples.clear()
        if self._samples and seen.turn != self._samples[-1].turn:
            self._best, self._streams_before = 0.0, MOST_STREAMS
            self._samples.clear()
        if not self._samples and seen.done < _BEGUN:
            return  # a few answers, or a stream that begins slowly: neither tells a rate
        if self._began is None:
            self._began = seen.now
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

    def _latest(self, seen: Seen) -> float:
        """Return the rate of the last moment: one that begins slowly, or had to wait for a core, may be full by now."""
        before = [sample for sample in self._samples if seen.now - sample.now >= _SETTLING_S]
        return (seen.done - before[-1].done) / (seen.now - before[-1].now) if before else 0.0


def squeezed_to(carried: int, arrived: int) -> float:
    """Return the share of content's size that it has on the line, as of what was carried so far when so much had arrived."""
    return min(1.0, carried / arrived) if arrived else 1.0


def standing_by(left: float, rtt_s: float | None) -> int:
    """Return how many streams should be logged in, at work or not: as many as so many bytes for the line may soon call for."""
    if rtt_s is None or rtt_s < _SHORTEST_RTT_S or left / _WINDOW * rtt_s < 2 * _login_s(rtt_s):
        return 1
    return _for_distance(rtt_s)


def _for_distance(rtt_s: float) -> int:
    """Return how many windows of that length a gigabit a second fills."""
    # Of windows that are as full as they stay once the line has something to do: 1.75 MiB a round trip is an idle line's.
    return max(2, min(MOST_STREAMS, ceil(_GIGABIT * rtt_s / _WINDOW_IS_FULL)))


def _login_s(rtt_s: float) -> float:
    return _LOGIN_S + _LOGIN_RTTS * rtt_s
