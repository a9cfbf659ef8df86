"""The law for providers on a real Azure subscription, with its cheapest machine: Standard_B1s, in eastus or
CLOUDTRAIN_LIVE_REGION.

    CLOUDTRAIN_LIVE=azure pytest tests/live/test_azure.py

Expected cost: about $0.15, at most $0.50. Some 50 machines, each for one to ten minutes at about $0.0104 an hour (2026), with a
disk of 30 GiB and a public address. No machine has a lease longer than half an hour, and Azure itself deallocates it then.
Everything carries the owner `cloudtrain-live-test`; what a test leaves is ended after it, and what is there of that owner at
the end is ended and removed, whatever happened. After `cloudtrain setup azure` the machines may end themselves, too.

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
from cloudtrain.providers.azure.provider import AzureProvider
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.waiting import wait_until
from cloudtrain.testing.provider_contract import PATIENCE_S, ProviderContract

OWNER = "cloudtrain-live-test"
TYPE, OTHER_TYPE = "Standard_B1s", "Standard_B2s"
"""The second is what a stopped machine is changed to; it is not started."""

REGION = os.environ.get("CLOUDTRAIN_LIVE_REGION", "eastus")
LONGEST = timedelta(minutes=30)


@pytest.fixture(scope="module")
def machine() -> MachineSpec:
    # Nobody is to log in: the port stays shut to all but an address that belongs to documentation.
    nobody = SshSettings(allow_from=("192.0.2.1/32",))
    return MachineSpec("live-test", "azure", regions=(REGION,), instance_types=(TYPE, OTHER_TYPE), disk_gb=30, ssh=nobody)


@pytest.fixture(scope="module")
def rented(machine: MachineSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureProvider]:
    """Make the adapter; end and remove whatever is left of our owner, at the very end."""
    provider = AzureProvider(ProviderSettings(tmp_path_factory.mktemp("home"), SystemClock(), rows, machine))
    try:
        yield provider
    finally:
        end_all(provider)
        for leftover in provider.leftovers():
            if leftover.owner == OWNER:
                provider.remove(leftover)


class TestAzure(ProviderContract):
    """All of it."""

    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()

    @pytest.fixture
    def provider(self, rented: AzureProvider) -> AzureProvider:
        return rented

    @pytest.fixture
    def order(self, clock: SystemClock, provider: AzureProvider, machine: MachineSpec) -> LaunchOrder:
        offers = (each for each in provider.offers(Resources()) if each.named_by(machine) and each.instance_type == TYPE)
        offer = min(offers, key=lambda each: each.zone)
        lease = Lease((clock.now() + LONGEST).replace(microsecond=0), offer.usd_per_hour or 0.0)
        return LaunchOrder(f"ct-live-{uuid.uuid4().hex}", machine, offer, lease, OWNER, disk_gb=machine.disk_gb)

    @pytest.fixture(autouse=True)
    def _end_what_was_launched(self, provider: AzureProvider) -> Iterator[None]:
        """The next test is to find no machine: quotas are small."""
        yield
        end_all(provider)


def end_all(provider: AzureProvider) -> None:
    """End every machine of our owner, and what was made beside it."""
    ours = [each for each in provider.list_owned() if each.owner == OWNER]
    for each in ours:
        provider.terminate(each.ref)
    for each in ours:
        seen: Instance | None = wait_until(provider, each.ref, (InstanceState.TERMINATED,), SystemClock(), PATIENCE_S)
        assert seen is None or seen.state is InstanceState.TERMINATED, f"{each.ref} may still bill: look at {each.console_url}"
        provider.terminate(each.ref)
