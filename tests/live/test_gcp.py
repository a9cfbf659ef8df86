"""The law for providers on a real Google Cloud project, with its cheapest machine: e2-micro, in us-central1 or
CLOUDTRAIN_LIVE_REGION.

    CLOUDTRAIN_LIVE=gcp pytest tests/live/test_gcp.py

Expected cost: about $0.10, at most $0.50. Some 30 machines, each for one to five minutes at about $0.0084 an hour (2026), with
a disk of 10 GiB and a public address. No machine has a lease longer than half an hour, and Google itself deletes it then.
Everything carries the owner `cloudtrain-live-test`; what a test leaves is ended after it, and what is there of that owner at
the end is ended and removed, whatever happened.

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
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.providers.waiting import wait_until
from cloudtrain.testing.kept_deadline_contract import KeptDeadlineContract
from cloudtrain.testing.provider_contract import PATIENCE_S

OWNER = "cloudtrain-live-test"
TYPE, OTHER_TYPE = "e2-micro", "e2-small"
"""The second is what a stopped machine is changed to; it is not started."""

REGION = os.environ.get("CLOUDTRAIN_LIVE_REGION", "us-central1")
LONGEST = timedelta(minutes=30)


@pytest.fixture(scope="module")
def machine() -> MachineSpec:
    # Nobody is to log in: the port stays shut to all but an address that belongs to documentation.
    nobody = SshSettings(allow_from=("192.0.2.1/32",))
    return MachineSpec("live-test", "gcp", regions=(REGION,), instance_types=(TYPE, OTHER_TYPE), disk_gb=10, ssh=nobody)


@pytest.fixture(scope="module")
def rented(machine: MachineSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcpProvider]:
    """Make the adapter; end and remove whatever is left of our owner, at the very end."""
    provider = GcpProvider(ProviderSettings(tmp_path_factory.mktemp("home"), SystemClock(), rows, machine))
    try:
        yield provider
    finally:
        end_all(provider)
        for leftover in provider.leftovers():
            if leftover.owner == OWNER:
                provider.remove(leftover)


class TestGcp(KeptDeadlineContract):
    """All of it; Google lets no machine that runs live longer."""

    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()

    @pytest.fixture
    def provider(self, rented: GcpProvider) -> GcpProvider:
        return rented

    @pytest.fixture
    def order(self, clock: SystemClock, provider: GcpProvider, machine: MachineSpec) -> LaunchOrder:
        offers = (each for each in provider.offers(Resources()) if each.named_by(machine) and each.instance_type == TYPE)
        offer = min(offers, key=lambda each: each.zone)
        lease = Lease((clock.now() + LONGEST).replace(microsecond=0), offer.usd_per_hour or 0.0)
        return LaunchOrder(f"ct-live-{uuid.uuid4().hex}", machine, offer, lease, OWNER, disk_gb=machine.disk_gb)

    @pytest.fixture(autouse=True)
    def _end_what_was_launched(self, provider: GcpProvider) -> Iterator[None]:
        """A machine's rules go when it is gone: the next test is to find none."""
        yield
        end_all(provider)


def end_all(provider: GcpProvider) -> None:
    """End every machine of our owner, and what was made beside it."""
    ours = [each for each in provider.list_owned() if each.owner == OWNER]
    for each in ours:
        provider.terminate(each.ref)
    for each in ours:
        seen: Instance | None = wait_until(provider, each.ref, (InstanceState.TERMINATED,), SystemClock(), PATIENCE_S)
        assert seen is None or seen.state is InstanceState.TERMINATED, f"{each.ref} may still bill: look at {each.console_url}"
        provider.terminate(each.ref)
