"""Ending TPU machines: the request goes, and its node with it. A request that has had its machine costs nothing and stays."""

import uuid
from collections.abc import Sequence

from ...model.errors import ConfigError, InstanceNotFoundError, ProviderError
from ...model.instance import InstanceRef, InstanceState, Leftover
from ...model.lease import Lease
from . import notes
from .account import NAME, Account
from .describe import region_of
from .ending import remove_beside
from .tpu_machines import FoundTpu, find_tpu
from .translate import is_absent

DELETE = "tpu.projects.locations.queuedResources.delete"
REQUEST = "tpu-request"
"""A leftover's kind: a request whose machine is gone. Its id is its zone and name."""


def terminate_tpu(ref: InstanceRef, account: Account) -> None:
    """End a machine. See `Provider.terminate`: rules and keys go when it is gone."""
    try:
        found = find_tpu(ref, account)
    except InstanceNotFoundError:
        remove_beside(ref.id.rpartition("/")[2], account)
        return
    if found.queue_state != "DELETING":
        delete_request(found.path, account)
    if found.state is InstanceState.TERMINATED:
        remove_beside(found.name, account)


def delete_request(path: str, account: Account) -> None:
    """Delete a request and its node; an absent one is a success. Does not wait.

    Raises:
        ProviderError: Google refused.
    """
    query = {"force": "true", "requestId": str(uuid.uuid4())}
    try:
        account.rest.call(DELETE, "DELETE", path, query=query)
    except ProviderError as error:
        if not is_absent(error):
            raise


def requests_left(found: Sequence[FoundTpu]) -> list[Leftover]:
    """Return the requests whose machine is gone."""
    return [
        Leftover(
            NAME,
            REQUEST,
            f"{each.zone}/{each.name}",
            region_of(each.zone),
            0.0,
            each.note.get(notes.OWNER, ""),
            each.note.get(notes.TOKEN, ""),
        )
        for each in found
        if each.state is InstanceState.TERMINATED
    ]


def remove_request(leftover: Leftover, account: Account) -> None:
    """Remove one of them."""
    zone, _, name = leftover.id.partition("/")
    delete_request(account.below(f"locations/{zone}/queuedResources/{name}"), account)


def keep_deadline(ref: InstanceRef, lease: Lease, account: Account) -> None:
    """Refuse another deadline than the one a machine has: Google moves none of a TPU's.

    Raises:
        InstanceNotFoundError: there is no such machine.
        ProviderError: it is another one.
    """
    found = living_tpu(ref, account)
    if found.deadline != lease.deadline.replace(microsecond=0):
        raise ProviderError(
            f"Google moves the end of no TPU: {found.note.get(notes.MACHINE) or found.name} keeps its deadline",
            "End it when you are done: cloudtrain terminate; and give the next one longer: --max-lifetime 8h",
        )


def refuse_pause(ref: InstanceRef, account: Account) -> ConfigError:
    """Return why a machine is not stopped, started or changed: no trying again helps, so it is no failure of Google's.

    Raises:
        InstanceNotFoundError: there is no such machine.
    """
    found = living_tpu(ref, account)
    name = found.note.get(notes.MACHINE) or found.name
    return ConfigError(
        f"{name} is a TPU machine: it can be ended and not stopped, started again or given another type",
        f"End it, disk included: cloudtrain terminate {name}",
    )


def living_tpu(ref: InstanceRef, account: Account) -> FoundTpu:
    """Return a machine that has not ended.

    Raises:
        InstanceNotFoundError: there is none, or it is ending.
    """
    found = find_tpu(ref, account)
    if found.state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        raise InstanceNotFoundError(f"{found.name} has ended", "Look: cloudtrain status")
    return found
