"""What is ours, is no machine and belongs to none that lives: disks, groups, schedules, roles, keys. Networks stay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ...model.errors import ProviderError
from ...model.instance import Leftover
from . import profile, schedule, tags
from .account import NAME, Account
from .describe import usd_per_month
from .groups import remove_group
from .machines import PAGE, in_region
from .translate import calling, code_of

VOLUME, GROUP, SCHEDULE, ROLE, KEYS = "disk", "group", "schedule", "role", "keys"

YOUNG = timedelta(minutes=2)
"""Keys younger than this may be those of a machine that EC2 does not show everywhere yet."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What is left over in a region, and the tokens of the machines that live there, as far as they had to be asked for."""

    left: Sequence[Leftover] = ()
    alive: frozenset[str] = frozenset()


def leftovers(account: Account) -> Sequence[Leftover]:
    """Return them from every region, and the keys on this computer that nothing needs. See `Provider.leftovers`."""
    tokens = account.keys.made_before(account.now() - YOUNG)
    roles = profile.made(account)
    looks = account.clients.in_parallel(lambda region: _in(region, account), account.clients.regions()).values()
    found = [leftover for look in looks for leftover in look.left]
    # The keys of a group that is left go with it.
    unclaimed = tokens.difference(*(look.alive for look in looks), [leftover.token for leftover in found])
    if not (roles or unclaimed):
        return found
    # Neither lies in a region, and their machine may be in any.
    alive = _alive_anywhere(account)
    found += [Leftover(NAME, ROLE, role.name, "", 0.0, role.owner, role.token) for role in roles if role.token not in alive]
    return [*found, *(Leftover(NAME, KEYS, token, token=token) for token in sorted(unclaimed - alive))]


def remove(leftover: Leftover, account: Account) -> None:
    """Remove one of them. See `Provider.remove`."""
    if leftover.provider != NAME:
        raise ProviderError(f"{leftover.id} is no leftover of AWS")
    if leftover.kind == GROUP:
        if not remove_group(leftover.region, leftover.id, account):
            raise ProviderError(
                f"The security group {leftover.id} is still in use", "Its machine may be ending: try again in a minute."
            )
        account.keys.forget(leftover.token)
    elif leftover.kind == KEYS:
        account.keys.forget(leftover.id)
    elif leftover.kind == SCHEDULE:
        schedule.cancel(leftover.region, leftover.id, account)
    elif leftover.kind == VOLUME:
        _remove_volume(leftover, account)
    elif leftover.kind == ROLE and profile.is_ours(leftover.id):
        profile.remove(leftover.id, account)
    else:
        raise ProviderError(f"{leftover.id} is a {leftover.kind}, which is nothing that a launch on AWS leaves")


def _in(region: str, account: Account) -> _Look:
    # What was made is looked at before the machines: one that is launched meanwhile is then seen to live.
    volumes, groups = _volumes(region, account), _groups(region, account)
    schedules = schedule.names_in(region, account) if schedule.is_set_up(account) else []
    if not (volumes or groups or schedules):
        return _Look()
    alive = _alive(region, account)
    left = [
        *(_leftover(VOLUME, each["VolumeId"], region, each, usd_per_month(each.get("Size", 0))) for each in volumes),
        *(_leftover(GROUP, each["GroupId"], region, each) for each in groups if _token(each) not in alive),
        *(Leftover(NAME, SCHEDULE, name, region, token=name) for name in schedules if name not in alive),
    ]
    return _Look(left, alive)


def _alive(region: str, account: Account) -> frozenset[str]:
    return frozenset(found.token for found in in_region(region, account))


def _alive_anywhere(account: Account) -> set[str]:
    asked = account.clients.in_parallel(lambda region: _alive(region, account), account.clients.regions())
    return {token for tokens in asked.values() for token in tokens}


def _volumes(region: str, account: Account) -> list[Mapping[str, Any]]:
    """Return the disks that no machine has. One that a living machine was detached from is as unused as any."""
    return _all(region, account, "describe_volumes", "Volumes", tags.filters(status=("available",)))


def _groups(region: str, account: Account) -> list[Mapping[str, Any]]:
    return _all(region, account, "describe_security_groups", "SecurityGroups", tags.filters())


def _all(region: str, account: Account, operation: str, member: str, filters: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    with calling(region):
        pages = account.clients.ec2(region).get_paginator(operation)
        return [each for page in pages.paginate(Filters=filters, PaginationConfig={"PageSize": PAGE}) for each in page[member]]


def _leftover(kind: str, id: str, region: str, thing: Mapping[str, Any], usd: float = 0.0) -> Leftover:
    return Leftover(NAME, kind, id, region, usd, tags.read(thing).get(tags.OWNER, ""), _token(thing))


def _token(thing: Mapping[str, Any]) -> str:
    return tags.read(thing).get(tags.TOKEN, "")


def _remove_volume(leftover: Leftover, account: Account) -> None:
    try:
        with calling(leftover.region):
            account.clients.ec2(leftover.region).delete_volume(VolumeId=leftover.id)
    except ProviderError as error:
        if code_of(error) != "InvalidVolume.NotFound":
            raise
