"""Google's description of a machine, in the contract's words. The machine's own note says what Google does not know."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ...model.instance import Instance, InstanceRef, InstanceState, SshEndpoint
from ...model.lease import GuestEnd
from ...model.spec import Market
from ..reach import ssh_endpoint
from ..written import read_moment, read_number
from . import notes
from .account import NAME, Account
from .billing import disk_usd_per_month

Described = Mapping[str, Any]
"""An instance as Compute Engine shows it."""

AHEAD = timedelta(seconds=95)
"""How much before its deadline Google ends a machine.

Google may begin up to 30 seconds late, and the machine switches itself off at its deadline or up to a minute before, because
`shutdown` counts whole minutes: one that is off is only stopped, and Google's own end, which takes the disk as well, would not
come any more.
"""

STATES = {
    "PENDING": InstanceState.PENDING,
    "PROVISIONING": InstanceState.PENDING,
    "STAGING": InstanceState.PENDING,
    "RUNNING": InstanceState.RUNNING,
    "PENDING_STOP": InstanceState.STOPPING,
    "STOPPING": InstanceState.STOPPING,
    "SUSPENDING": InstanceState.STOPPING,
    "SUSPENDED": InstanceState.POWERED_OFF,  # its memory is kept, and billed
    "TERMINATED": InstanceState.STOPPED,  # Google's word for a machine that is off and has its disk
    "STOPPED": InstanceState.STOPPED,
    "DEPROVISIONING": InstanceState.TERMINATING,
}


def shown(machine: Described, account: Account) -> Instance:
    """Return a machine as the contract shows it."""
    note, name, zone = notes.of_machine(machine), str(machine["name"]), zone_of(machine)
    state = state_of(machine)
    disk_gb = round(read_number(note.get(notes.DISK, "")) or 0)
    return Instance(
        ref=InstanceRef(NAME, name, region_of(zone), zone),
        name=note.get(notes.MACHINE) or name,
        state=state,
        token=note.get(notes.TOKEN, ""),
        owner=note.get(notes.OWNER, ""),
        instance_type=note.get(notes.TYPE) or last(machine.get("machineType", "")),
        address="" if state is InstanceState.STOPPED else _address(machine),
        endpoint=_endpoint(machine, note, account) if state is InstanceState.RUNNING else None,
        usd_per_hour=read_number(note.get(notes.PRICE, "")),
        beside_usd_per_hour=read_number(note.get(notes.BESIDE, "")) or 0.0,
        usd_per_month_stopped=round(disk_usd_per_month(disk_gb), 2),
        launched_at=_moment(machine.get("lastStartTimestamp") or machine.get("creationTimestamp", "")),
        deadline=deadline_of(machine),
        market=market_of(machine),
        gpu_count=int(read_number(note.get(notes.GPUS, "")) or 0),
        guest_end=GuestEnd.POWEROFF,
        console_url=(
            f"https://console.cloud.google.com/compute/instancesDetail/zones/{zone}/instances/{name}?project={account.rest.project}"
        ),
        cloud_ends_at=_cloud_end(machine),
    )


def state_of(machine: Described) -> InstanceState:
    """Return the state Google names; a word we do not know may bill."""
    return STATES.get(machine.get("status", ""), InstanceState.UNKNOWN)


def market_of(machine: Described) -> Market:
    """Return how the machine was bought."""
    scheduling = machine.get("scheduling", {})
    is_spot = scheduling.get("provisioningModel") == "SPOT" or scheduling.get("preemptible")
    return Market.SPOT if is_spot else Market.ON_DEMAND


def deadline_of(machine: Described) -> datetime | None:
    """Return when the machine ends: as its note says, and no later than Google shows; None where Google shows no end.

    Google shows the end of a machine that runs. Of one that is coming it shows what was asked for, and a stopped one has none.
    """
    latest, noted = latest_of(machine), read_moment(notes.of_machine(machine).get(notes.DEADLINE, ""))
    if latest is None or state_of(machine) is InstanceState.STOPPED:
        return None
    return latest if noted is None else min(noted, latest)


def latest_of(machine: Described) -> datetime | None:
    """Return the latest deadline Google's own end of a machine leaves room for; None where Google shows no end."""
    ends_at = _cloud_end(machine)
    return ends_at + AHEAD if ends_at is not None else None


def zone_of(machine: Described) -> str:
    """Return the zone a machine stands in."""
    return last(machine.get("zone", ""))


def region_of(zone: str) -> str:
    """Return the region a zone belongs to."""
    return zone.rpartition("-")[0]


def last(address: str) -> str:
    """Return the name at the end of one of Google's addresses."""
    return address.rpartition("/")[2]


def _moment(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo is not None else None


def _cloud_end(machine: Described) -> datetime | None:
    if state_of(machine) is InstanceState.PENDING:
        return _moment(machine.get("scheduling", {}).get("terminationTime", ""))
    return _moment(machine.get("resourceStatus", {}).get("scheduling", {}).get("terminationTimestamp", ""))


def _address(machine: Described) -> str:
    for interface in machine.get("networkInterfaces", ())[:1]:
        public = [access.get("natIP", "") for access in interface.get("accessConfigs", ())]
        public += [access.get("externalIpv6", "") for access in interface.get("ipv6AccessConfigs", ())]
        return str(next(filter(None, public), "") or interface.get("networkIP") or interface.get("ipv6Address") or "")
    return ""


def _endpoint(machine: Described, note: notes.Note, account: Account) -> SshEndpoint | None:
    return ssh_endpoint(
        _address(machine),
        shelf=account.keys,
        token=str(machine["name"]),
        user=note.get(notes.USER, ""),
        name=note.get(notes.MACHINE, ""),
        machine=account.machine,
    )
