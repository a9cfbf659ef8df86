"""Whether content is squeezed on its way: decided by what brings more of it across, never by a switch.

Squeezing pays where the line is slow and a core is free. Neither is known, and both change. So while it is squeezed and the
compressor and not the line may be the limit, a little is sent as it is now and then: what the line carried meanwhile is what it
would carry without. While it is not, the same is tried the other way round, and more and more seldom. Where both are the same,
nothing is squeezed: that costs less CPU. A compressor that has to wait for a core from the first moment on is not waited for,
unless the line is slower still.
"""

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .sampling import Sample

_SPAN_S = 0.6
_LEAST_BYTES = 4 << 20
_LEAST_ANSWERS = 3
_MOSTLY_SQUEEZING = 0.75
_CONTENDED, _SEEN_S = 0.3, 0.25
_GAIN = 1.05
_FIRST_TRIAL_S, _CONTENDED_TRIAL_S, _LONGEST_S = 8.0, 20.0, 120.0
_MUCH_FASTER = 1.5
_SAMPLE_S = 0.15
_FAR_BELOW = 0.7


class Ticket(NamedTuple):
    """How something is asked for.

    Attributes:
        turn: how often it had been switched on or off by then.
        is_squeezed: where that makes it smaller.
        sample: the trial it belongs to, if any.
    """

    turn: int
    is_squeezed: bool
    sample: Sample | None = None


class Press:
    """Watches one transfer. Every method is called by one thread at a time; `clock` gives seconds.

    Attributes:
        is_on: what is asked next is squeezed, but for a sample.
        room: held while something is squeezed, by as many threads as may do so at once; half the cores are for the rest of it.
    """

    def __init__(self, clock: Callable[[], float], cores: int = 1) -> None:
        self.is_on = True
        self._most = max(1, cores // 2)
        self.room = threading.BoundedSemaphore(self._most)
        self._clock = clock
        self._is_here = False
        self._turn = 0
        self._under_way = [0, 0]
        self._streams = 1
        self._rates: dict[bool, float] = {}
        self._sample: Sample | None = None
        self._most_squeezed, self._known_until = 0.0, 0.0
        self._began = -1.0
        self._bytes, self._answers, self._squeezing_s = 0, 0, 0.0
        self._has_judged = self._is_contended = False
        self._spans = 0
        self._pressed, self._pressing_s, self._pressing_cpu_s = 0, 0.0, 0.0
        self._trial_at, self._pause_s = 0.0, _FIRST_TRIAL_S

    @property
    def turn(self) -> int:
        """How often it was switched on or off so far."""
        return self._turn

    def ask(self, size: int) -> Ticket:
        """Say how so many bytes are asked for; they are under way from now on."""
        if self._sample is not None and size and self._sample.takes(size):
            return Ticket(self._turn, is_squeezed=False, sample=self._sample)
        self._under_way[self._turn % 2] += 1
        return Ticket(self._turn, self.is_on)

    def squeezed(self, size: int, seconds: float, cpu_s: float) -> None:
        """Note how long this side took to squeeze so many bytes, and how long of that a core was at work on it."""
        self._is_here = True
        self._squeezing_s += seconds
        if self._has_judged:
            return
        self._pressed, self._pressing_s = self._pressed + size, self._pressing_s + seconds
        self._pressing_cpu_s += cpu_s
        if self.is_on and self._pressing_s >= _SEEN_S and self._pressing_cpu_s < _CONTENDED * self._pressing_s:
            self._is_contended, self._trial_at = True, self._clock() + _CONTENDED_TRIAL_S
            self._switch()

    def answered(self, ticket: Ticket, size: int, carried: int) -> None:
        """Note that so many bytes of content are across, and on the line; judge when enough of them are."""
        now = self._clock()
        if self._sample is not None:
            self._sample.carried(carried)
        if ticket.sample is not None:
            self._sampled(ticket.sample, now)
            return
        self._under_way[ticket.turn % 2] -= 1
        if ticket.turn != self._turn or self._under_way[1 - self._turn % 2]:
            return
        if self._began < 0:
            self._begin(now)  # what was under way before has arrived, and this was sent behind it
            return
        self._bytes += size
        self._answers += 1
        if self._sample is None and self._has_seen_enough(now - self._began):
            self._judge(now, self._bytes / (now - self._began))

    def lost(self, tickets: Iterable[Ticket]) -> None:
        """Note that these will not be answered."""
        for ticket in tickets:
            if ticket.sample is None:
                self._under_way[ticket.turn % 2] -= 1
            elif ticket.sample is self._sample:
                self._sample = None
                self._begin(self._clock())

    def team(self, streams: int) -> None:
        """Forget what was measured when the number of streams changes."""
        if streams != self._streams:
            self._streams = streams
            self._rates.clear()
            self._sample = None
            self._began, self._spans = -1.0, 0
            if not self._is_contended:
                self._trial_at, self._pause_s = 0.0, _FIRST_TRIAL_S
            elif self.is_on:
                self._switch()

    def _begin(self, now: float) -> None:
        self._began = now
        self._bytes, self._answers, self._squeezing_s = 0, 0, 0.0

    def _has_seen_enough(self, seconds: float) -> bool:
        """Say whether a rate can be told; a trial that is much worse than what it is compared with is cut short."""
        if seconds < _SPAN_S or self._answers < 1:
            return False
        other = self._rates.get(not self.is_on, 0.0)
        is_enough = self._bytes >= _LEAST_BYTES and self._answers >= _LEAST_ANSWERS
        return is_enough or (other > 0 and seconds * other >= 2 * max(_LEAST_BYTES, self._bytes))

    def _judge(self, now: float, rate: float) -> None:
        self._rates[self.is_on] = rate
        self._has_judged = True
        self._spans += 1
        if self.is_on and self._is_here and self._streams >= self._most and self._may_gain(now - self._began):
            # As fast as these cores squeeze: more streams, and a faster line, change nothing about that.
            self._most_squeezed, self._known_until = rate, now + _CONTENDED_TRIAL_S
        if len(self._rates) == 2:
            better = self._rates[True] > _GAIN * self._rates[False]
            # The other one's rate grows old; it is measured anew when its turn has come.
            self._rates.pop(not better)
            self._wait_longer(now)
            if better != self.is_on:
                return self._switch()
        elif self._is_worth_a_trial(now, rate):
            if not self.is_on:
                return self._switch()
            self._sample = Sample(max(_LEAST_BYTES, int(_SAMPLE_S * rate)))
        return self._begin(now)

    def _sampled(self, sample: Sample, now: float) -> None:
        """Note an answer to what was sent as it is; after the last one, squeeze on where the line carries far less without.

        Else it is tried in full: more streams are called then, where one alone was the limit.
        """
        sample.answered(now)
        if not sample.is_over() or sample is not self._sample:
            return
        self._sample = None
        if sample.rate() < _FAR_BELOW * self._rates[True]:
            self._wait_longer(now)
            self._begin(now)
        else:
            self._switch()

    def _wait_longer(self, now: float) -> None:
        self._trial_at, self._pause_s = now + self._pause_s, min(_LONGEST_S, 2 * self._pause_s)

    def _is_worth_a_trial(self, now: float, rate: float) -> bool:
        if self._is_contended and not self.is_on and self._spans > 1 and self._pressed > _MUCH_FASTER * rate * self._pressing_s:
            return True  # it waits for a core, and is faster than the line all the same, which has had time to begin
        if not self.is_on and rate >= self._most_squeezed > 0 and now < self._known_until:
            return False
        return now >= self._trial_at and self._may_gain(now - self._began)

    def _may_gain(self, seconds: float) -> bool:
        """Say whether the other one may be better: with time to spare for the compressor, the line is the limit."""
        if not self.is_on or not self._is_here:
            return True
        return self._squeezing_s >= _MOSTLY_SQUEEZING * seconds * min(self._streams, self._most)

    def _switch(self) -> None:
        self.is_on = not self.is_on
        self._turn += 1
        self._began = -1.0
