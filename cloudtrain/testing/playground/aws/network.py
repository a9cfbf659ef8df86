"""Regions, groups and disks: what EC2 refuses and moto lets pass."""

from typing import Any

from .account import Account, Handler, refuse_dry_run, tags_of
from .filters import check_filters
from .moto_app import REGIONS
from .wire import ApiCall, CloudError, strings

NOT_OPTED_IN = ("af-south-1", "ap-east-1", "eu-south-1", "me-south-1")
MAKES_MACHINES = ("CreateFleet", "RequestSpotFleet", "RequestSpotInstances")
EVERYWHERE = ("0.0.0.0/0", "::/0")


class Network:
    """Answers for what stands around the machines."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return the calls this answers."""
        own: dict[tuple[str, str], Handler] = {
            ("ec2", "DescribeRegions"): self._regions,
            ("ec2", "CreateSecurityGroup"): self._create_group,
            ("ec2", "DescribeSecurityGroups"): self._describe_groups,
            ("ec2", "DeleteSecurityGroup"): self._delete_group,
            ("ec2", "CreateTags"): self._create_tags,
        }
        return own | {("ec2", action): _refuse_other_ways for action in MAKES_MACHINES}

    def open_to_all(self, region: str) -> list[tuple[str, str]]:
        """Return the groups that carry our tag or name and let in the whole world, each with the range that does."""
        found = []
        backend = self._account.moto.ec2(region)
        for groups in backend.groups.values():
            for group in groups.values():
                names = [group.name, *tags_of(backend, group.id)]
                if any(name.startswith("cloudtrain") for name in names):
                    ranges = [_range(rule) for rule in group.ingress_rules]
                    found += [(group.id, source) for source in ranges if source in EVERYWHERE]
        return found

    def _regions(self, call: ApiCall) -> object:
        wanted = strings(call.parameters, "RegionNames")
        everything = str(call.parameters.get("AllRegions")).lower() == "true"
        known = {name: "opt-in-not-required" for name in REGIONS}
        known |= {name: "not-opted-in" for name in NOT_OPTED_IN} if everything or wanted else {}
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise CloudError("InvalidParameterValue", f"Invalid region name: {unknown[0]}")
        refuse_dry_run(call)
        shown = {name: status for name, status in known.items() if not wanted or name in wanted}
        regions = [{"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": shown[name]} for name in shown]
        return {"Regions": regions}

    def _create_group(self, call: ApiCall) -> object:
        refuse_dry_run(call)
        backend = self._account.moto.ec2(call.region)
        before = _group_ids(backend)
        reply = self._account.moto.answer(call)
        for id in _group_ids(backend) - before:
            self._account.group_hidden_reads[id] = self._account.faults.stale_reads
        return reply

    def _describe_groups(self, call: ApiCall) -> object:
        check_filters(call)
        refuse_dry_run(call)
        backend, hidden = self._account.moto.ec2(call.region), self._hidden_groups()
        asked = set(strings(call.parameters, "GroupIds")) & hidden
        if asked:
            raise CloudError("InvalidGroup.NotFound", f"The security group '{min(asked)}' does not exist")
        taken = {network: {id: groups.pop(id) for id in hidden & set(groups)} for network, groups in backend.groups.items()}
        try:
            return self._account.moto.answer(call)
        finally:
            for network, groups in taken.items():
                backend.groups[network].update(groups)

    def _hidden_groups(self) -> set[str]:
        """Return the groups that this call does not know yet, each read counted."""
        reads = self._account.group_hidden_reads
        hidden = {id for id, left in reads.items() if left > 0}
        for id in hidden:
            reads[id] -= 1
        return hidden

    def _delete_group(self, call: ApiCall) -> object:
        backend = self._account.moto.ec2(call.region)
        group = backend.get_security_group_from_id(str(call.parameters.get("GroupId") or ""))
        if group is not None and group.name == "default":
            text = f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
            raise CloudError("CannotDelete", text)
        if group is not None and self._in_use(call.region, group):
            raise CloudError("DependencyViolation", f"resource {group.id} has a dependent object")
        refuse_dry_run(call)
        return self._account.moto.answer(call)

    def _in_use(self, region: str, group: Any) -> bool:
        living = [machine for machine in self._account.in_region(region) if machine.state != "terminated"]
        return any(group.id == used.id for machine in living for used in machine.instance.security_groups)

    def _create_tags(self, call: ApiCall) -> object:
        known = {machine.id for machine in self._account.in_region(call.region)}
        for id in strings(call.parameters, "Resources"):
            if id.startswith("i-") and id not in known:
                raise CloudError("InvalidInstanceID.NotFound", f"The instance ID '{id}' does not exist")
            if id.startswith("sir-") and id not in self._account.spot_requests:
                raise CloudError("InvalidSpotInstanceRequestID.NotFound", f"The spot instance request ID '{id}' does not exist")
        refuse_dry_run(call)
        return self._account.moto.answer(call)


def _refuse_other_ways(call: ApiCall) -> object:
    raise CloudError("UnsupportedOperation", f"The playground makes machines by RunInstances only, not by {call.action}.")


def _group_ids(backend: Any) -> set[str]:
    return {id for groups in backend.groups.values() for id in groups}


def _range(rule: Any) -> str:
    """Return the addresses that one of moto's rules lets in, of either family; "" for a rule that names a group."""
    addresses = rule.ip_range or {}
    return str(addresses.get("CidrIp") or addresses.get("CidrIpv6") or "")
