"""What is ours, is no machine and belongs to none that lives: disks, rules, accounts, keys. Networks stay."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from ...model.errors import ProviderError
from ...model.instance import InstanceState, Leftover
from . import notes, service_account
from .account import NAME, Account
from .billing import disk_usd_per_month
from .describe import last, region_of
from .ending import remove_beside
from .firewall import all_rules
from .machines import all_of_ours
from .operations import asked
from .tpu_ending import REQUEST, remove_request, requests_left
from .tpu_machines import all_tpus
from .translate import is_absent

DISK, GROUP, KEYS, OWN_ACCOUNT = "disk", "group", "keys", "service-account"
"""A group is the firewall rules of one machine, by the machine's name. A disk's id is its zone and name."""

YOUNG = timedelta(minutes=2)
"""What is younger than this may belong to a machine that is just being made."""

Thing = Mapping[str, Any]


def leftovers(account: Account) -> Sequence[Leftover]:
    """Return them from every zone, and the keys here that nothing needs. See `Provider.leftovers`. Six calls at most."""
    keys = account.keys.made_before(account.now() - YOUNG)
    with ThreadPoolExecutor(4) as pool:
        asked_rules, asked_disks = pool.submit(all_rules, account), pool.submit(_disks, account)
        asked_tpus, asked_accounts = pool.submit(all_tpus, account), pool.submit(service_account.made, account)
        rules, disks, requests = asked_rules.result(), asked_disks.result(), requests_left(asked_tpus.result())
        accounts = asked_accounts.result()
    if not (keys or rules or disks or accounts):
        return requests
    # Looked at after what was made: a machine that is launched meanwhile is then seen to live.
    alive = {found.id for found in all_of_ours(account)} | _living_tpus(account)
    groups = {name: rule for name, rule in rules.items() if name not in alive and _is_settled(rule, account)}
    taken = alive | groups.keys()
    return [
        *(_leftover(DISK, f"{last(each['zone'])}/{each['name']}", each, _usd(each)) for each in disks if not each.get("users")),
        *(_leftover(GROUP, name, rule) for name, rule in groups.items()),
        # The keys and the account of a group that is left go with it.
        *(Leftover(NAME, KEYS, name, token=name) for name in sorted(keys - taken)),
        *(_own(each) for each in accounts if each.machine not in taken and _is_old(each.made_at, account)),
        *requests,
    ]


def remove(leftover: Leftover, account: Account) -> None:
    """Remove one of them. See `Provider.remove`."""
    if leftover.provider != NAME:
        raise ProviderError(f"{leftover.id} is no leftover of Google Cloud")
    if leftover.kind == GROUP:
        remove_beside(leftover.id, account)
    elif leftover.kind == KEYS:
        account.keys.forget(leftover.id)
    elif leftover.kind == OWN_ACCOUNT and service_account.is_ours(leftover.id):
        service_account.remove(leftover.id, account)
    elif leftover.kind == DISK:
        _remove_disk(leftover, account)
    elif leftover.kind == REQUEST:
        remove_request(leftover, account)
    else:
        raise ProviderError(f"{leftover.id} is a {leftover.kind}, which is nothing that a launch on Google Cloud leaves")


def _living_tpus(account: Account) -> set[str]:
    return {found.name for found in all_tpus(account) if found.state is not InstanceState.TERMINATED}


def _disks(account: Account) -> list[Thing]:
    path = account.below("aggregated/disks")
    query = {"filter": notes.FILTER, "maxResults": "500"}
    return list(account.rest.pages("compute.disks.aggregatedList", path, query=query))


def _is_settled(rule: Thing, account: Account) -> bool:
    try:
        made_at = datetime.fromisoformat(str(rule.get("creationTimestamp", "")))
    except ValueError:
        return True
    return made_at.tzinfo is None or _is_old(made_at, account)


def _is_old(made_at: datetime | None, account: Account) -> bool:
    return made_at is None or made_at <= account.now() - YOUNG


def _own(found: service_account.Made) -> Leftover:
    return Leftover(NAME, OWN_ACCOUNT, found.id, "", 0.0, found.owner, found.token)


def _leftover(kind: str, id: str, thing: Thing, usd: float = 0.0) -> Leftover:
    note = notes.read(thing.get("description", ""))
    region = region_of(last(thing.get("zone", "")))
    return Leftover(NAME, kind, id, region, usd, note.get(notes.OWNER, ""), note.get(notes.TOKEN, ""))


def _usd(disk: Thing) -> float:
    return round(disk_usd_per_month(int(disk.get("sizeGb", 0))), 2)


def _remove_disk(leftover: Leftover, account: Account) -> None:
    zone, _, name = leftover.id.partition("/")
    try:
        asked(account, "compute.disks.delete", "DELETE", account.below(f"zones/{zone}/disks/{name}"))
    except ProviderError as error:
        if not is_absent(error):
            raise
