"""Networks, security groups, addresses and interfaces: put, got, listed and deleted, each an operation of its own."""

from collections.abc import Callable

from ..calls import Reply
from .account import Account, Handler, new_guid, page, paged
from .errors import ArmError, not_found
from .groups import check_not_ending, check_tags
from .network_rules import accepted, find_users, shown, users_of
from .operations import ASYNC, LOCATION, Operations, Plan
from .things import Body, Resource
from .wire import ArmCall, write_result

GROUPS, NETWORKS = "Microsoft.Network/networkSecurityGroups", "Microsoft.Network/virtualNetworks"
ADDRESSES, INTERFACES = "Microsoft.Network/publicIPAddresses", "Microsoft.Network/networkInterfaces"
PARTS = {GROUPS: "securityRules", NETWORKS: "subnets"}
"""What lies inside a resource of a type and has routes of its own."""


class Network:
    """Answers what is about networks."""

    def __init__(self, account: Account, operations: Operations) -> None:
        self._account, self._operations = account, operations

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        found: dict[tuple[str, str], Handler] = {}
        for type in (GROUPS, NETWORKS, ADDRESSES, INTERFACES):
            for verb, handler in self._of(type).items():
                found["Microsoft.Network", f"{type.partition('/')[2]}/{verb}"] = handler
        for type, part in PARTS.items():
            for verb, handler in self._of_parts(type, part).items():
                found["Microsoft.Network", f"{type.partition('/')[2]}/{part}/{verb}"] = handler
        return found

    def make(self, type: str, group: str, name: str, given: Body) -> Resource:
        """Put a resource there at once, as a machine does that brings its own interface.

        Raises:
            ArmError: it breaks a rule.
        """
        made = accepted(self._account, self._new(type, group, name, given))
        made.properties["provisioningState"] = "Succeeded"
        self._account.add(made)
        return made

    def shown(self, resource: Resource) -> Body:
        """Return a resource as replies show it."""
        return shown(resource, find_users(self._account))

    def _of(self, type: str) -> dict[str, Handler]:
        return {
            "GET": lambda call: self.shown(self._account.resource(call.group, type, call.name)),
            "LIST": lambda call: self._list(call, type),
            "PUT": lambda call: self._put(call, type),
            "PATCH": lambda call: self._patch(call, type),
            "DELETE": lambda call: self._delete(call, type),
        }

    def _of_parts(self, type: str, part: str) -> dict[str, Handler]:
        return {
            "GET": lambda call: _found(self._parts(call, type, part), call),
            "LIST": lambda call: page(self._parts(call, type, part)),
            "PUT": lambda call: self._put_part(call, type, part),
            "DELETE": lambda call: self._delete_part(call, type, part),
        }

    def _new(self, type: str, group: str, name: str, given: Body) -> Resource:
        kept = self._account.group(group)
        id = self._account.id_of(kept.name, type, name)
        body = {**given, "id": id, "name": name, "type": type, "etag": f'W/"{new_guid()}"'}
        body["properties"] = {**(given.get("properties") or {}), "resourceGuid": new_guid()}
        return Resource(id, type, name, kept.name, body)

    def _list(self, call: ArmCall, type: str) -> Body:
        if call.group:
            self._account.group(call.group)
        found, users = list(self._account.of_type(type, call.group)), find_users(self._account)
        return paged(found, lambda resource: shown(resource, users), call, self._account.page_size)

    def _put(self, call: ArmCall, type: str) -> Reply:
        check_not_ending(self._account.group(call.group))
        check_tags(call.resource.get("tags") or {})
        existing = self._account.find(self._account.id_of(self._account.group(call.group).name, type, call.name))
        made = self._new(type, call.group, call.name, call.resource)
        if existing is not None:
            made.properties["resourceGuid"] = existing.properties["resourceGuid"]
            _keep_what_is_ours(existing, made)
        made = accepted(self._account, made)
        return self._change(call, made, 200 if existing else 201)

    def _change(self, call: ArmCall, made: Resource, status: int, reply: Callable[[], Body] | None = None) -> Reply:
        made.properties["provisioningState"] = "Updating"
        self._account.add(made)
        plan = Plan(
            self._account.durations.network, lambda: _set(made, "Succeeded"), lambda error: _set(made, "Failed"), is_slow=False
        )
        task = self._operations.begin(call, str(made.body.get("location") or "eastus"), plan)
        headers = self._operations.headers(call, task, ASYNC)
        return write_result(call, reply() if reply else self.shown(made), status, headers)

    def _patch(self, call: ArmCall, type: str) -> Body:
        resource = self._account.resource(call.group, type, call.name)
        check_tags(call.resource.get("tags") or {})
        resource.body["tags"] = dict(call.resource.get("tags") or {})
        return self.shown(resource)

    def _delete(self, call: ArmCall, type: str) -> Reply:
        self._account.group(call.group)
        resource = self._account.find(self._account.id_of(call.group, type, call.name))
        if resource is None:
            return write_result(call, None, 204)
        _check_unused(self._account, resource)
        resource.properties["provisioningState"] = "Deleting"
        plan = Plan(
            self._account.durations.network,
            lambda: self._account.remove(resource.id),
            lambda error: _set(resource, "Failed"),
            is_slow=False,
        )
        task = self._operations.begin(call, str(resource.body.get("location") or "eastus"), plan)
        return self._operations.accepted(call, task, ASYNC, LOCATION)

    def _owner(self, call: ArmCall, type: str) -> Resource:
        """Return what the part that a call names is in."""
        segments = call.path.rstrip("/").split("/")
        kinds = [place for place, word in enumerate(segments) if word.lower() == type.partition("/")[2].lower()]
        return self._account.resource(call.group, type, segments[kinds[-1] + 1])

    def _parts(self, call: ArmCall, type: str, part: str) -> list[Body]:
        found: list[Body] = self.shown(self._owner(call, type))["properties"].get(part, [])
        return found

    def _put_part(self, call: ArmCall, type: str, part: str) -> Reply:
        owner = self._owner(call, type)
        old = owner.properties.get(part, [])
        others = [one for one in old if one["name"].lower() != call.name.lower()]
        entry = {"name": call.name, "properties": call.resource.get("properties") or {}}
        changed = Resource(owner.id, owner.type, owner.name, owner.group, {**owner.body})
        changed.body["properties"] = {**owner.properties, part: [*others, entry]}
        changed = accepted(self._account, changed)
        is_new = len(others) == len(old)
        return self._change(call, changed, 201 if is_new else 200, lambda: _found(self._parts(call, type, part), call))

    def _delete_part(self, call: ArmCall, type: str, part: str) -> Reply:
        owner = self._owner(call, type)
        kept = [one for one in owner.properties.get(part, []) if one["name"].lower() != call.name.lower()]
        if len(kept) == len(owner.properties.get(part, [])):
            return write_result(call, None, 204)
        if part == "subnets":
            _check_subnet_unused(self._account, f"{owner.id}/subnets/{call.name}")
        plan = Plan(self._account.durations.network, lambda: owner.properties.update({part: kept}), is_slow=False)
        task = self._operations.begin(call, str(owner.body.get("location") or "eastus"), plan)
        return self._operations.accepted(call, task, ASYNC, LOCATION)


def _set(resource: Resource, state: str) -> None:
    resource.properties["provisioningState"] = state


def _keep_what_is_ours(old: Resource, new: Resource) -> None:
    for key in ("virtualMachine", "ipAddress", "macAddress"):
        if key in old.properties:
            new.properties[key] = old.properties[key]


def _found(parts: list[Body], call: ArmCall) -> Body:
    for one in parts:
        if str(one["name"]).lower() == call.name.lower():
            return one
    kind = f"{call.service}/{call.action.rpartition('/')[0]}"
    raise not_found(kind, call.name, call.group)


def _check_unused(account: Account, resource: Resource) -> None:
    """Refuse to delete what something else needs.

    Raises:
        ArmError: it does.
    """
    users = users_of(account, resource)
    if resource.type == NETWORKS:
        for subnet in resource.properties.get("subnets", []):
            _check_subnet_unused(account, f"{resource.id}/subnets/{subnet['name']}")
    if not users:
        return
    if resource.type == GROUPS:
        text = f"Network security group {resource.id} cannot be deleted because it is in use by the following resources: "
        text += (
            f"{', '.join(users)}. In order to delete the Network security group, remove the association with the resource(s)."
        )
        raise ArmError("InUseNetworkSecurityGroupCannotBeDeleted", text)
    if resource.type == ADDRESSES:
        text = (
            f"Public IP address {resource.id} can not be deleted since it is still allocated to resource {users[0]}. In "
            "order to "
        )
        text += "delete the public IP, disassociate/detach the Public IP address from the resource."
        raise ArmError("PublicIPAddressCannotBeDeleted", text)
    if resource.type == INTERFACES:
        text = (
            f"Network Interface {resource.id} is used by existing resource {users[0]}. In order to delete the network "
            "interface, "
        )
        raise ArmError("NicInUse", f"{text}it must be dissociated from the resource. To learn more, see aka.ms/deletenic.")


def _check_subnet_unused(account: Account, id: str) -> None:
    users = [
        f"{nic.id}/ipConfigurations/{one['name']}"
        for nic in account.of_type(INTERFACES)
        for one in nic.properties["ipConfigurations"]
        if str(one["properties"]["subnet"]["id"]).lower() == id.lower()
    ]
    if users:
        text = (
            f"Subnet {id.rpartition('/')[2]} is in use by {users[0]} and cannot be deleted. In order to delete the subnet, "
            "delete "
        )
        raise ArmError("InUseSubnetCannotBeDeleted", f"{text}all the resources within the subnet. See aka.ms/deletesubnet.")
