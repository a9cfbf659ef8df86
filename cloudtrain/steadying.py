"""A line that breaks before the job has started: how long it is tried again, while the machine is on the meter."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from .journey import Journey
from .model.errors import HostUnreachableError
from .model.event import Event, Note, Progress, StageEnded

RECONNECT_FOR_S = 120.0
"""How long a line that brings nothing any further is tried again, in seconds. Nothing is lost there yet but the money."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0


T = TypeVar("T")


def steadily(journey: Journey, act: Callable[[bool], T]) -> T:
    """Do what is safe to repeat, from its beginning over a new line where the old one breaks; return what it returns.

    It is told whether a line has broken under it before. It is repeated as long as it gets further than ever: a stage that
    ends for the first time is further, and so is a byte that none came up to before.

    Raises:
        HostUnreachableError: the line did not come back, or brought nothing any further, for `RECONNECT_FOR_S` seconds.
    """
    tools, lines = journey.tools, _Lines(journey)
    journey.tools = replace(tools, tell=lines.tell)
    try:
        while True:
            try:
                return act(lines.has_broken)
            except HostUnreachableError as error:
                lines.reconnect(error)
    finally:
        journey.tools = tools


class _Lines:
    """The lines that a run has had, and how far it came over them."""

    def __init__(self, journey: Journey) -> None:
        self.has_broken = False
        self._journey = journey
        self._tools = journey.tools
        self._done: dict[tuple[str, int], int] = {}
        self._give_up_at: float | None = None
        self._pause_s = _FIRST_PAUSE_S

    def tell(self, event: Event) -> None:
        """Hand an event on, and note what it says of how far the story has come."""
        match event:
            case Progress():
                self._came_to((event.stage, event.total), event.done)
            case StageEnded():
                self._came_to((event.stage, -1), 1)
        self._tools.tell(event)

    def reconnect(self, error: HostUnreachableError) -> None:
        """Put a new line in place of the broken one.

        Raises:
            HostUnreachableError: it is given up.
        """
        self.has_broken = True
        clock = self._tools.clock
        if self._give_up_at is None:
            self._give_up_at = clock.monotonic() + RECONNECT_FOR_S
        left_s = self._give_up_at - clock.monotonic()
        if left_s <= 0:
            raise self._given_up(error) from error
        self._tools.tell(
            Note(
                f"The line broke ({error.message}); what has arrived stays there. "
                f"Reconnecting for {left_s:.0f} s at most{self._price()} …",
                "warning",
            )
        )
        clock.sleep(min(self._pause_s, left_s))
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        try:
            self._journey.connect(max(0.0, self._give_up_at - clock.monotonic()))
        except HostUnreachableError as again:
            raise self._given_up(again) from again
        self._tools.tell(Note(f"Reconnected after {clock.monotonic() - self._give_up_at + RECONNECT_FOR_S:.0f} s."))

    def _came_to(self, stage: tuple[str, int], done: int) -> None:
        if done > self._done.get(stage, 0):
            self._done[stage] = done
            self._give_up_at, self._pause_s = None, _FIRST_PAUSE_S

    def _price(self) -> str:
        usd = self._journey.usd_now()
        return "" if usd is None else f"; the machine has cost ${usd:.4f} so far"

    def _given_up(self, error: HostUnreachableError) -> HostUnreachableError:
        return HostUnreachableError(
            f"The line broke before the job had started, and brought nothing any further for {RECONNECT_FOR_S:.0f} s: "
            f"{error.message}",
            f"When the line is better: cloudtrain train {self._journey.run.machine}",
        )
