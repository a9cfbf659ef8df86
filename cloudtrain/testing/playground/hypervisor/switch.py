"""The power switch of each machine: answers `shutdown` and its kin, and keeps what they scheduled."""

import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from . import power
from .timers import Timers

_NO_LOGIN_S = 300.0
_PATIENCE_S = 2.0
_NO_LOGIN = (
    "System is going down. Unprivileged users are not permitted to log in anymore. For technical details, see pam_nologin(8).\n"
)
_NOT_ROOT = "Call to {tool} failed: Interactive authentication required.\n"


@dataclass(frozen=True, slots=True)
class Ground:
    """Where one machine's switch stands.

    Attributes:
        id: the machine.
        root: its `/` as a path here.
        root_uid: the user id that counts as its root.
        act: carries a mode out, "poweroff", "halt" or "reboot": ends what runs on the machine first.
    """

    id: str
    root: Path
    root_uid: int
    act: Callable[[str], None]


class Switch:
    """Answers the power doors. What it schedules lives here, outside the machine, and dies with a boot as systemd's does."""

    def __init__(self, timers: Timers) -> None:
        """Count on these timers."""
        self._timers = timers
        self._scheduled: dict[str, str] = {}
        self._lock = threading.Lock()

    def forget(self, id: str) -> None:
        """Forget what a machine scheduled: it is off."""
        self._timers.cancel(id)
        with self._lock:
            self._scheduled.pop(id, None)

    def answer(self, ground: Ground, caller: socket.socket) -> None:
        """Answer one call of a tool on the machine."""
        with caller, caller.makefile("rb") as question:
            caller.settimeout(_PATIENCE_S)
            try:
                tool, *argv = json.loads(question.readline())
            except (OSError, ValueError):
                return  # nobody who knows how to ask
            request = power.read(tool, argv, datetime.now().astimezone())
            if not isinstance(request, power.Refuse | power.Show) and _uid(caller, ground.root_uid) != ground.root_uid:
                request = power.Refuse(_NOT_ROOT.format(tool=tool))
            said = self._carry_out(ground, request)
            # The asker may be gone: what it asked for counts all the same.
            with contextlib.suppress(OSError):
                caller.sendall(json.dumps(said).encode())
                caller.shutdown(socket.SHUT_WR)
                caller.recv(1)  # its end: it has heard the answer before it is killed
        if isinstance(request, power.Act) and not request.delay_s:
            ground.act(request.mode)

    def _carry_out(self, ground: Ground, request: power.Request) -> dict[str, Any]:
        match request:
            case power.Refuse(text, code):
                return _said(text, code)
            case power.Cancel():
                self.forget(ground.id)
                _remove(ground.root / "run/systemd/shutdown/scheduled")
                _remove(ground.root / "run/nologin")
                return _said("")
            case power.Show():
                with self._lock:
                    told = self._scheduled.get(ground.id)
                return _said(
                    f"{told}, use 'shutdown -c' to cancel.\n" if told else "No scheduled shutdown.\n", 0 if told else 1
                )
            case power.Act(_, delay_s, _) if delay_s:
                return self._schedule(ground, request)
        return _said("")

    def _schedule(self, ground: Ground, act: power.Act) -> dict[str, Any]:
        self.forget(ground.id)
        _remove(ground.root / "run/nologin")
        at = time.time() + act.delay_s
        told = f"{act.mode.capitalize() if act.mode != 'poweroff' else 'Shutdown'} scheduled for {_moment(at)}"
        with self._lock:
            self._scheduled[ground.id] = told
        lines = [
            f"USEC={int(at * 1e6)}",
            "WARN_WALL=1",
            f"MODE={act.mode}",
            *([f"WALL_MESSAGE={act.message}"] if act.message else []),
        ]
        _write(ground.root / "run/systemd/shutdown/scheduled", "\n".join(lines) + "\n")
        if act.delay_s <= _NO_LOGIN_S:
            _write(ground.root / "run/nologin", _NO_LOGIN)
        else:
            refuse_s = act.delay_s - _NO_LOGIN_S
            self._timers.set(ground.id, refuse_s, lambda: _write(ground.root / "run/nologin", _NO_LOGIN))
        self._timers.set(ground.id, act.delay_s, lambda: ground.act(act.mode))
        return _said(f"{told}, use 'shutdown -c' to cancel.\n")


def _said(text: str, code: int = 0) -> dict[str, Any]:
    return {"exit": code, "stdout": "", "stderr": text}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%a %Y-%m-%d %H:%M:%S %Z")


def _uid(caller: socket.socket, unknown: int) -> int:
    """Return who calls, as this computer's user id; `unknown` where the system does not tell, and there is one user anyway."""
    if not hasattr(socket, "SO_PEERCRED"):
        return unknown
    credentials = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid


def _write(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):  # the machine may be ending
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f".{path.name}.{os.getpid()}")
        half.write_text(text)
        half.replace(path)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # the machine may be ending
        path.unlink(missing_ok=True)
