"""The law for providers on a real AWS account, with its cheapest machine: t3.micro in us-east-1 or CLOUDTRAIN_LIVE_REGION.

    CLOUDTRAIN_LIVE=aws pytest tests/live/test_aws.py

Expected cost: about $0.05, at most $0.50. Some 50 machines, each for one to five minutes at $0.0104 an hour (2026), with disks
of 8 GiB. No machine has a lease longer than half an hour. Everything carries the owner `cloudtrain-live-test`; what a test
leaves is ended after it, and what is there of that owner at the end is ended and removed, whatever happened.

Not yet run against the real cloud. The playground's exports lead it there instead, without a bill.
"""

import os
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from cloudtrain.clock import SystemClock
from cloudtrain.model.instance import Instance, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import MachineSpec, Resources, SshSettings
from cloudtrain.prices.table import rows
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.waiting import wait_until
from cloudtrain.testing.provider_contract import PATIENCE_S, ProviderContract

OWNER = "cloudtrain-live-test"
TYPE = "t3.micro"
REGION = os.environ.get("CLOUDTRAIN_LIVE_REGION", "us-east-1")
LONGEST = timedelta(minutes=30)


@pytest.fixture(scope="module")
def machine() -> MachineSpec:
    # Nobody is to log in: the port stays shut to all but an address that belongs to documentation.
    nobody = SshSettings(allow_from=("192.0.2.1/32",))
    return MachineSpec("live-test", "aws", regions=(REGION,), instance_types=(TYPE,), disk_gb=8, ssh=nobody)


@pytest.fixture(scope="module")
def rented(machine: MachineSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsProvider]:
    """Make the adapter; end and remove whatever is left of our owner, at the very end."""
    provider = AwsProvider(ProviderSettings(tmp_path_factory.mktemp("home"), SystemClock(), rows, machine))
    try:
        yield provider
    finally:
        end_all(provider)
        for leftover in provider.leftovers():
            if leftover.owner == OWNER:
                provider.remove(leftover)


class TestAws(ProviderContract):
    """All of it."""

    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()

    @pytest.fixture
    def provider(self, rented: AwsProvider) -> AwsProvider:
        return rented

    @pytest.fixture
    def order(self, clock: SystemClock, provider: AwsProvider, machine: MachineSpec) -> LaunchOrder:
        offer = min((each for each in provider.offers(Resources()) if each.named_by(machine)), key=lambda each: each.zone)
        lease = Lease((clock.now() + LONGEST).replace(microsecond=0), offer.usd_per_hour or 0.0)
        return LaunchOrder(f"ct-live-{uuid.uuid4().hex}", machine, offer, lease, OWNER, disk_gb=machine.disk_gb)

    @pytest.fixture(autouse=True)
    def _end_what_was_launched(self, provider: AwsProvider) -> Iterator[None]:
        """EC2 lets go of a group minutes after its machine: the next test is to find none."""
        yield
        end_all(provider)


def end_all(provider: AwsProvider) -> None:
    """End every machine of our owner, and what was made beside it."""
    ours = [each for each in provider.list_owned() if each.owner == OWNER]
    for each in ours:
        provider.terminate(each.ref)
    for each in ours:
        seen: Instance | None = wait_until(provider, each.ref, (InstanceState.TERMINATED,), SystemClock(), PATIENCE_S)
        assert seen is None or seen.state is InstanceState.TERMINATED, f"{each.ref} may still bill: look at {each.console_url}"
        provider.terminate(each.ref)
