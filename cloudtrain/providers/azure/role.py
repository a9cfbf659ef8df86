"""What lets a machine end its own bill: a role that may deallocate and delete one machine, given to that machine for itself.

The role is made once for each subscription (`set_up`). Where there is none, or nobody here may give it to a machine, the
cloud's own schedules keep the deadline alone.
"""

import json
import uuid
from typing import Any

from ...model.errors import NotSetUpError, PermissionDeniedError, ProviderError
from .account import Account
from .translate import code_of, is_absent
from .versions import AUTHORIZATION, RESOURCES

ROLE = "cloudtrain machine end"
ACTIONS = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/deallocate/action",
    "Microsoft.Compute/virtualMachines/delete",
)
GIVE = "Microsoft.Authorization/roleAssignments/write"
SERVICES = ("Microsoft.Compute", "Microsoft.Network", "Microsoft.ComputeSchedule", "Microsoft.DevTestLab")
"""The resource providers a subscription must know for us to rent there and for the cloud to keep a deadline."""

_OURS = uuid.UUID("3d5ce3fe-9d3c-5c57-8a7d-0c6d2a0f7c12")


def role_id(subscription: str) -> str:
    """Return the id of a subscription's role, whether it was made or not."""
    name = uuid.uuid5(_OURS, f"role {subscription.lower()}")
    return f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{name}"


def find_role(account: Account) -> str | None:
    """Return the id of the subscription's role, or None when it was never made, or may not be looked at. One call."""
    id = role_id(account.arm.subscription)
    try:
        account.arm.call("Microsoft.Authorization/roleDefinitions/read", "GET", id, api=AUTHORIZATION)
    except PermissionDeniedError:
        return None
    except ProviderError as error:
        if not is_absent(error):
            raise
        return None
    return id


def give_role(machine: str, principal: str, role: str, account: Account) -> bool:
    """Let a machine, by the object id of its identity, end itself; say whether we may give that. Safe to repeat.

    It takes effect within ten minutes; the machine asks again and again.

    Raises:
        ProviderError: another refusal than that the caller may not give roles.
    """
    name = uuid.uuid5(_OURS, f"{machine.lower()} {principal}")
    path = f"{machine}/providers/Microsoft.Authorization/roleAssignments/{name}"
    # Of a principal it is told the kind of, Azure does not ask whether it knows it yet.
    properties = {"roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal"}
    try:
        account.arm.call(GIVE, "PUT", path, api=AUTHORIZATION, body={"properties": properties})
    except PermissionDeniedError:
        return False
    except ProviderError as error:
        if code_of(error) != "RoleAssignmentExists":
            raise
    return True


def is_set_up(account: Account) -> bool:
    """Say whether the subscription in use was set up from this computer; asks nobody, and where there is none it was not."""
    try:
        subscription = account.arm.subscription.lower()
    except NotSetUpError:
        return False
    return any(noted.name.lower() == subscription for noted in (account.folder / "end-roles").glob("*"))


def preparation() -> str:
    """Say what `set_up` makes, in words and as Azure reads it."""
    return "\n".join(
        (
            f"A custom role named {ROLE!r} in the subscription. Each machine is given it for itself alone, and may then",
            "deallocate or delete itself at its deadline. It costs nothing. What the role says:",
            json.dumps(_definition("SUBSCRIPTION"), indent=2),
            f"And the resource providers {', '.join(SERVICES)} are registered with the subscription, which costs nothing.",
        )
    )


def set_up(account: Account) -> str:
    """Make the subscription's role, or find it, register what is needed, and remember it here; return its id.

    Raises:
        PermissionDeniedError: the account may not make roles.
        ProviderError: any other refusal.
    """
    subscription = account.arm.subscription
    id = role_id(subscription)
    for service in SERVICES:
        path = account.arm.below(f"providers/{service}/register")
        account.arm.call(f"{service}/register/action", "POST", path, api=RESOURCES)
    act = "Microsoft.Authorization/roleDefinitions/write"
    account.arm.call(act, "PUT", id, api=AUTHORIZATION, body=_definition(subscription))
    folder = account.folder / "end-roles"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / subscription).write_text(id)
    return id


def _definition(subscription: str) -> dict[str, Any]:
    scope = f"/subscriptions/{subscription}"
    return {
        "properties": {
            # Names are unique in a whole directory, which may hold several subscriptions.
            "roleName": f"{ROLE} ({subscription[:8]})",
            "description": "Lets a machine that cloudtrain rented deallocate or delete itself at its deadline",
            "type": "CustomRole",
            "assignableScopes": [scope],
            "permissions": [{"actions": list(ACTIONS), "notActions": [], "dataActions": [], "notDataActions": []}],
        }
    }
