"""EC2's description of a machine, in the contract's words. The machine's own tags say what EC2 does not know."""

import os
from collections.abc import Mapping
from typing import Any

from ...model.instance import Instance, InstanceRef, InstanceState, SshEndpoint
from ...model.lease import GuestEnd
from ...model.spec import MachineSpec, Market, SshSettings
from . import tags
from .account import NAME, Account
from .pricing import disk_usd_per_month

Described = Mapping[str, Any]
"""One entry of DescribeInstances' `Instances`."""

PROXY_VARIABLE = "CLOUDTRAIN_SSH_PROXY_COMMAND"
DEFAULT_USER = "ubuntu"

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
        address=_address(machine),
        endpoint=_endpoint(machine, known, account) if state is InstanceState.RUNNING else None,
        usd_per_hour=tags.read_number(known.get(tags.PRICE, "")),
        beside_usd_per_hour=tags.read_number(known.get(tags.BESIDE, "")) or 0.0,
        usd_per_month_stopped=usd_per_month(tags.read_number(known.get(tags.DISK, "")) or 0),
        launched_at=machine.get("LaunchTime"),
        deadline=None if state is InstanceState.STOPPED else tags.read_moment(known.get(tags.DEADLINE, "")),
        market=market_of(machine),
        gpu_count=int(tags.read_number(known.get(tags.GPUS, "")) or 0),
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
    """Return how to reach it; None without an address, or when its keys are on another computer: nothing is trusted unseen."""
    address, line = _address(machine), account.keys.line_to(known.get(tags.TOKEN, ""))
    if not address or line is None:
        return None
    identity_file, host_public_key = line
    settings = _ssh_settings(account.machine, known.get(tags.NAME, ""))
    return SshEndpoint(
        host=address,
        host_keys=(host_public_key,),
        port=settings.port,
        user=settings.user or known.get(tags.USER) or DEFAULT_USER,
        identity_file=identity_file,
        proxy_command=settings.proxy_command or os.environ.get(PROXY_VARIABLE) or None,
        options=settings.options,
    )


def _ssh_settings(machine: MachineSpec | None, name: str) -> SshSettings:
    return machine.ssh if machine is not None and machine.name == name else SshSettings()
