"""An AWS that answers on loopback, empty for each test. What is sent to it is seen, and can go wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader, create_loader

from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, SshSettings
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.aws.moto_app import ACCOUNT
from tests.hypervisors import BootsNothing

REGION, OTHER_REGION, ZONE = "us-east-1", "eu-west-1", "us-east-1b"
HERE = "198.51.100.7/32"
ACCOUNT_ID = ACCOUNT


@dataclass
class Fault:
    """One call that goes wrong: refused with a code, or without an answer; before it had an effect, or after."""

    operation: str
    code: str
    message: str
    after: bool
    times: int


@dataclass
class Cloud:
    """The pretend AWS, and what was asked of it."""

    aws: AwsCloud
    hypervisor: BootsNothing
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def named(self) -> list[str]:
        """Return the operations that were called, in order."""
        return [operation for _, operation, _ in self.calls]

    def sent(self, operation: str) -> list[dict[str, Any]]:
        """Return the parameters of every call of an operation."""
        return [parameters for _, name, parameters in self.calls if name == operation]

    def fail(self, operation: str, code: str = "", message: str = "no", *, after: bool = False, times: int = 1) -> None:
        """Let the next calls go wrong; without a code the line breaks."""
        self.faults.append(Fault(operation, code, message, after, times))

    def watch(self, account: Account) -> None:
        """Stand between an account's clients and the cloud."""
        events = account.clients._session().events
        events.register_first("before-parameter-build", self._note)
        events.register_first("before-send", self._meet)

    def held(self, region: str = REGION) -> Any:
        """Return what it holds of a region."""
        return self.aws.account.moto.ec2(region)

    def _note(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        region = context.get("client_region", "")
        self.calls.append((region, model.name, dict(params)))

    def _meet(self, event_name: str, request: Any, **_: Any) -> Any:
        operation = event_name.rsplit(".", 1)[-1]
        fault = next((fault for fault in self.faults if fault.operation == operation), None)
        if fault is None:
            return None
        fault.times -= 1
        if not fault.times:
            self.faults.remove(fault)
        if fault.after:
            URLLib3Session().send(request)
        if not fault.code:
            raise EndpointConnectionError(endpoint_url=request.url)
        return _refusal(request, event_name.split(".")[1], fault)


class Raw:
    """A body as the SDK reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content


def _refusal(request: Any, service: str, fault: Fault) -> AWSResponse:
    status = 503 if fault.code in ("RequestLimitExceeded", "Unavailable", "InternalError") else 400
    if service == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error></Errors>"
            "<RequestID>r</RequestID></Response>"
        )
        return AWSResponse(request.url, status, {"Content-Type": "text/xml"}, Raw(body.encode()))
    if service in ("iam", "sts"):
        body = f"<ErrorResponse><Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error></ErrorResponse>"
        return AWSResponse(request.url, status, {"Content-Type": "text/xml"}, Raw(body.encode()))
    headers = {"Content-Type": "application/json", "x-amzn-errortype": fault.code}
    return AWSResponse(request.url, status, headers, Raw(b'{"__type": "%s", "message": "no"}' % fault.code.encode()))


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: FakeClock) -> Iterator[Cloud]:
    """Start an empty cloud and log in to it and nowhere else."""
    for name, value in {
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "absent"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "absent"),
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    hypervisor = BootsNothing()
    with AwsCloud(hypervisor, clock) as aws:
        yield Cloud(aws, hypervisor)


@pytest.fixture(scope="session")
def service_models() -> Loader:
    """Read the SDK's descriptions of the services once for all tests; each session would read them anew."""
    return create_loader()


@pytest.fixture(autouse=True)
def _read_once(service_models: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.session.create_loader", lambda *_: service_models)


@pytest.fixture(autouse=True)
def _no_real_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK repeat a request at once."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def machine(cloud: Cloud) -> MachineSpec:
    return MachineSpec(
        "aws-mine",
        "aws",
        regions=(REGION, OTHER_REGION),
        instance_types=("g4dn.xlarge", "t3.medium"),
        disk_gb=100,
        endpoint_url=cloud.aws.url,
        ssh=SshSettings(allow_from=(HERE,)),
    )


@pytest.fixture
def offers() -> list[Offer]:
    gpu = Offer("aws", "g4dn.xlarge", REGION, zone=ZONE, usd_per_hour=0.526, beside_usd_per_hour=0.016, gpu="T4", gpu_count=1)
    return [gpu, Offer("aws", "t3.medium", REGION, usd_per_hour=0.0416)]


@pytest.fixture
def order(machine: MachineSpec, offers: list[Offer], clock: FakeClock) -> LaunchOrder:
    lease = Lease((clock.now() + timedelta(hours=2)).replace(microsecond=0), 0.542)
    return LaunchOrder("ct-token-1", machine, offers[0], lease, "alice-laptop", disk_gb=100, run_id="run-7")


@pytest.fixture
def make_account(cloud: Cloud, tmp_path: Path, clock: FakeClock) -> Callable[[MachineSpec | None], Account]:
    def make(machine: MachineSpec | None) -> Account:
        account = Account.of(ProviderSettings(tmp_path / "home", clock, lambda name: (), machine))
        cloud.watch(account)
        return account

    return make


@pytest.fixture
def account(make_account: Callable[[MachineSpec | None], Account], machine: MachineSpec) -> Account:
    return make_account(machine)


@pytest.fixture
def provider(account: Account) -> AwsProvider:
    made = AwsProvider(account.settings)
    made._account = account
    return made


@pytest.fixture
def remains(cloud: Cloud) -> Callable[[], dict[str, list[str]]]:
    """Return what the cloud still holds that a launch may make, in the region of the order."""

    def look() -> dict[str, list[str]]:
        backend = cloud.held()
        instances = [each for kept in backend.reservations.values() for each in kept.instances]
        return {
            "machines": [each.id for each in instances if each.state != "terminated"],
            "groups": [
                group.name for of_vpc in backend.groups.values() for group in of_vpc.values() if group.name != "default"
            ],
            "disks": [disk.id for disk in backend.volumes.values() if disk.attachment is not None],
        }

    return look
