"""Work over a line that may break: tried again, with longer and longer pauses, until it is through or nothing helps."""

from collections.abc import Callable
from typing import TypeVar

from .model.clock import Clock
from .model.errors import HostUnreachableError
from .model.event import Event, Note, Progress, Tell

T = TypeVar("T")

PATIENCE_S = 600.0
"""How long a line may carry nothing new before it is given up, in seconds."""

SILENCE_S = 20.0
"""How long it may do so before the way to the machine is looked at, in seconds."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


def persist(
    carry: Callable[[Tell], T],
    tell: Tell,
    clock: Clock,
    on_silence: Callable[[], None] | None = None,
    patience_s: float = PATIENCE_S,
) -> T:
    """Return what `carry` returns, called again each time the line breaks: it must be safe to repeat, and find its line again.

    It is handed the listener for its progress: bytes that were never reached before are new, and begin patience and pauses
    anew. `on_silence` is called once each time that `SILENCE_S` seconds have brought nothing new.

    Raises:
        HostUnreachableError: nothing new came for `patience_s` seconds.
    """
    heard = _Heard(tell)
    lost_at, pause_s = clock.monotonic(), FIRST_PAUSE_S
    has_looked = on_silence is None
    while True:
        try:
            return carry(heard.tell)
        except HostUnreachableError as error:
            if heard.has_news():
                lost_at, pause_s, has_looked = clock.monotonic(), FIRST_PAUSE_S, on_silence is None
            if clock.monotonic() + pause_s > lost_at + patience_s:
                raise
            tell(Note(f"The line broke ({error.message}); what has arrived is kept. Trying again …", "warning"))
        if on_silence is not None and not has_looked and clock.monotonic() >= lost_at + SILENCE_S:
            has_looked = True
            on_silence()
        clock.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


class _Heard:
    """A listener that remembers how far each of the transfers that it hears of has ever come."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._most: dict[tuple[str, int], int] = {}
        self._has_news = False

    def tell(self, event: Event) -> None:
        if isinstance(event, Progress) and event.unit == "bytes":
            what = (event.stage, event.total)
            if event.done > self._most.get(what, -1):
                self._most[what] = event.done
                self._has_news = True
        self._tell(event)

    def has_news(self) -> bool:
        """Say whether one has come further since this was asked last."""
        has_news, self._has_news = self._has_news, False
        return has_news
