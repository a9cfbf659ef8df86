"""Role definitions: those that every subscription has, and those that somebody made."""

from collections.abc import Callable
from dataclasses import dataclass

from ..calls import Reply
from .account import Account, Handler, page
from .errors import ArmError
from .rights import is_like
from .things import Body
from .wire import ArmCall, write_result

NOT_BY_CONTRIBUTORS = (
    "Microsoft.Authorization/*/Delete",
    "Microsoft.Authorization/*/Write",
    "Microsoft.Authorization/elevateAccess/Action",
)
BUILT_IN = {
    # guid: (name, actions, not actions)
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": ("Owner", ("*",), ()),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": ("Contributor", ("*",), NOT_BY_CONTRIBUTORS),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": ("Reader", ("*/read",), ()),
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": (
        "User Access Administrator",
        ("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"),
        (),
    ),
    "9980e02c-c2be-4d73-94e8-173b1dc7cf3c": (
        "Virtual Machine Contributor",
        (
            "Microsoft.Authorization/*/read",
            "Microsoft.Compute/virtualMachines/*",
            "Microsoft.Compute/disks/read",
            "Microsoft.Compute/disks/write",
            "Microsoft.Compute/disks/delete",
            "Microsoft.Network/networkInterfaces/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
        (),
    ),
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": (
        "Storage Blob Data Contributor",
        ("Microsoft.Storage/storageAccounts/blobServices/containers/*",),
        (),
    ),
}


@dataclass(eq=False)
class Role:
    """A role definition."""

    guid: str
    name: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    scopes: tuple[str, ...] = ("/",)
    description: str = ""
    kind: str = "BuiltInRole"


class Roles:
    """Answers what is about role definitions."""

    def __init__(self, account: Account, is_used: Callable[[str], bool]) -> None:
        """`is_used` says whether somebody has a role."""
        self._account, self._is_used = account, is_used
        self._roles = {guid: Role(guid, *spec) for guid, spec in BUILT_IN.items()}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        authorization = "Microsoft.Authorization"
        return {
            (authorization, "roleDefinitions/LIST"): self._list,
            (authorization, "roleDefinitions/GET"): lambda call: self.shown(self._found(call)),
            (authorization, "roleDefinitions/PUT"): self._put,
            (authorization, "roleDefinitions/DELETE"): self._delete,
        }

    def find(self, guid: str) -> Role | None:
        """Return a role, None when there is none."""
        return self._roles.get(guid)

    def named(self, name: str) -> Role:
        """Return a role by its display name.

        Raises:
            KeyError: there is none.
        """
        for role in self._roles.values():
            if role.name == name:
                return role
        raise KeyError(name)

    def allows(self, guid: str, action: str) -> bool:
        """Say whether a role allows an action; one that was deleted allows nothing."""
        role = self._roles.get(guid)
        if role is None or any(is_like(action, one) for one in role.not_actions):
            return False
        return any(is_like(action, one) for one in role.actions)

    def _found(self, call: ArmCall) -> Role:
        found = self._roles.get(call.name.lower())
        if found is None:
            text = f"The specified role definition with ID '{call.name}' does not exist."
            raise ArmError("RoleDefinitionDoesNotExist", text, status=404)
        return found

    def _list(self, call: ArmCall) -> Body:
        asked = call.query.get("$filter", "")
        name = asked.split("'")[1] if "rolename eq" in " ".join(asked.split()).lower() else ""
        kind = asked.split("'")[1] if " ".join(asked.split()).lower().startswith("type eq") else ""
        return page(
            [
                self.shown(role)
                for role in self._roles.values()
                if name in ("", role.name) and kind.lower() in ("", role.kind.lower())
            ]
        )

    def _put(self, call: ArmCall) -> Reply:
        given = call.resource.get("properties") or {}
        permissions = (given.get("permissions") or [{}])[0]
        existing = self._roles.get(call.name.lower())
        name = str(given.get("roleName", ""))
        if any(role.name == name and role is not existing for role in self._roles.values()):
            text = f"Role definition with display name '{name}' already exists in directory '{self._account.tenant}'."
            raise ArmError("RoleDefinitionWithSameNameExists", text, status=409)
        if not name or not permissions.get("actions") or not given.get("assignableScopes"):
            raise ArmError("InvalidRoleDefinition", "The role definition needs a name, actions and assignable scopes.")
        made = Role(
            call.name.lower(),
            name,
            tuple(permissions["actions"]),
            tuple(permissions.get("notActions") or ()),
            tuple(given["assignableScopes"]),
            str(given.get("description") or ""),
            "CustomRole",
        )
        self._roles[made.guid] = made
        return write_result(call, self.shown(made), 201)

    def _delete(self, call: ArmCall) -> Reply:
        role = self._roles.get(call.name.lower())
        if role is None:
            return write_result(call, None, 204)
        if self._is_used(role.guid):
            text = "There are existing role assignments referencing role."
            raise ArmError("RoleDefinitionHasAssignments", text, status=409)
        if role.kind == "BuiltInRole":
            raise ArmError("RoleDefinitionCannotBeDeleted", "A built-in role cannot be deleted.", status=403)
        return write_result(call, self.shown(self._roles.pop(role.guid)))

    def shown(self, role: Role) -> Body:
        """Return a role as replies show it."""
        root = f"/subscriptions/{self._account.subscription}/providers/Microsoft.Authorization/roleDefinitions"
        permission = {
            "actions": list(role.actions),
            "notActions": list(role.not_actions),
            "dataActions": [],
            "notDataActions": [],
        }
        return {
            "id": f"{root}/{role.guid}",
            "name": role.guid,
            "type": "Microsoft.Authorization/roleDefinitions",
            "properties": {
                "roleName": role.name,
                "type": role.kind,
                "description": role.description,
                "assignableScopes": list(role.scopes),
                "permissions": [permission],
            },
        }
