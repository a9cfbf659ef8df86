"""All runs of a machine at once: ended when it is given back, moved when its deadline is."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Iterator

from . import processes, request, state
from .errors import GuestError


def end(home: str, by: str) -> None:
    """Kill every job below HOME/runs, and what left its job's group: a daemon, a worker of a cluster.

    Raises:
        GuestError: one does not end.
    """
    for run in _live(home):
        request.ask_to_end(run, signal.SIGKILL, 0.0, by)
    mark = b"CLOUDTRAIN_RUN_DIR=" + os.fsencode(os.path.join(home, "runs")) + b"/"
    for pid in processes.marked(mark):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # gone by now, or not ours to kill
            os.kill(pid, signal.SIGKILL)


def move_deadlines(home: str, at: float) -> None:
    """Let every job end at another time (Unix time)."""
    for run in _live(home):
        with contextlib.suppress(GuestError):  # a job without supervisor has no deadline to move
            request.move_deadline(run, at)


def _live(home: str) -> Iterator[str]:
    """Yield the folders of the runs whose job has not ended; a lost one may have left something that still runs."""
    runs = os.path.join(home, "runs")
    for name in sorted(os.listdir(runs)) if os.path.isdir(runs) else []:
        run = os.path.join(runs, name)
        seen = _seen(run)
        if seen is not None and seen.phase != state.ENDED:
            yield run


def _seen(run: str) -> state.State | None:
    try:
        return state.observe(run)
    except (GuestError, OSError, TypeError):  # what has no state to be read has nothing that we could end
        return None
