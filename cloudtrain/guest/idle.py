"""Whether anything goes on on the machine. A meter that cannot be read is never taken for a quiet one."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Callable

from . import gpus, machine, system

NO_GPU, QUIET, BUSY, UNKNOWN = "no GPU", "quiet", "busy", "unknown"

_LIMITS = {
    "processors": 0.10,  # of one core: more than a system's own housekeeping takes, less than any work
    "disks": 128.0 * 1024,  # bytes/s: a quiet system writes its journal, some 20 KiB/s at most
    "network": 4.0 * 1024,  # bytes/s: the slowest upload worth waiting for; clock, lease of address and ARP stay far below
}
_GPU_BUSY_PERCENT = 5.0
_GPU_TIMEOUT_S = 10.0
_GPU_PAUSE_S = 600.0  # a driver's tool that hung may have left a process that nobody can end
_SECTOR_BYTES = 512
_NO_DISKS = ("loop", "ram", "zram")
_TITLE = re.compile(rb"sshd(?:-session)?: [^\[]*@([a-z]+)")


class Meters:
    """What moved between two looks: the whole time is accounted for, not only the moments of looking."""

    def __init__(self) -> None:
        """Begin; the first look has nothing to compare with and knows nothing."""
        self._up = 0.0
        self._before: dict[str, float | None] = {}
        self._ask_gpus_at = 0.0

    def moving(self, up: float) -> tuple[str, ...]:
        """Return the meters ("processors", "disks", "network") that moved since the last look, or that cannot be read."""
        counts = {name: _number_or_none(count) for name, count in _COUNTERS.items()}
        before, self._before = self._before, counts
        passed, self._up = up - self._up, up
        return tuple(name for name, limit in _LIMITS.items() if not _is_below(before.get(name), counts[name], limit * passed))

    def gpu(self, up: float) -> str:
        """Return how the GPUs are: `NO_GPU`, `QUIET` when all are, `BUSY`, or `UNKNOWN`."""
        if up < self._ask_gpus_at:
            return UNKNOWN
        try:
            shown = gpus.measure(_GPU_TIMEOUT_S)
        except gpus.GpuToolError:
            self._ask_gpus_at = up + _GPU_PAUSE_S
            return UNKNOWN
        if not shown:
            return UNKNOWN if gpus.has_driver(system.root() or "/") else NO_GPU
        loads = [gpu["util_percent"] for gpu in shown]
        if any(load is None for load in loads):
            return UNKNOWN
        return BUSY if max(loads) >= _GPU_BUSY_PERCENT else QUIET


def is_connected() -> bool:
    """Say whether somebody has a terminal here over SSH, or runs a command without one. A mere connection does not count."""
    connections, parents = set(), set()
    folder = system.source("/proc")
    try:
        processes = [name for name in os.listdir(folder) if name.isdigit()]
    except OSError:
        return True
    for pid in processes:
        with contextlib.suppress(OSError, IndexError):  # it ended while we looked
            parents.add(_read(f"{folder}/{pid}/stat").rpartition(b")")[2].split()[1].decode("ascii"))
            title = _TITLE.match(_read(f"{folder}/{pid}/cmdline"))
            if title and title[1] != b"notty":
                return True
            if title:
                connections.add(pid)
    return not connections.isdisjoint(parents)


def _cpu_s() -> float | None:
    times = machine.cpu_times(system.source("/proc/stat"))
    # What we and the tools we ask have used is no sign of work.
    return None if times is None else times[0] / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


def _disk_bytes() -> float:
    rows = [line.split() for line in _read(system.source("/proc/diskstats")).decode("utf-8", "replace").splitlines()]
    counts = [int(row[5]) + int(row[9]) for row in rows if not row[2].startswith(_NO_DISKS)]
    return float(sum(counts) * _SECTOR_BYTES)


def _network_bytes() -> float:
    lines = _read(system.source("/proc/net/dev")).decode("ascii").splitlines()[2:]
    rows = [line.rpartition(":")[2].split() for line in lines if not line.strip().startswith("lo:")]
    return float(sum(int(row[0]) + int(row[8]) for row in rows))


_COUNTERS: dict[str, Callable[[], float | None]] = {
    "processors": _cpu_s,
    "disks": _disk_bytes,
    "network": _network_bytes,
}


def _number_or_none(count: Callable[[], float | None]) -> float | None:
    try:
        return count()
    except (OSError, ValueError, IndexError):
        return None


def _is_below(before: float | None, after: float | None, limit: float) -> bool:
    if before is None or after is None:
        return False
    # A counter that ran backwards (a device went) tells nothing; processor time is rounded, each part for itself.
    return -1.0 < after - before < limit


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
