"""What the story tells while it goes on; whoever listens decides how it looks."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage of the story began."""

    stage: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StageEnded:
    """A stage ended well. `seconds` is how long it took."""

    stage: str
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come. `total` is 0 when unknown; `unit` is "bytes", "files" or "".

    Attributes:
        files: how many files that is in all; 0 when unknown.
        bytes_per_second: how fast it goes now, bytes/s; None when nobody can say yet.
        seconds_left: how long it takes at that speed, seconds; None when nobody can say.
        usd: what the machine has cost, USD, since it was rented for the run, or else since the transfer began; None when it
            costs nothing or its price is unknown.
    """

    stage: str
    done: int
    total: int = 0
    unit: str = "bytes"
    files: int = 0
    bytes_per_second: float | None = None
    seconds_left: float | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Bytes of the job's log, exactly as the machine wrote them, with the offset of the first one."""

    content: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for the person. `level` is "info" or "warning"."""

    text: str
    level: str = "info"


Event = StageStarted | StageEnded | Progress | LogChunk | Note
Tell = Callable[[Event], None]
