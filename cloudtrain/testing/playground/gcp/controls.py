"""The pretend Google Cloud's page for tests in other processes: what they can look at and turn over HTTP."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .access import permissions
from .account import Account, Machine

if TYPE_CHECKING:
    from .cloud import GcpCloud


def looks(cloud: "GcpCloud") -> dict[str, Callable[[], object]]:
    """Return what can be looked at: `GET /_playground/NAME`."""
    return {
        "calls": lambda: [dataclasses.asdict(record) for record in cloud.calls()],
        "permissions": lambda: permissions(cloud.calls()),
        "instances": lambda: [_described(machine) for machine in cloud.machines()],
        "violations": lambda: [dataclasses.asdict(violation) for violation in cloud.violations()],
        "events": lambda: list(cloud.account.events),
        "time": lambda: f"{cloud.account.timeline.now():%Y-%m-%dT%H:%M:%SZ}",
    }


def turns(cloud: "GcpCloud") -> dict[str, Callable[..., object]]:
    """Return what can be turned: `POST /_playground/NAME` with the arguments as a JSON object."""
    return {
        "clock": cloud.faults.set_caller_ahead,
        "faults": cloud.faults.add,
        "clear-faults": cloud.faults.clear,
        "stale": lambda reads: setattr(cloud.faults, "stale_reads", int(reads)),
        "advance": cloud.advance,
        "reclaim": cloud.reclaim,
        "quota": cloud.set_quota,
        "deny": lambda permissions: _deny(cloud.account, permissions),
        "disable": lambda services: _disable(cloud.account, services),
        "power-off": cloud.power_off,
        "forget-calls": cloud.forget_calls,
    }


def _deny(account: Account, permissions: Sequence[str]) -> None:
    account.denied = set(permissions)


def _disable(account: Account, services: Sequence[str]) -> None:
    account.disabled_services = set(services)


def _described(machine: Machine) -> dict[str, object]:
    return {
        "id": machine.id,
        "zone": machine.zone,
        "region": machine.region,
        "state": machine.state,
        "type": machine.body["machineType"].rpartition("/")[2],
        "address": machine.booted.address if machine.booted else "",
        "port": machine.booted.port if machine.booted else 0,
        "spot": machine.is_spot,
        "tags": machine.tags,
        "terminates_at": machine.body["resourceStatus"]["scheduling"].get("terminationTimestamp", ""),
    }
