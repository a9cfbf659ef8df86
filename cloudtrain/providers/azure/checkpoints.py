"""The right of one machine to one container, given only when its order asks for it, and taken back with the machine.

Azure keeps such a right when the machine it was for is gone, and knows no tags on it: it is found by its description.
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...model.errors import PermissionDeniedError, ProviderError
from ...model.instance import LaunchOrder
from . import tags
from .account import Account
from .machines import Found
from .names import Places
from .storage import address_of, container_at
from .translate import code_of, is_absent
from .versions import AUTHORIZATION

ROLE = "Storage Blob Data Contributor"
ROLE_NAME = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
"""What Azure's own role is called everywhere. It lists, reads, writes and deletes the blobs of what it is given for."""

WRITE, DELETE, READ = (f"Microsoft.Authorization/roleAssignments/{verb}" for verb in ("write", "delete", "read"))

_OURS = uuid.UUID("5a0cf7d8-0a5b-5f0e-9c3e-2f3f6a6f0b51")
_CONTAINER = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/([^/]+)/providers/Microsoft\.Storage/storageAccounts/([^/]+)"
    r"/blobServices/default/containers/([^/]+)",
    re.IGNORECASE,
)
_RIGHT = re.compile(rf"{_CONTAINER.pattern}/providers/Microsoft\.Authorization/roleAssignments/[0-9a-f-]{{36}}", re.IGNORECASE)
_LEAVE_OUT = "Let whoever administers the storage account allow it (docs/providers/azure.md), or leave `checkpoints` out."


@dataclass(frozen=True, slots=True)
class Right:
    """A right that was given to a machine.

    Attributes:
        id: its path. machine: the name of the machine's group. made: when it was given, None when Azure does not say.
    """

    id: str
    machine: str
    token: str
    owner: str
    made: datetime | None


def find_container(order: LaunchOrder, account: Account) -> str:
    """Return the path of the container an order's machine is to write to, "" for none; see that it is there.

    Raises:
        ConfigError: the address is none of Blob Storage's.
        ProviderError: there is no such container, or it may not be looked at.
    """
    return container_at(address_of(order.checkpoints), account.arm)[1] if order.checkpoints else ""


def told_of(url: str) -> str:
    """Say what is made for checkpoints at an address, for who is about to pay."""
    return (
        f"For {url} a launch gives the machine's identity the role {ROLE} in that container, the whole of it: the job may "
        "read, replace and delete what lies there. It goes with the machine."
    )


def as_tags(container: str) -> tags.Tags:
    """Return what a group remembers of its machine's right: nothing when it has none. A path is longer than a tag may be."""
    found = _CONTAINER.fullmatch(container)
    return {tags.CHECKPOINTS: "/".join(found.groups())} if found is not None else {}


def give(order: LaunchOrder, found: Found, container: str, account: Account) -> None:
    """Let a machine, by its identity, read and write a container; nothing where it is to have none. Safe to repeat.

    It counts within ten minutes; the machine asks again and again.

    Raises:
        PermissionDeniedError: the account may not give it.
        ProviderError: Azure refused otherwise.
    """
    if not container:
        return
    subscription = account.arm.subscription
    mark = {"cloudtrain": "1", "machine": found.id, "token": order.token, "owner": order.owner}
    properties = {
        "roleDefinitionId": f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{ROLE_NAME}",
        "principalId": found.principal,
        # Of a principal it is told the kind of, Azure does not ask whether it knows it yet.
        "principalType": "ServicePrincipal",
        "description": json.dumps(mark),
    }
    try:
        path = _path(found.places, container)
        account.arm.call(WRITE, "PUT", path, api=AUTHORIZATION, body={"properties": properties})
    except PermissionDeniedError as error:
        told = f"The machine's right to {order.checkpoints}: {error.message}"
        raise PermissionDeniedError(told, _LEAVE_OUT) from error.__cause__
    except ProviderError as error:
        if code_of(error) != "RoleAssignmentExists":
            raise


def take_back(known: tags.Tags, places: Places, account: Account) -> None:
    """Take back the right that a group's tags tell of, as far as that can be done now; nothing where there is none."""
    container = _container(known, account)
    if container:
        with suppress(ProviderError):  # what stays is found by its description as a leftover
            _delete(_path(places, container), account)


def given(account: Account) -> Sequence[Right]:
    """Return the rights that were given to machines. Who may not list rights sees none: they cost nothing.

    Raises:
        ProviderError: Azure did not answer.
    """
    path = account.arm.below("providers/Microsoft.Authorization/roleAssignments")
    try:
        listed = [_read(each) for each in account.arm.pages(READ, path, api=AUTHORIZATION)]
    except PermissionDeniedError:
        return ()
    return [right for right in listed if right is not None]


def is_right(id: str) -> bool:
    """Say whether something may be called so that is the right to a container."""
    return _RIGHT.fullmatch(id) is not None


def remove(id: str, account: Account) -> None:
    """Take back a right, having seen that it is one of ours. An absent one is a success.

    Raises:
        ProviderError: it is none of ours, or Azure refused.
    """
    try:
        found = _read(account.arm.call(READ, "GET", id, api=AUTHORIZATION))
    except ProviderError as error:
        if not _is_gone(error):
            raise
        return
    if found is None:
        raise ProviderError(f"{id} was not given to a machine of ours")
    _delete(id, account)


def _path(places: Places, container: str) -> str:
    name = uuid.uuid5(_OURS, f"{places.machine} {container}".lower())
    return f"{container}/providers/Microsoft.Authorization/roleAssignments/{name}"


def _container(known: tags.Tags, account: Account) -> str:
    group, _, rest = known.get(tags.CHECKPOINTS, "").partition("/")
    name, _, container = rest.partition("/")
    if not container:
        return ""
    within = account.arm.below(f"resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{name}")
    return f"{within}/blobServices/default/containers/{container}"


def _delete(path: str, account: Account) -> None:
    try:
        account.arm.call(DELETE, "DELETE", path, api=AUTHORIZATION)
    except ProviderError as error:
        if not _is_gone(error):
            raise


def _is_gone(error: ProviderError) -> bool:
    return is_absent(error) or code_of(error) == "RoleAssignmentNotFound"


def _read(shown: Mapping[str, Any]) -> Right | None:
    """Return a role assignment as what we made it for; None when it is somebody else's, or for something else."""
    properties, id = shown.get("properties") or {}, str(shown.get("id", ""))
    try:
        mark = json.loads(properties.get("description") or "")
    except ValueError:
        return None
    if not isinstance(mark, dict) or mark.get("cloudtrain") != "1" or not is_right(id):
        return None
    machine, token, owner = (str(mark.get(name, "")) for name in ("machine", "token", "owner"))
    return Right(id, machine, token, owner, _moment(str(properties.get("createdOn") or "")))


def _moment(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
