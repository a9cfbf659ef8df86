"""Whose turn it is on a machine of one's own: one claim, kept on the machine, that outlives a laptop and expires.

The claim is a file in our home there, one for each host name, since machines may share their homes. It is only read and
written by who holds its lock, which the system lets go of when a process dies. A claim that has expired stays until
somebody takes it over: what its owner's job left can be fetched until then.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import Any, Iterator, Mapping

from .errors import GuestError

_LONGEST = 2000  # letters in a name or a command
_LATEST = 10**11  # Unix time
_FAREWELL_S = 0.5  # for the answer to leave the machine before the machine itself does
_SHUT_DOWN_S = 60.0


@dataclass(frozen=True)
class Claim:
    """Who uses the machine, and until when; Unix times.

    Attributes:
        token: the order it belongs to.
        deadline: as its owner's clock tells it. claimed_at, ends_at: as this machine's clock does.
    """

    token: str
    owner: str
    name: str
    run_id: str
    deadline: float
    claimed_at: float
    ends_at: float


def act(home: str, verb: str, wish: Mapping[str, Any], archive: str) -> dict[str, Any]:
    """Do what the protocol calls `claim`; return {"claim": who has the machine then, or None}.

    Raises:
        GuestError: the wish or the claim on the machine makes no sense, or what ran under it does not end.
    """
    if verb == "shut-down":
        shut_down(home, _text(wish, "command"))
    elif verb == "take":
        take(home, wish)
    elif verb == "move":
        move(home, wish)
    elif verb == "release":
        release(home, wish, archive)
    held = read(home)
    return {"claim": None if held is None else asdict(held)}


def read(home: str) -> Claim | None:
    """Return the claim, expired or not; None while there is none.

    Raises:
        GuestError: its file is damaged.
    """
    path = _path(home)
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read())
        return _claim(content, *(_moment(content, name) for name in ("deadline", "claimed_at", "ends_at")))
    except FileNotFoundError:
        return None
    except (ValueError, GuestError):
        raise GuestError(f"the claim {path} is damaged; remove it when nobody uses the machine") from None


def take(home: str, wish: Mapping[str, Any]) -> None:
    """Claim the machine if nobody does, or if the claim on it has expired.

    With the same token again it is the same claim. What still runs under one that is taken over is ended first.
    """
    from . import every_run

    now = time.time()
    deadline, ends_at = _deadline(wish, now)
    wanted = _claim(wish, deadline, now, ends_at)
    with _alone(home):
        held = read(home)
        if held is not None:
            if held.token == wanted.token or held.ends_at > now:
                return
            every_run.end(home, "deadline")
        _write(_path(home), wanted)


def move(home: str, wish: Mapping[str, Any]) -> None:
    """Let a claim, and the jobs under it, end at another time. Another's claim stays as it is."""
    deadline, ends_at = _deadline(wish, time.time())
    with _alone(home):
        held = read(home)
        if held is None or held.token != _text(wish, "token"):
            return
        _write(_path(home), replace(held, deadline=deadline, ends_at=ends_at))
    from . import every_run

    every_run.move_deadlines(home, ends_at)


def release(home: str, wish: Mapping[str, Any], archive: str) -> None:
    """Give the machine back: end what runs under the claim, then let go of it. Another's claim stays as it is.

    With a "shutdown" in the wish, the machine is shut down once it has answered, unless somebody claims it in between.
    """
    from . import every_run

    command = _text(wish, "shutdown")
    with _alone(home):
        held = read(home)
        if held is None or held.token != _text(wish, "token"):
            return
        every_run.end(home, "request")
        os.unlink(_path(home))
        _sync(os.path.dirname(_path(home)))
    if command:
        argv = [sys.executable, os.path.abspath(archive), "claim", "shut-down", "--home", home]
        nothing = subprocess.DEVNULL
        heir = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, cwd="/", start_new_session=True)
        assert heir.stdin is not None
        heir.stdin.write(json.dumps({"command": command}).encode("ascii"))
        heir.stdin.close()


def shut_down(home: str, command: str) -> None:
    """Run the command that switches the machine off, unless it is claimed; what it says is kept in shutdown.log."""
    time.sleep(_FAREWELL_S)
    with _alone(home), open(os.path.join(home, "shutdown.log"), "wb") as log:
        if read(home) is None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # a machine on its way down need not come back to us
                subprocess.run(
                    ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_SHUT_DOWN_S
                )


@contextlib.contextmanager
def _alone(home: str) -> Iterator[None]:
    """Keep everybody else from the claim; whoever dies lets go."""
    path = _path(home)[: -len("json")] + "lock"
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _path(home: str) -> str:
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "-"
    return os.path.join(home, "claims", host + ".json")


def _write(path: str, claim: Claim) -> None:
    """Replace the claim: whole or not at all, on the disk when this returns. Only ever called under the lock."""
    fresh = path + ".next"
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, json.dumps(asdict(claim)).encode("ascii"))
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(fresh, path)
    _sync(os.path.dirname(path))


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some file systems refuse to sync a folder; the file itself is safe
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _deadline(wish: Mapping[str, Any], now: float) -> tuple[float, float]:
    """Return the deadline as its owner's clock tells it, and as ours does: clocks differ, what is left does not."""
    deadline = _moment(wish, "deadline")
    return deadline, now + max(0.0, deadline - _moment(wish, "now"))


def _claim(content: Any, deadline: float, claimed_at: float, ends_at: float) -> Claim:
    token, owner, name, run_id = (_text(content, field) for field in ("token", "owner", "name", "run_id"))
    return Claim(token, owner, name, run_id, deadline, claimed_at, ends_at)


def _text(content: Any, name: str) -> str:
    value = content.get(name, "") if isinstance(content, dict) else None
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise GuestError(f"{name} of a claim is a text of at most {_LONGEST} letters")
    return value


def _moment(content: Any, name: str) -> float:
    value = content.get(name) if isinstance(content, dict) else None
    # JSON's true is a number to Python.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _LATEST:
        raise GuestError(f"{name} of a claim is no Unix time")
    return float(value)
