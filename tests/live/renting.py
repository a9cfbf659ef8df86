"""What the tests on real clouds share: short leases, everything ours by its owner, and nothing left at the end."""

import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.clock import SystemClock
from cloudtrain.model.instance import Instance, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import MachineSpec, Resources, SshSettings
from cloudtrain.prices.table import rows
from cloudtrain.providers.base import Provider, ProviderSettings
from cloudtrain.providers.registry import open_provider
from cloudtrain.providers.waiting import wait_until
from cloudtrain.testing.provider_contract import PATIENCE_S

OWNER = "cloudtrain-live-test"
LONGEST = timedelta(minutes=30)


def machine_of(provider: str, region: str, types: tuple[str, ...], disk_gb: int) -> MachineSpec:
    """Return a machine of the first of these types, in a region or in CLOUDTRAIN_LIVE_REGION; the others it is changed to."""
    # Nobody is to log in: the port stays shut to all but an address that belongs to documentation.
    nobody = SshSettings(allow_from=("192.0.2.1/32",))
    regions = (os.environ.get("CLOUDTRAIN_LIVE_REGION", region),)
    return MachineSpec("live-test", provider, regions=regions, instance_types=types, disk_gb=disk_gb, ssh=nobody)


def rented(machine: MachineSpec, home: Path) -> Iterator[Provider]:
    """Make the adapter; end and remove whatever is left of our owner, at the very end."""
    provider = open_provider(machine.provider, ProviderSettings(home, SystemClock(), rows, machine))
    assert isinstance(provider, Provider)
    try:
        yield provider
    finally:
        end_all(provider)
        for leftover in provider.leftovers():
            if leftover.owner == OWNER:
                provider.remove(leftover)


class Rented:
    """The fixtures of the law for providers, on a real cloud; a test module names its `MACHINE`."""

    MACHINE: MachineSpec

    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
        yield from rented(cls.MACHINE, tmp_path_factory.mktemp("home"))

    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()

    @pytest.fixture
    def provider(self, adapter: Provider) -> Provider:
        return adapter

    @pytest.fixture(autouse=True)
    def _end_what_was_launched(self, provider: Provider) -> Iterator[None]:
        """Quotas are small, and rules and groups go when their machine is gone: the next test is to find none."""
        yield
        end_all(provider)

    @pytest.fixture
    def order(self, clock: SystemClock, provider: Provider) -> LaunchOrder:
        machine = self.MACHINE
        known = (each for each in provider.offers(Resources()) if each.named_by(machine))
        offer = min((each for each in known if each.instance_type == machine.instance_types[0]), key=lambda each: each.zone)
        lease = Lease((clock.now() + LONGEST).replace(microsecond=0), offer.usd_per_hour or 0.0)
        return LaunchOrder(f"ct-live-{uuid.uuid4().hex}", machine, offer, lease, OWNER, disk_gb=machine.disk_gb)


def end_all(provider: Provider) -> None:
    """End every machine of our owner, and what was made beside it."""
    ours = [each for each in provider.list_owned() if each.owner == OWNER]
    for each in ours:
        provider.terminate(each.ref)
    for each in ours:
        seen: Instance | None = wait_until(provider, each.ref, (InstanceState.TERMINATED,), SystemClock(), PATIENCE_S)
        assert seen is None or seen.state is InstanceState.TERMINATED, f"{each.ref} may still bill: look at {each.console_url}"
        provider.terminate(each.ref)
