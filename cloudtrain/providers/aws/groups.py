"""The security group of each machine: it lets the caller's address reach the SSH port, and nobody else anything."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...model.errors import ProviderError
from ...model.instance import LaunchOrder
from ..caller import Network, allowed_from
from . import tags
from .account import Account
from .again import TRIES, asked_again
from .describe import Described
from .translate import calling, code_of

Permission = Mapping[str, Any]


def group_name(token: str) -> str:
    """Return the name of an order's group."""
    return f"cloudtrain-{token}"


def make_group(order: LaunchOrder, vpc: str, allowed: Sequence[Network], account: Account) -> str:
    """Return the id of the order's group, made and opened to these addresses. What it made is gone when it fails.

    Raises:
        ProviderError: EC2 refused.
    """
    region = order.offer.region
    group = _created(order, vpc, account)
    try:
        _authorise(region, group, as_permission(allowed, order.machine.ssh.port), account)
    except ProviderError:
        remove_group(region, group, account)
        raise
    return group


def remove_group(region: str, group: str, account: Account) -> bool:
    """Remove a group and say whether it is gone; False while a machine still uses it. An absent one is gone.

    Raises:
        ProviderError: EC2 refused for another reason.
    """
    try:
        with calling(region):
            account.clients.ec2(region).delete_security_group(GroupId=group)
    except ProviderError as error:
        if code_of(error) == "DependencyViolation":
            return False
        if code_of(error) not in ("InvalidGroup.NotFound", "InvalidGroupId.Malformed"):
            raise
    return True


def groups_of(token: str, region: str, account: Account) -> list[str]:
    """Return the ids of the groups an order made."""
    return [str(group["GroupId"]) for group in _of_token(token, region, account)]


def let_caller_in(machine: Described, region: str, account: Account) -> None:
    """Make a machine's group allow the caller's address now, and no other one.

    Raises:
        ProviderError: the address cannot be found out, or EC2 refused.
    """
    groups = _of_token(tags.read(machine).get(tags.TOKEN, ""), region, account)
    if not groups:
        return  # somebody gave it a group of their own, which is theirs to open
    group, present = str(groups[0]["GroupId"]), groups[0].get("IpPermissions", ())
    port = account.machine.ssh.port if account.machine is not None else 22
    wanted = as_permission(allowed_from(account.machine), port)
    missing = _without(wanted, present)
    if missing:
        _authorise(region, group, missing, account)
    surplus = [rest for rest in (_without(permission, [wanted]) for permission in present) if rest]
    if surplus:
        with calling(region):
            account.clients.ec2(region).revoke_security_group_ingress(GroupId=group, IpPermissions=surplus)


def as_permission(blocks: Sequence[Network], port: int) -> dict[str, Any]:
    """Return a permission that lets these blocks reach one TCP port."""
    permission: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    v4 = [{"CidrIp": str(block)} for block in blocks if block.version == 4]
    v6 = [{"CidrIpv6": str(block)} for block in blocks if block.version == 6]
    return permission | ({"IpRanges": v4} if v4 else {}) | ({"Ipv6Ranges": v6} if v6 else {})


def _created(order: LaunchOrder, vpc: str, account: Account) -> str:
    ec2, name = account.clients.ec2(order.offer.region), group_name(order.token)
    try:
        with calling(order.offer.region):
            made = ec2.create_security_group(
                GroupName=name,
                Description="cloudtrain: SSH from the address of whoever started the machine",
                VpcId=vpc,
                TagSpecifications=[{"ResourceType": "security-group", "Tags": tags.as_list(tags.of_thing(order))}],
            )
            return str(made["GroupId"])
    except ProviderError as error:
        if code_of(error) != "InvalidGroup.Duplicate":
            raise
        made_before = _named(name, vpc, order.offer.region, account)
        if made_before is None:
            raise
        return made_before


def _named(name: str, vpc: str, region: str, account: Account) -> str | None:
    """Return the id of a group that EC2 says is there; it may be shown a little later."""
    filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
    for pause_s in (0.0, *(2.0**attempt for attempt in range(TRIES - 1))):
        account.settings.clock.sleep(pause_s)
        with calling(region):
            found = account.clients.ec2(region).describe_security_groups(Filters=filters)["SecurityGroups"]
        if found:
            return str(found[0]["GroupId"])
    return None


def _of_token(token: str, region: str, account: Account) -> Sequence[Mapping[str, Any]]:
    with calling(region):
        found: Sequence[Mapping[str, Any]] = account.clients.ec2(region).describe_security_groups(
            Filters=tags.with_token(token)
        )["SecurityGroups"]
    return found


def _authorise(region: str, group: str, permission: Permission, account: Account) -> None:
    def ask() -> None:
        with calling(region):
            account.clients.ec2(region).authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])

    try:
        asked_again(ask, account.settings.clock)
    except ProviderError as error:
        if code_of(error) != "InvalidPermission.Duplicate":
            raise


def _without(permission: Permission, others: Sequence[Permission]) -> dict[str, Any]:
    """Return what of a permission the others do not give; empty when nothing is left."""
    same = [other for other in others if _ports(other) == _ports(permission)]
    v4 = _left(permission, same, "IpRanges", "CidrIp")
    v6 = _left(permission, same, "Ipv6Ranges", "CidrIpv6")
    elsewhere = {kind: permission[kind] for kind in ("UserIdGroupPairs", "PrefixListIds") if permission.get(kind)}
    ranges = ({"IpRanges": v4} if v4 else {}) | ({"Ipv6Ranges": v6} if v6 else {}) | elsewhere
    head = {key: permission[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in permission}
    return head | ranges if ranges else {}


def _left(permission: Permission, others: Sequence[Permission], kind: str, key: str) -> list[dict[str, str]]:
    given = {block[key] for other in others for block in other.get(kind, ())}
    return [{key: block[key]} for block in permission.get(kind, ()) if block[key] not in given]


def _ports(permission: Permission) -> tuple[Any, Any, Any]:
    return permission.get("IpProtocol"), permission.get("FromPort"), permission.get("ToPort")
