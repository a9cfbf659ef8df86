"""The keeper as real processes, on a folder that plays the machine, with a `shutdown` that only tells."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.guest import leasing
from cloudtrain.guest.errors import GuestError
from cloudtrain.guest.lease import Lease, Place

from .host import HOUR, Host


def expire(host: Host) -> None:
    """Let the uptime pass every deadline, however long this computer has been on; the clock on the wall stays behind."""
    this_one_s = float(Path("/proc/uptime").read_text().split()[0])
    host.write(uptime=f"{this_one_s + 10 * HOUR} 1.0\n")


@pytest.mark.parametrize("killed", [(), ("worker",), ("guardian",), ("worker", "guardian"), ("guardian", "worker")])
def test_killing_either_process_ends_neither(host: Host, killed: tuple[str, ...]) -> None:
    host.write(uptime="10.0 1.0\n")
    host.lease()
    worker = host.keep()
    for whom in killed:
        guardian = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(guardian if whom == "guardian" else worker, signal.SIGTERM)
        os.kill(guardian if whom == "guardian" else worker, signal.SIGKILL)
        again = host.worker()
        assert again != worker
        worker = again
    expire(host)
    host.hear_until("shutdown -h now")


def test_every_way_is_tried_in_turn(host: Host) -> None:
    (host.root / "proc/sysrq-trigger").touch()
    host.lease(-1, issued_at=1)
    host.keep()
    heard: list[str] = []
    while len(heard) < 4:  # two may have spoken before anybody listened
        heard += host.hear()
    assert heard[:4] == ["shutdown -h now", "systemctl poweroff", "poweroff -f", "shutdown -h now"]
    assert (host.root / "proc/sysrq-trigger").read_text() == "o"


def test_full_disk_holds_nothing_up(host: Host) -> None:
    host.lease(-1, issued_at=1)
    (host.kept / "clock").unlink()
    for name in ("clock", "keeper.log", "lease.json.next"):
        (host.kept / name).mkdir()
    host.keep()
    host.hear_until("shutdown -h now")


def test_nowhere_to_keep_a_lock(host: Host) -> None:
    host.lease(-1, issued_at=1)
    (host.root / "run").write_text("no folder")
    argv = host.guest.argv("keeper", host.home, "--every", "0.02", "--pause", "0")
    host.keepers.append(subprocess.Popen(argv, env=host.guest.env, stderr=subprocess.DEVNULL))
    host.hear_until("shutdown -h now")


def test_deleted_files_change_nothing(host: Host) -> None:
    host.write(uptime="10.0 1.0\n")
    archive = host.folder / "guest.pyz"
    archive.write_bytes(host.guest.archive.read_bytes())
    host.guest = replace(host.guest, archive=archive)
    host.lease()
    worker = host.keep()
    archive.unlink()
    os.kill(worker, signal.SIGKILL)
    host.worker()
    expire(host)
    host.hear_until("shutdown -h now")


def test_deadline_ends_the_job_first_and_says_so(host: Host, make_run) -> None:
    run = host.job(make_run("exec sleep 1000"))
    run.start()
    host.lease(110)
    host.keep()
    state = run.wait()
    assert (state["phase"], state["signal"], state["ended_by"]) == ("ended", "SIGTERM", "deadline")
    expire(host)
    host.hear_until("shutdown -h now")


def test_idle_machine_is_ended(host: Host) -> None:
    host.lease(idle_timeout_s=0)
    host.keep()
    host.hear_until("shutdown -h now")
    assert "end the machine: idle (idle)" in host.log


def test_job_whose_gpu_is_quiet_is_ended_as_stalled(host: Host, make_run) -> None:
    host.tool("nvidia-smi", "echo '0, NVIDIA L4, 0, 1, 2, 3, 4'")
    run = host.job(make_run("exec sleep 1000"))
    run.start()
    host.lease(stall_timeout_s=0)
    host.keep()
    assert run.wait()["ended_by"] == "stalled"


def test_machine_whose_job_has_ended_is_ended_after_the_grace(host: Host, make_run) -> None:
    run = host.job(make_run("exit 3"))
    run.start()
    run.wait()
    host.lease(finish_grace_s=0)
    host.keep()
    host.hear_until("shutdown -h now")
    assert "end the machine: finished" in host.log


def test_where_nothing_ends_the_machine_the_jobs_end_alone(host: Host, make_run) -> None:
    for name in ("shutdown", "systemctl", "poweroff"):
        host.tool(name, f"echo {name} >> {host.folder}/called")
    run = host.job(make_run("exec sleep 1000"))
    run.start()
    wanted = {"deadline": time.time(), "issued_at": time.time() - 100, "end": "none"}
    shown = host.guest.ask("lease", "--set", "--home", host.home, stdin=wanted)
    assert (shown["armed"], shown["keeper"]) == (False, "running")
    assert run.wait()["ended_by"] == "deadline"
    assert not (host.folder / "called").exists()
    assert not host.kept.exists()


def schedule(host: Host) -> None:
    scheduled = host.root / "run/systemd/shutdown/scheduled"
    scheduled.parent.mkdir(parents=True)
    host.tool("shutdown", f'echo "$*" > {scheduled}')


def test_lease_that_is_set_is_armed_kept_and_shown(host: Host) -> None:
    schedule(host)
    deadline = int(time.time()) + HOUR
    wanted = {"deadline": deadline + 0.9, "issued_at": deadline - HOUR, "end": "poweroff", "idle_timeout_s": 1800}
    shown = host.guest.ask("lease", "--set", "--home", host.home, stdin=wanted)
    assert {name: shown[name] for name in ("deadline", "end", "idle_timeout_s", "stall_timeout_s", "finish_grace_s")} == {
        "deadline": deadline,
        "end": "poweroff",
        "idle_timeout_s": 1800,
        "stall_timeout_s": None,
        "finish_grace_s": None,
    }
    assert (shown["armed"], shown["keeper"]) == (True, "running")
    assert deadline - 3 <= shown["ends_at"] <= deadline
    assert (host.root / "run/systemd/shutdown/scheduled").read_text() in ("-h +59\n", "-h +60\n")
    assert (host.kept / "lease.json").stat().st_mode & 0o777 == 0o600
    before = (host.root / "run/cloudtrain/keeper.pid").read_text()
    again = host.guest.ask("lease", "--set", "--home", host.home, stdin={**wanted, "idle_timeout_s": None})
    assert (again["idle_timeout_s"], again["keeper"]) == (None, "running")
    assert (host.root / "run/cloudtrain/keeper.pid").read_text() == before, "the keeper that lives goes on"
    older = host.guest.call("lease", "--set", "--home", host.home, stdin={**wanted, "issued_at": deadline - 2 * HOUR})
    assert older.returncode == 1
    assert "issued later" in json.loads(older.stdout)["error"]
    assert host.guest.ask("lease", "--home", host.home)["deadline"] == deadline


def test_systemd_keeps_the_keeper_where_it_runs(host: Host) -> None:
    (host.root / "run/systemd/system").mkdir(parents=True)
    schedule_file = host.root / "run/systemd/shutdown/scheduled"
    schedule_file.parent.mkdir()
    host.tool("shutdown", f"echo x > {schedule_file}")
    unit = host.root / "etc/systemd/system/cloudtrain-keeper.service"
    start = f"sed -n 's/^ExecStart=//p' {unit} > {host.folder}/command; setsid sh {host.folder}/command >/dev/null 2>&1 &"
    host.tool("systemctl", f'echo "$*" >> {host.folder}/called\ncase $1 in restart) {start};; esac')
    wanted = {"deadline": time.time() + HOUR, "issued_at": time.time(), "end": "poweroff"}
    assert host.guest.ask("lease", "--set", "--home", host.home, stdin=wanted)["keeper"] == "running"
    name = "cloudtrain-keeper.service"
    assert (host.folder / "called").read_text().splitlines() == ["daemon-reload", f"enable {name}", f"restart {name}"]
    assert "Restart=always" in unit.read_text()
    host.guest.ask("lease", "--set", "--home", host.home, stdin=wanted)
    assert (host.folder / "called").read_text().splitlines()[3:] == [f"start {name}"]


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"deadline": 10, "issued_at": 20, "end": "poweroff"},
        {"deadline": 20, "issued_at": 10, "end": "explode"},
        {"deadline": 1e12, "issued_at": 10, "end": "poweroff"},
        {"deadline": True, "issued_at": 10, "end": "poweroff"},
        {"deadline": 20, "issued_at": 10, "end": "poweroff", "idle_timeout_s": -1},
        {"deadline": float("inf"), "issued_at": 10, "end": "poweroff"},
    ],
)
def test_what_is_no_lease_is_refused(host: Host, wanted: dict) -> None:
    done = host.guest.call("lease", "--set", "--home", host.home, stdin=wanted)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]
    assert not host.kept.exists()


def test_machine_without_lease_says_so(host: Host) -> None:
    done = host.guest.call("lease", "--home", host.home)
    assert (done.returncode, json.loads(done.stdout)) == (1, {"error": "this machine has no lease"})


def test_who_may_not_end_the_machine_hears_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("CLOUDTRAIN_GUEST_ROOT", str(tmp_path))
    monkeypatch.setattr(Place, "write", refuse)
    with pytest.raises(GuestError, match="only root can say"):
        leasing.replace(str(tmp_path), Lease(20, 10, "poweroff"), "guest.pyz")
    monkeypatch.setattr(Place, "read", refuse)
    with pytest.raises(GuestError, match="only root may read"):
        leasing.show(str(tmp_path))


def test_second_keeper_leaves_at_once(host: Host) -> None:
    host.lease()
    host.keep()
    assert host.guest.call("keeper", host.home).returncode == 0
