"""What an agent says when it has failed."""

from typing import Any, NamedTuple

from .agent_there import ABSENT
from .entry_there import shown
from .frames_there import Frame


class Failure(NamedTuple):
    """Why, fit to be shown, and whether it is because nothing is there."""

    why: str
    is_absent: bool


def failure(frame: Frame) -> Failure:
    """Return what a frame says of it; the agent may have said anything."""
    words: Any = frame.words
    if isinstance(words, list) and len(words) == 2 and all(isinstance(word, str) for word in words):
        return Failure(shown(words[0]), words[1] == ABSENT)
    return Failure("it does not say why", False)
