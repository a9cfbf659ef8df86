"""A machine's lease over a line: what a good guest says is understood, and what a bad one says is survived."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrain.model.errors import RemoteError
from cloudtrain.model.lease import GuestEnd
from cloudtrain.remote import machine_lease
from cloudtrain.remote.guest import Guest
from cloudtrain.remote.machine_lease import MachineLease
from cloudtrain.remote.memory import MemoryRemote

GOOD = {"deadline": 1_790_003_600, "issued_at": 1_790_000_000, "end": "poweroff", "armed": True, "keeper": "running"}
GOOD |= {"ends_at": 1_790_003_599.5, "idle_timeout_s": 1800, "stall_timeout_s": None, "finish_grace_s": None, "news": 1}


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[MemoryRemote]:
    made = MemoryRemote(tmp_path / "machine")
    yield made
    note = str(made.home).encode()
    for _ in range(50):
        alive = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _is_keeper(path, note)]
        for path in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.parent.name), signal.SIGKILL)
        if not alive:
            break


def _is_keeper(path: Path, note: bytes) -> bool:
    try:
        line = path.read_bytes()
    except OSError:
        return False
    return note in line and b"\0keeper\0" in line


def test_a_good_lease_is_understood() -> None:
    assert machine_lease.read(GOOD) == MachineLease(
        datetime.fromtimestamp(1_790_003_600, UTC),
        datetime.fromtimestamp(1_790_000_000, UTC),
        GuestEnd.POWEROFF,
        True,
        "running",
        datetime.fromtimestamp(1_790_003_599.5, UTC),
        1800.0,
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"deadline": "2026-11-21"},
        {"deadline": True},
        {"deadline": None},
        {"deadline": 1e300},
        {"deadline": float("nan")},
        {"ends_at": float("inf")},
        {"end": "explode"},
        {"end": None},
        {"armed": "yes"},
        {"keeper": "asleep"},
        {"idle_timeout_s": -1},
        {"idle_timeout_s": float("nan")},
        {"idle_timeout_s": "30m"},
    ],
)
def test_a_lease_that_is_none_is_a_remote_error(bad: dict) -> None:
    with pytest.raises(RemoteError):
        machine_lease.read({**GOOD, **bad})


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_whatever_a_machine_says_is_survived(said: dict) -> None:
    with contextlib.suppress(RemoteError):
        machine_lease.read({**GOOD, **said})


def test_the_real_guest_keeps_a_lease_and_a_job_s_deadline(remote: MemoryRemote) -> None:
    guest = Guest.install(remote)
    with pytest.raises(RemoteError, match="no lease"):
        guest.lease()
    now = datetime.now(UTC)
    kept = guest.set_lease(deadline=now + timedelta(hours=1), issued_at=now, end=GuestEnd.NONE, idle_timeout_s=60.0)
    assert (kept.end, kept.armed, kept.keeper, kept.idle_timeout_s) == (GuestEnd.NONE, False, "running", 60.0)
    assert timedelta(0) <= now + timedelta(hours=1) - kept.deadline < timedelta(seconds=1)
    assert kept.ends_at <= kept.deadline
    assert guest.lease().deadline == kept.deadline
    with pytest.raises(RemoteError, match="issued later"):
        guest.set_lease(deadline=now, issued_at=now - timedelta(hours=1), end=GuestEnd.NONE)
    run = remote.home / "runs" / "1"
    remote.write(run / "work" / "x", b"")
    guest.start(run, {"command": "exec sleep 1000", "deadline": now.timestamp() + 5000, "grace_s": 1}, {})
    guest.move_deadline(run, now - timedelta(hours=1))
    with guest.follow(run, 0) as chunks:
        list(chunks)
    assert guest.state(run).ended_by == "deadline"


@pytest.mark.parametrize(
    ("uid", "may_sudo", "expected"),
    [(0, True, "plain a b"), (1000, False, "plain a b"), (1000, True, "root CLOUDTRAIN_GUEST_ROOT=/played plain a b")],
)
def test_what_needs_root_is_asked_as_root_where_it_may(tmp_path: Path, uid: int, may_sudo: bool, expected: str) -> None:
    tools = {
        "id": f"echo {uid}",
        "sudo": f'[ {int(may_sudo)} = 1 ] || exit 1\n[ "$2" = true ] || echo "root $3 $4 $5 $6"',
        "env": "exit 9",
        "plain": 'echo "plain $*"',
    }
    for name, body in tools.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CLOUDTRAIN_GUEST_ROOT": "/played"}
    argv = ["sh", "-c", machine_lease.AS_ROOT, "sh", "plain", "a", "b"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == expected


def test_only_a_machine_that_is_to_be_ended_is_asked_as_root(tmp_path: Path) -> None:
    class Told(MemoryRemote):
        def __init__(self) -> None:
            self.asked: list[list[str]] = []

        home = PurePosixPath("/home")
        python = "python3"

        def run(self, argv, *, stdin=b"", timeout=None):  # type: ignore[no-untyped-def]
            from cloudtrain.remote.base import Completed

            self.asked.append(list(argv))
            return Completed(0, json.dumps(GOOD).encode(), b"")

    told = Told()
    now = datetime.now(UTC)
    for end in (GuestEnd.POWEROFF, GuestEnd.DEALLOCATE, GuestEnd.NONE):
        Guest(told).set_lease(deadline=now, issued_at=now, end=end)
    assert [argv[0] for argv in told.asked] == ["sh", "sh", "python3"]
