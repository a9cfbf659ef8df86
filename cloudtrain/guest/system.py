"""The machine's own files, clocks and programs; a folder that plays the machine has its own (CLOUDTRAIN_GUEST_ROOT)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from typing import Sequence

from . import processes

_WHERE = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")  # looked at too: a line's PATH may lack them
_PATIENCE_S = 20.0


def root() -> str:
    """Return what every path of the system begins with; "" on a real machine."""
    return os.environ.get("CLOUDTRAIN_GUEST_ROOT", "")


def path(absolute: str) -> str:
    """Return where a file of the system lies."""
    return root() + absolute


def source(absolute: str) -> str:
    """Return where to read what the kernel tells: a played machine may have a file of its own for it."""
    played = path(absolute)
    return played if os.path.exists(played) else absolute


def uptime_s() -> float:
    """Return the seconds since the machine started, asleep or not: a clock that nobody can set."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(source("/proc/uptime"), encoding="ascii") as file:
        return float(file.read().split()[0])
    return time.monotonic()


def boot() -> str:
    """Return the name of this start of the machine, one word; "-" where it has none."""
    with contextlib.suppress(OSError), open(source("/proc/sys/kernel/random/boot_id"), encoding="ascii") as file:
        return file.read().strip() or "-"
    return "".join(processes.boot_id().split()) or "-"


def has_systemd() -> bool:
    """Say whether systemd runs the machine."""
    return os.path.isdir(path("/run/systemd/system"))


def call(*argv: str, patience_s: float = _PATIENCE_S) -> bool:
    """Run one of the system's programs; say whether it ended well. One that does not end is left to itself."""
    program = _find(argv[0])
    if program is None:
        return False
    nothing = subprocess.DEVNULL
    try:
        process = subprocess.Popen([program, *argv[1:]], stdin=nothing, stdout=nothing, stderr=nothing, cwd="/")
        return process.wait(patience_s) == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def own(file: int, folder: str) -> None:
    """Give a file that root made to the owner of the folder it lies in."""
    if os.geteuid() == 0:
        owner = os.stat(folder)
        os.fchown(file, owner.st_uid, owner.st_gid)


def _find(name: str) -> str | None:
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_WHERE]))
    # A folder that plays a machine must never end the machine it lies on.
    if found and root() and os.path.dirname(os.path.realpath(found)).startswith(_real(_WHERE)):
        return None
    return found


def _real(folders: Sequence[str]) -> tuple[str, ...]:
    return tuple(os.path.realpath(folder) for folder in folders)
