"""The first moment of a machine: its user data, carried out by a real `sh` in a folder that plays the machine."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from cloudtrain.guest import lease as guest_lease
from cloudtrain.model.lease import GuestEnd
from cloudtrain.providers import boot
from tests.spoken import Spoken

ISSUED = 1_790_000_000
HOUR = 3600
PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\nZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n"


def order(deadline: int = ISSUED + HOUR, issued_at: int = ISSUED, end: GuestEnd = GuestEnd.POWEROFF) -> boot.BootOrder:
    moments = [datetime.fromtimestamp(moment, UTC) for moment in (deadline, issued_at)]
    return boot.BootOrder(*moments, end, "ssh-ed25519 AAAAlogin me", PEM, "ssh-ed25519 AAAAhost\n")


def document(given: boot.BootOrder) -> dict:
    return yaml.safe_load(boot.cloud_config(given))


@dataclass
class Host:
    """A folder that plays a machine. `shutdown` and its kin tell `said`; `sleep` waits for a line of `ticks`, and tells too."""

    root: Path
    tools: Path
    said: Spoken
    started: list[int] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path) -> "Host":
        host = cls(folder / "root", folder / "tools", Spoken(folder / "said"))
        for path in ("proc/sys/kernel/random", "run/systemd/shutdown", "var/lib"):
            (host.root / path).mkdir(parents=True)
        host.tools.mkdir()
        os.mkfifo(folder / "ticks")
        for name in ("shutdown", "systemctl", "poweroff"):
            host.tool(name, f'echo "{name} $*" > {folder}/said')
        host.tool("date", f"cat {folder}/wall")
        # Whoever ticked for the sleep before may not have closed the pipe yet: an end without a line is no tick.
        wait = f"until read line < {folder}/ticks; do :; done"
        host.tool("sleep", f'[ $1 = 1 ] && exit\necho "sleep $1 $PPID" > {folder}/said\n{wait}')
        host.clocks()
        return host

    def tool(self, name: str, body: str) -> None:
        (self.tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.tools / name).chmod(0o755)

    def clocks(self, wall: int = ISSUED, up: float = 10.0, boot_id: str = "boot-one") -> None:
        (self.root.parent / "wall").write_text(f"{wall}\n")
        (self.root / "proc/uptime").write_text(f"{up} 5.00\n")
        (self.root / "proc/sys/kernel/random/boot_id").write_text(f"{boot_id}\n")

    def boot(self, given: boot.BootOrder) -> None:
        env = {"PATH": f"{self.tools}:{os.environ['PATH']}", "CLOUDTRAIN_GUEST_ROOT": str(self.root)}
        for argv in document(given)["bootcmd"]:
            # The watcher holds nothing of ours open: reading to the end would never return.
            done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True)
            assert (done.stdout, done.stderr) == (b"", b"")

    def hear(self) -> list[str]:
        """Block until the machine says something."""
        heard = self.said.lines()
        self.started += [int(line.split()[2]) for line in heard if line.startswith("sleep")]
        return [line.rpartition(" ")[0] if line.startswith("sleep") else line for line in heard]

    def hear_until(self, *wanted: str) -> list[str]:
        """Block until all of these were said, in any order; return all that was."""
        heard: list[str] = []
        while not set(wanted) <= set(heard):
            heard += self.hear()
        return heard

    def tick(self) -> None:
        (self.root.parent / "ticks").write_text("go\n")

    def lease(self, **content: object) -> None:
        place = self.root / "var/lib/cloudtrain"
        place.mkdir(exist_ok=True)
        (place / "lease.json").write_text(json.dumps(content) + "\n")

    @property
    def kept(self) -> dict:
        return json.loads((self.root / "var/lib/cloudtrain/lease.json").read_text())

    @property
    def watchers(self) -> list[int]:
        """The processes that watch, by what is in their environment."""
        note = f"CLOUDTRAIN_GUEST_ROOT={self.root}\0".encode()
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                environment = Path(f"/proc/{name}/environ").read_bytes() + b"\0"
            except OSError:
                continue
            if note in environment:
                found.append(int(name))
        return found

    def end(self) -> None:
        # A guard brings its watcher back while we go through the list: until nobody is left.
        for _ in range(50):
            alive = self.watchers
            if not alive:
                return
            for number in alive:
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        raise AssertionError("a watcher outlived the test")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host.make(tmp_path)
    yield made
    made.end()
    made.said.close()


def test_the_document_is_what_cloud_init_reads() -> None:
    content = boot.cloud_config(order())
    assert content.startswith(b"#cloud-config\n")
    assert len(content) < 12 * 1024
    found = yaml.safe_load(content)
    assert next(iter(found)) == "bootcmd"
    assert found["ssh_keys"] == {"ed25519_private": PEM, "ed25519_public": "ssh-ed25519 AAAAhost\n"}
    assert (found["ssh_deletekeys"], found["ssh_pwauth"]) == (True, False)
    assert found["ssh_authorized_keys"] == ["ssh-ed25519 AAAAlogin me"]
    script = found["bootcmd"][0][-1]
    assert len(script) <= 2048
    assert "PRIVATE" not in str(found["bootcmd"])


def test_a_time_without_zone_is_refused() -> None:
    naive = boot.BootOrder(datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), GuestEnd.POWEROFF, "k", PEM, "ssh-ed25519 A")
    with pytest.raises(ValueError, match="zone"):
        boot.cloud_config(naive)


@pytest.mark.parametrize("end", [GuestEnd.NONE, GuestEnd.DEALLOCATE])
def test_a_machine_that_cannot_end_its_bill_is_not_switched_off(host: Host, end: GuestEnd) -> None:
    host.clocks(wall=ISSUED + 2 * HOUR)
    host.boot(order(end=end))
    assert host.watchers == []
    assert host.kept == {"deadline": ISSUED + HOUR, "issued_at": ISSUED, "end": end.value}


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        (ISSUED, "shutdown -h +60"),
        (ISSUED + 61, "shutdown -h +58"),
        (ISSUED - 10 * HOUR, "shutdown -h +60"),
        (1_000, "shutdown -h +60"),
        (ISSUED + HOUR - 59, "shutdown -h now"),
        (ISSUED + HOUR + 5, "shutdown -h now"),
    ],
)
def test_it_arms_by_the_clock_it_finds(host: Host, wall: int, expected: str) -> None:
    host.clocks(wall=wall)
    host.boot(order())
    assert expected in host.hear()


def test_the_lease_is_kept_for_root_alone_and_read_by_the_guest(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.boot(order())
    host.hear_until("sleep 10")
    host.tick()  # whoever watches may have looked first before there was a folder to write in
    host.hear_until("sleep 10")
    path = host.root / "var/lib/cloudtrain/lease.json"
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("CLOUDTRAIN_GUEST_ROOT", str(host.root))
    place = guest_lease.Place.of("/nowhere")
    assert place.read() == guest_lease.Lease(ISSUED + HOUR, ISSUED, "poweroff")
    seen = place.read_mark()
    assert seen is not None
    assert (seen.deadline, seen.issued_at, seen.boot) == (ISSUED + HOUR, ISSUED, "boot-one")
    assert seen.ends_up <= 10 + HOUR


def test_a_lease_that_was_extended_survives_a_reboot(host: Host) -> None:
    extended = {"deadline": ISSUED + 5 * HOUR, "issued_at": ISSUED + 60, "end": "poweroff", "idle_timeout_s": 1800}
    host.lease(**extended)
    host.clocks(wall=ISSUED + HOUR)
    host.boot(order())
    host.hear_until("shutdown -h +240", "sleep 10")
    assert host.kept == extended


def test_a_new_start_beats_an_old_lease_and_keeps_its_other_rules(host: Host) -> None:
    host.lease(deadline=ISSUED - 5, issued_at=ISSUED - HOUR, end="poweroff", idle_timeout_s=1800)
    host.boot(order())
    host.hear_until("shutdown -h +60", "sleep 10")
    assert host.kept == {"deadline": ISSUED + HOUR, "issued_at": ISSUED, "end": "poweroff", "idle_timeout_s": 1800}


def test_a_lease_replaced_between_two_looks_into_it_is_not_the_old_deadline_in_the_new_ones_name(host: Host) -> None:
    """As when a machine is switched on again, and one of two who begin reads what the other writes."""
    host.lease(deadline=ISSUED - 5, issued_at=ISSUED - HOUR, end="poweroff")
    lease, newer = host.root / "var/lib/cloudtrain/lease.json", host.root.parent / "newer"
    newer.write_text(f'{{"deadline": {ISSUED + HOUR}, "issued_at": {ISSUED}, "end": "poweroff"}}\n')
    host.tool("sed", f'{shutil.which("sed")} "$@"; [ -e {newer} ] && mv {newer} {lease}')
    host.boot(order())
    assert "shutdown -h now" not in host.hear_until("shutdown -h +60", "sleep 10")


@pytest.mark.parametrize("content", ["", "{", '{"deadline": 0}', '{"deadline": "x", "issued_at": "y"}', "\0\0\0"])
def test_a_damaged_lease_counts_for_nothing(host: Host, content: str) -> None:
    host.lease()
    (host.root / "var/lib/cloudtrain/lease.json").write_text(content)
    (host.root / "var/lib/cloudtrain/clock").write_text(content)
    host.boot(order())
    host.hear_until("shutdown -h +60", "sleep 10")
    assert host.kept["deadline"] == ISSUED + HOUR


def test_it_arms_where_nothing_can_be_written(host: Host) -> None:
    (host.root / "var/lib/cloudtrain").write_text("a file where the folder should be")
    host.boot(order())
    host.hear_until("shutdown -h +60", "sleep 10")
    host.clocks(up=10.0 + HOUR)
    host.tick()
    host.hear_until("shutdown -h now", "sleep 60")


def test_a_cancelled_shutdown_is_armed_again(host: Host) -> None:
    host.boot(order())
    host.hear_until("sleep 10")
    scheduled = host.root / "run/systemd/shutdown/scheduled"
    scheduled.write_text("USEC=1\n")
    (host.root / "run/nologin").touch()
    host.tick()
    assert host.hear() == ["sleep 10"], "what is armed is not armed again"
    assert not (host.root / "run/nologin").exists()
    scheduled.unlink()
    host.clocks(wall=ISSUED + 600, up=610.0)
    host.tick()
    host.hear_until("shutdown -h +50", "sleep 10")


def test_a_lease_that_is_moved_arms_anew(host: Host) -> None:
    host.boot(order())
    host.hear_until("sleep 10")
    (host.root / "run/systemd/shutdown/scheduled").write_text("USEC=1\n")
    host.lease(deadline=ISSUED + 2 * HOUR, issued_at=ISSUED + 1, end="poweroff")
    host.tick()
    host.hear_until("shutdown -h +119", "sleep 10")


def test_the_watcher_ends_the_machine_by_uptime_though_the_clock_was_set_back(host: Host) -> None:
    host.boot(order())
    host.hear_until("sleep 10")
    host.clocks(wall=ISSUED - 9 * HOUR, up=10.0 + HOUR - 4)
    host.tick()
    host.hear_until("sleep 4")
    host.clocks(wall=ISSUED - 9 * HOUR, up=10.0 + HOUR)
    host.tick()
    host.hear_until("shutdown -h now", "sleep 60")
    host.tick()
    host.hear_until("systemctl poweroff", "sleep 60")
    host.tick()
    host.hear_until("poweroff -f", "sleep 60")


def test_what_was_left_holds_after_a_reboot_with_a_clock_set_back(host: Host) -> None:
    host.boot(order())
    host.hear_until("sleep 10")
    host.clocks(up=10.0 + 3000)
    host.tick()
    host.hear_until("sleep 10")
    host.end()
    host.clocks(wall=ISSUED - HOUR, up=8.0, boot_id="boot-two")
    host.boot(order())
    host.hear_until("shutdown -h +10", "sleep 10")


@pytest.mark.parametrize("whom", ["watcher", "guard"])
def test_killing_either_of_the_two_ends_neither(host: Host, whom: str) -> None:
    host.boot(order())
    host.hear_until("sleep 10")
    watcher = host.started[-1]
    guard = int(Path(f"/proc/{watcher}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guard, signal.SIGTERM)
    if whom == "watcher":
        os.kill(watcher, signal.SIGKILL)
    else:
        os.kill(guard, signal.SIGKILL)
        host.tick()
    host.hear_until("sleep 10")
    again = host.started[-1]
    assert again != watcher
    os.kill(again, signal.SIGKILL)
    host.hear_until("sleep 10")
    assert host.started[-1] not in (watcher, again), "the new guard guards, too"


def test_the_watcher_starts_the_keeper_where_none_lives(host: Host) -> None:
    (host.root / "var/lib/cloudtrain").mkdir()
    (host.root / "var/lib/cloudtrain/keeper").write_text(f"echo keeper > {host.root.parent}/said\n")
    host.boot(order())
    host.hear_until("keeper")


def test_a_program_of_the_machine_the_folder_lies_on_is_never_run(host: Host, tmp_path: Path) -> None:
    script = document(order())["bootcmd"][0][-1].partition("l() {")[0]
    ask = f"{script}\nexec >{tmp_path}/told; x id; wait; x shutdown --help; wait; echo over"
    env = {"PATH": f"{host.tools}:/usr/bin:/bin", "CLOUDTRAIN_GUEST_ROOT": str(host.root)}
    (host.tools / "shutdown").write_text("#!/bin/sh\necho mine\n")
    subprocess.run(["sh", "-c", ask], env=env, check=True, timeout=20)
    assert (tmp_path / "told").read_text() == "mine\nover\n"


def test_the_hours_of_an_order_are_whole_seconds_and_never_more(host: Host) -> None:
    late = datetime.fromtimestamp(ISSUED + HOUR, UTC) + timedelta(microseconds=999_999)
    given = boot.BootOrder(late, datetime.fromtimestamp(ISSUED + 0.5, UTC), GuestEnd.NONE, "k", PEM, "ssh-ed25519 A")
    host.boot(given)
    assert (host.kept["deadline"], host.kept["issued_at"]) == (ISSUED + HOUR, ISSUED + 1)
