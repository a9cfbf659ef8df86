"""Every verb of the AWS provider, called once on a pretend AWS: which permissions each one needs."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cloudtrain.model.instance import Instance, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, Market, Resources, SshSettings
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.aws.permissions import permissions
from cloudtrain.testing.playground.machine import Booted

REGION = "us-east-1"
SET_UP, NETWORK = "setup aws", "start --create-network"
INPUTS, CHECKPOINTS = "train with inputs from s3://", "train with checkpoints on s3://"
BUCKET = "cloudtrain-docs"
ENDS = json.dumps({"InstanceIds": ["i-00000000000000000"]})


class WrittenDown:
    """A hypervisor that boots nothing; every machine has an address."""

    def boot(self, _: object) -> Booted:
        return Booted("127.0.1.1")

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@dataclass
class Session:
    """A person's provider and one machine of theirs."""

    cloud: AwsCloud
    provider: AwsProvider
    order: LaunchOrder
    made: Instance | None = None

    def launch(self, order: LaunchOrder) -> None:
        """Launch and wait until it runs."""
        self.made = self.provider.launch(order)
        self.until("running")

    def until(self, state: str) -> None:
        """Look until the machine is in a state."""
        for _ in range(5):
            self.made = self.provider.get(self.machine.ref)
            if self.machine.state.value == state:
                return
        raise RuntimeError(f"it is {self.machine.state.value}, not {state}")

    @property
    def machine(self) -> Instance:
        """Return the machine."""
        if self.made is None:
            raise RuntimeError("nothing was launched")
        return self.made

    def another(self) -> str:
        """Return the token of a new order."""
        return f"ct-{len(self.cloud.machines())}"

    def end(self) -> None:
        """Terminate it, and what was made beside it."""
        self.provider.terminate(self.machine.ref)
        self.until("terminated")
        self.provider.terminate(self.machine.ref)


def calls_by_verb() -> dict[str, list[str]]:
    """Call every verb; return the IAM actions that each took, in the order of the verbs."""
    found = {}
    with _session() as session:
        for name, act in VERBS.items():
            session.cloud.forget_calls()
            act(session)
            found[name] = permissions(session.cloud.calls())
    return found


def _start_and_change(session: Session) -> None:
    session.launch(session.order)
    session.provider.outlook(session.order.machine, session.order.offer)
    session.provider.list_owned()


def _spot(session: Session) -> None:
    offer = replace(session.order.offer, market=Market.SPOT, usd_per_hour=0.2)
    session.launch(replace(session.order, token=session.another(), offer=offer))
    session.end()


def _lease(session: Session) -> None:
    lease = Lease(session.order.lease.deadline + timedelta(hours=1), session.order.lease.usd_per_hour)
    session.provider.extend(session.machine.ref, lease)


def _pause(session: Session) -> None:
    session.provider.stop(session.machine.ref)
    session.until("stopped")


def _resize(session: Session) -> None:
    session.provider.resize(session.machine.ref, replace(session.order.offer, instance_type="g4dn.2xlarge"))


def _wake(session: Session) -> None:
    session.provider.start(session.machine.ref, session.order.lease)
    session.until("running")


def _address(session: Session) -> None:
    moved = SshSettings(allow_from=("198.51.100.8/32",))
    settings = replace(_settings(session), machine=replace(session.order.machine, ssh=moved))
    AwsProvider(settings).let_in(session.machine.ref)


def _sweep(session: Session) -> None:
    ec2 = session.provider._account.clients.ec2(REGION)
    scheduler = session.provider._account.clients.scheduler(REGION)
    mark = [{"Key": "cloudtrain", "Value": "1"}]
    ec2.create_security_group(
        GroupName="left", Description="left", TagSpecifications=[{"ResourceType": "security-group", "Tags": mark}]
    )
    zone = f"{REGION}a"
    ec2.create_volume(AvailabilityZone=zone, Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": mark}])
    role = session.provider.prepare_account()
    target = {"Arn": "arn:aws:scheduler:::aws-sdk:ec2:terminateInstances", "RoleArn": role, "Input": ENDS}
    scheduler.create_schedule(
        Name="ct-left", ScheduleExpression="at(2036-01-01T00:00:00)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target
    )
    session.cloud.forget_calls()
    session.provider.list_owned()
    for leftover in session.provider.leftovers():
        session.provider.remove(leftover)


def _network(session: Session) -> None:
    ec2 = session.provider._account.clients.ec2(REGION)
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    session.cloud.forget_calls()
    machine = replace(session.order.machine, create_network=True)
    session.launch(replace(session.order, token=session.another(), machine=machine))
    session.end()


def _bill(session: Session) -> None:
    today = _settings(session).clock.now().date()
    session.provider.billed(today - timedelta(days=7), today)


def _inputs(session: Session) -> None:
    _bucket(session)
    url = f"s3://{BUCKET}/data/"
    session.provider.region_of(url)
    session.provider.links(session.provider.stored(url), session.order.lease.deadline)


def _checkpoints(session: Session) -> None:
    _bucket(session)
    kept = f"s3://{BUCKET}/kept"
    session.provider.region_of(kept)
    session.launch(replace(session.order, token=session.another(), checkpoints=kept))
    session.provider.leftovers()
    session.end()


def _bucket(session: Session) -> None:
    s3 = session.provider._account.clients.s3(REGION)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="data/a", Body=b"a")
    session.cloud.forget_calls()


def _settings(session: Session) -> ProviderSettings:
    return session.provider._account.settings


VERBS: Mapping[str, Callable[[Session], object]] = {
    "check aws": lambda session: session.provider.check(),
    "offers, plan, get": lambda session: session.provider.offers(Resources(gpus=1)),
    "prices refresh": lambda session: session.provider.price_list(REGION),
    SET_UP: lambda session: [session.provider.prepare_account() for _ in range(2)],  # found the second time
    "start, train": _start_and_change,
    "extend": _lease,
    "ssh, when the address here has changed": _address,
    "stop": _pause,
    "resize": _resize,
    "start, when stopped": _wake,
    "terminate": Session.end,
    "train on spot": _spot,
    "status, sweep": _sweep,
    "cost --actual": _bill,
    INPUTS: _inputs,
    CHECKPOINTS: _checkpoints,
    NETWORK: _network,
}


@contextmanager
def _session() -> Iterator[Session]:
    credentials = {"AWS_ACCESS_KEY_ID": "playground", "AWS_SECRET_ACCESS_KEY": "playground", "AWS_DEFAULT_REGION": REGION}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    clock = FakeClock()
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.dict(os.environ, {**kept, **credentials, "AWS_EC2_METADATA_DISABLED": "true", "HOME": folder}, clear=True),
        AwsCloud(WrittenDown(), clock) as cloud,
    ):
        here = SshSettings(allow_from=("198.51.100.7/32",))
        machine = MachineSpec("docs", "aws", regions=(REGION,), endpoint_url=cloud.url, ssh=here)
        offer = Offer("aws", "g4dn.xlarge", REGION, zone=f"{REGION}a", usd_per_hour=0.526, gpu="T4", gpu_count=1)
        lease = Lease(clock.now() + timedelta(hours=2), 0.526)
        order = LaunchOrder("ct-docs", machine, offer, lease, "somebody", disk_gb=100)
        provider = AwsProvider(ProviderSettings(Path(folder), clock, lambda _: (), machine))
        yield Session(cloud, provider, order)
