"""Which process is which: a number alone is not a name, since numbers are used again."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
from typing import Iterator

_PROC = "/proc"
_HAS_PROC = os.path.isfile(_PROC + "/self/stat")


@functools.lru_cache(maxsize=None)
def boot_id() -> str:
    """Return what distinguishes this boot of the machine from every other one, or "" where nobody can tell."""
    with contextlib.suppress(OSError), open(_PROC + "/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    # macOS moves its boot's time when its clock is set; the session's own name stays.
    return _ask("sysctl", "-n", "kern.bootsessionuuid") or _ask("sysctl", "-n", "kern.boottime")


def start_mark(pid: int) -> str:
    """Return when a process was started, in the kernel's own words; "" when it is gone or dead and unburied."""
    if not _HAS_PROC:
        return _ask("ps", "-o", "lstart=", "-p", str(pid))
    fields = _stat(pid)
    return "" if not fields or fields[0] in "ZX" else fields[19]


def is_alive(pid: int | None, mark: str, boot: str) -> bool:
    """Say whether that very process still lives: same number, same start, same boot."""
    return pid is not None and mark != "" and boot == boot_id() and start_mark(pid) == mark


def group_exists(group: int) -> bool:
    """Say whether a process group still has a living member that we may signal."""
    if not send(group, 0):
        return False
    if not _HAS_PROC:
        return True
    # The dead keep their group until somebody buries them, and in some containers nobody does.
    return any(fields[2] == str(group) and fields[0] not in "ZX" for _, fields in _processes())


def send(group: int, number: int) -> bool:
    """Send a process group a signal; False when there is nobody left to hear it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS answers "not permitted" for a group of dead processes
        return False
    return True


def is_group_of(run: str, group: int | None, mark: str, boot: str) -> bool:
    """Say whether a process group is still the job's that RUN recorded, whoever of it is left."""
    if group is None or boot != boot_id():
        return False
    leader = start_mark(group)
    if leader:
        return leader == mark
    # Only a leaderless group is left. Its number could in theory have been used again, its members' environment not.
    note = b"CLOUDTRAIN_RUN_DIR=" + os.fsencode(run)
    return any(note in _environment(pid) for pid, fields in _processes() if fields[2] == str(group))


def resident_bytes(session: int) -> int | None:
    """Return the memory that all processes of a session hold, or None where the system does not tell."""
    if not _HAS_PROC:
        return None
    pages = sum(int(fields[21]) for _, fields in _processes() if fields[3] == str(session))
    return pages * os.sysconf("SC_PAGE_SIZE")


def environments(mark: bytes) -> Iterator[list[bytes]]:
    """Yield the environment of every living process whose environment holds a line that begins with `mark`."""
    for pid, fields in _processes():
        lines = [] if fields[0] in "ZX" else _environment(pid)
        if any(line.startswith(mark) for line in lines):
            yield lines


def marked(mark: bytes) -> Iterator[int]:
    """Yield the number of every living process whose environment holds a line that begins with `mark`."""
    for pid, fields in _processes():
        if fields[0] not in "ZX" and any(line.startswith(mark) for line in _environment(pid)):
            yield pid


def signal_number(name: str) -> int:
    """Return the number of a signal a person names ("TERM", "SIGTERM").

    Raises:
        ValueError: there is no such signal.
    """
    text = name.upper()
    member = signal.Signals.__members__.get(text if text.startswith("SIG") else "SIG" + text)
    if member is None:
        raise ValueError(f"there is no signal called {name!r}")
    return int(member)


def signal_name(number: int) -> str:
    """Return a signal's name ("SIGTERM"), or its number as text where it has none (real-time signals)."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Yield every process with the fields of its stat line that follow its name."""
    with contextlib.suppress(OSError):
        for name in os.listdir(_PROC):
            fields = _stat(int(name)) if name.isdigit() else []
            if fields:
                yield int(name), fields


def _stat(pid: int) -> list[str]:
    # The command's name stands in brackets and may itself hold brackets and spaces: count from the last one.
    with contextlib.suppress(OSError), open(f"{_PROC}/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].decode("ascii").split()
    return []


def _environment(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError), open(f"{_PROC}/{pid}/environ", "rb") as file:
        return file.read().split(b"\0")
    return []


def _ask(*argv: str) -> str:
    # Two terminals of different language and time zone must read the same answer.
    env = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        answer = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=5, env=env
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.decode("utf-8", "replace").strip()
