"""Google Compute Engine as a provider. Each verb is a module of its own; this one gives them the contract's shape."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from ...model.finding import Finding
from ...model.instance import Instance, InstanceRef, LaunchOrder, Leftover, Outlook
from ...model.lease import Lease
from ...model.offer import Offer
from ...model.spec import MachineSpec, Resources
from ...model.storage import Link, StoredData
from ..base import ProviderSettings
from . import catalog, check, ending, firewall, launch, leasing, leftovers, machines, outlook, pause, service_account, storage
from .account import NAME, Account
from .tpu_ending import keep_deadline, living_tpu, refuse_pause, terminate_tpu
from .tpu_launch import launch_tpu
from .tpu_machines import find_tpu, is_tpu, tpus_everywhere
from .tpu_types import is_tpu_type


class GcpProvider:
    """A `Provider` that is `Pausable`, `Resizable`, `Foreseeing`, `Guarded` and a `PriceLister`.

    It is an `ObjectStorage`, too.
    """

    name = NAME

    def __init__(self, settings: ProviderSettings) -> None:
        self._account = Account.of(settings)

    def check(self) -> Sequence[Finding]:
        """Look at the library, the login, the project, permissions and quotas."""
        return check.findings(self._account.settings, self._account.rest)

    def offers(self, need: Resources) -> Sequence[Offer]:
        """Return what Compute Engine rents that satisfies the need: live where Google may be asked, else by the dated table."""
        return catalog.offers(self._account.settings, self._account.rest, need)

    def price_list(self, region: str) -> Sequence[Offer]:
        """Return today's prices of what a region has, for the person's own copy of the price table."""
        from .price_list import price_list

        return price_list(self._account.settings, self._account.rest, region)

    def launch(self, order: LaunchOrder) -> Instance:
        """Make one machine, its end in the request that makes it, and see that Google made it."""
        if is_tpu_type(order.offer.instance_type):
            return launch_tpu(order, self._account)
        return launch.launch(order, self._account)

    def get(self, ref: InstanceRef) -> Instance:
        """Return the machine as it is now. One call; of a TPU machine, two."""
        if is_tpu(ref):
            return find_tpu(ref, self._account).shown(self._account)
        return machines.find(ref, self._account).shown(self._account)

    def list_owned(self) -> Sequence[Instance]:
        """Return all that carries our label, in every zone."""
        with ThreadPoolExecutor(1) as pool:
            tpus = pool.submit(tpus_everywhere, self._account)
            return (*machines.everywhere(self._account), *tpus.result())

    def leftovers(self) -> Sequence[Leftover]:
        """Return disks, firewall rules and keys of ours that belong to no machine that lives."""
        return leftovers.leftovers(self._account)

    def remove(self, leftover: Leftover) -> None:
        """Remove one of them."""
        leftovers.remove(leftover, self._account)

    def terminate(self, ref: InstanceRef) -> None:
        """End the machine, disk included; called again when it is gone, remove its firewall rules and keys."""
        if is_tpu(ref):
            terminate_tpu(ref, self._account)
        else:
            ending.terminate(ref, self._account)

    def extend(self, ref: InstanceRef, lease: Lease) -> None:
        """Move the deadline; Google refuses a later one while the machine runs."""
        if is_tpu(ref):
            keep_deadline(ref, lease, self._account)
        else:
            leasing.extend(ref, lease, self._account)

    def stop(self, ref: InstanceRef) -> None:
        """Switch off; the disk is kept, and paid for."""
        if is_tpu(ref):
            raise refuse_pause(ref, self._account)
        pause.stop(ref, self._account)

    def start(self, ref: InstanceRef, lease: Lease) -> Instance:
        """Switch on under a new lease, opened to the caller's address of now."""
        if is_tpu(ref):
            raise refuse_pause(ref, self._account)
        return pause.start(ref, lease, self._account)

    def resize(self, ref: InstanceRef, offer: Offer) -> None:
        """Give a stopped machine the offer's type and price."""
        if is_tpu(ref):
            raise refuse_pause(ref, self._account)
        pause.resize(ref, offer, self._account)

    def outlook(self, machine: MachineSpec, offer: Offer) -> Outlook:
        """Say what a launch would make."""
        return outlook.outlook(machine, offer, self._account.rest)

    def let_in(self, ref: InstanceRef) -> None:
        """Let the caller's address of now reach the machine, and no other one.

        Raises:
            InstanceNotFoundError: there is no such machine.
        """
        if is_tpu(ref):
            found = living_tpu(ref, self._account)
            network = str(found.wanted.get("networkConfig", {}).get("network", ""))
            firewall.open_to_caller(found.name, network, found.note, self._account)
            return
        firewall.let_caller_in(machines.living(ref, self._account), self._account)

    def right_to(self, url: str) -> str:
        """Say what a launch makes for a job's checkpoints."""
        return service_account.told_of(url)

    def region_of(self, url: str) -> str:
        """Return the region of an address's bucket. One call."""
        return storage.region_of(url, self._account.settings, self._account.rest)

    def stored(self, url: str) -> StoredData:
        """Return what lies at an address in Cloud Storage."""
        return storage.stored(url, self._account.settings, self._account.rest)

    def links(self, data: StoredData, until: datetime) -> Sequence[Link]:
        """Return a signed address for each object."""
        return storage.links(data, until, self._account.settings, self._account.rest)


def create(settings: ProviderSettings) -> GcpProvider:
    """Make the adapter."""
    return GcpProvider(settings)
