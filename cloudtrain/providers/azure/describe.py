"""Azure's description of a machine, in the contract's words. Its group's tags say what Azure does not know."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ...model.instance import Instance, InstanceRef, InstanceState, SshEndpoint
from ...model.spec import Market
from ..reach import ssh_endpoint
from ..written import read_moment, read_number
from . import tags
from .account import NAME, Account
from .retail_prices import stopped_usd_per_month

Described = Mapping[str, Any]
"""A resource as Azure shows it."""

POWER_STATES = {
    "starting": InstanceState.PENDING,
    "running": InstanceState.RUNNING,
    "stopping": InstanceState.STOPPING,
    # Off and billed like a running one: only what is deallocated costs no compute.
    "stopped": InstanceState.POWERED_OFF,
    "deallocating": InstanceState.STOPPING,
    "deallocated": InstanceState.STOPPED,
}
_BEING_MADE = ("creating", "updating")


def shown(group: Described, machine: Described | None, address: str, account: Account) -> Instance:
    """Return a machine as the contract shows it: its group, itself where it is there, and its public address."""
    known, name = tags.read(group), str(group["name"])
    machine_there = machine or {}
    state = state_of(group, machine)
    region = str(group.get("location", ""))
    return Instance(
        ref=InstanceRef(NAME, name, region, zone_of(machine_there, region)),
        name=known.get(tags.NAME) or name,
        state=state,
        token=known.get(tags.TOKEN, ""),
        owner=known.get(tags.OWNER, ""),
        instance_type=str(_properties(machine_there).get("hardwareProfile", {}).get("vmSize", "")),
        address="" if state is InstanceState.STOPPED else address,
        endpoint=_endpoint(address, name, known, account) if state is InstanceState.RUNNING else None,
        usd_per_hour=read_number(known.get(tags.PRICE, "")),
        beside_usd_per_hour=read_number(known.get(tags.BESIDE, "")) or 0.0,
        usd_per_month_stopped=stopped_usd_per_month(round(read_number(known.get(tags.DISK, "")) or 0)),
        launched_at=_moment(str(_properties(machine_there).get("timeCreated", ""))),
        deadline=None if state is InstanceState.STOPPED else read_moment(known.get(tags.DEADLINE, "")),
        market=market_of(machine_there),
        gpu_count=int(read_number(known.get(tags.GPUS, "")) or 0),
        guest_end=tags.guest_end_of(known),
        console_url=f"{account.arm.endpoints.portal}/#resource{account.places(name).machine}",
    )


def state_of(group: Described, machine: Described | None) -> InstanceState:
    """Return the state Azure shows; one we do not know may bill."""
    if machine is None:
        return InstanceState.TERMINATED
    if is_ending(group) or _provisioning(machine) == "deleting":
        return InstanceState.TERMINATING
    power = power_of(machine)
    if power:
        return POWER_STATES.get(power, InstanceState.UNKNOWN)
    return InstanceState.PENDING if _provisioning(machine) in _BEING_MADE else InstanceState.UNKNOWN


def power_of(machine: Described) -> str:
    """Return Azure's word for a machine's power state, "" while it shows none."""
    return next((code.partition("/")[2].lower() for code in _codes(machine) if code.startswith("PowerState/")), "")


def with_views(machines: Mapping[str, Described], views: Mapping[str, Described]) -> dict[str, Described]:
    """Return machines, by id, with what they are doing now, which Azure lists by itself; without those it says that not of."""
    return {
        id: {**machine, "properties": {**_properties(machine), "instanceView": _properties(views[id])["instanceView"]}}
        for id, machine in machines.items()
        if id in views and _statuses(views[id])
    }


def is_being_switched_off(machine: Described) -> bool:
    """Say whether a machine is on its way to be deallocated: not when Azure gave up on it, whatever its state says."""
    return power_of(machine) == "deallocating" and _provisioning(machine) != "failed"


def failure_of(machine: Described) -> Mapping[str, Any] | None:
    """Return why Azure could not make a machine, as an error; None when it could."""
    if _provisioning(machine) != "failed":
        return None
    for status in _statuses(machine):
        code = str(status.get("code", ""))
        if code.startswith("ProvisioningState/failed/"):
            return {"code": code.rpartition("/")[2], "message": status.get("message", "")}
    return {"code": "Failed", "message": "Azure does not say why"}


def zone_of(machine: Described, region: str) -> str:
    """Return the zone a machine stands in as we show it ("eastus-1"), "" for none: Azure's own numbers alone tell nobody."""
    number = next(iter(machine.get("zones") or ()), "")
    return f"{region}-{number}" if number else ""


def is_ending(group: Described) -> bool:
    """Say whether a group is being deleted, and everything in it."""
    return str(_properties(group).get("provisioningState", "")).lower() == "deleting"


def market_of(machine: Described) -> Market:
    """Return how the machine was bought."""
    priority = str(_properties(machine).get("priority", "")).lower()
    return Market.SPOT if priority in ("spot", "low", "spotplus") else Market.ON_DEMAND


def _properties(thing: Described) -> Mapping[str, Any]:
    return thing.get("properties") or {}


def _provisioning(machine: Described) -> str:
    return str(_properties(machine).get("provisioningState", "")).lower()


def _statuses(machine: Described) -> list[Mapping[str, Any]]:
    return list((_properties(machine).get("instanceView") or {}).get("statuses") or ())


def _codes(machine: Described) -> list[str]:
    return [str(status.get("code", "")) for status in _statuses(machine)]


def _moment(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo is not None else None


def _endpoint(address: str, name: str, known: tags.Tags, account: Account) -> SshEndpoint | None:
    return ssh_endpoint(
        address,
        shelf=account.keys,
        token=name,
        user=known.get(tags.USER, ""),
        name=known.get(tags.NAME, ""),
        machine=account.machine,
    )
