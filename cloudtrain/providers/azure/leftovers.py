"""What is ours, is no machine and belongs to none that lives: groups whose machine is gone, rights to checkpoints, keys."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from ...model.errors import ProviderError
from ...model.instance import Leftover
from ...model.money import HOURS_PER_MONTH
from ..written import read_moment
from . import checkpoints, tags
from .account import NAME, Account
from .checkpoints import Right
from .describe import is_ending
from .ending import delete_group, finish_endings
from .machines import Found, all_of_ours, group_of
from .names import is_name
from .retail_prices import PUBLIC_IPV4_USD_PER_HOUR, disk_usd_per_month
from .versions import DISKS, NETWORK

GROUP, ROLE, KEYS = "group", "role", "keys"
"""A group is everything that was made for one machine, by the machine's name; a role is what let it reach its checkpoints."""

YOUNG = timedelta(minutes=10)
"""What is younger than this may belong to a machine that is just being made."""


def leftovers(account: Account) -> Sequence[Leftover]:
    """Return groups without a machine, rights whose machine is gone, and keys here that nothing needs.

    See `Provider.leftovers`.
    """
    keys = account.keys.made_before(account.now() - YOUNG)
    rights = checkpoints.given(account)  # before the machines: one that is launched meanwhile is then seen to live
    found = all_of_ours(account)
    there = {each.id for each in found}
    ended = finish_endings(there, account)
    left = [each for each in found if each.machine is None and not is_ending(each.group) and _is_settled(each, account)]
    spent = keys - there - ended  # the keys of a group that is left go with it
    return [
        *(_leftover(each, account) for each in left),
        *(_right(each) for each in rights if each.machine not in there and _is_old(each.made, account)),
        *(Leftover(NAME, KEYS, name, token=name) for name in sorted(spent)),
    ]


def remove(leftover: Leftover, account: Account) -> None:
    """Remove one of them. See `Provider.remove`."""
    if leftover.provider != NAME:
        raise ProviderError(f"{leftover.id} is no leftover of Azure")
    if leftover.kind == ROLE and checkpoints.is_right(leftover.id):
        checkpoints.remove(leftover.id, account)
        return
    if leftover.kind not in (GROUP, KEYS):
        raise ProviderError(f"{leftover.id} is a {leftover.kind}, which is nothing that a launch on Azure leaves")
    group = group_of(leftover.id, account) if leftover.kind == GROUP and is_name(leftover.id) else None
    if group is not None:
        delete_group(account.places(leftover.id), account)
        checkpoints.take_back(tags.read(group), account.places(leftover.id), account)
    account.keys.forget(leftover.id)


def _is_settled(found: Found, account: Account) -> bool:
    return _is_old(read_moment(found.tags.get(tags.ISSUED, "")), account)


def _is_old(made: datetime | None, account: Account) -> bool:
    return made is None or made <= account.now() - YOUNG


def _right(right: Right) -> Leftover:
    return Leftover(NAME, ROLE, right.id, "", 0.0, right.owner, right.token)


def _leftover(found: Found, account: Account) -> Leftover:
    known = found.tags
    usd = _usd_per_month(found, account)
    return Leftover(NAME, GROUP, found.id, found.region, usd, known.get(tags.OWNER, ""), known.get(tags.TOKEN, ""))


def _usd_per_month(found: Found, account: Account) -> float:
    """Return what the disks and addresses in a group cost. Two calls at once."""
    providers = f"{found.places.group}/providers"
    with ThreadPoolExecutor(2) as pool:
        disks = pool.submit(_listed, "Microsoft.Compute/disks", providers, DISKS, account)
        addresses = pool.submit(_listed, "Microsoft.Network/publicIPAddresses", providers, NETWORK, account)
        sizes = [int(disk.get("properties", {}).get("diskSizeGB") or 0) for disk in disks.result()]
        usd = sum(disk_usd_per_month(size) for size in sizes)
        return round(usd + len(addresses.result()) * PUBLIC_IPV4_USD_PER_HOUR * HOURS_PER_MONTH, 2)


def _listed(kind: str, providers: str, api: str, account: Account) -> list[dict[str, Any]]:
    return list(account.arm.pages(f"{kind}/read", f"{providers}/{kind}", api=api))
