"""The first process of a loopback machine: boots it, starts its commands, and ends all that came of them.

It reads one byte from its control socket for each command, and with it a socket that says which and hears how it ended, and the
command's three descriptors. When the control socket ends, because the machine is switched off or the hypervisor is gone, it
kills every descendant. On Linux none escapes: whose parent dies becomes this process's child. Elsewhere what detached itself is
found by a word in its environment.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_S = 10.0
_PAUSE_S = 0.003
_MARK = f"CLOUDTRAIN_GUEST_ROOT={os.environ.get('CLOUDTRAIN_GUEST_ROOT', '')}"


# A process that nobody holds is buried by `subprocess` itself, and nobody hears how it ended.
_Children = dict[int, tuple[socket.socket, "subprocess.Popen[bytes]"]]


def main(control: socket.socket) -> None:
    """Look after the machine until the control socket ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    early, asked_for = _first_boot("early"), _Children()
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 512)
            if early in _bury(asked_for):
                control.sendall(b"o")  # the SSH server may open
                _first_boot("late")
        if control.fileno() in ready:
            asked, given, _, _ = socket.recv_fds(control, 1, 4)
            if not asked:
                return _end_all()
            _start(given, asked_for)


def _first_boot(stage: str) -> int:
    program = f"{os.environ['CLOUDTRAIN_GUEST_ROOT']}/usr/lib/playground/first_boot.py"
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    command = [sys.executable, "-E", "-s", "-S", "-B", program, stage]
    return os.posix_spawn(sys.executable, command, os.environ, file_actions=[nothing])


def _start(given: list[int], asked_for: _Children) -> None:
    asker, streams = socket.socket(fileno=given[0]), given[1:]
    try:
        asker.settimeout(_PATIENCE_S)
        with asker.makefile("rb") as lines:
            order = json.loads(lines.readline())
        child = subprocess.Popen(
            order["argv"],
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            env=order["env"],
            cwd=order["cwd"],
            start_new_session=True,
            preexec_fn=_take_terminal if order["terminal"] else None,
        )
        asked_for[child.pid] = (asker, child)
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):  # who asked may be gone
            os.write(streams[2], f"{error}\n".encode())
        _tell(asker, 127)
    finally:
        for stream in streams:
            os.close(stream)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _bury(asked_for: _Children) -> set[int]:
    """Bury all who died; tell who asked for them; return their numbers."""
    buried: set[int] = set()
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return buried
        if not pid:
            return buried
        buried.add(pid)
        if pid in asked_for:
            asker, child = asked_for.pop(pid)
            child.returncode = os.waitstatus_to_exitcode(status)
            _tell(asker, child.returncode)


def _tell(asker: socket.socket, code: int) -> None:
    with asker, contextlib.suppress(OSError):  # who asked may be gone
        asker.sendall(json.dumps({"exit": code}).encode() + b"\n")


def _end_all() -> None:
    """Kill and bury until nobody is left. A look may miss who changes parents meanwhile, so it is never the last one."""
    while True:
        mine = _descendants()
        for pid in mine:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            if not mine:
                return
        time.sleep(_PAUSE_S)


def _descendants() -> list[int]:
    """Return all processes that came of this one."""
    parents, marked = _from_proc() if os.path.isdir("/proc/self") else _from_ps()
    mine, found = {os.getpid()}, marked - {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in mine | found} - mine - found
        if not more:
            return sorted(found)
        found |= more


def _from_proc() -> tuple[dict[int, int], set[int]]:
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # it may have ended
            state, parent = file.read().rpartition(b")")[2].split()[:2]
            if state != b"Z":
                parents[int(name)] = int(parent)
    return parents, set()


def _from_ps() -> tuple[dict[int, int], set[int]]:
    said = subprocess.run(["ps", "-axEww", "-o", "pid=,ppid=,command="], stdout=subprocess.PIPE).stdout
    rows: list[Any] = [line.split(None, 2) for line in said.decode(errors="replace").splitlines()]
    rows = [row for row in rows if len(row) == 3]
    return {int(row[0]): int(row[1]) for row in rows}, {int(row[0]) for row in rows if _MARK in row[2]}


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
