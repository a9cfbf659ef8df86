"""How anybody asks a supervisor to end its job, and how the job is ended when the supervisor is no more.

A request is a line in RUN/requests.jsonl and a signal to the supervisor to read it. Lines are only ever added, so two
people who ask at once are both heard.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass

from . import job, processes, state
from .errors import GuestError
from .state import State

WAKE_UP = signal.SIGUSR1

_POLL_S = 0.03
_PATIENCE_S = 15.0  # for a supervisor that lives and does not answer, on top of the grace


@dataclass(frozen=True)
class Request:
    """End the job: a signal to its process group, and KILL `grace_s` seconds later."""

    signal: int
    grace_s: float


class Inbox:
    """Read the requests of one run, each once."""

    def __init__(self, run: str) -> None:
        self._path = _path(run)
        self._offset = 0

    def read(self) -> list[Request]:
        """Return the requests that came since the last reading."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [Request(int(line["signal"]), float(line["grace_s"])) for line in map(json.loads, whole.splitlines())]


def ask_to_end(run: str, number: int, grace_s: float | None) -> State:
    """Send the job a signal, KILL after the grace (None: the job's own), wait and return the state. An ended job is a success.

    Raises:
        GuestError: there is no such run, or nobody could end its job.
    """
    seen = state.require(run)
    grace_s = job.read(run).grace_s if grace_s is None else grace_s
    if not seen.is_over:
        _leave(run, Request(number, grace_s))
        with contextlib.suppress(ProcessLookupError):  # it died since we looked; the group is ended below
            os.kill(seen.supervisor_pid, WAKE_UP)
        seen = _wait(run, seen, time.monotonic() + grace_s + _PATIENCE_S)
    if seen.phase != state.ENDED:
        _end_group(run, seen, number, grace_s)
    return state.require(run)


def _leave(run: str, request: Request) -> None:
    line = json.dumps({"signal": request.signal, "grace_s": request.grace_s}) + "\n"
    file = os.open(_path(run), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        os.write(file, line.encode("ascii"))
    finally:
        os.close(file)


def _wait(run: str, seen: State, until: float) -> State:
    while not seen.is_over and time.monotonic() < until:
        time.sleep(_POLL_S)
        seen = state.require(run)
    return seen


def _end_group(run: str, seen: State, number: int, grace_s: float) -> None:
    """End what a dead or deaf supervisor left, without its help."""
    group = seen.job_pid
    if group is None or not processes.is_group_of(run, group, seen.job_mark, seen.boot_id):
        return
    processes.send(group, number)
    if not _is_gone(group, grace_s):
        processes.send(group, signal.SIGKILL)
        if not _is_gone(group, _PATIENCE_S):
            raise GuestError(f"process group {group} did not end on KILL")


def _is_gone(group: int, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while processes.group_exists(group):
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL_S)
    return True


def _path(run: str) -> str:
    return os.path.join(run, "requests.jsonl")
