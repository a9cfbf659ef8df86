"""The machine itself: its processors and its memory, as far as the system tells."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
from typing import Any

from . import gpus


def facts(folder: str) -> dict[str, Any]:
    """Return what the protocol calls `facts`; the free disk is the one `folder` lies on."""
    return {
        "hostname": socket.gethostname(),
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cpus": cpus(),
        "memory_bytes": memory()[1],
        "disk_free_bytes": shutil.disk_usage(folder).free,
        "gpus": gpus.inventory(),
    }


def cpus() -> int:
    """Return the processors we may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> tuple[int | None, int | None]:
    """Return (used, total) main memory in bytes, None for what is unknown."""
    sizes: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            sizes[name] = int(rest.split()[0]) * 1024
    if "MemTotal" not in sizes:
        return None, _installed_bytes()
    available = sizes.get("MemAvailable")
    return None if available is None else sizes["MemTotal"] - available, sizes["MemTotal"]


def cpu_times(source: str = "/proc/stat") -> tuple[int, int] | None:
    """Return (busy, all) processor time since boot in the kernel's ticks, or None where it is not told."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(source, encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
        idle = ticks[3] + ticks[4]
        return sum(ticks) - idle, sum(ticks)
    return None


def _installed_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None
