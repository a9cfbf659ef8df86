"""The watch: remembers what must never be, and after which call it was seen first."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

Wrong = Callable[[], Iterable[tuple[str, str]]]
"""Looks at everything; gives what is wrong as a resource and a sentence about it."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be, and the call after which it was seen first."""

    seq: int
    resource: str
    what: str


class Watch:
    """Remembers every violation once."""

    def __init__(self, wrong: Wrong) -> None:
        self._wrong = wrong
        self._seen: dict[tuple[str, str], Violation] = {}

    def look(self, seq: int) -> None:
        """Look at everything; `seq` is the number of the call that has just been answered."""
        for resource, what in self._wrong():
            self._seen.setdefault((resource, what), Violation(seq, resource, what))

    def violations(self) -> list[Violation]:
        """Return what was seen so far, in order."""
        return list(self._seen.values())
