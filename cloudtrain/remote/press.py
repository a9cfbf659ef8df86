"""Whether content is squeezed on its way: decided by what brings more of it across, never by a switch.

Squeezing pays where the line is slow and a core is free. Neither is known, and both change: so what arrives in a second is
measured with it, and without it where the compressor and not the line may be the limit; the better one goes on, the other is
tried again now and then, and more and more seldom. Where both are the same, nothing is squeezed: that costs less CPU.
"""

from collections.abc import Callable

_SPAN_S = 0.6
_LEAST_BYTES = 4 << 20
_LEAST_ANSWERS = 3
_MOSTLY_SQUEEZING = 0.75
_GAIN = 1.05
_FIRST_TRIAL_S, _LONGEST_S = 8.0, 120.0


class Press:
    """Watches one transfer. Every method is called by one thread at a time; `clock` gives seconds.

    Attributes:
        is_on: what is asked next is squeezed, where that makes it smaller.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.is_on = True
        self._clock = clock
        self._is_here = False
        self._turn = 0
        self._under_way = [0, 0]
        self._streams = 1
        self._rates: dict[bool, float] = {}
        self._began = -1.0
        self._bytes, self._answers, self._squeezing_s = 0, 0, 0.0
        self._trial_at, self._pause_s = 0.0, _FIRST_TRIAL_S

    @property
    def turn(self) -> int:
        """How often it was switched on or off so far."""
        return self._turn

    def ask(self) -> int:
        """Note that something is asked as `is_on` says now; return the ticket for its answer."""
        self._under_way[self._turn % 2] += 1
        return self._turn

    def squeezed(self, seconds: float) -> None:
        """Note how long this side took to squeeze something."""
        self._is_here = True
        self._squeezing_s += seconds

    def answered(self, ticket: int, size: int) -> None:
        """Note that so many bytes of content are across, and judge when enough of them are."""
        self._under_way[ticket % 2] -= 1
        if ticket != self._turn or self._under_way[1 - self._turn % 2]:
            return
        now = self._clock()
        if self._began < 0:
            self._begin(now)  # what was under way before has arrived, and this was sent behind it
            return
        self._bytes += size
        self._answers += 1
        if self._has_seen_enough(now - self._began):
            self._judge(now, self._bytes / (now - self._began))

    def lost(self, tickets: list[int]) -> None:
        """Note that these will not be answered."""
        for ticket in tickets:
            self._under_way[ticket % 2] -= 1

    def team(self, streams: int) -> None:
        """Forget what was measured when the number of streams changes."""
        if streams != self._streams:
            self._streams = streams
            self._rates.clear()
            self._trial_at, self._pause_s = 0.0, _FIRST_TRIAL_S
            self._began = -1.0

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
        if len(self._rates) == 2:
            better = self._rates[True] > _GAIN * self._rates[False]
            # The other one's rate grows old; it is measured anew when its turn has come.
            self._rates.pop(not better)
            self._trial_at, self._pause_s = now + self._pause_s, min(_LONGEST_S, 2 * self._pause_s)
            if better != self.is_on:
                return self._switch()
        elif now >= self._trial_at and self._may_gain(now - self._began):
            return self._switch()
        return self._begin(now)

    def _may_gain(self, seconds: float) -> bool:
        """Say whether the other one may be better: with time to spare for the compressor, the line is the limit."""
        if not self.is_on or not self._is_here:
            return True
        return self._squeezing_s >= _MOSTLY_SQUEEZING * seconds * self._streams

    def _switch(self) -> None:
        self.is_on = not self.is_on
        self._turn += 1
        self._began = -1.0
