"""A pretend AWS with a hypervisor that only writes down what it was asked, and clients of the real SDK."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.azure import AzureCloud
from cloudtrain.testing.playground.gcp import GcpCloud
from cloudtrain.testing.playground.machine import Booted, MachineOrder
from tests.hypervisors import BootsNothing

from .arm_calls import Arm
from .google_calls import Google

CREDENTIALS = {"aws_access_key_id": "playground", "aws_secret_access_key": "playground"}


class RecordingHypervisor(BootsNothing):
    """Knows everything that it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, ...]] = []
        self.metadata: dict[str, dict[str, str | None]] = {}
        self.advanced = 0.0
        self.boots_nothing = self.broken = False

    def boot(self, order: MachineOrder) -> Booted:
        if self.boots_nothing:
            raise OSError("no room on this computer")
        self.metadata.setdefault(order.id, {}).update(order.metadata)
        return super().boot(order)

    def reboot(self, id: str, order: MachineOrder | None = None) -> None:
        self._work()
        super().reboot(id, order)
        self.told.append(("reboot", id))

    def switch_off(self, id: str) -> None:
        self.told.append(("switch_off", id))

    def destroy(self, id: str) -> None:
        self._work()
        self.told.append(("destroy", id))

    def set_metadata(self, id: str, path: str, text: str | None) -> None:
        self.metadata.setdefault(id, {})[path] = text

    def guest_attributes(self, id: str) -> dict[str, str]:
        return {"hostkeys/ssh-ed25519": "AAAA"}

    def advance(self, seconds: float) -> None:
        self.advanced += seconds

    def _work(self) -> None:
        if self.broken:
            raise OSError("no room on this computer")


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Keep the person's own credentials, profiles and settings out of reach."""
    for name in (
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_SESSION_TOKEN",
        "AWS_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def hypervisor() -> RecordingHypervisor:
    return RecordingHypervisor()


@pytest.fixture
def cloud(hypervisor: RecordingHypervisor, clock: FakeClock) -> Iterator[AwsCloud]:
    with AwsCloud(hypervisor, clock) as cloud:
        yield cloud
        assert [event for event in cloud.account.events if "broke" in event] == []


@pytest.fixture(scope="session")
def sdk() -> boto3.Session:
    """One session, so that the SDK reads its descriptions of the services once."""
    return boto3.Session(**CREDENTIALS)


Client = Callable[..., Any]


@pytest.fixture
def client(cloud: AwsCloud, sdk: boto3.Session) -> Iterator[Client]:
    """Return a maker of clients of the SDK, which do not retry."""
    made = []

    def make(service: str = "ec2", region: str = "us-east-1", attempts: int = 1) -> Any:
        config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, parameter_validation=True)
        made.append(sdk.client(service, region_name=region, endpoint_url=cloud.url, config=config))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def ec2(client: Client) -> Any:
    return client("ec2")


@pytest.fixture
def gcp(hypervisor: RecordingHypervisor, clock: FakeClock) -> Iterator[GcpCloud]:
    with GcpCloud(hypervisor, clock) as cloud:
        yield cloud
        assert [event for event in cloud.account.events if "broke" in event] == []


@pytest.fixture
def google(gcp: GcpCloud) -> Google:
    return Google(gcp.url, gcp.project)


@pytest.fixture
def azure(hypervisor: RecordingHypervisor, clock: FakeClock) -> Iterator[AzureCloud]:
    with AzureCloud(hypervisor, clock) as cloud:
        yield cloud
        assert [event for event in cloud.account.events if "broke" in event] == []


@pytest.fixture
def arm(azure: AzureCloud) -> Iterator[Arm]:
    arm = Arm(azure)
    yield arm
    arm.close()
