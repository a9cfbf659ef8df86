"""A Google Cloud that answers on loopback, empty for each test. What is sent to it is seen, and can go wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, SshSettings
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.playground.gcp import GcpCloud
from tests.hypervisors import BootsNothing

REGION, ZONE = "us-central1", "us-central1-a"
HERE = "198.51.100.7/32"
TOKEN = "playground"
LOGINS = (
    "CLOUDSDK_AUTH_ACCESS_TOKEN",
    "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
    "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT",
    "CLOUDSDK_ACTIVE_CONFIG_NAME",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE",
    "CLOUDSDK_CORE_ACCOUNT",
    "CLOUDSDK_CORE_PROJECT",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
)


@dataclass
class Cloud:
    """The pretend Google Cloud, and what was asked of it."""

    gcp: GcpCloud
    hypervisor: BootsNothing

    def named(self) -> list[str]:
        """Return the methods that were called, in order."""
        return [record.name for record in self.gcp.calls()]

    def fail(self, method_id: str, code: str = "", message: str = "", *, after: bool = False, times: int = 1) -> None:
        """Let the next calls go wrong; without a code the line breaks."""
        service = method_id.partition(".")[0]
        self.gcp.faults.add(service, method_id, code=code, message=message, times=times, after=after, reset=not code)

    def bodies(self) -> list[dict]:
        """Return the machines there are, as Google shows them."""
        return [machine.body for machine in self.gcp.machines()]


@pytest.fixture
def nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Take every login away and return the folder where gcloud's would be."""
    for name in LOGINS:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "gcloud"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, nobody_is_logged_in: Path, clock: FakeClock) -> Iterator[Cloud]:
    """Start an empty cloud and log in to it and nowhere else."""
    hypervisor = BootsNothing()
    with GcpCloud(hypervisor, clock) as gcp:
        monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", gcp.project)
        yield Cloud(gcp, hypervisor)
        assert [event for event in gcp.account.events if "broke" in event] == []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def machine(cloud: Cloud) -> MachineSpec:
    return MachineSpec(
        "gcp-mine",
        "gcp",
        regions=(REGION,),
        instance_types=("g2-standard-4", "g2-standard-8"),
        disk_gb=100,
        endpoint_url=cloud.gcp.url,
        ssh=SshSettings(allow_from=(HERE,)),
    )


@pytest.fixture
def offer() -> Offer:
    return Offer(
        "gcp", "g2-standard-4", REGION, zone=ZONE, usd_per_hour=0.706, beside_usd_per_hour=0.018, gpu="L4", gpu_count=1
    )


@pytest.fixture
def order(machine: MachineSpec, offer: Offer, clock: FakeClock) -> LaunchOrder:
    lease = Lease((clock.now() + timedelta(hours=2)).replace(microsecond=0), 0.724)
    return LaunchOrder("ct-token-1", machine, offer, lease, "Alice@laptop", disk_gb=100, run_id="run-7")


@pytest.fixture
def make_account(tmp_path: Path, clock: FakeClock) -> Callable[[MachineSpec | None], Account]:
    def make(machine: MachineSpec | None) -> Account:
        return Account.of(ProviderSettings(tmp_path / "home", clock, lambda name: (), machine))

    return make


@pytest.fixture
def account(make_account: Callable[[MachineSpec | None], Account], machine: MachineSpec) -> Account:
    return make_account(machine)


@pytest.fixture
def provider(account: Account) -> GcpProvider:
    made = GcpProvider(account.settings)
    made._account = account
    return made


@pytest.fixture
def cloud_sleeps_too(cloud: Cloud, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what the cloud does go on while somebody sleeps, also what nobody has looked at."""
    monkeypatch.setattr(clock, "sleep", lambda seconds: (clock.advance(seconds), cloud.gcp.advance(seconds)))


@pytest.fixture
def remains(cloud: Cloud) -> Callable[[], dict[str, list[str]]]:
    """Return what the cloud still holds that a launch may make."""

    def look() -> dict[str, list[str]]:
        held = cloud.gcp.account
        cloud.gcp.advance(120)  # what was deleted goes in its own time
        return {
            "machines": [machine.id for machine in cloud.gcp.machines()],
            "rules": sorted(name for name in held.firewalls if not name.startswith("default-")),
            "disks": [name for _, name in held.disks],
        }

    return look
