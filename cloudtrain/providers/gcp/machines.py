"""Looking at machines: one by its name, one order's, and all that are ours in every zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...model.errors import InstanceNotFoundError, ProviderError
from ...model.instance import Instance, InstanceRef, InstanceState
from . import notes
from .account import Account
from .describe import Described, region_of, shown, state_of, zone_of
from .translate import is_absent

PAGE = "500"
"""The most machines Google puts on one page."""


@dataclass(frozen=True, slots=True)
class Found:
    """A machine as Compute Engine described it."""

    machine: Described

    @property
    def id(self) -> str:
        """Return Google's name of the machine."""
        return str(self.machine["name"])

    @property
    def zone(self) -> str:
        """Return the zone it stands in."""
        return zone_of(self.machine)

    @property
    def region(self) -> str:
        """Return the region it stands in."""
        return region_of(self.zone)

    @property
    def state(self) -> InstanceState:
        """Return its state."""
        return state_of(self.machine)

    @property
    def note(self) -> notes.Note:
        """Return what we wrote on it."""
        return notes.of_machine(self.machine)

    @property
    def name(self) -> str:
        """Return what a person calls it."""
        return self.note.get(notes.MACHINE) or self.id

    def with_part(self, **parts: Any) -> "Found":
        """Return it as it is after some parts of it were written."""
        return Found({**self.machine, **parts})

    def path(self, account: Account) -> str:
        """Return where Google is asked about it."""
        return account.below(f"zones/{self.zone}/instances/{self.id}")

    def shown(self, account: Account) -> Instance:
        """Return it in the contract's words."""
        return shown(self.machine, account)


def find(ref: InstanceRef, account: Account) -> Found:
    """Return the machine. One call; one more, in all zones, before it is believed gone.

    Raises:
        InstanceNotFoundError: Google knows no such machine, or it is none of ours.
        ProviderUnavailableError: Google did not answer.
    """
    found = (_in_zone(ref.id, ref.zone, account) if ref.zone else None) or _anywhere(ref.id, account)
    if found is None or notes.OURS not in found.machine.get("labels", {}):
        where = ref.zone or ref.region or "any zone"
        raise InstanceNotFoundError(f"Google knows no machine {ref.id} of ours in {where}", "Look: cloudtrain status")
    return found


def living(ref: InstanceRef, account: Account) -> Found:
    """Return a machine that is not being deleted.

    Raises:
        InstanceNotFoundError: there is none, or it is ending.
    """
    found = find(ref, account)
    if found.state is InstanceState.TERMINATING:
        raise InstanceNotFoundError(f"{found.name} ({ref.id}) is being deleted", f"Launch anew: cloudtrain start {found.name}")
    return found


def of_token(token: str, account: Account) -> Found | None:
    """Return the machine an order made, in whichever zone; None when there is none. One call."""
    return _anywhere(notes.name_of(token), account)


def everywhere(account: Account) -> Sequence[Instance]:
    """Return all of ours in every zone, in the contract's words. One call for each 500."""
    return tuple(found.shown(account) for found in all_of_ours(account))


def all_of_ours(account: Account) -> list[Found]:
    """Return all of ours in every zone."""
    return _listed(notes.FILTER, account)


def _in_zone(name: str, zone: str, account: Account) -> Found | None:
    try:
        path = account.below(f"zones/{zone}/instances/{name}")
        return Found(account.rest.call("compute.instances.get", "GET", path))
    except ProviderError as error:
        if not is_absent(error):
            raise
        return None


def _anywhere(name: str, account: Account) -> Found | None:
    return next((found for found in _listed(f"name={name}", account) if found.id == name), None)


def _listed(filter: str, account: Account) -> list[Found]:
    path = account.below("aggregated/instances")
    query = {"filter": filter, "maxResults": PAGE}
    return [Found(each) for each in account.rest.pages("compute.instances.aggregatedList", path, query=query)]
