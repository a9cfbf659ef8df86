"""How a machine is switched off, one way after the other: none of them needs room on the disk."""

from __future__ import annotations

import contextlib
import math
import os
from typing import Callable

from . import processes, system

_STEPS = (("shutdown", "-h", "now"), ("systemctl", "poweroff"), ("poweroff", "-f"))


def arm(left_s: float) -> bool:
    """Let the system's own `shutdown` end the machine that many seconds from now, or up to a minute sooner."""
    minutes = math.floor(left_s / 60)
    return system.call("shutdown", "-h", f"+{minutes}" if minutes > 0 else "now")


def is_scheduled() -> bool:
    """Say whether systemd knows of a shutdown to come."""
    return os.path.exists(system.path("/run/systemd/shutdown/scheduled"))


def let_in() -> None:
    """Undo what a shutdown that is scheduled does five minutes before: nobody could log in any more to fetch results."""
    with contextlib.suppress(OSError):
        os.unlink(system.path("/run/nologin"))


def is_watched() -> bool:
    """Say whether the boot line's watcher lives."""
    return any(_is_ours(environment) for environment in processes.environments(b"CLOUDTRAIN_WATCH="))


def power_off(wait: Callable[[float], bool], pause_s: float) -> None:
    """Switch the machine off, waiting after each way. Returns when none did it, or when `wait` says that we must go."""
    for step in _STEPS:
        system.call(*step, patience_s=5.0)
        if not wait(pause_s):
            return
    with contextlib.suppress(OSError):  # the last way; whoever calls begins anew
        file = os.open(system.path("/proc/sysrq-trigger"), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(file, b"o")
        finally:
            os.close(file)
    wait(pause_s)


def _is_ours(environment: list[bytes]) -> bool:
    note = b"CLOUDTRAIN_GUEST_ROOT="
    place = next((line[len(note) :] for line in environment if line.startswith(note)), b"")
    return place == os.fsencode(system.root())
