"""Ending what runs in a folder that plays a machine: the plug is pulled, and nothing else on this computer is touched."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

ASK_TIMEOUT_S = 10.0
"""How long `ps` or `lsof` may take, in seconds."""

RUN_MARK = "CLOUDTRAIN_RUN_DIR"
"""The guest tells each job its run's folder by this name."""

Members = Callable[[int], list[int]]
Traces = Callable[[int], list[str]]


def end_processes(root: Path) -> None:
    """Kill the supervisor and the job of every run below `root`. Does not wait for the dying.

    Process numbers are used again: a process is only ended when it works in `root`, or `root` stands in its command or
    environment. A run folder whose state cannot be read has nothing to end.
    """
    here = {str(root), os.path.realpath(root)}
    for state_file in sorted(root.glob("runs/*/state.json")):
        state = _read(state_file)
        # The supervisor first, so that nobody is left to write down how the job ended.
        for pid in (state.get("supervisor_pid"), state.get("job_pid")):
            if isinstance(pid, int) and pid > 1:
                _end(pid, here)
    _end_strays(here)


def _read(state_file: Path) -> dict[str, Any]:
    try:
        state = json.loads(state_file.read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _end(pid: int, here: set[str]) -> None:
    """Kill the group this process leads, or the process alone where it leads none, when it is one of `root`'s."""
    members, traces = _ways_to_look()
    group = [member for member in members(pid) if member != os.getpid()]
    if any(_works_in(here, traces(member)) for member in group or [pid]):
        # It may be gone by now, which is what was wanted; what is not ours to kill was not started by us.
        with suppress(ProcessLookupError, PermissionError):
            if group and pid != os.getpgrp():
                os.killpg(pid, signal.SIGKILL)
            elif pid != os.getpid():
                os.kill(pid, signal.SIGKILL)


def _end_strays(here: set[str]) -> None:
    """Kill what left its job's group (a daemon, a worker of a cluster), where the system shows other processes' environment."""
    marks = tuple(f"{RUN_MARK}={root}{os.sep}" for root in here)
    for pid, _group in _groups_in_proc():
        if pid != os.getpid() and any(trace.startswith(marks) for trace in _traces_in_proc(pid)):
            with suppress(ProcessLookupError, PermissionError):  # gone by now, or not ours to kill
                os.kill(pid, signal.SIGKILL)


def _works_in(here: set[str], traces: list[str]) -> bool:
    return any(trace == root or f"{root}{os.sep}" in f"{trace}{os.sep}" for trace in traces for root in here)


def _ways_to_look() -> tuple[Members, Traces]:
    if Path("/proc/self/stat").exists():
        return _members_in_proc, _traces_in_proc
    return _members_by_ps, _traces_by_ps


def _members_in_proc(group: int) -> list[int]:
    return [pid for pid, its_group in _groups_in_proc() if its_group == group]


def _groups_in_proc() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").glob("[1-9]*"):
        if entry.name.isdigit():
            # A process may end while it is looked at.
            with suppress(OSError):
                # The command's name stands in parentheses and may hold anything: state, parent, group come after it.
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                yield int(entry.name), int(fields[2])


def _traces_in_proc(pid: int) -> list[str]:
    """Return the folder a process works in and the words of its command and environment; nothing of a dead one."""
    found: list[str] = []
    folder = Path(f"/proc/{pid}")
    with suppress(OSError):
        found.append(str((folder / "cwd").readlink()))
        for name in ("cmdline", "environ"):
            found += os.fsdecode((folder / name).read_bytes()).split("\0")
    return found


def _members_by_ps(group: int) -> list[int]:
    lines = [line.split() for line in _ask("ps", "-A", "-o", "pid=,pgid=")]
    return [int(pid) for pid, its_group in lines if int(its_group) == group]


def _traces_by_ps(pid: int) -> list[str]:
    """Return what systems without /proc tell: the command in one line, and the folder as `lsof` names it ("n/path")."""
    command = _ask("ps", "-ww", "-p", str(pid), "-o", "command=")
    folders = [line[1:] for line in _ask("lsof", "-a", "-d", "cwd", "-p", str(pid), "-Fn") if line.startswith("n")]
    return command + folders


def _ask(*argv: str) -> list[str]:
    try:
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.splitlines()
