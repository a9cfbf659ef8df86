"""The parent of the job: keeps its log, its time and its state, and leaves nothing of it running."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from typing import Mapping

from . import notice, processes, state
from .copier import Copier
from .deadline import Deadline
from .job import Job
from .log import LogWriter
from .meter import Meter
from .moment import iso, stamp
from .request import WAKE_UP, Inbox, NewDeadline, Request
from .state import State

_CHUNK_BYTES = 1 << 16
_TICK_S = 0.02  # once the command has ended: nothing wakes us when the last of its group goes
_LOOK_S = 15.0  # how often the clock on the wall is compared while nothing happens
_BURIAL_S = 3.0  # how long a group that was sent KILL may take to go
_WARNED_AT = 0.8  # of the time from the start, or from the moving of the deadline, until the deadline
_DRAIN_S = 1.0  # how long a process that left the group may hold the log's pipe open

_CANNOT_RUN, _NOT_FOUND = 126, 127


class Supervisor:
    """Runs one job from its start to its end."""

    def __init__(self, job: Job) -> None:
        """Take the place of the job's parent. Call it in the process that stays: it takes over the signals."""
        self._job = job
        self._state = State(
            phase=state.STARTING,
            supervisor_pid=os.getpid(),
            supervisor_mark=processes.start_mark(os.getpid()),
            boot_id=processes.boot_id(),
        )
        self._log = LogWriter(os.path.join(job.run, "job.log"))
        self._inbox = Inbox(job.run)
        self._deadline, self._warning = Deadline(job.deadline), _warning_before(job.deadline)
        self._is_time_up = False
        self._lookout: notice.Lookout | None = None
        self._copier = Copier(job, self._log.say, lambda: os.kill(os.getpid(), WAKE_UP))
        self._selector = selectors.DefaultSelector()
        self._pipe: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._asked_by = ""
        self._kill_at: float | None = None
        self._leave_at: float | None = None
        self._bells = _hear_signals()

    def start(self, secrets: Mapping[str, str]) -> None:
        """Start the command and record it. A command that cannot be started is recorded as ended.

        Raises:
            OSError: the state cannot be recorded; nothing was started, or what was started was killed.
        """
        self._state.started_at = iso(time.time())
        self._record()
        reader, writer = os.pipe()
        try:
            self._child = self._spawn(self._job.environ(os.environ, secrets), writer)
        except (OSError, ValueError) as error:
            os.close(reader)
            self._refuse(error)
            return
        finally:
            os.close(writer)
        self._pipe = reader
        self._selector.register(reader, selectors.EVENT_READ, self._pump)
        self._selector.register(self._bells, selectors.EVENT_READ, self._answer)
        self._state.phase = state.RUNNING
        self._state.job_pid = self._child.pid
        self._state.job_mark = processes.start_mark(self._child.pid)
        try:
            self._record()
        except OSError:
            processes.send(self._child.pid, signal.SIGKILL)
            raise

    def attend(self) -> None:
        """Stay with the job until it and all of its process group have ended and everything is written down."""
        if self._child is None:
            return
        meter = Meter(self._job.run, self._child.pid, self._job.sample_every_s)
        meter.start()
        try:
            self._look_out()
            self._copier.begin()
            self._read_requests()
            while not self._is_done(self._child):
                self._listen(self._patience_s())
                self._keep_time(self._child)
        except BaseException:
            # Without us the deadline is kept by nobody: better no job than one that never ends.
            processes.send(self._child.pid, signal.SIGKILL)
            raise
        self._copy_the_rest()
        if self._lookout is not None:
            self._lookout.stop()
        meter.stop()
        self._log.close()
        self._state.phase = state.ENDED
        self._record()

    def _spawn(self, env: Mapping[str, str], output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", self._job.command],
            cwd=self._job.work,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a group of its own too, with the child's number as name
        )

    def _refuse(self, error: Exception) -> None:
        self._log.say(f"the command could not be started: {error}")
        self._log.close()
        self._state.phase = state.ENDED
        self._state.ended_at = iso(time.time())
        self._state.ended_by = "job"
        self._state.exit_code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN
        self._record()

    def _record(self) -> None:
        self._state.log_lost_bytes = self._log.lost_bytes
        state.record(self._job.run, self._state)

    def _pump(self, pipe: int) -> None:
        chunk = os.read(pipe, _CHUNK_BYTES)
        if chunk:
            self._log.write(chunk)
            return
        self._selector.unregister(pipe)
        os.close(pipe)
        self._pipe = None

    def _answer(self, bells: int) -> None:
        heard = os.read(bells, 4096)
        if WAKE_UP in heard:
            self._read_requests()
            self._hear_notice()
            self._copier.hear()
        if signal.SIGTERM in heard or signal.SIGINT in heard:  # the machine is going down, or somebody has no guest at hand
            self._end("request", Request(signal.SIGTERM, self._job.grace_s))

    def _read_requests(self) -> None:
        for request in self._inbox.read():
            if isinstance(request, NewDeadline):
                _note(f"the deadline is moved to {request.at:.0f}")
                self._deadline, self._warning = Deadline(request.at), _warning_before(request.at)
                self._is_time_up = False
            else:
                self._end(request.by, request)

    def _look_out(self) -> None:
        if self._job.notice in notice.READERS:
            self._lookout = notice.Lookout(notice.READERS[self._job.notice](), lambda: os.kill(os.getpid(), WAKE_UP))
            self._lookout.start()
        elif self._job.notice:
            _note(f"nobody here knows how {self._job.notice!r} tells that it takes a machine back")

    def _hear_notice(self) -> None:
        at = None if self._lookout is None else self._lookout.at
        if at is None or self._state.reclaim_at is not None:
            return
        self._state.reclaim_at = iso(at)
        self._end("reclaim", Request(signal.SIGTERM, notice.grace_s(at - time.time(), self._job.grace_s)))
        with contextlib.suppress(OSError):  # it is written again with the job's end
            self._record()

    def _copy_the_rest(self) -> None:
        """Let the last outputs reach their place before the end is written down, as far as there is time."""
        if not self._copier.is_at_work:
            return
        self._child = None  # its number may be another's by now: whoever asks for an end shortens the copying, no more
        with contextlib.suppress(OSError):  # it is written again with the job's end
            self._record()
        self._copier.finish(self._deadline.remaining_s, self._listen)

    def _listen(self, patience_s: float) -> None:
        for key, _ in self._selector.select(max(0.0, patience_s)):
            key.data(key.fd)

    def _end(self, asked_by: str, request: Request) -> None:
        if asked_by != "job":
            self._copier.hurry(request.grace_s)
        if self._child is None:
            return
        if not self._asked_by and self._state.ended_at is None:
            self._asked_by = asked_by
        _note(f"{processes.signal_name(request.signal)} to the job, KILL {request.grace_s:g} s later (asked by: {asked_by})")
        processes.send(self._child.pid, request.signal)
        kill_at = time.monotonic() + request.grace_s
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)

    def _keep_time(self, child: subprocess.Popen[bytes]) -> None:
        if self._state.ended_at is None and child.poll() is not None:
            self._note_end(child.returncode)
            if processes.group_exists(child.pid):  # what the command left running has lost its reason to be
                self._end("job", Request(signal.SIGTERM, self._job.grace_s))
        self._warn()
        self._keep_deadline()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            _note("KILL to the job")
            processes.send(child.pid, signal.SIGKILL)
            self._kill_at = None
            self._leave_at = time.monotonic() + _BURIAL_S

    def _warn(self) -> None:
        """Say once, in the job's log, that its time is nearly up."""
        left, remaining = self._warning.remaining_s(), self._deadline.remaining_s()
        if left is None or left > 0 or remaining is None or self._state.ended_at is not None:
            return
        self._warning = Deadline(None)
        at = time.strftime("%H:%M UTC", time.gmtime(time.time() + remaining))
        self._log.say(f"{_WARNED_AT:.0%} of the time is used: the job is asked to end at {at} (longer: cloudtrain extend)")

    def _keep_deadline(self) -> None:
        """End the job when its time is up, whoever asked before: their signal may have meant nothing to it."""
        remaining = self._deadline.remaining_s()
        if self._is_time_up or remaining is None or remaining > 0:
            return
        self._is_time_up = True
        if self._leave_at is None:  # else it was killed, or only its log is waited for
            self._end("deadline", Request(signal.SIGTERM, self._job.grace_s))

    def _note_end(self, code: int) -> None:
        self._state.ended_at = iso(time.time())
        self._state.exit_code = code if code >= 0 else None
        self._state.signal = processes.signal_name(-code) if code < 0 else ""
        self._state.ended_by = self._asked_by or "job"
        self._asked_by = self._asked_by or "job"

    def _is_done(self, child: subprocess.Popen[bytes]) -> bool:
        if self._state.ended_at is None:
            return False
        is_late = self._leave_at is not None and time.monotonic() >= self._leave_at
        if processes.group_exists(child.pid) and not is_late:
            return False
        if self._pipe is not None and self._leave_at is None:
            self._kill_at, self._leave_at = None, time.monotonic() + _DRAIN_S
        return self._pipe is None or is_late

    def _patience_s(self) -> float:
        if self._state.ended_at is not None:
            return _TICK_S
        moments = [_LOOK_S]
        remaining = self._deadline.remaining_s()
        if remaining is not None and not self._is_time_up:
            moments.append(remaining)
        warned_in = self._warning.remaining_s()
        if warned_in is not None:
            moments.append(warned_in)
        if self._kill_at is not None:
            moments.append(self._kill_at - time.monotonic())
        return max(0.0, min(moments))


def _warning_before(deadline: float | None) -> Deadline:
    now = time.time()
    return Deadline(None if deadline is None else now + _WARNED_AT * (deadline - now))


def _note(text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk must not end the job
        os.write(2, stamp(time.time()) + text.encode("utf-8", "replace") + b"\n")


def _hear_signals() -> int:
    """Turn the signals that concern us into bytes to wait for. Hanging up is heard and means nothing to us.

    They are heard, not ignored, so that the command starts with every signal as the system made it.
    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, WAKE_UP):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whoever asked may have blocked some
    return reader
