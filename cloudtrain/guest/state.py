"""What became of a job: state.json, written whole or not at all, and read with a look at who wrote it."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields
from typing import Any

from . import processes
from .errors import GuestError

STARTING, RUNNING, ENDED, LOST = "starting", "running", "ended", "lost"

# A state always fits one block of the disk, so the spare below can be filled on a disk that has no room left.
_BLOCK_BYTES = 4096


@dataclass
class State:
    """One run's state.

    Attributes:
        phase: "starting", "running", "ended" or "lost"; "lost" is only ever observed, never written.
        supervisor_pid, supervisor_mark, job_pid, job_mark: process numbers and the starts that make them unique;
            the job's number is that of its process group and session too.
        started_at, ended_at: ISO 8601 with offset, or None.
        ended_by: "job", "request", "deadline", "stalled", "reclaim", or "" while it runs.
        log_lost_bytes: bytes of the job's output that could not be written.
        reclaim_at: when the cloud takes the machine, ISO 8601 with offset; None while it has not said that it does.
    """

    phase: str
    supervisor_pid: int
    supervisor_mark: str
    boot_id: str
    job_pid: int | None = None
    job_mark: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    exit_code: int | None = None
    signal: str = ""
    ended_by: str = ""
    log_lost_bytes: int = 0
    reclaim_at: str | None = None

    @property
    def is_over(self) -> bool:
        """Say whether nothing more will come of this job."""
        return self.phase in (ENDED, LOST)

    def shown(self, run: str) -> dict[str, Any]:
        """Return the state as the protocol shows it."""
        names = ("phase", "exit_code", "signal", "ended_by", "started_at", "ended_at", "log_lost_bytes", "reclaim_at")
        return {**{name: getattr(self, name) for name in names}, "log_bytes": _size(os.path.join(run, "job.log"))}


def record(run: str, state: State) -> None:
    """Write state.json: whole or not at all, on the disk when this returns.

    Each writing but the last lays by one block for the next, so that a job's end can be recorded on the disk it filled.
    """
    path = os.path.join(run, "state.json")
    spare = path + ".next"
    content = json.dumps(asdict(state)).encode("ascii").ljust(_BLOCK_BYTES)
    _fill(spare, content)
    os.replace(spare, path)
    _sync_folder(run)
    if state.phase != ENDED:
        with contextlib.suppress(OSError):  # no room for a spare now; the next writing may find some
            _fill(spare, b" " * _BLOCK_BYTES)


def read(run: str) -> State | None:
    """Return the state as it was last recorded, None while nothing was ever started."""
    try:
        with open(os.path.join(run, "state.json"), "rb") as file:
            content = json.loads(file.read())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise GuestError(f"state.json of {run} is damaged: {error}") from error
    known = {field.name for field in fields(State)}
    return State(**{name: value for name, value in content.items() if name in known})


def observe(run: str) -> State | None:
    """Return the state as it is now, "lost" told from "running"; None while nothing was ever started."""
    state = read(run)
    if state is None or state.is_over or _is_supervised(state):
        return state
    # It may have recorded the end and left between our two looks.
    state = read(run)
    if state is not None and not state.is_over:
        state.phase = LOST
    return state


def require(run: str) -> State:
    """Return the state as it is now.

    Raises:
        GuestError: there is no such run, or its job was never started.
    """
    if not os.path.isdir(run):
        raise GuestError(f"there is no run {run}")
    state = observe(run)
    if state is None:
        raise GuestError(f"the job of {run} was never started")
    return state


def _is_supervised(state: State) -> bool:
    return processes.is_alive(state.supervisor_pid, state.supervisor_mark, state.boot_id)


def _fill(path: str, content: bytes) -> None:
    # In place and never truncated: a block that this file already has needs no room.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        written = 0
        while written < len(content):
            written += os.pwrite(file, content[written:], written)
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some file systems refuse to sync a folder; the file itself is safe
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
