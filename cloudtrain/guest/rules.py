"""What is to become of the machine, from one look at it: no clock is asked here, nothing is read, nothing is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from .lease import Lease, Mark, mark

LAST_CALL_S = 120.0
"""How long before the deadline the jobs are asked to end."""

STALLED_GRACE_S = 600.0
"""How long the results of a stalled job wait when the lease names no grace."""

_BLIND_S = 60.0  # a machine that nobody looked at for so long may have done anything

WAIT, ASK, END = "wait", "ask the jobs to end", "end the machine"


@dataclass(frozen=True)
class Memory:
    """Since when, by uptime, something has lasted; None: it does not now."""

    looked: float | None = None
    quiet: float | None = None
    stalled: float | None = None
    finished: float | None = None


@dataclass(frozen=True)
class Seen:
    """One look at the machine.

    Attributes:
        boot: the name of this start of the machine.
        marks: earlier looks at the clocks, from memory and from the disk.
        memory: what the last look left.
        busy: why the machine is not idle, in words; "" when it is. What cannot be read is a reason.
        is_running: a job runs.
        has_finished: one ran since the machine started, and none does now.
        has_stalled: one of those was ended because it stalled.
        is_wanted: somebody is connected, or something travels.
        is_gpu_quiet: a GPU is there, can be read, and does nothing.
    """

    boot: str
    marks: Sequence[Mark] = ()
    memory: Memory = Memory()
    busy: str = ""
    is_running: bool = False
    has_finished: bool = False
    has_stalled: bool = False
    is_wanted: bool = False
    is_gpu_quiet: bool = False


@dataclass(frozen=True)
class Decision:
    """What to do now: `action` for `reason` ("deadline", "idle", "stalled", "finished" or ""), and what to remember."""

    action: str
    reason: str
    left_s: float
    mark: Mark
    memory: Memory


def decide(now: float, up: float, lease: Lease, seen: Seen) -> Decision:
    """Decide at Unix time `now`, uptime `up`. Whatever else is true, the deadline is."""
    look = mark(lease, now, up, seen.boot, seen.marks)
    left = look.ends_up - up
    memory = _remember(up, lease, seen)
    action, reason = _by_deadline(left, seen)
    if action == WAIT:
        action, reason = _by_what_lasts(up, lease, seen, memory)
    return Decision(action, reason, left, look, memory)


def _by_deadline(left: float, seen: Seen) -> tuple[str, str]:
    if left <= 0:
        return END, "deadline"
    if left <= LAST_CALL_S and seen.is_running:
        return ASK, "deadline"
    return WAIT, ""


def _by_what_lasts(up: float, lease: Lease, seen: Seen, memory: Memory) -> tuple[str, str]:
    grace = lease.finish_grace_s
    if grace is None and seen.has_stalled:
        grace = STALLED_GRACE_S
    if _lasted(memory.finished, grace, up):
        return END, "finished"
    if _lasted(memory.quiet, lease.idle_timeout_s, up):
        return END, "idle"
    if _lasted(memory.stalled, lease.stall_timeout_s, up):
        return ASK, "stalled"
    return WAIT, ""


def _remember(up: float, lease: Lease, seen: Seen) -> Memory:
    was = seen.memory
    is_new = all((look.deadline, look.issued_at) != (lease.deadline, lease.issued_at) for look in seen.marks)
    if is_new or was.looked is None or not 0 <= up - was.looked <= _BLIND_S:
        was = Memory()  # whoever moves the lease has plans for the machine
    return Memory(
        up,
        _since(was.quiet, not seen.busy, up),
        _since(was.stalled, seen.is_running and seen.is_gpu_quiet, up),
        _since(was.finished, seen.has_finished and not seen.is_wanted, up),
    )


def _since(before: float | None, holds: bool, up: float) -> float | None:
    if not holds:
        return None
    return up if before is None else before


def _lasted(since: float | None, limit_s: float | None, up: float) -> bool:
    return since is not None and limit_s is not None and up - since >= limit_s
