"""Who may do what: role assignments, which need a while, and the check before every call."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..calls import Reply
from .account import CALLER, Account, Handler, page, time_text
from .errors import ArmError
from .rights import action_of, is_like, scope_of
from .roles import Roles
from .things import Body
from .wire import ArmCall, write_result


@dataclass(eq=False)
class Assignment:
    """Who has a role where, and since when it counts."""

    guid: str
    scope: str
    role: str
    principal: str
    principal_type: str
    made: datetime
    effective: datetime
    description: str = ""


class Access:
    """Answers what is about roles, and says who may do what."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.assignments: dict[str, Assignment] = {}
        self._roles = Roles(account, lambda guid: any(one.role == guid for one in self.assignments.values()))

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        authorization = "Microsoft.Authorization"
        return {
            **self._roles.handlers(),
            (authorization, "permissions/LIST"): self._permissions,
            (authorization, "roleAssignments/LIST"): self._list,
            (authorization, "roleAssignments/GET"): lambda call: self._shown(self._assignment(call)),
            (authorization, "roleAssignments/PUT"): self._put,
            (authorization, "roleAssignments/DELETE"): self._delete,
        }

    def check(self, call: ArmCall) -> None:
        """Refuse a call that its caller has no right to.

        Raises:
            ArmError: AuthorizationFailed, naming the action and the scope.
        """
        action, scope = action_of(call), scope_of(call)
        if not self.may(call.principal, action, scope):
            who = f"The client '{call.principal}' with object id '{call.principal}'"
            text = (
                f"{who} does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. "
            )
            raise ArmError("AuthorizationFailed", f"{text}If access was recently granted, please refresh your credentials.")

    def may(self, principal: str, action: str, scope: str) -> bool:
        """Say whether somebody may do something somewhere, now."""
        if principal == CALLER:
            role = self._roles.named(self._account.caller_role)
            return self._roles.allows(role.guid, action) and not any(is_like(action, one) for one in self._account.denied)
        # Asking how an operation goes needs no right of its own.
        if action.lower().endswith(("/locations/operations/read", "/operationresults/read")):
            return True
        return any(self._roles.allows(one.role, action) for one in self._counting(principal, scope))

    def rights(self, principal: str) -> list[Assignment]:
        """Return every assignment that somebody has, in effect already or not."""
        return [one for one in self.assignments.values() if one.principal == principal]

    def actions_of(self, assignment: Assignment) -> tuple[str, ...]:
        """Return what an assignment allows."""
        role = self._roles.find(assignment.role)
        return role.actions if role is not None else ()

    def forget(self, scope: str) -> None:
        """Let go of the assignments at something that is no more, or below it."""
        start = scope.lower()
        for guid, one in list(self.assignments.items()):
            if f"{one.scope.lower()}/".startswith(f"{start}/"):
                del self.assignments[guid]

    def _permissions(self, call: ArmCall) -> Body:
        """Answer what the caller may do, an entry for each of its roles; what it is denied is taken from each."""
        if call.principal == CALLER:
            roles = [self._roles.named(self._account.caller_role)]
        else:
            found = [self._roles.find(one.role) for one in self._counting(call.principal, scope_of(call))]
            roles = [role for role in found if role is not None]
        denied = sorted(self._account.denied) if call.principal == CALLER else []
        return page([{"actions": list(role.actions), "notActions": [*role.not_actions, *denied]} for role in roles])

    def _counting(self, principal: str, scope: str) -> Iterator[Assignment]:
        now = self._account.timeline.now()
        for one in self.rights(principal):
            if one.effective <= now and f"{scope.lower()}/".startswith(f"{one.scope.lower().rstrip('/')}/"):
                yield one

    def _assignment(self, call: ArmCall) -> Assignment:
        found = self.assignments.get(call.name.lower())
        if found is None:
            text = f"The role assignment '{call.name}' is not found."
            raise ArmError("RoleAssignmentNotFound", text, status=404)
        return found

    def _put(self, call: ArmCall) -> Reply:
        wanted = self._wanted(call)
        existing = self.assignments.get(wanted.guid)
        if any(_same(one, wanted) and one is not existing for one in self.assignments.values()):
            raise ArmError("RoleAssignmentExists", "The role assignment already exists.", status=409)
        if existing is None:
            self.assignments[wanted.guid] = wanted
            return write_result(call, self._shown(wanted), 201)
        if not _same(existing, wanted):
            text = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."
            raise ArmError("RoleAssignmentUpdateNotPermitted", text, status=409)
        return write_result(call, self._shown(existing), 200)

    def _wanted(self, call: ArmCall) -> Assignment:
        given = call.resource.get("properties") or {}
        role, principal = str(given.get("roleDefinitionId")).rpartition("/")[2].lower(), str(given.get("principalId"))
        self._check_place(call.names["scope"], role)
        kind = str(given.get("principalType") or "")
        if not kind and self._is_new(principal):
            where = f"the directory {self._account.tenant}"
            text = (
                f"Principal {principal} does not exist in {where}. Check that you have the correct principal ID. If you are "
                "creating this principal and then immediately assigning a role, this error might be related to a replication "
                "delay."
            )
            raise ArmError("PrincipalNotFound", text)
        now = self._account.timeline.now()
        effective = now + timedelta(seconds=self._account.durations.role)
        who = kind or "ServicePrincipal"
        told = str(given.get("description") or "")
        return Assignment(call.name.lower(), call.names["scope"], role, principal, who, now, effective, told)

    def _check_place(self, scope: str, role: str) -> None:
        parts = scope.strip("/").split("/")
        in_group = len(parts) > 3 and parts[2].lower() == "resourcegroups"
        if in_group:
            self._account.group(parts[3])
        if len(parts) > 4 and self._account.find(scope) is None:
            raise ArmError("ResourceNotFound", f"The Resource '{'/'.join(parts[5:])}' was not found.")
        known = self._roles.find(role)
        if known is None:
            text = f"The specified role definition with ID '{role}' does not exist."
            raise ArmError("RoleDefinitionDoesNotExist", text)
        if not any(f"{scope.lower()}/".startswith(f"{one.lower().rstrip('/')}/") for one in known.scopes):
            text = f"The role definition '{role}' is not assignable at the scope '{scope}'."
            raise ArmError("RoleDefinitionNotAssignable", text)

    def _is_new(self, principal: str) -> bool:
        """Say whether the directory has not heard of a machine's identity everywhere yet."""
        soon = timedelta(seconds=min(60.0, self._account.durations.role))
        now = self._account.timeline.now()
        return any(machine.principal == principal and now - machine.made < soon for machine in self._account.machines.values())

    def _delete(self, call: ArmCall) -> Reply:
        found = self.assignments.pop(call.name.lower(), None)
        return write_result(call, None, 204) if found is None else write_result(call, self._shown(found))

    def _list(self, call: ArmCall) -> Body:
        scope = call.names.get("scope") or call.path.partition("/providers/Microsoft.Authorization")[0]
        words = " ".join(call.query.get("$filter", "").split()).lower()
        principal = words.split("'")[1] if "principalid eq" in words or "assignedto(" in words else ""
        return page(
            [
                self._shown(one)
                for one in self.assignments.values()
                if principal in ("", one.principal.lower()) and _is_in(one.scope, scope, only="atscope()" in words)
            ]
        )

    def _shown(self, one: Assignment) -> Body:
        root = f"/subscriptions/{self._account.subscription}/providers/Microsoft.Authorization/roleDefinitions"
        return {
            "id": f"{one.scope}/providers/Microsoft.Authorization/roleAssignments/{one.guid}",
            "name": one.guid,
            "type": "Microsoft.Authorization/roleAssignments",
            "properties": {
                "scope": one.scope,
                "roleDefinitionId": f"{root}/{one.role}",
                "principalId": one.principal,
                "principalType": one.principal_type,
                "description": one.description or None,
                "createdOn": time_text(one.made),
                "updatedOn": time_text(one.made),
            },
        }


def _same(one: Assignment, other: Assignment) -> bool:
    return (one.scope.lower(), one.role, one.principal) == (other.scope.lower(), other.role, other.principal)


def _is_in(scope: str, wanted: str, *, only: bool) -> bool:
    """Say whether an assignment's scope is the wanted one, above it, or (without `only`) below it."""
    own, asked = f"{scope.lower()}/", f"{wanted.lower().rstrip('/')}/"
    return asked.startswith(own) or (not only and own.startswith(asked))
