"""The pretend Google Cloud's page for tests in other processes: what they can look at and turn over HTTP."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .access import permissions
from .account import Account, Machine

if TYPE_CHECKING:
    from .cloud import GcpCloud


def looks(cloud: "GcpCloud") -> dict[str, Callable[[], object]]:
    """Return what can be looked at beside what every cloud shows: `GET /_playground/NAME`."""
    return {
        "permissions": lambda: permissions(cloud.calls()),
        "instances": lambda: [_described(machine) for machine in cloud.machines()],
    }


def turns(cloud: "GcpCloud") -> dict[str, Callable[..., object]]:
    """Return what can be turned beside what every cloud has: `POST /_playground/NAME`, the arguments as a JSON object."""
    return {
        "reclaim": cloud.reclaim,
        "quota": cloud.set_quota,
        "deny": lambda permissions: _deny(cloud.account, permissions),
        "disable": lambda services: _disable(cloud.account, services),
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
