"""Amazon EC2 as a provider. Each verb is a module of its own; this one gives them the contract's shape."""

from collections.abc import Sequence
from datetime import date, datetime

from ...model.finding import Finding
from ...model.instance import Instance, InstanceRef, LaunchOrder, Leftover, Outlook
from ...model.lease import Lease
from ...model.money import BilledDay
from ...model.offer import Offer
from ...model.spec import MachineSpec, Resources
from ...model.storage import Link, StoredData
from ..base import ProviderSettings
from . import (
    bill,
    catalog,
    check,
    ending,
    groups,
    launch,
    leasing,
    leftovers,
    machines,
    outlook,
    pause,
    profile,
    schedule,
    storage,
)
from .account import NAME, Account


class AwsProvider:
    """A `Provider` that is `Pausable`, `Resizable`, `Foreseeing`, `Preparable`, `Guarded`, `Bills` and a `PriceLister`.

    It is an `ObjectStorage`, too.
    """

    name = NAME

    def __init__(self, settings: ProviderSettings) -> None:
        self._account = Account.of(settings)

    def check(self) -> Sequence[Finding]:
        """Look at the SDK, credentials, permissions and quotas."""
        return check.findings(self._account.settings, self._account.clients)

    def offers(self, need: Resources) -> Sequence[Offer]:
        """Return what EC2 rents that satisfies the need: live where AWS may be asked, else by the dated table."""
        return catalog.offers(self._account.settings, self._account.clients, need)

    def price_list(self, region: str) -> Sequence[Offer]:
        """Return today's prices of what a region has, for the person's own copy of the price table."""
        from .price_list import price_list

        return price_list(self._account.settings, self._account.clients, region)

    def launch(self, order: LaunchOrder) -> Instance:
        """Make one machine, its lease armed in the request that makes it."""
        return launch.launch(order, self._account)

    def get(self, ref: InstanceRef) -> Instance:
        """Return the machine as it is now. One call."""
        return machines.find(ref, self._account).shown(self._account)

    def list_owned(self) -> Sequence[Instance]:
        """Return all that carries our tags, in every region the account has switched on."""
        return machines.everywhere(self._account)

    def leftovers(self) -> Sequence[Leftover]:
        """Return disks, groups and schedules of ours that belong to no machine that lives."""
        return leftovers.leftovers(self._account)

    def remove(self, leftover: Leftover) -> None:
        """Remove one of them."""
        leftovers.remove(leftover, self._account)

    def terminate(self, ref: InstanceRef) -> None:
        """End the machine, disk included; called again when it is gone, remove its group and keys."""
        ending.terminate(ref, self._account)

    def extend(self, ref: InstanceRef, lease: Lease) -> None:
        """Move the deadline in the cloud; the machine is told by the guest."""
        leasing.extend(ref, lease, self._account)

    def stop(self, ref: InstanceRef) -> None:
        """Switch off; a spot machine is refused."""
        pause.stop(ref, self._account)

    def start(self, ref: InstanceRef, lease: Lease) -> Instance:
        """Switch on under a new lease, opened to the caller's address of now."""
        return pause.start(ref, lease, self._account)

    def resize(self, ref: InstanceRef, offer: Offer) -> None:
        """Give a stopped machine the offer's type and price."""
        pause.resize(ref, offer, self._account)

    def outlook(self, machine: MachineSpec, offer: Offer) -> Outlook:
        """Say what a launch would make."""
        return outlook.outlook(machine, offer, self._account)

    def is_prepared(self) -> bool:
        """Say whether an account was prepared from this computer."""
        return schedule.is_set_up(self._account)

    def preparation(self) -> str:
        """Say which role and policy `prepare_account` makes."""
        return schedule.preparation()

    def kept_without(self) -> str:
        """Say that the machine alone keeps its deadline."""
        return "The machine keeps its deadline itself; AWS does not keep it too yet."

    def kept_with(self) -> str:
        """Say that AWS does, too."""
        return "Machines rented from here on have a deadline in the cloud, too."

    def prepare_account(self) -> str:
        """Make the role with which EventBridge Scheduler ends machines at their deadline; return its ARN."""
        return schedule.set_up(self._account)

    def billed(self, since: date, until: date) -> Sequence[BilledDay]:
        """Return what AWS billed for what carries our tag. Each question costs 0.01 USD."""
        return bill.billed(since, until, self._account)

    def let_in(self, ref: InstanceRef) -> None:
        """Let the caller's address of now reach the machine, and no other one.

        Raises:
            InstanceNotFoundError: there is no such machine.
        """
        found = machines.living(ref, self._account)
        groups.let_caller_in(found.machine, found.region, self._account)

    def right_to(self, url: str) -> str:
        """Say what a launch makes for a job's checkpoints."""
        return profile.told_of(url)

    def region_of(self, url: str) -> str:
        """Return the region of an address's bucket. One call."""
        return storage.region_of(url, self._account)

    def stored(self, url: str) -> StoredData:
        """Return what lies at an address in S3."""
        return storage.stored(url, self._account)

    def links(self, data: StoredData, until: datetime) -> Sequence[Link]:
        """Return a presigned address for each object."""
        return storage.links(data, until, self._account)


def create(settings: ProviderSettings) -> AwsProvider:
    """Make the adapter."""
    return AwsProvider(settings)
