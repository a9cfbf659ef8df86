"""Looking at machines: one by its group's name, and all that are ours in the subscription."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from ...model.errors import InstanceNotFoundError, ProviderError
from ...model.instance import Instance, InstanceRef, InstanceState
from . import tags
from .account import Account
from .describe import Described, is_ending, shown, state_of
from .names import Places, is_name
from .tags import Tags
from .translate import is_absent
from .versions import COMPUTE, NETWORK, RESOURCES

THREADS = 16


@dataclass(frozen=True, slots=True)
class Found:
    """A resource group of ours, and the machine in it.

    Attributes:
        machine: None when there is none: it was deleted, or never made.
        address: its public address, "" while there is none.
    """

    group: Described
    machine: Described | None
    address: str
    places: Places

    @property
    def id(self) -> str:
        """Return the group's name, which is the machine's."""
        return self.places.name

    @property
    def region(self) -> str:
        """Return the location it stands in."""
        return str(self.group.get("location", ""))

    @property
    def state(self) -> InstanceState:
        """Return its state."""
        return state_of(self.group, self.machine)

    @property
    def tags(self) -> Tags:
        """Return what we wrote on it."""
        return tags.read(self.group)

    @property
    def name(self) -> str:
        """Return what a person calls it."""
        return self.tags.get(tags.NAME) or self.id

    @property
    def principal(self) -> str:
        """Return the object id of its own identity, "" when it has none."""
        return str(((self.machine or {}).get("identity") or {}).get("principalId", ""))

    def with_tags(self, fresh: Tags) -> "Found":
        """Return it as it is after tags were written."""
        return replace(self, group={**self.group, "tags": {**self.tags, **fresh}})

    def shown(self, account: Account) -> Instance:
        """Return it in the contract's words."""
        return shown(self.group, self.machine, self.address, account)


def find(ref: InstanceRef, account: Account) -> Found:
    """Return the machine; one whose group is left without it is TERMINATED. Three calls, of which two at once.

    Raises:
        InstanceNotFoundError: Azure knows no such group, or it is none of ours.
        ProviderUnavailableError: Azure did not answer.
    """
    group = group_of(ref.id, account)
    if group is None:
        raise InstanceNotFoundError(
            f"Azure knows no machine {ref.id} of ours in this subscription", "Look: cloudtrain status; az account show"
        )
    return within(group, account)


def living(ref: InstanceRef, account: Account) -> Found:
    """Return a machine that is not being deleted.

    Raises:
        InstanceNotFoundError: there is none, or it is ending.
    """
    found = find(ref, account)
    if found.state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        raise InstanceNotFoundError(
            f"{found.name} ({ref.id}) is {found.state.value}", f"Launch anew: cloudtrain start {found.name}"
        )
    return found


def group_of(name: str, account: Account) -> Described | None:
    """Return a resource group of ours, None when there is none of this name. One call."""
    if not is_name(name):
        return None  # whatever it is called, it is nobody's whom we may touch
    group = _got("Microsoft.Resources/subscriptions/resourceGroups/read", account.places(name).group, RESOURCES, account)
    return group if group is not None and tags.OURS in tags.read(group) else None


def within(group: Described, account: Account) -> Found:
    """Return what is in a group. Two calls at once."""
    places = account.places(str(group["name"]))
    with ThreadPoolExecutor(2) as pool:
        machine = pool.submit(machine_at, places, account)
        address = pool.submit(_got, "Microsoft.Network/publicIPAddresses/read", places.address, NETWORK, account)
        shown_address = ((address.result() or {}).get("properties") or {}).get("ipAddress") or ""
        return Found(group, machine.result(), str(shown_address), places)


def machine_at(places: Places, account: Account) -> Described | None:
    """Return the machine in a group, with its power state; None when there is none. One call."""
    act, query = "Microsoft.Compute/virtualMachines/read", {"$expand": "instanceView"}
    return _got(act, places.machine, COMPUTE, account, query)


def everywhere(account: Account) -> Sequence[Found]:
    """Return every machine of ours: one call, and two for each machine."""
    return tuple(found for found in all_of_ours(account) if found.machine is not None)


def all_of_ours(account: Account) -> list[Found]:
    """Return every group of ours and what is in it, those without a machine included."""
    groups = [group for group in all_groups(account) if is_name(str(group["name"]))]
    if not groups:
        return []
    with ThreadPoolExecutor(min(THREADS, len(groups))) as pool:
        return [found for found in pool.map(lambda group: _still(group, account), groups) if found is not None]


def all_groups(account: Account) -> list[Described]:
    """Return the resource groups that bear our tag."""
    act, path = "Microsoft.Resources/subscriptions/resourceGroups/read", account.arm.below("resourcegroups")
    return list(account.arm.pages(act, path, api=RESOURCES, query={"$filter": tags.FILTER}))


def write_tags(found: Found, fresh: Tags, account: Account) -> Found:
    """Write some of a machine's tags, the others stay; return it with them. One call."""
    fresh_found = found.with_tags(fresh)
    act = "Microsoft.Resources/subscriptions/resourceGroups/write"
    account.arm.call(act, "PATCH", found.places.group, api=RESOURCES, body={"tags": dict(fresh_found.tags)})
    return fresh_found


def _still(group: Described, account: Account) -> Found | None:
    found = within(group, account)
    return None if found.machine is None and is_ending(group) else found


def _got(act: str, path: str, api: str, account: Account, query: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    try:
        return account.arm.call(act, "GET", path, api=api, query=query or {})
    except ProviderError as error:
        if not is_absent(error):
            raise
        return None
