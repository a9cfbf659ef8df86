"""A push from the moment somebody means to make one: what is there is looked at while its files are still being chosen."""

import threading
from contextlib import ExitStack

from ..model.errors import TransferError
from .base import OnBytes
from .counting import Counting
from .crew import Crew, Line, Task
from .entry_there import RefusedError
from .failure import failure
from .fileset import FileSet
from .frames_there import Frame
from .packed import Found
from .sending import Push
from .work import Work

_MOST_SENT_AHEAD = 16 << 20
_LOOK_EVERY_S = 0.05


class ExpectedPush:
    """A push that may come, below `destination`, over `line`.

    Its agent is sent ahead. Where that finds nothing and the line is a long one, others log in while more and more files are
    `found` here, for a login is the longest part of it.
    """

    def __init__(self, line: Line, destination: str, found: Found | None = None) -> None:
        self.destination = destination
        self._work = Work()
        task = Task(["put", destination], _MOST_SENT_AHEAD, _not_taken, ["expect", destination])
        self._open = ExitStack()
        self._crew = self._open.enter_context(Crew(line, task, self._work))
        self._is_begun = threading.Event()
        if found is not None:
            watch = threading.Thread(target=self._watch, args=(found,), daemon=True)
            self._open.callback(watch.join)
            watch.start()

    def carry(self, files: FileSet, on_bytes: OnBytes | None) -> None:
        """Bring the files there. Raises as `transfer.push` does."""
        self._is_begun.set()
        counting = Counting(files.total_bytes, on_bytes)
        job = Push(files, counting, self._work)
        try:
            self._run(job)
            for kind in ("link", "folder"):
                self._work.add(job.seals(kind))
                self._run(job)
        except RefusedError as error:
            raise TransferError(f"Not everything arrived: {error}", "Try again: what has arrived is kept.") from error
        job.raise_problems()
        counting.finish()

    def close(self) -> None:
        """Send everybody home; it may come twice."""
        self._is_begun.set()
        self._open.close()

    def _run(self, job: Push) -> None:
        self._crew.run(lambda: job.left(self._crew.is_vacant), job.counting.tell)

    def _watch(self, found: Found) -> None:
        while not self._is_begun.wait(_LOOK_EVERY_S):
            if self._crew.is_vacant:
                self._crew.stand_by(found.bytes)


def _not_taken(frame: Frame) -> Exception:
    return TransferError(f"Not everything arrived: {failure(frame).why}", "Make room there, then try again.")
