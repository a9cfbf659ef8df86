"""Who hears the story: a live terminal, plain lines, or a program that reads JSON."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from ..model.event import Event
from .render import is_terminal


class Listener(Protocol):
    """Shows events."""

    def tell(self, event: Event) -> None:
        """Show what happened."""
        ...

    def settle(self) -> None:
        """Let nothing move, so that a person can be asked."""
        ...

    def finish(self) -> None:
        """Show what was held back, and let the terminal go."""
        ...


@contextmanager
def listening(*, as_json: bool) -> Iterator[Listener]:
    """Give out what hears events and shows them, until the block is left."""
    listener = Unbreakable(choose_listener(as_json=as_json))
    try:
        yield listener
    finally:
        listener.finish()


class Unbreakable:
    """A listener whose terminal may go away: a run is never ended because nobody watches it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def tell(self, event: Event) -> None:
        """Show what happened."""
        with suppress(OSError):
            self._listener.tell(event)

    def settle(self) -> None:
        """Let nothing move."""
        with suppress(OSError):
            self._listener.settle()

    def finish(self) -> None:
        """Show what was held back."""
        with suppress(OSError):
            self._listener.finish()


def choose_listener(*, as_json: bool) -> Listener:
    """Return who is to listen; each is imported when it is chosen, since only the live one needs Rich."""
    if as_json:
        from .event_lines import EventLines

        return EventLines()
    if is_terminal(sys.stderr):
        from .progress import LiveStages

        return LiveStages()
    from .plain_lines import PlainLines

    return PlainLines()
