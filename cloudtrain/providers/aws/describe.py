"""EC2's description of a machine, in the contract's words. The machine's own tags say what EC2 does not know."""

from collections.abc import Mapping
from typing import Any

from ...model.instance import Instance, InstanceRef, InstanceState, SshEndpoint
from ...model.lease import GuestEnd
from ...model.spec import Market
from ..reach import ssh_endpoint
from ..written import read_moment, read_number
from . import tags
from .account import NAME, Account
from .pricing import disk_usd_per_month

Described = Mapping[str, Any]
"""One entry of DescribeInstances' `Instances`."""

STATES = {
    "pending": InstanceState.PENDING,
    "running": InstanceState.RUNNING,
    "stopping": InstanceState.STOPPING,
    "stopped": InstanceState.STOPPED,
    "shutting-down": InstanceState.TERMINATING,
    "terminated": InstanceState.TERMINATED,
}


def shown(machine: Described, region: str, account: Account) -> Instance:
    """Return a machine as the contract shows it."""
    known, id = tags.read(machine), str(machine["InstanceId"])
    state = state_of(machine)
    return Instance(
        ref=InstanceRef(NAME, id, region, machine.get("Placement", {}).get("AvailabilityZone", "")),
        name=known.get(tags.NAME) or known.get("Name") or id,
        state=state,
        token=known.get(tags.TOKEN, ""),
        owner=known.get(tags.OWNER, ""),
        instance_type=machine.get("InstanceType", ""),
        address="" if state is InstanceState.STOPPED else _address(machine),
        endpoint=_endpoint(machine, known, account) if state is InstanceState.RUNNING else None,
        usd_per_hour=read_number(known.get(tags.PRICE, "")),
        beside_usd_per_hour=read_number(known.get(tags.BESIDE, "")) or 0.0,
        usd_per_month_stopped=usd_per_month(read_number(known.get(tags.DISK, "")) or 0),
        launched_at=machine.get("LaunchTime"),
        deadline=None if state is InstanceState.STOPPED else read_moment(known.get(tags.DEADLINE, "")),
        market=market_of(machine),
        gpu_count=int(read_number(known.get(tags.GPUS, "")) or 0),
        guest_end=GuestEnd.POWEROFF,
        console_url=f"https://{region}.console.aws.amazon.com/ec2/home?region={region}#InstanceDetails:instanceId={id}",
    )


def state_of(machine: Described) -> InstanceState:
    """Return the state EC2 names; a word we do not know may bill."""
    return STATES.get(machine.get("State", {}).get("Name", ""), InstanceState.UNKNOWN)


def market_of(machine: Described) -> Market:
    """Return how the machine was bought."""
    return Market.SPOT if machine.get("InstanceLifecycle") == "spot" else Market.ON_DEMAND


def usd_per_month(disk_gib: float) -> float:
    """Return what a stopped machine's disk costs, USD per month. Its public address is given back and costs nothing."""
    return round(disk_usd_per_month(round(disk_gib)), 2)


def _address(machine: Described) -> str:
    return str(machine.get("PublicIpAddress") or machine.get("PrivateIpAddress") or machine.get("Ipv6Address") or "")


def _endpoint(machine: Described, known: tags.Tags, account: Account) -> SshEndpoint | None:
    return ssh_endpoint(
        _address(machine),
        shelf=account.keys,
        token=known.get(tags.TOKEN, ""),
        user=known.get(tags.USER, ""),
        name=known.get(tags.NAME, ""),
        machine=account.machine,
    )
