"""Virtual machines as Compute's API has them: put, got, listed, and told to start, stop and end."""

from ..calls import Reply
from .account import Account, Handler, new_guid, paged, without
from .errors import ArmError, not_found
from .groups import check_not_ending, check_tags
from .interfaces import Interfaces
from .lifecycle import Lifecycle
from .machine_rules import check_market, check_new, check_size
from .machine_view import check_list, instance_view, listed, shown
from .operations import ASYNC, LOCATION, Operations
from .places import Places
from .sizes import SIZES
from .things import Body, Machine, Resource
from .wire import ArmCall, write_result

TYPE = "Microsoft.Compute/virtualMachines"
DISKS = "Microsoft.Compute/disks"


class Machines:
    """Answers what is about virtual machines."""

    def __init__(
        self, account: Account, operations: Operations, lifecycle: Lifecycle, places: Places, interfaces: Interfaces
    ) -> None:
        self._account, self._operations, self._lifecycle = account, operations, lifecycle
        self._places, self._interfaces = places, interfaces

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        found: dict[str, Handler] = {
            "GET": lambda call: self._shown(call, self._machine(call)),
            "instanceView": lambda call: instance_view(self._account, self._machine(call)),
            "LIST": self._list,
            "PUT": self._put,
            "PATCH": self._patch,
            "DELETE": self._delete,
            "start": self._start,
            "powerOff": self._power_off,
            "deallocate": self._deallocate,
            "restart": self._restart,
            "simulateEviction": self._simulate_eviction,
        }
        return {("Microsoft.Compute", f"virtualMachines/{name}"): handler for name, handler in found.items()}

    def _machine(self, call: ArmCall) -> Machine:
        group = self._account.group(call.group)
        name = call.names["vmName"]
        machine = self._account.machines.get(self._account.id_of(group.name, TYPE, name).lower())
        if machine is None or self._is_hidden(machine, call):
            raise not_found(TYPE, name, call.group)
        if machine.task is not None and call.verb == "GET":
            machine.task.seen()
        return machine

    def _is_hidden(self, machine: Machine, call: ArmCall) -> bool:
        if machine.hidden_reads <= 0 or call.verb != "GET":
            return False
        machine.hidden_reads -= 1
        return True

    def _shown(self, call: ArmCall, machine: Machine) -> Body:
        return shown(self._account, machine, call.query.get("$expand", "").lower())

    def _list(self, call: ArmCall) -> Body:
        check_list(call.query)
        if call.group:
            self._account.group(call.group)
        found = [machine for machine in list(self._account.machines.values()) if _is_asked_for(machine, call)]
        seen = [machine for machine in found if not self._is_hidden(machine, call)]
        return paged(seen, lambda machine: self._in_list(call, machine), call, self._account.page_size)

    def _in_list(self, call: ArmCall, machine: Machine) -> Body:
        if machine.task is not None:
            machine.task.seen()
        return listed(self._account, machine, call.query)

    def _put(self, call: ArmCall) -> Reply:
        group = self._account.group(call.group)
        check_not_ending(group)
        check_tags(call.resource.get("tags") or {})
        existing = self._account.machines.get(self._account.id_of(group.name, TYPE, call.name).lower())
        if existing is None:
            machine = self._new(call)
            task = self._lifecycle.create(call, machine)
            return self._answered(call, machine, 201, self._operations.headers(call, task, ASYNC))
        if existing.state == "deleting":
            raise ArmError("OperationNotAllowed", f"The VM '{existing.name}' is being deleted.")
        _check_fixed(existing, call.resource)
        self._change(existing, call.resource)
        if not existing.power:
            self._places.check_quota(existing.region, SIZES[existing.size], is_spot=existing.is_spot, without=existing)
            task = existing.task if existing.failure is None else self._lifecycle.create(call, existing)
        else:
            task = self._lifecycle.update(call, existing)
        return self._answered(call, existing, 200, self._operations.headers(call, task, ASYNC))

    def _answered(self, call: ArmCall, machine: Machine, status: int, headers: tuple[tuple[str, str], ...]) -> Reply:
        return write_result(call, shown(self._account, machine, ""), status, headers)

    def _new(self, call: ArmCall) -> Machine:
        given = call.resource
        size, _, version = check_new(self._account, call.name, given)
        properties = {**given["properties"], "hardwareProfile": {**given["properties"]["hardwareProfile"], "vmSize": size.name}}
        self._places.check_quota(call.location, size, is_spot=properties.get("priority") in ("Spot", "Low", "SpotPlus"))
        group = self._account.group(call.group)
        id = self._account.id_of(group.name, TYPE, call.name)
        profile = self._interfaces.claimed(id, call.group, call.location, properties.get("networkProfile") or {})
        storage = self._storage(call, properties["storageProfile"], version)
        kept = self._described({**properties, "networkProfile": profile, "storageProfile": storage})
        tags = dict(given.get("tags") or {})
        body = {**given, "id": id, "name": call.name, "type": TYPE, "location": call.location, "tags": tags, "properties": kept}
        resource = Resource(id, TYPE, call.name, group.name, body)
        made = Machine(
            resource,
            self._host_name(call.name, group.name),
            str(properties["osProfile"]["adminUsername"]),
            str(properties["osProfile"].get("customData") or ""),
            str(properties.get("userData") or ""),
            self._account.timeline.now(),
            hidden_reads=self._account.faults.stale_reads,
        )
        self._set_identity(made, given.get("identity") or {})
        self._account.add(resource)
        self._account.machines[id.lower()] = made
        return made

    def _described(self, properties: Body) -> Body:
        """Return a machine's properties as they are shown: what is secret is not, and what was not said is filled in."""
        kept = {
            **without(properties, "userData"),
            "osProfile": {"allowExtensionOperations": True, **without(properties["osProfile"], "customData", "adminPassword")},
            "vmId": new_guid(),
            "timeCreated": self._account.now_text(),
            "provisioningState": "Creating",
        }
        if kept.get("priority") in ("Spot", "Low", "SpotPlus"):
            kept.setdefault("evictionPolicy", "Deallocate")
            kept.setdefault("billingProfile", {"maxPrice": -1.0})
        return kept

    def _host_name(self, name: str, group: str) -> str:
        taken = {machine.id for machine in (*self._account.machines.values(), *self._account.gone)}
        whole = name if name not in taken else f"{group}-{name}"
        return whole if whole not in taken else f"{whole}-{len(taken)}"

    def _storage(self, call: ArmCall, given: Body, version: str) -> Body:
        disk, reference = dict(given["osDisk"]), dict(given["imageReference"])
        name = str(disk.get("name") or f"{call.name}_OsDisk_1_{new_guid().replace('-', '')}")
        kept = self._account.group(call.group).name
        id = self._account.id_of(kept, DISKS, name)
        kind = str((disk.get("managedDisk") or {}).get("storageAccountType") or "Premium_LRS")
        size = int(disk.get("diskSizeGB") or 30)
        body = {
            "id": id,
            "name": name,
            "type": DISKS,
            "location": call.location,
            "tags": dict(call.resource.get("tags") or {}),
            "sku": {"name": kind, "tier": kind.partition("_")[0]},
            "managedBy": self._account.id_of(kept, TYPE, call.name),
            "properties": {
                "osType": "Linux",
                "creationData": {"createOption": "FromImage"},
                "diskSizeGB": size,
                "diskState": "Attached",
                "provisioningState": "Succeeded",
                "timeCreated": self._account.now_text(),
            },
        }
        self._account.add(Resource(id, DISKS, name, kept, body))
        disk |= {"name": name, "osType": "Linux", "managedDisk": {"id": id, "storageAccountType": kind}, "diskSizeGB": size}
        disk.setdefault("caching", "ReadWrite")
        disk.setdefault("deleteOption", "Detach")
        return {**given, "osDisk": disk, "dataDisks": [], "imageReference": {**reference, "exactVersion": version}}

    def _set_identity(self, machine: Machine, given: Body) -> None:
        if str(given.get("type", "None")).startswith("SystemAssigned"):
            old = machine.resource.body.get("identity", {})
            own = {"principalId": old.get("principalId") or new_guid(), "tenantId": self._account.tenant}
            machine.resource.body["identity"] = {**given, **own}
        else:
            machine.resource.body.pop("identity", None)

    def _change(self, machine: Machine, given: Body) -> None:
        """Take over what may change: tags, size, identity, the Spot market's terms."""
        properties = given.get("properties") or {}
        if properties.get("hardwareProfile"):
            size = check_size(self._account, machine.region, properties, machine.resource.body.get("zones") or [])
            if size.name != machine.size:
                self._places.check_quota(machine.region, size, is_spot=machine.is_spot, without=machine)
            machine.properties["hardwareProfile"] = {**properties["hardwareProfile"], "vmSize": size.name}
        if properties.get("billingProfile"):
            check_market(SIZES[machine.size], {**machine.properties, **properties})
            machine.properties["billingProfile"] = properties["billingProfile"]
        if given.get("tags") is not None:
            check_tags(given["tags"])
            machine.resource.body["tags"] = dict(given["tags"])
        if given.get("identity") is not None:
            self._set_identity(machine, given["identity"])
        if properties.get("userData") is not None:
            machine.user_data_text = str(properties["userData"])

    def _patch(self, call: ArmCall) -> Reply:
        machine = self._machine(call)
        _check_fixed(machine, call.resource)
        self._change(machine, call.resource)
        task = self._lifecycle.update(call, machine)
        return self._answered(call, machine, 200, self._operations.headers(call, task, ASYNC))

    def _delete(self, call: ArmCall) -> Reply:
        self._account.group(call.group)
        machine = self._account.machines.get(self._account.id_of(call.group, TYPE, call.name).lower())
        if machine is None:
            return write_result(call, None, 204)
        return self._operations.accepted(call, self._lifecycle.delete(call, machine), ASYNC, LOCATION)

    def _start(self, call: ArmCall) -> Reply:
        machine = self._allocated(call)
        if machine.power == "deallocated":
            check_size(self._account, machine.region, machine.properties, machine.resource.body.get("zones") or [])
            self._places.check_quota(machine.region, SIZES[machine.size], is_spot=machine.is_spot, without=machine)
        return self._operations.accepted(call, self._lifecycle.start(call, machine), ASYNC, LOCATION)

    def _power_off(self, call: ArmCall) -> Reply:
        return self._operations.accepted(call, self._lifecycle.power_off(call, self._allocated(call)), ASYNC, LOCATION)

    def _deallocate(self, call: ArmCall) -> Reply:
        return self._operations.accepted(call, self._lifecycle.deallocate(call, self._allocated(call)), ASYNC, LOCATION)

    def _restart(self, call: ArmCall) -> Reply:
        return self._operations.accepted(call, self._lifecycle.restart(call, self._allocated(call)), ASYNC, LOCATION)

    def _simulate_eviction(self, call: ArmCall) -> Reply:
        machine = self._allocated(call)
        try:
            self._lifecycle.reclaim(machine)
        except ValueError:
            text = f"Simulate eviction is not allowed on VM '{machine.name}': it is no running Azure Spot virtual machine."
            raise ArmError("OperationNotAllowed", text) from None
        return write_result(call, None, 204)

    def _allocated(self, call: ArmCall) -> Machine:
        machine = self._machine(call)
        if machine.state == "deleting":
            raise ArmError("OperationNotAllowed", f"The VM '{machine.name}' is being deleted.")
        return machine


def _is_asked_for(machine: Machine, call: ArmCall) -> bool:
    is_there = call.group.lower() in ("", machine.resource.group.lower())
    return is_there and ("location" not in call.names or machine.region == call.location)


def _check_fixed(machine: Machine, given: Body) -> None:
    """Refuse to change what cannot be changed.

    Raises:
        ArmError: PropertyChangeNotAllowed, naming it.
    """
    properties = given.get("properties") or {}
    login = properties.get("osProfile") or {}
    named = {
        "osProfile.customData": (login.get("customData"), machine.custom_data),
        "osProfile.adminUsername": (login.get("adminUsername"), machine.user),
        "osProfile.computerName": (login.get("computerName"), machine.properties["osProfile"].get("computerName")),
        "priority": (properties.get("priority"), machine.properties.get("priority", "Regular")),
        "evictionPolicy": (properties.get("evictionPolicy"), machine.properties.get("evictionPolicy")),
        "location": (str(given.get("location") or machine.region).replace(" ", "").lower(), machine.region),
    }
    for name, (wanted, is_now) in named.items():
        if wanted is not None and wanted != is_now:
            raise ArmError("PropertyChangeNotAllowed", f"Changing property '{name}' is not allowed.", target=name)
