"""The pretend AWS's page for tests in other processes: what they can look at and turn over HTTP."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..faults import Faults
from .account import Machine
from .permissions import permissions

if TYPE_CHECKING:
    from .cloud import AwsCloud


def looks(cloud: "AwsCloud") -> dict[str, Callable[[], object]]:
    """Return what can be looked at: `GET /_playground/NAME`."""
    return {
        "calls": lambda: [dataclasses.asdict(record) for record in cloud.calls()],
        "permissions": lambda: permissions(cloud.calls()),
        "instances": lambda: [_described(machine) for machine in cloud.machines()],
        "violations": lambda: [dataclasses.asdict(violation) for violation in cloud.violations()],
        "events": lambda: list(cloud.account.events),
        "time": lambda: f"{cloud.account.timeline.now():%Y-%m-%dT%H:%M:%SZ}",
    }


def turns(cloud: "AwsCloud") -> dict[str, Callable[..., object]]:
    """Return what can be turned: `POST /_playground/NAME` with the arguments as a JSON object."""
    return {
        "clock": cloud.faults.set_caller_ahead,
        "faults": cloud.faults.add,
        "clear-faults": cloud.faults.clear,
        "stale": lambda reads: _stale(cloud.faults, int(reads)),
        "advance": cloud.advance,
        "reclaim": cloud.reclaim,
        "quota": cloud.set_quota,
        "power-off": cloud.power_off,
        "costs": cloud.set_costs,
        "forget-calls": cloud.forget_calls,
    }


def _stale(faults: Faults, reads: int) -> int:
    faults.stale_reads = reads
    return reads


def _described(machine: Machine) -> dict[str, object]:
    return {
        "id": machine.id,
        "region": machine.region,
        "state": machine.state,
        "type": machine.instance.instance_type,
        "address": machine.booted.address if machine.booted else "",
        "port": machine.booted.port if machine.booted else 0,
        "spot_request": machine.spot_request,
        "tags": machine.tags,
    }
