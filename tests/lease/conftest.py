"""A pretend AWS whose machines are real SSH hosts of this computer, rented by the real provider and told by the real guest."""

import queue
import shlex
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cloudtrain.model.instance import Instance, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, OnFinish, SshSettings
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.waiting import wait_until
from cloudtrain.remote.guest import Guest
from cloudtrain.remote.ssh import SshRemote
from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.hypervisor import LocalHypervisor, open_hypervisor

REGION = "us-east-1"
PATIENCE_S = 60.0
HOUR = timedelta(hours=1)
POLL = timedelta(seconds=15)
"""The longest pause between two looks of who watches the time on a machine, and what it needs to act."""
ARMED_EARLY = timedelta(seconds=90)
"""`shutdown` counts whole minutes, rounded down, from when it was armed; a machine may not end sooner than that."""
TO_END_S = 10.0
"""What a machine may take from switching itself off to being terminated or stopped."""
ROOT = "$CLOUDTRAIN_GUEST_ROOT"
"""What every path of a machine begins with: nothing where its root is its own."""


class CloudClock:
    """The pretend cloud's own time, for whoever rents there. Nobody sleeps by it: what is waited for is seen at once."""

    def __init__(self, cloud: AwsCloud) -> None:
        self._cloud = cloud

    def now(self) -> datetime:
        return self._cloud.account.timeline.now()

    def monotonic(self) -> float:
        return self.now().timestamp()

    def sleep(self, seconds: float) -> None:
        self._cloud.settle()


@dataclass
class Host:
    """One rented machine; `deadline` is the latest that anybody was promised."""

    name: str
    instance: Instance
    deadline: datetime
    at_deadline: OnFinish = OnFinish.TERMINATE
    is_cut: bool = False

    @property
    def id(self) -> str:
        return self.instance.ref.id


def all_are(state: str, hosts: Iterable[Host]) -> dict[str, str]:
    """Return what `Fleet.states` says when all are in one state."""
    return {host.name: state for host in hosts}


class Fleet:
    """Everything rented in one pretend cloud, and what a test does to it."""

    def __init__(
        self, cloud: AwsCloud, hypervisor: LocalHypervisor, off: "queue.Queue[str]", folder: Path, short: Path
    ) -> None:
        self.cloud = cloud
        self.hypervisor = hypervisor
        self.clock = CloudClock(cloud)
        self._off = off
        self._short = short
        connect = [sys.executable, "-m", "cloudtrain.testing.playground.connect", str(folder / "h")]
        proxy = f"{shlex.join(connect)} %h %p" if hypervisor.kind == "loopback" else None
        self._spec = MachineSpec(
            "lab",
            "aws",
            regions=(REGION,),
            instance_types=("g4dn.xlarge",),
            disk_gb=100,
            endpoint_url=cloud.url,
            ssh=SshSettings(allow_from=("127.0.0.1/32",), proxy_command=proxy),
        )
        self.provider = AwsProvider(ProviderSettings(folder / "home", self.clock, lambda _: (), self._spec))

    def lease(self, lasts: timedelta) -> Lease:
        return Lease((self.clock.now() + lasts).replace(microsecond=0), 0.5)

    def launch(self, name: str, lasts: timedelta = HOUR, at_deadline: OnFinish = OnFinish.TERMINATE) -> Host:
        """Rent a machine, wait until it has booted, tell it its lease, and have it keep it."""
        order = self._order(self.lease(lasts), at_deadline)
        host = Host(name, self._until_on(self.provider.launch(order)), order.lease.deadline, at_deadline)
        self.keep_time_by_file(host)
        self.tell(host)
        return host

    def refuse_without_lease(self) -> None:
        """See that an order without a lease is not carried out."""
        with pytest.raises(AttributeError, match="deadline"):
            self.provider.launch(self._order(None))  # type: ignore[arg-type]

    def launch_all(self, names: Iterable[str], **more: object) -> list[Host]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda name: self.launch(name, **more), names))  # type: ignore[arg-type]

    def start(self, host: Host, lasts: timedelta) -> None:
        """Switch a stopped machine on again."""
        lease = self.lease(lasts)
        host.instance, host.deadline = self._until_on(self.provider.start(host.instance.ref, lease)), lease.deadline

    def extend(self, host: Host, by: timedelta) -> None:
        lease = Lease(host.deadline + by, 0.5)
        self.provider.extend(host.instance.ref, lease)
        host.instance, host.deadline = self.provider.get(host.instance.ref), lease.deadline
        self.tell(host)

    def tell(self, host: Host, **waits: float) -> None:
        """Give the machine its lease over SSH, as `arm_guest` does, and see that it keeps it."""
        assert host.instance.deadline == host.deadline
        with self.guest(host) as guest:
            kept = guest.set_lease(deadline=host.deadline, issued_at=self.clock.now(), end=host.instance.guest_end, **waits)
        assert (kept.armed, kept.keeper, kept.deadline) == (True, "running", host.deadline)

    @contextmanager
    def guest(self, host: Host) -> Iterator[Guest]:
        with ExitStack() as stack:
            remote = SshRemote(host.instance.endpoint, control_folder=self._short)  # type: ignore[arg-type]
            stack.callback(remote.close)
            yield Guest.install(remote)

    def run_in(self, host: Host, command: str) -> str:
        """Run a shell command as the machine's root, not over its network; return what it said."""
        done = self.hypervisor.run_in(host.id, ["sh", "-c", command], timeout=PATIENCE_S)
        return done.stdout.decode()

    def run_alone(self, host: Host, command: str) -> str:
        """Run what reaches every process there is: only where all of them are the machine's."""
        assert self.hypervisor.kind == "namespace"
        return self.run_in(host, command)

    def state(self, host: Host) -> str:
        """Return what the cloud says."""
        return next(machine.state for machine in self.cloud.machines() if machine.id == host.id)

    def states(self, hosts: Iterable[Host]) -> dict[str, str]:
        """Return what the cloud says of each, by name."""
        return {host.name: self.state(host) for host in hosts}

    def to(self, moment: datetime) -> None:
        """Move the cloud's time and every armed shutdown's to a moment. The machines' own clocks stay."""
        self.cloud.advance((moment - self.clock.now()).total_seconds())

    def pass_time_on(self, host: Host, seconds: float) -> None:
        """Let a machine's own uptime, which nobody there can set, be so much further. No timer of a `shutdown` hears of it."""
        proc = (
            "mount --bind /run/later /proc/uptime"
            if self.hypervisor.kind == "namespace"
            else f"mv {ROOT}/run/later {ROOT}/proc/uptime"
        )
        self.run_in(host, f"read up _ </proc/uptime; echo $((${{up%%.*}} + {seconds:.0f})).00 1.0 >{ROOT}/run/later; {proc}")

    def reboot(self, host: Host) -> None:
        """Restart a machine and wait until it has booted. A line that was cut stays cut."""
        self.hypervisor.reboot(host.id)
        self._wait_for_boot(host.id)
        if host.is_cut:
            self.hypervisor.cut_network(host.id)

    def delete_files(self, host: Host) -> None:
        """Delete all that the lease has on the machine's disk, its software included."""
        self.run_in(host, f"rm -rf {ROOT}/var/lib/cloudtrain {ROOT}/home/*/.cloudtrain/guest*.pyz")

    def wait_for_end(self, hosts: Iterable[Host]) -> None:
        """Return when each of these machines has switched itself off."""
        wanted = {host.id: host.name for host in hosts}
        give_up_at = time.monotonic() + PATIENCE_S
        while wanted:
            try:
                wanted.pop(self._off.get(timeout=max(0.0, give_up_at - time.monotonic())), None)
            except queue.Empty:
                raise AssertionError(f"still on after {PATIENCE_S:.0f} s: {sorted(wanted.values())}") from None

    def see_end(self, hosts: Iterable[Host]) -> None:
        """Return when these have switched themselves off and the cloud has had the time to follow."""
        ended = list(hosts)
        self.wait_for_end(ended)
        until = time.monotonic() + PATIENCE_S
        while "running" in self.states(ended).values():  # the cloud is told a moment after the machine has ended
            assert time.monotonic() < until, self.states(ended)
            self.cloud.settle()
        self.cloud.advance(TO_END_S)

    def _order(self, lease: Lease, at_deadline: OnFinish = OnFinish.TERMINATE) -> LaunchOrder:
        offer = Offer("aws", "g4dn.xlarge", REGION, usd_per_hour=0.526, gpu="T4", gpu_count=1)
        return LaunchOrder(f"ct-{uuid.uuid4().hex}", self._spec, offer, lease, "me-here", at_deadline=at_deadline)

    def _until_on(self, instance: Instance) -> Instance:
        seen = wait_until(self.provider, instance.ref, (InstanceState.RUNNING,), self.clock, PATIENCE_S)
        assert seen is not None
        assert seen.state is InstanceState.RUNNING, self.cloud.account.events
        self._wait_for_boot(seen.ref.id)
        return seen

    def _wait_for_boot(self, id: str) -> None:
        self.hypervisor.run_in(id, ["cloud-init", "status", "--wait"], timeout=PATIENCE_S)

    def keep_time_by_file(self, host: Host) -> None:
        """Let every clock on the wall that the guest reads there go wrong by what a file says, and be right for now.

        No namespace gives a machine a wall clock of its own, so the two ways to read it are moved: `date`, which the boot
        line's watcher asks, and `time.time` of the machine's Python, in a module that Python itself loads at every start.
        """
        if self.hypervisor.kind == "namespace":
            version = f"python{sys.version_info.major}.{sys.version_info.minor}"
            self.run_in(host, _MOVABLE_CLOCK.replace("VERSION", version))

    def move_clock(self, host: Host, by_s: int) -> None:
        """Set the machine's wall clock."""
        self.run_in(host, f"printf %12d {by_s} 1<>/var/clock-offset")


_MOVABLE_CLOCK = r"""
printf %12d 0 >/var/clock-offset
cat >/usr/local/bin/date <<'END'
#!/bin/sh
echo $(($(/bin/date "$@") + $(cat /var/clock-offset)))
END
chmod 755 /usr/local/bin/date
mkdir -p /root/.local/lib/VERSION/site-packages
cat >/root/.local/lib/VERSION/site-packages/usercustomize.py <<'END'
import time
def _moved(real=time.time):
    with open("/var/clock-offset") as file:
        return real() + int(file.read())
time.time = _moved
END
"""


_NOBODY = {
    "AWS_ACCESS_KEY_ID": "playground",
    "AWS_SECRET_ACCESS_KEY": "playground",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null/absent",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null/absent",
}
_SOMEBODY = ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL")


@contextmanager
def fleet_of(kind: str, folder: Path) -> Iterator[Fleet]:
    """Make an empty cloud whose machines are of a kind."""
    off: queue.Queue[str] = queue.Queue()
    clouds: list[AwsCloud] = []

    def switched_off(id: str) -> None:
        clouds[0].power_off(id)
        off.put(id)

    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in _NOBODY.items():
            patch.setenv(name, value)
        for name in _SOMEBODY:
            patch.delenv(name, raising=False)
        short = stack.enter_context(tempfile.TemporaryDirectory(prefix="ct-"))  # a control socket's path is to be short
        hypervisor = open_hypervisor(folder / "h", switched_off, kind=kind)
        stack.callback(hypervisor.close)
        clouds.append(stack.enter_context(AwsCloud(hypervisor)))
        yield Fleet(clouds[0], hypervisor, off, folder, Path(short))
        assert [event for event in clouds[0].account.events if "broke" in event or "not boot" in event] == []
