"""Events as JSON, one on a line, for programs. The field `event` says which it is; the names are stable.

The other fields are those of `model/event.py`. "progress" has `stage`, `done`, `total`, `unit` and, for bytes, `files`, in all,
`bytes_per_second`, `seconds_left` and `usd`; null where nobody can say.
"""

import codecs
from collections.abc import Callable
from typing import Any

from ..model.event import Event, LogChunk, Note, Progress, StageEnded, StageStarted
from ..model.plain import to_plain
from .render import json_line

NAMES = {
    StageStarted: "stage-started",
    StageEnded: "stage-ended",
    Progress: "progress",
    LogChunk: "log",
    Note: "note",
}


class EventLines:
    """Prints events as they come. The texts of all "log" events together are the log."""

    def __init__(self, out: Callable[[Any], None] = json_line) -> None:
        self._out = out
        # A character may be cut by the end of a chunk; its text then begins the next event.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._percent: dict[str, int] = {}

    def tell(self, event: Event) -> None:
        """Print the event."""
        if isinstance(event, LogChunk):
            self._out({"event": "log", "offset": event.offset, "text": self._decoder.decode(event.content)})
        elif not isinstance(event, Progress) or self._is_news(event):
            self._out({"event": NAMES[type(event)]} | to_plain(event))

    def settle(self) -> None:
        """Nothing moves here."""

    def finish(self) -> None:
        """Print what is left of a cut character."""
        rest = self._decoder.decode(b"", final=True)
        if rest:
            self._out({"event": "log", "offset": None, "text": rest})

    def _is_news(self, event: Progress) -> bool:
        """Say whether a program would want to hear of it: every full percent, and the end."""
        percent = event.done * 100 // event.total if event.total else event.done >> 20
        was = self._percent.get(event.stage)
        self._percent[event.stage] = percent
        return percent != was
