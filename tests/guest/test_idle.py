"""The meters: what moved, who is connected, what the GPUs do. What cannot be read is never quiet."""

import os
from pathlib import Path

import pytest

from cloudtrain.guest import idle

NET = "Inter-|\n face |\n    lo: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n  eth0: {} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
DISK = "   7       0 loop0 0 0 99999 0 0 0 99999 0 0 0 0\n   8       0 sda 0 0 {} 0 0 0 0 0 0 0 0\n"
ALL = ("processors", "disks", "network")


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDTRAIN_GUEST_ROOT", str(tmp_path))
    (tmp_path / "proc/net").mkdir(parents=True)
    monkeypatch.setattr(os, "times", lambda: (0.0, 0.0, 0.0, 0.0, 0.0))
    show(tmp_path / "proc")
    return tmp_path / "proc"


def show(proc: Path, ticks: int = 0, sectors: int = 0, received: int = 0) -> None:
    (proc / "stat").write_text(f"cpu  {ticks} 0 0 1000 0 0 0 0 0 0\n")
    (proc / "diskstats").write_text(DISK.format(sectors))
    (proc / "net/dev").write_text(NET.format(received))


def test_first_look_knows_nothing_and_a_quiet_machine_is_quiet(proc: Path) -> None:
    meters = idle.Meters()
    assert meters.moving(100.0) == ALL
    assert meters.moving(110.0) == ()


@pytest.mark.parametrize(
    ("counts", "moving"),
    [
        ({"ticks": 99}, ()),
        ({"ticks": 101}, ("processors",)),
        ({"sectors": 2559}, ()),
        ({"sectors": 2561}, ("disks",)),
        ({"received": 40_959}, ()),
        ({"received": 40_961}, ("network",)),
    ],
)
def test_what_moves_is_named_from_its_limit_on(proc: Path, counts: dict, moving: tuple) -> None:
    meters = idle.Meters()
    meters.moving(100.0)
    show(proc, **counts)
    assert meters.moving(110.0) == moving


@pytest.mark.parametrize(("name", "meter"), [("stat", "processors"), ("diskstats", "disks"), ("net/dev", "network")])
def test_meter_that_cannot_be_read_is_not_quiet(proc: Path, name: str, meter: str) -> None:
    meters = idle.Meters()
    meters.moving(100.0)
    (proc / name).write_text("cpu 1\n 8 0 sda\n x y\n")
    assert meters.moving(110.0) == (meter,)
    show(proc)
    assert meters.moving(120.0) == (meter,), "it has nothing to compare with"
    assert meters.moving(130.0) == ()


def test_counter_that_ran_backwards_is_not_quiet(proc: Path) -> None:
    show(proc, received=10_000)
    meters = idle.Meters()
    meters.moving(100.0)
    show(proc, received=5_000)
    assert meters.moving(110.0) == ("network",)


def process(proc: Path, number: int, title: bytes, parent: int = 1) -> None:
    (proc / str(number)).mkdir()
    (proc / str(number) / "cmdline").write_bytes(title)
    (proc / str(number) / "stat").write_text(f"{number} (a (b) c) S {parent} 1 1 0 -1\n")


@pytest.mark.parametrize(
    ("title", "counts"),
    [
        (b"sshd: ubuntu@pts/0\0\0\0", True),
        (b"sshd-session: ubuntu@pts/12", True),
        (b"sshd: ubuntu@pts/0,pts/1", True),
        (b"sshd: ubuntu@notty", False),
        (b"sshd: ubuntu [priv]", False),
        (b"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", False),
        (b"vim\0sshd: me@pts/0", False),
    ],
)
def test_terminal_over_ssh_is_a_session(proc: Path, title: bytes, counts: bool) -> None:
    process(proc, 50, title)
    assert idle.is_connected() is counts


def test_connection_counts_while_a_command_runs_in_it(proc: Path) -> None:
    process(proc, 50, b"sshd: ubuntu@notty")
    process(proc, 51, b"tar\0x", parent=1)
    assert not idle.is_connected()
    process(proc, 52, b"tar\0x", parent=50)
    assert idle.is_connected()


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo '0, L4, 4, 1, 2, 3, 4'", idle.QUIET),
        ("echo '0, L4, 5, 1, 2, 3, 4'", idle.BUSY),
        ("echo '0, L4, 0, 1, 2, 3, 4'; echo '1, L4, 90, 1, 2, 3, 4'", idle.BUSY),
        ("echo '0, L4, 0, 1, 2, 3, 4'; echo '1, L4, [N/A], 1, 2, 3, 4'", idle.UNKNOWN),
        ("exit 9", idle.UNKNOWN),
    ],
)
def test_gpus_as_their_tool_shows_them(proc: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: str) -> None:
    (proc.parent / "dev").mkdir()
    (proc.parent / "dev/nvidiactl").touch()
    tool = proc.parent / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{proc.parent}:/usr/bin:/bin")
    assert idle.Meters().gpu(1.0) == found


def test_machine_without_driver_has_no_gpu(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert idle.Meters().gpu(1.0) == idle.NO_GPU


def test_tool_that_hangs_is_not_asked_again_for_a_while(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def hang(_: float) -> list:
        asked.append(1)
        raise idle.gpus.GpuToolError("hung")

    monkeypatch.setattr(idle.gpus, "measure", hang)
    meters = idle.Meters()
    assert [meters.gpu(up) for up in (1.0, 300.0, 700.0)] == [idle.UNKNOWN] * 3
    assert len(asked) == 2
