"""The story as plain lines on standard error, for pipes, files and CI; the job's log goes to standard output."""

from ..model.event import Event, LogChunk, Note, Progress, StageEnded, StageStarted
from .log import Log
from .render import note, part, warning
from .words import humane, span

STAGE_WIDTH = 10


class PlainLines:
    """One line per stage: what begins it is printed at once, what it took when it ends."""

    def __init__(self) -> None:
        self._log = Log()
        self._open = False

    def tell(self, event: Event) -> None:
        """Print the event."""
        match event:
            case StageStarted():
                self.settle()
                part(f"{event.stage:<{STAGE_WIDTH}} {humane(event.detail)} … ")
                self._open = True
            case StageEnded():
                lead = "" if self._open else f"{event.stage:<{STAGE_WIDTH}} … "
                note(f"{lead}{_after(event)}")
                self._open = False
            case LogChunk():
                self.settle()
                self._log.write(event.content)
            case Note(level="warning"):
                self.settle()
                warning(event.text)
            case Note(level="info"):
                self.settle()
                note(event.text)
            case Note() | Progress():
                return  # Too much for a file: the stage's own line says what became of it.

    def finish(self) -> None:
        """End the line that is still open."""
        self.settle()
        self._log.finish()

    def settle(self) -> None:
        """End the line that is still open; its stage goes on."""
        if self._open:
            note("")
            self._open = False


def _after(event: StageEnded) -> str:
    return "  ".join(text for text in (humane(event.detail), span(event.seconds)) if text)
