"""Bring a supervisor to life that owes nothing to the terminal, the line or the process that asked for it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import traceback
from typing import Iterator, Mapping

from . import job, state
from .errors import GuestError
from .state import State
from .supervisor import Supervisor

_RECORDED = b"recorded"


def start(run: str, secrets: Mapping[str, str]) -> State:
    """Start the job of a run unless it was started before; return its state once that is recorded.

    Raises:
        GuestError: there is no such run, its job.json cannot be used, or the supervisor could not begin.
    """
    wanted = job.read(run)
    with _only_one(run) as lock:
        if state.read(run) is None:
            _launch(wanted, secrets, lock)
    return state.require(run)


@contextlib.contextmanager
def _only_one(run: str) -> Iterator[int]:
    """Let one `start` at a time through. The supervisor shares the lock until it has recorded that it is there."""
    lock = os.open(os.path.join(run, "start.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _launch(wanted: job.Job, secrets: Mapping[str, str], lock: int) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _become_supervisor(wanted, secrets, writer, lock)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as report:
        said = report.read()
    if said != _RECORDED:
        raise GuestError(said.decode("utf-8", "replace") or "the supervisor died before it could begin; see supervisor.log")


def _become_supervisor(wanted: job.Job, secrets: Mapping[str, str], report: int, lock: int) -> None:
    """Live on in a session of its own, with nothing of the asker's but the report and the lock. Never returns."""
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.setsid()
        if os.fork() == 0:
            _take_own_files(wanted.run, {report, lock})
            _supervise(wanted, secrets, report, lock)
    except BaseException:  # whatever it is must be written down: nobody else will hear of it
        traceback.print_exc()
    finally:
        os._exit(0)


def _supervise(wanted: job.Job, secrets: Mapping[str, str], report: int, lock: int) -> None:
    try:
        supervisor = Supervisor(wanted)
        supervisor.start(secrets)
    except Exception as error:
        os.write(report, f"the job could not be started: {error}".encode("utf-8", "replace"))
        raise
    with contextlib.suppress(BrokenPipeError):  # whoever asked did not wait for the answer; the job runs all the same
        os.write(report, _RECORDED)
    os.close(report)
    os.close(lock)
    supervisor.attend()


def _take_own_files(run: str, kept: set[int]) -> None:
    os.chdir(run)
    for name in os.listdir("/dev/fd"):
        if int(name) > 2 and int(name) not in kept:
            with contextlib.suppress(OSError):  # the listing's own descriptor is in it, and closed by now
                os.close(int(name))
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(os.path.join(run, "supervisor.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
