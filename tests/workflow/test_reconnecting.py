"""Patience with a line that breaks: pauses grow while nothing comes, and begin anew when something did."""

import pytest

from cloudtrain.model.errors import HostKeyError, HostUnreachableError
from cloudtrain.model.event import Event, Note, Progress, Tell
from cloudtrain.reconnecting import LONGEST_PAUSE_S, PATIENCE_S, SILENCE_S, persist
from cloudtrain.testing.clock import FakeClock


class Line:
    """Carries as far as it is told on each try, then breaks; after the last one it is through."""

    def __init__(self, clock: FakeClock, reached: list[int]) -> None:
        self._clock = clock
        self._reached = reached
        self.tried_at: list[float] = []

    def carry(self, tell: Tell) -> str:
        self.tried_at.append(self._clock.monotonic())
        if not self._reached:
            return "through"
        tell(Progress("push", self._reached.pop(0), 100))
        raise HostUnreachableError("cut")

    @property
    def pauses(self) -> list[float]:
        return [after - before for before, after in zip(self.tried_at, self.tried_at[1:], strict=False)]


def test_pauses_grow_while_nothing_new_comes_and_begin_anew_when_it_does() -> None:
    clock, told = FakeClock(), list[Event]()
    line = Line(clock, [0, 0, 0, 0, 0, 0, 0, 7, 7, 3, 8])
    assert persist(line.carry, told.append, clock) == "through"
    assert line.pauses == [1, 2, 4, 8, 16, 30, 30, 1, 2, 4, 1]
    assert sum(isinstance(event, Progress) for event in told) == 11
    assert [event.text for event in told if isinstance(event, Note)] == [
        "The line broke (cut); what has arrived is kept. Trying again …"
    ] * 11


def test_it_gives_up_when_nothing_new_came_for_ten_minutes() -> None:
    clock = FakeClock()
    line = Line(clock, [1] + [1] * 1000)
    with pytest.raises(HostUnreachableError):
        persist(line.carry, lambda _: None, clock)
    assert PATIENCE_S - LONGEST_PAUSE_S < clock.monotonic() <= PATIENCE_S


def test_a_line_that_breaks_and_brings_a_little_each_time_is_never_given_up() -> None:
    clock = FakeClock()
    line = Line(clock, list(range(2000)))
    assert persist(line.carry, lambda _: None, clock) == "through"
    assert clock.monotonic() == 2000 > PATIENCE_S


def test_the_way_there_is_looked_at_once_each_time_it_falls_silent() -> None:
    clock, looked = FakeClock(), list[float]()
    line = Line(clock, [1] * 8 + [2] * 8)
    persist(line.carry, lambda _: None, clock, lambda: looked.append(clock.monotonic()))
    began = [line.tried_at[0], line.tried_at[8]]
    assert len(looked) == 2
    assert all(SILENCE_S <= at - start < 2 * SILENCE_S for at, start in zip(looked, began, strict=True))


def test_another_machine_is_not_asked_again() -> None:
    def other(_: Tell) -> None:
        raise HostKeyError("another")

    clock = FakeClock()
    with pytest.raises(HostKeyError):
        persist(other, lambda _: None, clock)
    assert clock.monotonic() == 0
