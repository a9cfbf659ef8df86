"""What is ours, is no machine and belongs to none that lives: disks, groups, schedules. Networks are kept, and free."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...model.errors import ProviderError
from ...model.instance import Leftover
from . import schedule, tags
from .account import NAME, Account
from .describe import usd_per_month
from .groups import remove_group
from .machines import PAGE, in_region
from .translate import calling, code_of

VOLUME, GROUP, SCHEDULE = "disk", "group", "schedule"


def leftovers(account: Account) -> Sequence[Leftover]:
    """Return them from every region. See `Provider.leftovers`."""
    by_region = account.clients.in_parallel(lambda region: _in(region, account), account.clients.regions())
    return tuple(leftover for found in by_region.values() for leftover in found)


def remove(leftover: Leftover, account: Account) -> None:
    """Remove one of them. See `Provider.remove`."""
    if leftover.provider != NAME:
        raise ProviderError(f"{leftover.id} is no leftover of AWS")
    if leftover.kind == GROUP:
        if not remove_group(leftover.region, leftover.id, account):
            raise ProviderError(
                f"The security group {leftover.id} is still in use", "Its machine may be ending: try again in a minute."
            )
    elif leftover.kind == SCHEDULE:
        schedule.cancel(leftover.region, leftover.id, account)
    elif leftover.kind == VOLUME:
        _remove_volume(leftover, account)
    else:
        raise ProviderError(f"{leftover.id} is a {leftover.kind}, which is nothing that a launch on AWS leaves")


def _in(region: str, account: Account) -> list[Leftover]:
    # What was made is looked at before the machines: one that is launched meanwhile is then seen to live.
    volumes, groups = _volumes(region, account), _groups(region, account)
    schedules = schedule.names_in(region, account) if schedule.is_set_up(account) else []
    if not (volumes or groups or schedules):
        return []
    alive = {found.token for found in in_region(region, account)}
    return [
        *(_leftover(VOLUME, each["VolumeId"], region, each, usd_per_month(each.get("Size", 0))) for each in volumes),
        *(_leftover(GROUP, each["GroupId"], region, each) for each in groups if _token(each) not in alive),
        *(Leftover(NAME, SCHEDULE, name, region, token=name) for name in schedules if name not in alive),
    ]


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
