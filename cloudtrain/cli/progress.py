"""The story on a terminal: the stage that goes on moves in place, stages that are done stay as one line each."""

import sys
import time

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ..model import words
from ..model.event import Event, LogChunk, Note, Progress, StageEnded, StageStarted
from .log import Log
from .render import clean
from .words import dollars, humane, size, span

STAGE_WIDTH = 10
BAR_WIDTH = 24
SHORTEST_DETAIL = 8


class Stage:
    """The stage that goes on, as it looks now. Drawn by Rich's own thread, which only reads."""

    def __init__(self, name: str, detail: str) -> None:
        self.name = name
        self.detail = detail
        self.latest = ""
        self.progress: Progress | None = None
        self._began = time.monotonic()
        self._spinner = Spinner("dots")

    def __rich__(self) -> Table:
        """Return one line: spinner, name, how far it is, how long it has taken."""
        line = Table.grid(padding=(0, 1))
        elapsed = Text(span(time.monotonic() - self._began), style="dim")
        name = Text(f"{self.name:<{STAGE_WIDTH}}")
        if self.progress is not None and self.progress.total:
            bar = ProgressBar(total=self.progress.total, completed=self.progress.done, width=BAR_WIDTH)
            line.add_row(self._spinner, name, bar, Text(_how_far(self.progress)), elapsed)
        else:
            text = Text(self.latest or self.detail, style="dim" if self.latest else "", no_wrap=True, overflow="ellipsis")
            line.add_row(self._spinner, name, text, elapsed)
        return line


class LiveStages:
    """Shows the story on standard error and the job's log on standard output."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr, highlight=False)
        self._log = Log()
        self._stage: Stage | None = None
        self._live: Live | None = None

    def tell(self, event: Event) -> None:
        """Show the event."""
        match event:
            case StageStarted():
                self._break_off()
                self._begin(event)
            case StageEnded():
                self._end(event)
            case Progress():
                self._update(event)
            case LogChunk():
                self.settle()
                self._log.write(event.content)
            case Note():
                self._note(event)

    def settle(self) -> None:
        """Make room for the log or a question: the stage's line stays, nothing moves below it."""
        if self._live is not None and self._stage is not None:
            self._stop_live()
            self._line("·", "dim", self._stage.name, self._stage.detail, "")

    def finish(self) -> None:
        """Let the terminal go."""
        self._break_off()
        self._log.finish()

    def _begin(self, event: StageStarted) -> None:
        self._stage = Stage(event.stage, humane(clean(event.detail)))
        self._live = Live(self._stage, console=self._console, transient=True, refresh_per_second=8)
        self._live.start()

    def _end(self, event: StageEnded) -> None:
        detail = humane(clean(event.detail)) or (self._stage.detail if self._stage is not None and self._live else "")
        self._stop_live()
        self._stage = None
        self._line("✓", "green", event.stage, detail, span(event.seconds))

    def _update(self, event: Progress) -> None:
        if self._stage is not None:
            self._stage.progress = event

    def _note(self, event: Note) -> None:
        if event.level == "detail":
            if self._stage is not None:
                self._stage.latest = " ".join(clean(event.text).split())
            return
        text = Text(clean(event.text))
        self._console.print(Text.assemble(("warning: ", "yellow"), text) if event.level == "warning" else text)

    def _break_off(self) -> None:
        """Show that a stage did not come to its end."""
        self._stop_live()
        if self._stage is not None:
            self._line("✗", "red", self._stage.name, self._stage.detail, "")
            self._stage = None

    def _stop_live(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _line(self, sign: str, style: str, name: str, detail: str, took: str) -> None:
        head = f" {name:<{STAGE_WIDTH}} "
        tail = f"  {took}" if detail and took else took
        shown = Text(detail)
        shown.truncate(max(SHORTEST_DETAIL, self._console.width - len(sign) - len(head) - len(tail)), overflow="ellipsis")
        line = Text.assemble((sign, style), head, shown, (tail, "dim"))
        line.rstrip()
        self._console.print(line)


def _how_far(progress: Progress) -> str:
    if progress.unit != "bytes":
        return f"{progress.done} of {progress.total} {progress.unit}".rstrip()
    parts = [f"{size(progress.done)} of {size(progress.total)}"]
    if progress.files > 1:
        parts.append(words.files(progress.files))
    if progress.bytes_per_second:
        parts.append(f"{size(round(progress.bytes_per_second))}/s")
    if progress.seconds_left:
        parts.append(f"{span(progress.seconds_left)} left")
    if progress.usd is not None:
        parts.append(dollars(progress.usd))
    return ", ".join(parts)
