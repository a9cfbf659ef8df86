"""A machine as its own guest sees it: a wall clock that may be moved, an uptime, a disk, and who looks every ten seconds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cloudtrain.guest import lease as guest_lease
from cloudtrain.guest import rules

POLL_S = 10.0
BOOT_S = 20.0
START = datetime(2026, 11, 10, 12, tzinfo=UTC)


@dataclass
class Model:
    """One machine, seen from outside (true time `t`, seconds since the beginning) and from inside.

    Attributes:
        promised: the latest deadline that anybody was given, true time.
        granted_usd: all that anybody granted it, USD.
        on: when it was switched on and off, and what an hour cost.
        blind_s: how much longer it may live by itself: nobody looked and its clock was wrong.
        begun_s: how much of a minute an extension by dollars may have begun (see `World.is_strict`).
    """

    id: str
    end_at: float = 0.0
    t: float = 0.0
    lease: guest_lease.Lease | None = None
    is_on: bool = False
    usd_per_hour: float = 0.0
    on: list[tuple[float, float, float]] = field(default_factory=list)
    since: float = 0.0
    promised: float = 0.0
    granted_usd: float | None = 0.0
    blind_s: float = 0.0
    begun_s: float = 0.0
    clock_error: float = 0.0
    booted_at: float = 0.0
    boots: int = 0
    is_full: bool = False
    disk: guest_lease.Mark | None = None
    mark: guest_lease.Mark | None = None
    memory: rules.Memory = field(default_factory=rules.Memory)
    busy_until: float = 0.0
    last_busy: float = 0.0
    last_look: float = 0.0

    def switch_on(self, t: float, deadline: float, usd_per_hour: float) -> None:
        """Boot under what the user data says, as the boot line does."""
        self.is_on, self.t, self.since, self.usd_per_hour = True, t, t, usd_per_hour
        self.clock_error, self.is_full, self.blind_s = 0.0, False, 0.0
        self.lease = guest_lease.parse({"deadline": unix(deadline), "issued_at": unix(t), "end": "poweroff"})
        self._boot(t)

    def switch_off(self, t: float) -> None:
        if self.is_on:
            self.is_on = False
            self.on.append((self.since, t, self.usd_per_hour))

    def bill_usd(self, step_s: float, now: float) -> float:
        """Return what it has cost, every step of the meter that was begun paid whole."""
        spans = [*self.on, *([(self.since, now, self.usd_per_hour)] if self.is_on else [])]
        return math.fsum(steps(end - begun, step_s) * step_s * usd / 3600 for begun, end, usd in spans)

    def live_until(self, t: float, looks: bool) -> str:
        """Live until a moment; return why it ended itself before, or ""."""
        while looks and self.t < t:
            left = POLL_S if self.mark is None else self.mark.ends_up - (self.t - self.booted_at)
            self.t = min(t, self.t + min(POLL_S, max(left, 0.01)))
            why = self.look()
            if why:
                return why
        self.t = max(t, self.t)
        return ""

    def look(self) -> str:
        assert self.lease is not None
        was_busy = self.busy_until > self.last_look
        if was_busy:
            self.last_busy = min(self.t, self.busy_until)
        marks = tuple(mark for mark in (self.mark, self.disk) if mark is not None)
        seen = rules.Seen(f"boot-{self.boots}", marks, self.memory, "a job runs" if was_busy else "")
        found = rules.decide(unix(self.t) + self.clock_error, self.t - self.booted_at, self.lease, seen)
        self.mark, self.memory = found.mark, found.memory
        if not self.is_full:
            self.disk = found.mark
        self.last_look = self.t
        return found.reason if found.action == rules.END else ""

    def tell(self, content: Mapping[str, Any]) -> None:
        """Take a lease as `leasing.replace` does."""
        wanted = guest_lease.parse(content)
        assert self.lease is not None
        if self.lease.issued_at > wanted.issued_at:
            raise ValueError("the machine has a lease that was issued later")
        self.lease = wanted
        self.look()

    def reboot(self, off_s: float) -> None:
        unseen, is_off_then = self.t - self.last_look, self.t + off_s > self.promised
        # With a clock that is behind, looks alone know how much was left, and nobody looks while a machine is off. One that is
        # off when its deadline passes can end itself only when it is on again.
        if is_off_then or self.clock_error < 0 or self.disk is None or self.is_full:
            self.blind_s += off_s + unseen + BOOT_S
        self._boot(self.t + off_s)

    def kill(self) -> None:
        if self.clock_error < 0 and self.is_full:
            self.blind_s = math.inf  # memory lost, the disk full of what is old, the clock wrong: the armed shutdown's turn
        self.mark, self.memory = None, rules.Memory()

    def _boot(self, t: float) -> None:
        self.t, self.booted_at, self.boots = t, t - BOOT_S, self.boots + 1
        self.mark, self.memory = None, rules.Memory()
        self.look()


def unix(t: float) -> float:
    return START.timestamp() + t


def steps(seconds: float, step_s: float) -> int:
    return math.ceil(round(seconds / step_s, 6))
