"""The pretend AWS's page for tests in other processes: what they can look at and turn over HTTP."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from .account import Machine
from .permissions import permissions

if TYPE_CHECKING:
    from .cloud import AwsCloud


def looks(cloud: "AwsCloud") -> dict[str, Callable[[], object]]:
    """Return what can be looked at beside what every cloud shows: `GET /_playground/NAME`."""
    return {
        "permissions": lambda: permissions(cloud.calls()),
        "instances": lambda: [_described(machine) for machine in cloud.machines()],
    }


def turns(cloud: "AwsCloud") -> dict[str, Callable[..., object]]:
    """Return what can be turned beside what every cloud has: `POST /_playground/NAME`, the arguments as a JSON object."""
    return {
        "reclaim": cloud.reclaim,
        "quota": cloud.set_quota,
        "costs": cloud.set_costs,
    }


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
