"""Which process holds something, told in a way that survives the reuse of process numbers."""

import os
from pathlib import Path

PS_TIMEOUT_S = 5.0


def this_process() -> str:
    """Return this process as "host:pid:starttime"."""
    return f"{_host()}:{os.getpid()}:{_started(os.getpid()) or ''}"


def is_here(holder: str) -> bool:
    """Say whether the holder ran on this host, so that `is_alive` can know."""
    return holder.rsplit(":", 2)[0] == _host()


def is_alive(holder: str) -> bool:
    """Say whether that very process still runs. One on another host cannot be seen from here and counts as alive."""
    host, pid, started = [*holder.rsplit(":", 2), "", ""][:3]
    if host != _host():
        return True
    if not pid.isdigit() or not _exists(int(pid)):
        return False
    return not started or _started(int(pid)) in (None, started)


def _host() -> str:
    return os.uname().nodename


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str | None:
    """Return when a process began, in this system's own words; "" when it is dead, None when it cannot be known."""
    if not Path("/proc/self/stat").exists():
        return _started_by_ps(pid)
    try:
        # The command's name stands in parentheses and may hold anything; the fields after it may not.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in ("Z", "X") else f"{boot}-{fields[19]}"


def _started_by_ps(pid: int) -> str | None:
    import subprocess  # here, because the ledger is opened by every command and this is for systems without /proc

    try:
        answer = subprocess.run(
            ["ps", "-p", str(pid), "-o", "lstart="],
            capture_output=True,
            text=True,
            timeout=PS_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return "-".join(answer.stdout.replace(":", "-").split())
