"""The actions cloudtrain needs in a subscription: what `check` asks for and the page shows."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...model.errors import ProviderError
from ...model.finding import Finding
from .arm import Arm
from .role import SERVICES
from .versions import AUTHORIZATION

SUBJECT, OWN_END = "permissions", "a machine's own end"

LIST_PERMISSIONS = "Microsoft.Authorization/permissions/read"

CALLED = (
    LIST_PERMISSIONS,
    "Microsoft.Compute/disks/read",
    "Microsoft.Compute/locations/operations/read",
    "Microsoft.Compute/locations/publishers/artifacttypes/offers/skus/versions/read",
    "Microsoft.Compute/locations/usages/read",
    "Microsoft.Compute/skus/read",
    "Microsoft.Compute/virtualMachines/deallocate/action",
    "Microsoft.Compute/virtualMachines/extensions/write",
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/start/action",
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.ComputeSchedule/locations/virtualMachinesCancelOperations/action",
    "Microsoft.ComputeSchedule/locations/virtualMachinesGetOperationStatus/action",
    "Microsoft.ComputeSchedule/locations/virtualMachinesSubmitDeallocate/action",
    "Microsoft.DevTestLab/schedules/read",
    "Microsoft.DevTestLab/schedules/write",
    "Microsoft.Network/locations/operations/read",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.Network/networkSecurityGroups/read",
    "Microsoft.Network/networkSecurityGroups/write",
    "Microsoft.Network/publicIPAddresses/read",
    "Microsoft.Network/publicIPAddresses/write",
    "Microsoft.Network/virtualNetworks/write",
    "Microsoft.Resources/subscriptions/providers/read",
    "Microsoft.Resources/subscriptions/read",
    "Microsoft.Resources/subscriptions/resourceGroups/delete",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Resources/subscriptions/resourceGroups/write",
)
"""What the verbs call."""

BESIDE = (
    "Microsoft.Compute/disks/write",
    "Microsoft.Network/networkInterfaces/join/action",
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Network/networkSecurityGroups/join/action",
    "Microsoft.Network/publicIPAddresses/join/action",
    "Microsoft.Network/virtualNetworks/read",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.Resources/subscriptions/operationresults/read",
)
"""What Azure asks for beside a call's own action: where one thing is put to another or made with it; to follow a deletion."""

FOR_OWN_END = ("Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleDefinitions/read")
"""What it takes to let each machine end itself. A Contributor may not give roles."""

FOR_SETUP = ("Microsoft.Authorization/roleDefinitions/write", *(f"{service}/register/action" for service in SERVICES))
"""What `setup azure` takes, once for each subscription."""

FOR_IMAGES = ("Microsoft.Compute/galleries/images/read", "Microsoft.Compute/images/read")
"""What a machine config asks for beside them that names an image of one's own."""

FOR_CHECKPOINTS = (
    "Microsoft.Authorization/roleAssignments/delete",
    "Microsoft.Authorization/roleAssignments/read",
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.Storage/storageAccounts/blobServices/containers/read",
    "Microsoft.Storage/storageAccounts/read",
)
"""What a job asks for beside them whose outputs are copied to a container: its machine is given a right there, and loses it."""

FOR_DATA = ("Microsoft.Storage/storageAccounts/read",)
"""What a job asks for beside them whose inputs lie in a storage account. Its blobs take a role of Azure's own, too."""

EVERYDAY = tuple(sorted({*CALLED, *BESIDE}, key=str.lower))
"""What every verb together needs, whatever the machine config says."""


def role(name: str, description: str, actions: Iterable[str]) -> str:
    """Return a role of these actions as `az role definition create` reads it."""
    written = {
        "Name": name,
        "IsCustom": True,
        "Description": description,
        "Actions": sorted(actions, key=str.lower),
        "AssignableScopes": ["/subscriptions/SUBSCRIPTION"],
    }
    return json.dumps(written, indent=2) + "\n"


def permission_findings(arm: Arm) -> list[Finding]:
    """Say which of the everyday actions the account lacks, and whether it may let machines end themselves. Never raises."""
    try:
        found = permissions(arm)
    except ProviderError as error:
        look = "See them: az role assignment list --all --assignee YOU --output table"
        return [Finding(False, SUBJECT, f"they cannot be looked at: {error.message}", look)]
    return [_everyday(found), _own_end(found)]


def permissions(arm: Arm) -> list[dict[str, Any]]:
    """Return what the account may do in the subscription as a whole, as Azure lists it: one entry for each of its roles.

    Raises:
        ProviderError: Azure refused or did not answer.
    """
    path = arm.below("providers/Microsoft.Authorization/permissions")
    return list(arm.pages(LIST_PERMISSIONS, path, api=AUTHORIZATION))


def is_held(action: str, found: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether one of the roles allows an action and does not take it away again."""
    return any(_names(each.get("actions"), action) and not _names(each.get("notActions"), action) for each in found)


def _everyday(found: Sequence[Mapping[str, Any]]) -> Finding:
    lacking = [action for action in EVERYDAY if not is_held(action, found)]
    if not lacking:
        return Finding(True, SUBJECT, f"all {len(EVERYDAY)} that cloudtrain needs are held")
    return Finding(
        False,
        SUBJECT,
        f"{len(lacking)} of {len(EVERYDAY)} are not held: {', '.join(lacking)}",
        "Let whoever administers the subscription give the role in docs/providers/azure.md, or Contributor",
    )


def _own_end(found: Sequence[Mapping[str, Any]]) -> Finding:
    lacking = [action for action in FOR_OWN_END if not is_held(action, found)]
    if not lacking:
        return Finding(True, OWN_END, "machines may be given the right to end themselves, after: cloudtrain setup azure")
    # Nothing need be done: two schedules of Azure's keep the deadline, and each is enough.
    return Finding(
        True,
        OWN_END,
        f"machines cannot be given the right to end themselves ({', '.join(lacking)} not held): Azure's own schedules alone "
        "keep their deadlines, and nothing but this computer ends an idle machine sooner",
    )


def _names(patterns: Sequence[str] | None, action: str) -> bool:
    """Say whether one of the patterns stands for an action; `*` stands for anything, and capitals do not count."""
    return any(re.fullmatch(re.escape(each).replace(r"\*", ".*"), action, re.IGNORECASE) for each in patterns or ())
