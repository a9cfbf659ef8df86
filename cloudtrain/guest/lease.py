"""When the machine ends: the lease, where it is kept, and the arithmetic that no clock can stretch."""

from __future__ import annotations

import contextlib
import json
import math
import os
from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping

from . import system
from .errors import GuestError

POWEROFF, DEALLOCATE, DELETE, NONE = "poweroff", "deallocate", "delete", "none"

_LATEST = 10**11  # Unix time: in the year 5138


@dataclass(frozen=True)
class Lease:
    """A promise about the machine's end; all times in seconds.

    Attributes:
        deadline, issued_at: Unix time, whole; of two leases the one issued later counts.
        end: what ends the bill there: "poweroff", "deallocate" or "delete" (the machine asks its cloud for it), or "none" (the
            jobs are ended, the machine is not).
        idle_timeout_s: how long the machine may do nothing; None: for ever.
        stall_timeout_s: how long a job may leave the GPU quiet; None: for ever.
        finish_grace_s: how long results may wait to be collected; None: until the deadline.
    """

    deadline: int
    issued_at: int
    end: str
    idle_timeout_s: float | None = None
    stall_timeout_s: float | None = None
    finish_grace_s: float | None = None


@dataclass(frozen=True)
class Mark:
    """One look at the clocks, for the looks after it: the machine ends when its uptime is `ends_up`; it was `up`."""

    deadline: int
    issued_at: int
    ends_up: float
    up: float
    boot: str


def mark(lease: Lease, now: float, up: float, boot: str, earlier: Iterable[Mark] = ()) -> Mark:
    """Return when the machine ends by its uptime: the earliest that any clock and any earlier look says.

    A lease never lasts longer than it did when it was issued, so a clock that stands before that moment lengthens nothing;
    one that is set back later is held by the earlier looks, in this boot or, by what was left then, in the next one.
    """
    ends = up + min(lease.deadline - lease.issued_at, lease.deadline - now)
    for look in earlier:
        if (look.deadline, look.issued_at) == (lease.deadline, lease.issued_at):
            ends = min(ends, look.ends_up if look.boot == boot else up + look.ends_up - look.up)
    return Mark(lease.deadline, lease.issued_at, ends, up, boot)


def parse(content: Mapping[str, Any]) -> Lease:
    """Read a lease as the protocol writes it.

    Raises:
        GuestError: it is none.
    """
    deadline, issued_at, end = _number(content, "deadline"), _number(content, "issued_at"), content.get("end")
    if deadline is None or issued_at is None or deadline < issued_at or deadline > _LATEST:
        raise GuestError("a lease wants a deadline, and before it the moment it was issued, in seconds of Unix time")
    if end not in (POWEROFF, DEALLOCATE, DELETE, NONE):
        raise GuestError(f'a lease ends with "poweroff", "deallocate", "delete" or "none", not {end!r}')
    waits = {name: _number(content, name) for name in ("idle_timeout_s", "stall_timeout_s", "finish_grace_s")}
    last = math.floor(deadline)
    return Lease(last, min(math.ceil(issued_at), last), end, **waits)


@dataclass(frozen=True)
class Place:
    """Where a machine keeps its lease.

    Attributes:
        kept: folder that outlives a reboot.
        fleeting: folder that need not.
    """

    kept: str
    fleeting: str

    @classmethod
    def of(cls, home: str, end: str = NONE) -> Place:
        """Return the system's own place, or one in our home where there is none and nothing ends the machine."""
        kept = system.path("/var/lib/cloudtrain")
        if end != NONE or os.path.lexists(os.path.join(kept, "lease.json")):
            return cls(kept, system.path("/run/cloudtrain"))
        return cls(os.path.join(home, "lease"), os.path.join(home, "lease"))

    def read(self) -> Lease | None:
        """Return the lease, None while there is none or it is damaged.

        Raises:
            OSError: it is there and may not be read.
        """
        try:
            with open(os.path.join(self.kept, "lease.json"), "rb") as file:
                content = json.loads(file.read())
                return parse(content) if isinstance(content, dict) else None
        except (FileNotFoundError, ValueError, GuestError):
            return None

    def write(self, lease: Lease) -> None:
        """Replace the lease, whole or not at all.

        Raises:
            OSError: nothing can be written there.
        """
        os.makedirs(self.kept, exist_ok=True)
        path = os.path.join(self.kept, "lease.json")
        file = os.open(path + ".next", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, json.dumps(asdict(lease)).encode("ascii") + b"\n")  # the boot line reads it, too, with sed
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(path + ".next", path)

    def read_mark(self) -> Mark | None:
        """Return the last look at the clocks, whoever of us took it; None when there is none to believe."""
        try:
            with open(os.path.join(self.kept, "clock"), encoding="ascii") as file:
                issued_at, deadline, ends_up, up, boot = file.readline().split()
            return Mark(int(deadline), int(issued_at), int(ends_up), int(up), boot)
        except (OSError, ValueError):
            return None

    def write_mark(self, look: Mark) -> None:
        """Keep a look at the clocks: in place, so that a full disk has room for it. One that cannot be kept is let go."""
        line = "%10d %10d %10d %10d %s\n" % (look.issued_at, look.deadline, math.floor(look.ends_up), look.up, look.boot)
        with contextlib.suppress(OSError):
            os.makedirs(self.kept, exist_ok=True)
            file = os.open(os.path.join(self.kept, "clock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(file, line.encode("ascii"), 0)
            finally:
                os.close(file)


def _number(content: Mapping[str, Any], name: str) -> float | None:
    value = content.get(name)
    if value is None:
        return None
    # JSON's true is a number to Python, and neither NaN nor Infinity ever comes.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise GuestError(f"{name} is no number of seconds")
    return value
