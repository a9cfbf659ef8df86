"""How anybody asks a supervisor to end its job or to move its deadline, and how a job without supervisor is ended.

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
from typing import Any

from . import job, processes, state, system
from .errors import GuestError
from .state import State

WAKE_UP = signal.SIGUSR1

_POLL_S = 0.03
_PATIENCE_S = 15.0  # for a supervisor that lives and does not answer, on top of the grace


@dataclass(frozen=True)
class Request:
    """End the job: a signal to its process group, and KILL `grace_s` seconds later. `by` is what the state tells then."""

    signal: int
    grace_s: float
    by: str = "request"


@dataclass(frozen=True)
class NewDeadline:
    """End the job at another time than it was started with (Unix time)."""

    at: float


class Inbox:
    """Read the requests of one run, each once."""

    def __init__(self, run: str) -> None:
        self._path = _path(run)
        self._offset = 0

    def read(self) -> list[Request | NewDeadline]:
        """Return the requests that came since the last reading, those we understand."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        found = [_understood(line) for line in whole.splitlines()]
        return [request for request in found if request is not None]


def ask_to_end(run: str, number: int, grace_s: float | None, by: str = "request") -> State:
    """Send the job a signal, KILL after the grace (None: the job's own), wait and return the state. An ended job is a success.

    `by` is why: "request", or a rule of the machine's lease ("deadline", "stalled").

    Raises:
        GuestError: there is no such run, or nobody could end its job.
    """
    seen = state.require(run)
    grace_s = job.read(run).grace_s if grace_s is None else grace_s
    if not seen.is_over:
        _leave(run, seen, {"signal": number, "grace_s": grace_s, "by": by})
        seen = _wait(run, seen, time.monotonic() + grace_s + _PATIENCE_S)
    if seen.phase != state.ENDED:
        _end_group(run, seen, number, grace_s)
    return state.require(run)


def move_deadline(run: str, at: float) -> State:
    """Let the job end at another time (Unix time); return its state. An ended job stays as it is.

    Raises:
        GuestError: there is no such run, or its supervisor is no more and the deadline is kept by nobody.
    """
    seen = state.require(run)
    if seen.phase == state.LOST:
        raise GuestError(f"the job of {run} has lost its supervisor")
    if not seen.is_over:
        _leave(run, seen, {"deadline": at})
    return seen


def _understood(line: bytes) -> Request | NewDeadline | None:
    try:
        content = json.loads(line)
        if "deadline" in content:
            return NewDeadline(float(content["deadline"]))
        return Request(int(content["signal"]), float(content["grace_s"]), str(content.get("by", "request")))
    except (ValueError, KeyError, TypeError, AttributeError):  # half a line of a full disk, or a word of a newer guest
        return None


def _leave(run: str, seen: State, content: dict[str, Any]) -> None:
    wake_up = WAKE_UP
    try:
        _append(run, json.dumps(content) + "\n")
    except OSError:
        if "signal" not in content:
            raise
        wake_up = signal.SIGTERM  # no room for words: the supervisor ends the job on this one, too
    with contextlib.suppress(ProcessLookupError):  # it died since we looked
        os.kill(seen.supervisor_pid, wake_up)


def _append(run: str, line: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.open(_path(run), flags, 0o644)
    try:
        system.own(file, run)
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
