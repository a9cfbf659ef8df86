"""The lease on real hosts: whatever is done to the guest, the machine ends by its deadline, and the cloud says so.

Two things on a machine end it, each enough alone, and each is tried alone against every fault and every order of two faults:
the `shutdown` that is armed (its timer is the hypervisor's, which can be moved on while the machine's own clocks stand), and
the processes that watch the time (a machine's uptime is moved on while no timer hears of it). Nobody here waits for time to
pass; who watches looks every ten seconds, and that is waited for once, for all machines together.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from cloudtrain.model.instance import SshEndpoint
from cloudtrain.model.spec import OnFinish
from cloudtrain.testing.playground.hypervisor.namespace import missing

from .conftest import ARMED_EARLY, HOUR, POLL, Fleet, Host, all_are, fleet_of

NO_NAMESPACES = missing()

# Both at once: while one of the two lives it brings the other back.
KILL_KEEPER = r"""
both() { set -- $(grep -lz '[.]pyz$' /proc/[0-9]*/cmdline | cut -d/ -f3); [ $# -eq 2 ] && echo $*; }
until now=$(both); do sleep 0.1; done
kill -9 $now
for p in $now; do while [ -e /proc/$p/cwd ]; do :; done; done
echo $now
"""


def kill(fleet: Fleet, host: Host) -> None:
    assert len(fleet.run_alone(host, KILL_KEEPER).split()) == 2


def kill_everything(fleet: Fleet, host: Host) -> None:
    fleet.run_alone(host, "kill -9 -1")


def fill(fleet: Fleet, host: Host) -> None:
    fleet.hypervisor.fill_disk(host.id)


def set_clock_back(fleet: Fleet, host: Host) -> None:
    fleet.move_clock(host, -86_400)


def cut(fleet: Fleet, host: Host) -> None:
    fleet.hypervisor.cut_network(host.id)
    host.is_cut = True


FAULTS = {
    "killed": kill,
    "deleted": Fleet.delete_files,
    "full": fill,
    "clock back": set_clock_back,
    "cut": cut,
    "rebooted": Fleet.reboot,
}
ENDS = ARMED, WATCHED = ("armed", "watching")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if NO_NAMESPACES:
        pytest.skip(f"machines with namespaces: {NO_NAMESPACES}")
    with fleet_of("namespace", tmp_path_factory.mktemp("fleet")) as made:
        yield made


@dataclass(frozen=True)
class Case:
    """Faults in their order, and what alone is to end the machine after them."""

    faults: tuple[str, ...]
    by: str

    @property
    def name(self) -> str:
        return f"{' then '.join(self.faults)}, ended by what is {self.by}"


SHARE = 8
"""By default every eighth pair of faults is tried, in both orders; CLOUDTRAIN_EVERY_CASE=1 tries all."""


def cases() -> list[Case]:
    """Return every fault and orders of two: with CLOUDTRAIN_EVERY_CASE all of them with both ends, else a share with one.

    Of two orders of the same faults each has another end.
    """
    if os.environ.get("CLOUDTRAIN_EVERY_CASE"):
        orders = [(name,) for name in FAULTS] + list(itertools.permutations(FAULTS, 2))
        return [Case(order, by) for order in orders for by in ENDS]
    found = [Case((name,), by) for name, by in zip(FAULTS, itertools.cycle(ENDS), strict=False)]
    for number, (one, other) in enumerate(list(itertools.combinations(FAULTS, 2))[::SHARE]):
        first, second = ENDS if number % 2 else ENDS[::-1]
        found += [Case((one, other), first), Case((other, one), second)]
    return found


def suffering(fleet: Fleet, case: Case, at_deadline: OnFinish) -> Host:
    host = fleet.launch(case.name, at_deadline=at_deadline)
    for name in case.faults:
        # Who kills everything kills who watches, too: then the armed shutdown is all there is.
        fault = kill_everything if (name, case.by) == ("killed", ARMED) else FAULTS[name]
        fault(fleet, host)
    return host


def as_asked(hosts: list[Host]) -> dict[str, str]:
    return {host.name: "stopped" if host.at_deadline is OnFinish.STOP else "terminated" for host in hosts}


def test_it_ends_by_its_deadline_after_every_order_of_two_faults(fleet: Fleet) -> None:
    known, ends = cases(), itertools.cycle((OnFinish.TERMINATE, OnFinish.STOP))
    with ThreadPoolExecutor(6) as pool:
        hosts = list(pool.map(lambda pair: suffering(fleet, *pair), zip(known, ends, strict=False)))
    armed = [host for host, case in zip(hosts, known, strict=True) if case.by == ARMED]
    watched = [host for host, case in zip(hosts, known, strict=True) if case.by == WATCHED]

    assert fleet.states(hosts) == all_are("running", hosts)
    for host in watched:
        fleet.pass_time_on(host, HOUR.total_seconds())
    fleet.see_end(watched)
    assert fleet.states(watched) == as_asked(watched)

    fleet.to(min(host.deadline for host in armed) - ARMED_EARLY)
    assert fleet.states(armed) == all_are("running", armed)
    fleet.to(max(host.deadline for host in armed) + POLL)
    fleet.see_end(armed)
    assert fleet.states(armed) == as_asked(armed)


def test_an_extension_survives_a_reboot_and_one_that_is_lost_ends_the_machine_sooner(fleet: Fleet) -> None:
    hosts = fleet.launch_all(["extended", "extended, then robbed of its files"])
    first = max(host.deadline for host in hosts)
    for host in hosts:
        fleet.extend(host, 2 * HOUR)
    fleet.delete_files(hosts[1])
    for host in hosts:
        fleet.reboot(host)
    fleet.to(first + POLL)
    fleet.see_end(hosts[1:])
    assert fleet.states(hosts) == {hosts[0].name: "running", hosts[1].name: "terminated"}
    fleet.to(hosts[0].deadline - ARMED_EARLY)
    assert fleet.state(hosts[0]) == "running"
    fleet.to(hosts[0].deadline + POLL)
    fleet.see_end(hosts[:1])
    assert fleet.state(hosts[0]) == "terminated"


def test_a_machine_that_is_started_again_keeps_its_new_lease(fleet: Fleet) -> None:
    host = fleet.launch("stopped and started", at_deadline=OnFinish.STOP)
    for lasts in (2 * HOUR, HOUR):
        fleet.to(host.deadline + POLL)
        fleet.see_end([host])
        assert fleet.state(host) == "stopped"
        fleet.start(host, lasts)
        fleet.to(host.deadline - ARMED_EARLY)
        assert fleet.state(host) == "running"


def test_a_shutdown_that_is_cancelled_is_armed_again_and_without_it_the_keeper_ends_the_machine(fleet: Fleet) -> None:
    host = fleet.launch("cancelled")
    scheduled = "/run/systemd/shutdown/scheduled"
    for _ in range(2):  # who watches would arm a lease that is new to it anyway
        assert fleet.run_in(host, f"shutdown -c; ls {scheduled}") == ""
        look_now(fleet, host)
        armed = fleet.run_in(host, f"until [ -e {scheduled} ]; do sleep 0.1; done; cat {scheduled}")
        assert "MODE=poweroff" in armed
    fleet.run_alone(host, KILL_WATCHER + "shutdown -c")
    fleet.pass_time_on(host, HOUR.total_seconds())
    fleet.run_in(host, "kill -USR1 $(cat /run/cloudtrain/keeper.pid)")
    fleet.wait_for_end([host])


def test_a_clock_that_is_set_forward_ends_it_at_once(fleet: Fleet) -> None:
    host = fleet.launch("clock forward")
    fleet.move_clock(host, 86_400)
    look_now(fleet, host)
    fleet.wait_for_end([host])


def test_an_idle_machine_ends_and_neither_one_at_work_nor_one_that_cannot_tell_nor_one_in_use(fleet: Fleet) -> None:
    why = {"busy": "the GPU is busy", "no meter": "the GPU is unknown", "in use": "somebody is connected", "idle": "idle"}
    hosts = dict(zip(why, fleet.launch_all(why), strict=True))
    fleet.hypervisor.set_gpu_load(hosts["busy"].id, "97")
    fleet.hypervisor.set_gpu_load(hosts["no meter"].id, "[N/A]")
    with terminal(hosts["in use"]) as session:
        for host in hosts.values():  # the one that is to end is told last
            be_quiet_and_watched(fleet, host)
        fleet.wait_for_end([hosts.pop("idle")])
        for name, host in hosts.items():
            assert fleet.state(host) == "running"
            says_why(fleet, host, f"wait ({why[name]})")
        for name in ("busy", "no meter"):
            fleet.hypervisor.set_gpu_load(hosts[name].id, "0")
        session.kill()
        fleet.wait_for_end(hosts.values())


def says_why(fleet: Fleet, host: Host, why: str) -> None:
    """Wait until the keeper gives this reason; where packets were still on their way, it gave that one first."""
    look = f'tail -n 1 /var/lib/cloudtrain/keeper.log | grep -F "{why}"'
    assert why in fleet.run_in(host, f"timeout 30 sh -c 'until {look}; do sleep 0.2; done'")


@contextmanager
def terminal(host: Host) -> "Iterator[subprocess.Popen[bytes]]":
    """Hold an interactive session open, in which nothing is typed."""
    endpoint = host.instance.endpoint
    assert isinstance(endpoint, SshEndpoint)
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", f"User={endpoint.user}"]
    flags = [word for option in options for word in ("-o", option)]
    command = ["ssh", "-F", "none", *flags, "-tt", "-i", str(endpoint.identity_file), endpoint.host, "echo in; exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
        try:
            assert session.stdout is not None
            assert session.stdout.readline().strip() == b"in"
            yield session
        finally:
            session.kill()  # a session that nobody ends is waited for without end


def be_quiet_and_watched(fleet: Fleet, host: Host) -> None:
    """Give a machine meters of its own (its kernel's are this computer's), a keeper that looks often, and a short patience."""
    quiet = {"stat": "cpu  100 0 100 5000 0 0 0 0 0 0", "diskstats": "8 0 sda 10 0 80 0 10 0 80 0 0 0 0"}
    for name, text in quiet.items():
        fleet.run_in(host, f"echo '{text}' >/run/{name} && mount --bind /run/{name} /proc/{name}")
    home = "/home/ubuntu/.cloudtrain"
    fleet.run_alone(host, KILL_KEEPER)
    fleet.run_in(host, f"setsid python3 {home}/guest-*.pyz keeper {home} --every 0.5 >/dev/null 2>&1 </dev/null &")
    fleet.tell(host, idle_timeout_s=2.0)


# A process in the middle of an exec shows neither its words nor its environment: one more look finds it.
KILL_WATCHER = "until kill -9 $(grep -lz '^CLOUDTRAIN_WATCH=' /proc/[0-9]*/environ | cut -d/ -f3); do sleep 0.1; done; "


def look_now(fleet: Fleet, host: Host) -> None:
    """Cut short the pause between two looks of who watches."""
    fleet.run_alone(host, "until kill -9 $(grep -lz '^sleep$' /proc/[0-9]*/cmdline | cut -d/ -f3); do sleep 0.1; done")
