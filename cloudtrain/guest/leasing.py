"""Show the machine's lease, or replace it; and see to it that somebody keeps it."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from typing import Any

from . import azure_end, ender, keeper, lease, system
from .errors import GuestError
from .lease import NONE, POWEROFF, Lease, Mark, Place

_UNIT = "cloudtrain-keeper.service"
_BEGIN_S = 10.0  # how long a keeper may take to begin
_POLL_S = 0.02


def show(home: str) -> dict[str, Any]:
    """Return what the protocol calls `lease`, as it is found on the machine.

    Raises:
        GuestError: there is none, or only root may read it.
    """
    place = Place.of(home)
    try:
        found = place.read()
    except PermissionError:
        raise GuestError("only root may read this machine's lease") from None
    if found is None:
        raise GuestError("this machine has no lease")
    look, is_kept = _look(place, found), keeper.is_kept(place)
    return {
        **vars(found),
        "armed": _is_armed(found, is_kept=is_kept),
        "keeper": "running" if is_kept else "none",
        "ends_at": time.time() + look.ends_up - look.up,
    }


def replace(home: str, wanted: Lease, archive: str) -> dict[str, Any]:
    """Make this the machine's lease, arm its end, let a keeper from `archive` see to it, and return what is found then.

    Raises:
        GuestError: we are not allowed to, or a lease that was issued later is there already.
    """
    place = Place.of(home, wanted.end)
    try:
        there = place.read()
        if there is not None and there.issued_at > wanted.issued_at:
            raise GuestError("the machine has a lease that was issued later")
        place.write(wanted)
    except PermissionError:
        raise GuestError("only root can say when this machine ends: its user may not use sudo without a password") from None
    look = _look(place, wanted)
    place.write_mark(look)  # from this moment on no clock lengthens it
    if wanted.end == POWEROFF:
        ender.arm(look.ends_up - look.up)
    _begin(home, place, os.path.abspath(archive))
    return show(home)


def _is_armed(found: Lease, *, is_kept: bool) -> bool:
    """Say whether something will end the bill: the armed shutdown, or a keeper that may ask the cloud."""
    if found.end == POWEROFF:
        return ender.is_scheduled() or ender.is_watched()
    return found.end != NONE and is_kept and azure_end.can_end()


def _look(place: Place, found: Lease) -> Mark:
    kept = place.read_mark()
    return lease.mark(found, time.time(), system.uptime_s(), system.boot(), [kept] if kept else [])


def _begin(home: str, place: Place, archive: str) -> None:
    argv = [sys.executable, archive, "keeper", home]
    if place == Place.of(home, POWEROFF):  # the system's own, whatever ends the bill
        if system.has_systemd() and _enable(argv) and _is_kept_soon(place):
            return
        _leave_line(place, archive, argv)
    if keeper.is_kept(place):
        keeper.wake(place)
        return
    nothing = subprocess.DEVNULL
    subprocess.Popen(argv, stdin=nothing, stdout=nothing, stderr=nothing, cwd="/", start_new_session=True)
    _is_kept_soon(place)


def _enable(argv: list[str]) -> bool:
    """Let systemd keep the keeper, now and after every reboot."""
    path = system.path(f"/etc/systemd/system/{_UNIT}")
    command = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"' for word in argv)
    text = (
        "[Unit]\nDescription=cloudtrain: ends this machine when its lease does\nStartLimitIntervalSec=0\n"
        f"[Service]\nExecStart={command}\nRestart=always\nRestartSec=5\nTimeoutStopSec=2\nOOMScoreAdjust=-900\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        if file.read() == text:
            return system.call("systemctl", "start", _UNIT)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return False
    is_enabled = system.call("systemctl", "daemon-reload") and system.call("systemctl", "enable", _UNIT)
    return is_enabled and system.call("systemctl", "restart", _UNIT)


def _leave_line(place: Place, archive: str, argv: list[str]) -> None:
    """Leave the line with which the boot line's watcher starts a keeper where none lives."""
    line = f"[ -e {shlex.quote(archive)} ] && setsid {shlex.join(argv)} </dev/null >/dev/null 2>&1 &\n"
    with contextlib.suppress(OSError), open(os.path.join(place.kept, "keeper"), "w", encoding="utf-8") as file:
        file.write(f"unset CLOUDTRAIN_WATCH M G A\n{line}")


def _is_kept_soon(place: Place) -> bool:
    until = time.monotonic() + _BEGIN_S
    while not keeper.is_kept(place):
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL_S)
    keeper.wake(place)
    return True
