"""Azure virtual machines as a provider. Each verb is a module of its own; this one gives them the contract's shape."""

from collections.abc import Sequence
from datetime import datetime

from ...model.finding import Finding
from ...model.instance import Instance, InstanceRef, LaunchOrder, Leftover, Outlook
from ...model.lease import Lease
from ...model.offer import Offer
from ...model.spec import MachineSpec, Resources
from ...model.storage import Link, StoredData
from ..base import ProviderSettings
from . import catalog, check, checkpoints, ending, launch, leasing, leftovers, machines, network, outlook, pause, role, storage
from .account import NAME, Account


class AzureProvider:
    """A `Provider` that is `Pausable`, `Resizable`, `Foreseeing`, `Preparable`, `Guarded` and a `PriceLister`.

    It is an `ObjectStorage`, too.
    """

    name = NAME

    def __init__(self, settings: ProviderSettings) -> None:
        self._account = Account.of(settings)

    def check(self) -> Sequence[Finding]:
        """Look at the libraries, the login, the subscription, permissions and quotas."""
        return check.findings(self._account.settings, self._account.arm)

    def offers(self, need: Resources) -> Sequence[Offer]:
        """Return what Azure rents that satisfies the need: live where Azure may be asked, else by the dated table."""
        return catalog.offers(self._account.settings, self._account.arm, need)

    def price_list(self, region: str) -> Sequence[Offer]:
        """Return today's prices of what a region has, for the person's own copy of the price table."""
        from .price_list import price_list

        return price_list(self._account.settings, self._account.arm, region)

    def launch(self, order: LaunchOrder) -> Instance:
        """Make one machine in a group of its own, its ends armed in this call, and see that Azure made it."""
        return launch.launch(order, self._account)

    def get(self, ref: InstanceRef) -> Instance:
        """Return the machine as it is now. Three calls, of which two at once; a second line that has become due is armed."""
        return leasing.look_after(machines.find(ref, self._account), self._account).shown(self._account)

    def list_owned(self) -> Sequence[Instance]:
        """Return all that carries our tag, in every region of the subscription; second lines that have become due are armed."""
        found = machines.everywhere(self._account)
        return tuple(leasing.look_after(each, self._account).shown(self._account) for each in found)

    def leftovers(self) -> Sequence[Leftover]:
        """Return groups and keys of ours that belong to no machine that lives."""
        return leftovers.leftovers(self._account)

    def remove(self, leftover: Leftover) -> None:
        """Remove one of them."""
        leftovers.remove(leftover, self._account)

    def terminate(self, ref: InstanceRef) -> None:
        """Delete the machine's group with everything in it; called again when it is gone, remove its keys."""
        ending.terminate(ref, self._account)

    def extend(self, ref: InstanceRef, lease: Lease) -> None:
        """Move the deadline in the cloud; the machine is told by the guest."""
        leasing.extend(ref, lease, self._account)

    def stop(self, ref: InstanceRef) -> None:
        """Deallocate: a machine that is merely off would bill on."""
        pause.stop(ref, self._account)

    def start(self, ref: InstanceRef, lease: Lease) -> Instance:
        """Start under a new lease, opened to the caller's address of now."""
        return pause.start(ref, lease, self._account)

    def resize(self, ref: InstanceRef, offer: Offer) -> None:
        """Give a deallocated machine the offer's size and price."""
        pause.resize(ref, offer, self._account)

    def outlook(self, machine: MachineSpec, offer: Offer) -> Outlook:
        """Say what a launch would make."""
        return outlook.outlook(machine, offer, self._account.arm)

    def is_prepared(self) -> bool:
        """Say whether a subscription was prepared from this computer."""
        return role.is_set_up(self._account)

    def preparation(self) -> str:
        """Say which role `prepare_account` makes."""
        return role.preparation()

    def kept_without(self) -> str:
        """Say that Azure alone keeps the deadline, and what goes on costing after it."""
        return (
            "Azure keeps the machine's deadline and deallocates it then: its disk and address go on costing. "
            "The machine does not keep it itself yet. Nothing on it ends it sooner when it is idle."
        )

    def kept_with(self) -> str:
        """Say that the machine does, too, and may go without leaving anything that costs, and sooner when it is idle."""
        return (
            "Machines rented from here on keep their deadline themselves, too, can delete themselves at it, and end "
            "themselves when they are idle."
        )

    def prepare_account(self) -> str:
        """Make the role by which machines end themselves at their deadline; return its id."""
        return role.set_up(self._account)

    def let_in(self, ref: InstanceRef) -> None:
        """Let the caller's address of now reach the machine, and no other one; arm its second line where that is due.

        Raises:
            InstanceNotFoundError: there is no such machine.
        """
        found = machines.living(ref, self._account)
        network.let_caller_in(found, self._account)
        leasing.renew_second_line(found, self._account)

    def right_to(self, url: str) -> str:
        """Say what a launch makes for a job's checkpoints."""
        return checkpoints.told_of(url)

    def region_of(self, url: str) -> str:
        """Return the region of an address's storage account."""
        return storage.region_of(url, self._account.settings, self._account.arm)

    def stored(self, url: str) -> StoredData:
        """Return what lies at an address in Blob Storage."""
        return storage.stored(url, self._account.settings, self._account.arm)

    def links(self, data: StoredData, until: datetime) -> Sequence[Link]:
        """Return a signed address for each blob."""
        return storage.links(data, until, self._account.settings, self._account.arm)


def create(settings: ProviderSettings) -> AzureProvider:
    """Make the adapter."""
    return AzureProvider(settings)
