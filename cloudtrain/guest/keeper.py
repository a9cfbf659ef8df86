"""The keeper: looks at the machine again and again, and does what the rules say."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import Sequence

from . import azure_end, ender, idle, job, processes, request, rules, state, system
from .errors import GuestError
from .keep_alive import Wait, keep_alive
from .lease import NONE, POWEROFF, Lease, Mark, Place
from .moment import stamp

_LONGEST_LOG = 1 << 16
_LAST_MINUTE_S = 65.0  # `shutdown` counts whole minutes and may be that early; a job is to have ended before


def keep(home: str, every_s: float, pause_s: float) -> None:
    """Keep the lease of the machine whose runs lie below `home`; return at once where somebody does so already.

    `every_s` is the time between two looks, `pause_s` that between two ways to switch the machine off.
    """
    place = Place.of(home)
    if _take(place):
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("-900")  # a job that eats all memory must not take us along
        keep_alive(lambda wait: _Keeper(home, place, every_s, pause_s).work(wait), lambda text: _note(place, text))


def is_kept(place: Place) -> bool:
    """Say whether a keeper lives."""
    try:
        lock = os.open(_lock(place), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def wake(place: Place) -> None:
    """Let the keeper look now."""
    with contextlib.suppress(OSError, ValueError), open(_number(place), encoding="ascii") as file:
        number = int(file.read())
        with open(f"/proc/{number}/cmdline", "rb") as line:
            if b"keeper" in line.read():  # and no stranger who got its number
                os.kill(number, request.WAKE_UP)


@dataclass(frozen=True)
class _Jobs:
    running: Sequence[str]
    ended: Sequence[str]  # by whom, each
    are_known: bool


class _Keeper:
    def __init__(self, home: str, place: Place, every_s: float, pause_s: float) -> None:
        self._home = home
        self._place = place
        self._every_s = every_s
        self._pause_s = pause_s
        self._lease: Lease | None = None
        self._mark: Mark | None = None
        self._memory = rules.Memory()
        self._meters = idle.Meters()
        self._asked: set[tuple[str, str]] = set()
        self._said = ""

    def work(self, wait: Wait) -> None:
        with contextlib.suppress(OSError), open(_number(self._place), "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        while wait(self._look(wait)):
            pass

    def _look(self, wait: Wait) -> float:
        """Look, act, and return the seconds until the next look."""
        lease = self._lease = self._newest()
        if lease is None:
            return self._every_s
        jobs = _jobs(self._home)
        seen = self._see(lease, jobs, system.uptime_s())
        found = rules.decide(time.time(), system.uptime_s(), lease, seen)  # looking took its time
        self._mark, self._memory = found.mark, found.memory
        self._place.write_mark(found.mark)
        self._say(f"{found.action}{': ' * bool(found.reason)}{found.reason} ({seen.busy or 'idle'})", found.left_s)
        if found.action == rules.ASK:
            self._ask(jobs.running, found.reason, found.left_s)
        elif found.action == rules.END:
            self._end(lease, jobs, found.reason, wait)
        elif lease.end == POWEROFF:
            ender.let_in()
            if system.has_systemd() and not ender.is_scheduled():
                ender.arm(found.left_s)
        return min(self._every_s, max(found.left_s, 0.0) or self._every_s)

    def _newest(self) -> Lease | None:
        """Return the newest lease we know: what was read outlives its file."""
        with contextlib.suppress(OSError):
            there = self._place.read()
            if there is not None and (self._lease is None or there.issued_at >= self._lease.issued_at):
                return there
        return self._lease

    def _see(self, lease: Lease, jobs: _Jobs, up: float) -> rules.Seen:
        moving = self._meters.moving(up)
        is_wanted = bool(jobs.running) or "network" in moving or idle.is_connected()
        busy = _why_busy(jobs, moving, is_wanted)
        # The driver's tool costs the job some time: it is asked only when its answer decides.
        is_asked = (not busy and lease.idle_timeout_s is not None) or (jobs.running and lease.stall_timeout_s is not None)
        gpu = self._meters.gpu(up) if is_asked else idle.UNKNOWN
        if not busy and gpu in (idle.BUSY, idle.UNKNOWN):
            busy = f"the GPU is {gpu}"
        marks = (self._mark, self._place.read_mark())
        return rules.Seen(
            system.boot(),
            tuple(mark for mark in marks if mark is not None),
            self._memory,
            busy,
            bool(jobs.running),
            bool(jobs.ended) and not jobs.running and jobs.are_known,
            "stalled" in jobs.ended,
            is_wanted,
            gpu == idle.QUIET,
        )

    def _ask(self, runs: Sequence[str], reason: str, left_s: float) -> None:
        for run in runs:
            if (run, reason) not in self._asked:
                self._asked.add((run, reason))
                threading.Thread(target=self._ask_one, args=(run, reason, left_s), daemon=True).start()

    def _ask_one(self, run: str, reason: str, left_s: float) -> None:
        grace_s = max(5.0, left_s - _LAST_MINUTE_S)
        try:
            with contextlib.suppress(GuestError):
                grace_s = min(grace_s, job.read(run).grace_s)
            request.ask_to_end(run, signal.SIGTERM, grace_s, reason)
        except (GuestError, OSError) as error:
            _note(self._place, f"the job of {run} could not be ended: {error}")

    def _end(self, lease: Lease, jobs: _Jobs, reason: str, wait: Wait) -> None:
        self._ask(jobs.running, reason, 0.0)
        if lease.end == POWEROFF:
            ender.power_off(wait, self._pause_s)
        elif lease.end != NONE:
            self._ask_cloud(lease.end)
        self._asked.clear()  # where the machine goes on, a job that is started later is ended too

    def _ask_cloud(self, action: str) -> None:
        """Let the cloud end the machine. Refused, it is asked again at the next look: to switch off would end no bill."""
        try:
            azure_end.end(action)
            _note(self._place, f"Azure was asked to {action} this machine")
        except OSError as error:
            _note(self._place, f"ALARM: this machine goes on billing, and asks again: {error}")

    def _say(self, text: str, left_s: float) -> None:
        if text != self._said:
            self._said = text
            _note(self._place, f"{text}; {left_s:.0f} s to the deadline")


def _why_busy(jobs: _Jobs, moving: Sequence[str], is_wanted: bool) -> str:
    if jobs.running:
        return "a job runs"
    if not jobs.are_known:
        return "a job's state cannot be read"
    if moving:
        return f"at work or unknown: {', '.join(moving)}"
    return "somebody is connected" if is_wanted else ""


def _jobs(home: str) -> _Jobs:
    running, ended, are_known = [], [], True
    for path in sorted(glob.glob(os.path.join(glob.escape(home), "runs", "*", "state.json"))):
        run = os.path.dirname(path)
        try:
            seen = state.observe(run)
            if seen is None:
                continue
            is_left = seen.phase == state.LOST and processes.is_group_of(run, seen.job_pid, seen.job_mark, seen.boot_id)
        except (GuestError, OSError, TypeError, AttributeError):
            are_known = False
            continue
        if not seen.is_over or (is_left and processes.group_exists(seen.job_pid or 0)):
            running.append(run)
        elif seen.boot_id == processes.boot_id():
            ended.append(seen.ended_by)
    return _Jobs(running, ended, are_known)


def _take(place: Place) -> bool:
    """Take the keeper's lock, for us and for whoever we bring to life. Where there is no room for one, go without."""
    try:
        os.makedirs(place.fleeting, exist_ok=True)
        lock = os.open(_lock(place), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    return True


def _note(place: Place, text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk costs the log, never the deadline
        path = os.path.join(place.kept, "keeper.log")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(file, stamp(time.time()) + text.encode("utf-8", "replace") + b"\n")
            is_long = os.fstat(file).st_size > _LONGEST_LOG
        finally:
            os.close(file)
        if is_long:
            os.replace(path, path + ".1")


def _lock(place: Place) -> str:
    return os.path.join(place.fleeting, "keeper.lock")


def _number(place: Place) -> str:
    return os.path.join(place.fleeting, "keeper.pid")
