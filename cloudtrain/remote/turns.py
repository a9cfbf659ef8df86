"""Taking turns: one after the other while that is quick."""

import contextlib
import threading
from collections.abc import Iterator

_PATIENCE_S = 0.2


class Turns:
    """Lets one thread at a time do what gains nothing from being done twice at once, such as reading files from memory.

    What is slow after all (a disk that has to find them) is done by several at once: nobody waits long for the turn.
    """

    def __init__(self) -> None:
        self._taken = threading.Lock()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, as long as one waits for it, and give it back."""
        is_ours = self._taken.acquire(timeout=_PATIENCE_S)
        try:
            yield
        finally:
            if is_ours:
                self._taken.release()
