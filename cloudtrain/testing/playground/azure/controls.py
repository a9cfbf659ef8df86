"""The pretend Azure's page for tests in other processes: what they can look at and turn over HTTP."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..recorder import Record
from .rights import right
from .things import Machine

if TYPE_CHECKING:
    from .cloud import AzureCloud


def looks(cloud: "AzureCloud") -> dict[str, Callable[[], object]]:
    """Return what can be looked at beside what every cloud shows: `GET /_playground/NAME`."""
    return {
        "permissions": lambda: permissions(cloud.calls()),
        "instances": lambda: [_described(cloud, machine) for machine in cloud.machines()],
    }


def turns(cloud: "AzureCloud") -> dict[str, Callable[..., object]]:
    """Return what can be turned beside what every cloud has: `POST /_playground/NAME`, the arguments as a JSON object."""
    return {
        "reclaim": cloud.reclaim,
        "quota": cloud.set_quota,
        "deny": lambda actions: _deny(cloud, actions),
        "unregister": lambda namespaces: cloud.account.registered.difference_update(namespaces),
    }


def permissions(records: Sequence[Record]) -> list[str]:
    """Return the rights that Resource Manager's calls needed: what a role has to allow."""
    return sorted(
        {
            right(record.service, record.action, record.parameters)
            for record in records
            if record.service.startswith("Microsoft.") and "/operation" not in record.action
        }
    )


def _deny(cloud: "AzureCloud", actions: Sequence[str]) -> None:
    cloud.account.denied = set(actions)


def _described(cloud: "AzureCloud", machine: Machine) -> dict[str, object]:
    return {
        "id": machine.id,
        "resource_id": machine.resource.id,
        "region": machine.region,
        "state": machine.state,
        "type": machine.size,
        "address": machine.booted.address if machine.booted else "",
        "port": machine.booted.port if machine.booted else 0,
        "spot": machine.is_spot,
        "tags": machine.tags,
        "billed_hours": cloud.billed_hours(machine.id),
        "ends_at": [f"{end:%Y-%m-%dT%H:%M:%SZ}" for end in cloud.ends_of(machine.id)],
    }
