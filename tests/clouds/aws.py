"""The pretend AWS, for a matrix."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from cloudtrain.clock import SystemClock
from cloudtrain.providers.aws import schedule
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.clients import Clients
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.keys import KeyShelf
from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.aws.moto_app import ACCOUNT, REGIONS
from cloudtrain.testing.playground.machine import Hypervisor

from .pretend import Seen, deadline_in, found

DEADLINE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/cloudtrain-deadline"
READS = ("Describe", "Get", "List")
STATES = {"pending": "on", "running": "on", "stopped": "off", "terminated": "gone"}


class Aws:
    """See `Pretend`. `clients` are the SDK's, made once for everybody."""

    name, machine, gpu_machine = "aws", "aws-t3", "aws-g4dn"
    cheap_type, other_type, gpu_types = "t3.large", "t3.xlarge", ("g4dn.xlarge", "g4dn.2xlarge")
    region, other_region = "us-east-1", "us-west-2"
    needs_setup, at_deadline = True, "gone"
    renting, ending = "ec2:RunInstances", "ec2:TerminateInstances"
    planning = "ec2:DescribeInstanceTypeOfferings"
    own_ends: tuple[str, ...] = ()

    def __init__(self, cloud: AwsCloud, folder: Path) -> None:
        self.cloud = cloud
        self.clients = Clients(ProviderSettings(folder / "own", SystemClock(), lambda _: ()))

    def environ(self) -> Mapping[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.cloud.url,
            "AWS_ACCESS_KEY_ID": "playground",
            "AWS_SECRET_ACCESS_KEY": "playground",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def settle_in(self, home: Path) -> None:
        roles = home / "aws" / "deadline-roles"
        roles.mkdir(parents=True, exist_ok=True)
        (roles / ACCOUNT).write_text(DEADLINE_ROLE)

    def open_provider(self, settings: ProviderSettings) -> AwsProvider:
        provider = AwsProvider(settings)
        provider._account = self._account(settings)
        return provider

    def settle(self) -> None:
        self.cloud.settle()

    def alive(self) -> list[str]:
        return [machine.id for machine in self.cloud.machines() if machine.state != "terminated"]

    def state(self) -> str:
        return next((self.seen(machine.id).state for machine in reversed(self.cloud.machines())), "gone")

    def name_of(self, id: str) -> str:
        return self.cloud.account.machines[id].tags["cloudtrain:name"]

    def seen(self, id: str) -> Seen:
        machine = next(machine for machine in self.cloud.machines() if machine.id == id)
        address = machine.booted.address if machine.booted else ""
        return Seen(STATES.get(machine.state, machine.state), machine.instance.instance_type, address)

    def left_of(self, name: str) -> list[str]:
        account = self.cloud.account
        of_name = [machine for machine in self.cloud.machines() if machine.tags.get("cloudtrain:name") == name]
        ids, tokens = {machine.id for machine in of_name}, {machine.tags["cloudtrain:token"] for machine in of_name}
        left = [machine.id for machine in of_name if machine.state != "terminated"]
        left += [one.id for one in account.spot_requests.values() if one.instance_id in ids and one.state == "active"]
        for region in REGIONS:
            ec2 = account.moto.ec2(region)
            groups = [group.id for of_network in ec2.groups.values() for group in of_network.values()]
            left += [id for id in (*groups, *ec2.volumes) if ec2.tags.get(id, {}).get("cloudtrain:name") == name]
            left += ec2.key_pairs
            for schedules in account.moto.scheduler(region).schedule_groups.values():
                left += [token for token in schedules.schedules if token in tokens]
        return left

    def was_armed(self, id: str) -> bool:
        token = self.cloud.account.machines[id].tags["cloudtrain:token"]
        asked = [call for call in self.cloud.calls() if (call.name, call.outcome) == ("scheduler:CreateSchedule", "ok")]
        return token in {call.parameters["Name"] for call in asked}

    def tried(self) -> list[tuple[str, str]]:
        asked = [call for call in self.cloud.calls() if call.name == self.renting]
        return [(call.region, call.parameters["InstanceType"]) for call in asked]

    def beside(self) -> dict[str, list[str]]:
        things: dict[str, list[str]] = {}
        moto = self.cloud.account.moto
        for region in REGIONS:
            backend = moto.ec2(region)
            groups = [group for of_vpc in backend.groups.values() for group in of_vpc.values() if group.name != "default"]
            things.setdefault("groups", []).extend(group.name for group in groups)
            things.setdefault("disks", []).extend(backend.volumes)
            for schedules in moto.scheduler(region).schedule_groups.values():
                things.setdefault("schedules", []).extend(schedules.schedules)
        roles = [role.name for role in moto.iam().roles.values() if role.name != "cloudtrain-deadline"]
        things["roles"] = [*roles, *moto.iam().instance_profiles]
        return found(things)

    def unarmed(self) -> list[str]:
        machines = self.cloud.machines()
        return [m.id for m in machines if deadline_in(m.user_data) is None or "cloudtrain:deadline" not in m.tags]

    def is_read(self, call: str) -> bool:
        return call.partition(":")[2].startswith(READS)

    def end_everything(self) -> None:
        for machine in self.cloud.machines():
            self.clients.ec2(machine.region).terminate_instances(InstanceIds=[machine.id])

    def make_folder(self) -> str:
        self._s3().create_bucket(Bucket="checkpoints")
        return "s3://checkpoints/jobs/"

    def stored(self) -> list[str]:
        return [each["Key"] for each in self._s3().list_objects_v2(Bucket="checkpoints").get("Contents", ())]

    def _s3(self) -> Any:
        return boto3.client("s3", region_name=self.region, config=Config(s3={"addressing_style": "path"}))

    def set_up(self, folder: Path) -> None:
        """Prepare the account, once for everybody."""
        schedule.set_up(self._account(ProviderSettings(folder / "own", SystemClock(), lambda _: ())))

    def _account(self, settings: ProviderSettings) -> Account:
        return Account(settings, self.clients, KeyShelf(settings.home / "aws" / "keys"))


@contextmanager
def opened(hypervisor: Hypervisor, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Start the pretend AWS; its way is in the environment from then on."""
    patch.setattr("botocore.session.create_loader", lambda *_: _service_models())
    patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))  # the SDK's own patience
    with AwsCloud(hypervisor) as cloud:
        made = Aws(cloud, folder)
        for name, value in made.environ().items():
            patch.setenv(name, value)
        made.set_up(folder)
        yield made
        for client in made.clients._made.values():
            client.close()


@cache
def _service_models() -> Loader:
    """Read the SDK's descriptions of the services once for all tests; each session would read them anew."""
    return create_loader()
