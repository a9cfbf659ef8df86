"""The keeper as real processes, on a folder that plays the machine, with a `shutdown` that only tells."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cloudtrain.guest import leasing
from cloudtrain.guest.errors import GuestError
from cloudtrain.guest.lease import Lease, Place

HOUR = 3600
QUIET = {
    "stat": "cpu  100 0 100 5000 0 0 0 0 0 0\n",
    "diskstats": "   8       0 sda 10 0 80 0 10 0 80 0 0 0 0\n",
    "net/dev": "Inter-|\n face |\n    lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n  eth0: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n",
}


def listen(pipe: Path) -> str:
    """Wait until somebody has spoken into a named pipe; fail when nobody does."""
    said, file = b"", os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            assert select.select([file], [], [], 30)[0], "the machine is silent"
            chunk = os.read(file, 4096)
            if not chunk:
                return said.decode()
            said += chunk
    finally:
        os.close(file)


@dataclass
class Host:
    """`said` is a pipe: whoever reads it waits until the machine speaks."""

    folder: Path
    guest: object
    keepers: list["subprocess.Popen[bytes]"]

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def kept(self) -> Path:
        return self.root / "var/lib/cloudtrain"

    def tool(self, name: str, body: str) -> None:
        path = self.folder / "tools" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def write(self, **files: str) -> None:
        for name, content in files.items():
            path = self.root / "proc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.with_name(path.name + ".next")).write_text(content)
            (path.with_name(path.name + ".next")).replace(path)

    def lease(self, in_s: float = HOUR, **more: object) -> None:
        self.kept.mkdir(parents=True, exist_ok=True)
        now = int(time.time())
        content = {"deadline": now + int(in_s), "issued_at": now, "end": "poweroff", **more}
        (self.kept / "lease.json").write_text(json.dumps(content) + "\n")
        # Whoever sets a lease looks at the clocks first, as the boot line does.
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        played = self.root / "proc/uptime"
        up = int(float((played if played.exists() else Path("/proc/uptime")).read_text().split()[0]))
        (self.kept / "clock").write_text(f"{content['issued_at']} {content['deadline']} {up + int(in_s)} {up} {boot}\n")

    def keep(self, *options: object) -> int:
        """Start a keeper that looks often; return the number of its working process."""
        place = self.root / "run/cloudtrain"
        place.mkdir(parents=True, exist_ok=True)
        if not (place / "keeper.pid").exists():
            os.mkfifo(place / "keeper.pid")
        argv = self.guest.argv("keeper", self.home, "--every", "0.02", "--pause", "0", *options)
        self.keepers.append(subprocess.Popen(argv, env=self.guest.env, stderr=subprocess.DEVNULL, start_new_session=True))
        return self.worker()

    def worker(self) -> int:
        return int(listen(self.root / "run/cloudtrain/keeper.pid"))

    def hear(self) -> list[str]:
        return listen(self.folder / "said").splitlines()

    def hear_until(self, wanted: str) -> None:
        while wanted not in self.hear():
            pass

    def job(self, run):
        """Put a run where the keeper finds it."""
        place = self.home / "runs" / run.path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(run.path)
        return run

    @property
    def log(self) -> str:
        return (self.kept / "keeper.log").read_text()

    def end(self) -> None:
        note = str(self.home).encode()
        for _ in range(50):
            alive = [number for number in _numbers() if note in _line(number) and b"keeper" in _line(number)]
            for number in alive:
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if not alive:
                break
        for keeper in self.keepers:
            keeper.wait(10)
        for number in _numbers():  # a program that wants to say what nobody hears any more
            if f"{self.folder}/tools/".encode() in _line(number):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)


def _numbers() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _line(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def host(tmp_path: Path, guest) -> Iterator[Host]:
    for name in ("tools", "root/proc", "home"):
        (tmp_path / name).mkdir(parents=True)
    env = {**os.environ, "PATH": f"{tmp_path}/tools:/usr/bin:/bin", "CLOUDTRAIN_GUEST_ROOT": f"{tmp_path}/root"}
    made = Host(tmp_path, replace(guest, env=env), [])
    os.mkfifo(tmp_path / "said")
    for name in ("shutdown", "systemctl", "poweroff"):
        made.tool(name, f'echo "{name} $*" > {tmp_path}/said')
    made.write(**QUIET)
    yield made
    made.end()


def expire(host: Host) -> None:
    """Let the uptime pass every deadline; the clock on the wall stays behind."""
    host.write(uptime=f"{10 * HOUR} 1.0\n")


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
    for wanted in ("shutdown -h now", "systemctl poweroff", "poweroff -f", "shutdown -h now"):
        assert host.hear() == [wanted]
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
