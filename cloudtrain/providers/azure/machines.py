"""Looking at machines: one by its group's name, and all that are ours in the subscription."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from ...model.errors import InstanceNotFoundError, ProviderError
from ...model.instance import Instance, InstanceRef, InstanceState
from . import tags
from .account import Account
from .describe import Described, is_ending, shown, state_of, with_views
from .names import Places, is_name
from .tags import Tags
from .translate import is_absent
from .versions import COMPUTE, NETWORK, RESOURCES

THREADS = 16

_GROUPS = "Microsoft.Resources/subscriptions/resourceGroups", RESOURCES
_MACHINES = "Microsoft.Compute/virtualMachines", COMPUTE
_ADDRESSES = "Microsoft.Network/publicIPAddresses", NETWORK


@dataclass(frozen=True, slots=True)
class Found:
    """A resource group of ours, and the machine in it.

    Attributes:
        machine: None when there is none: it was deleted, or never made.
        address: its public address, "" while there is none, and where it was not looked at.
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
        InstanceNotFoundError: Azure knows no such group, asked for it and asked for all of ours; or it is none of ours.
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
    """Return a resource group of ours, None when there is none of this name. One call; one more before it is believed gone."""
    if not is_name(name):
        return None  # whatever it is called, it is nobody's whom we may touch
    group = _got(*_GROUPS, account.places(name).group, account)
    if group is None:
        return next((each for each in all_groups(account) if each["name"] == name), None)
    return _if_ours(group)


def made_before(name: str, account: Account) -> Described | None:
    """Return the group that an earlier try of a launch has made, as one look shows it: what there is is never made twice."""
    return _if_ours(_got(*_GROUPS, account.places(name).group, account))


def within(group: Described, account: Account) -> Found:
    """Return what is in a group. Two calls at once."""
    places = account.places(str(group["name"]))
    with ThreadPoolExecutor(2) as pool:
        machine = pool.submit(machine_at, places, account)
        address = pool.submit(_got, *_ADDRESSES, places.address, account)
        return Found(group, machine.result(), _ip_of(address.result()), places)


def machine_at(places: Places, account: Account) -> Described | None:
    """Return the machine in a group, with its power state; None when there is none. One call."""
    return _got(*_MACHINES, places.machine, account, {"$expand": "instanceView"})


def everywhere(account: Account) -> Sequence[Found]:
    """Return every machine of ours: four lists of the subscription, three of them at once, and a call for what they lack."""
    groups = _groups_of_ours(account)
    if not groups:
        return ()
    with ThreadPoolExecutor(3) as pool:
        machines = pool.submit(_listed, *_MACHINES, account)
        views = pool.submit(_listed, *_MACHINES, account, {"statusOnly": "true"})
        addresses = pool.submit(_listed, *_ADDRESSES, account)
        lists = _Lists(with_views(machines.result(), views.result()), addresses.result())
    found = _at_once(lambda group: _found(group, lists, account), groups)
    return tuple(each for each in found if each.machine is not None)


def all_of_ours(account: Account) -> list[Found]:
    """Return every group of ours and whether there is a machine in it: two lists, and a call for each that they lack.

    What a machine does and where it answers is not looked at; nor are groups that are being deleted and have lost theirs.
    """
    groups = _groups_of_ours(account)
    machines = _listed(*_MACHINES, account) if groups else {}
    found = _at_once(lambda group: _without_address(group, machines, account), groups)
    return [each for each in found if each.machine is not None or not is_ending(each.group)]


def all_groups(account: Account) -> list[Described]:
    """Return the resource groups that bear our tag."""
    kind, api = _GROUPS
    path = account.arm.below("resourcegroups")
    return list(account.arm.pages(f"{kind}/read", path, api=api, query={"$filter": tags.FILTER}))


def write_tags(found: Found, fresh: Tags, account: Account) -> Found:
    """Write some of a machine's tags, the others stay; return it with them. One call."""
    fresh_found = found.with_tags(fresh)
    kind, api = _GROUPS
    account.arm.call(f"{kind}/write", "PATCH", found.places.group, api=api, body={"tags": dict(fresh_found.tags)})
    return fresh_found


@dataclass(frozen=True, slots=True)
class _Lists:
    """What the subscription's lists show, by id in lower case: one list writes a group's name in capitals, another not."""

    machines: Mapping[str, Described]
    addresses: Mapping[str, Described]


def _if_ours(group: Described | None) -> Described | None:
    return group if group is not None and tags.OURS in tags.read(group) else None


def _groups_of_ours(account: Account) -> list[Described]:
    return [group for group in all_groups(account) if is_name(str(group["name"]))]


def _listed(kind: str, api: str, account: Account, query: Mapping[str, str] | None = None) -> dict[str, Described]:
    things = account.arm.pages(f"{kind}/read", account.arm.below(f"providers/{kind}"), api=api, query=query or {})
    return {str(thing["id"]).lower(): thing for thing in things}


def _at_once(look: Callable[[Described], Found], groups: Sequence[Described]) -> list[Found]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(look, groups))


def _found(group: Described, lists: _Lists, account: Account) -> Found:
    found = _without_address(group, lists.machines, account)
    if found.machine is None:
        return found
    path = found.places.address
    address = lists.addresses.get(path.lower()) or _got(*_ADDRESSES, path, account)
    return replace(found, address=_ip_of(address))


def _without_address(group: Described, machines: Mapping[str, Described], account: Account) -> Found:
    """Return a group and its machine. One that no list shows is asked for by its name: a list may be late, or leave out what
    the login may not list, and a group is taken for a leftover when its machine is gone."""
    places = account.places(str(group["name"]))
    return Found(group, machines.get(places.machine.lower()) or machine_at(places, account), "", places)


def _ip_of(address: Described | None) -> str:
    return str(((address or {}).get("properties") or {}).get("ipAddress") or "")


def _got(kind: str, api: str, path: str, account: Account, query: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    try:
        return account.arm.call(f"{kind}/read", "GET", path, api=api, query=query or {})
    except ProviderError as error:
        if not is_absent(error):
            raise
        return None
