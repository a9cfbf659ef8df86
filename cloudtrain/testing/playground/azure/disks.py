"""Managed disks: what machines have brought, shown, listed, tagged and deleted."""

from ..calls import Reply
from .account import Account, Handler, page
from .errors import ArmError
from .groups import check_tags
from .operations import ASYNC, LOCATION, Operations, Plan
from .things import Body, Resource
from .wire import ArmCall, write_result

TYPE = "Microsoft.Compute/disks"


class Disks:
    """Answers what is about disks."""

    def __init__(self, account: Account, operations: Operations) -> None:
        self._account, self._operations = account, operations

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        compute = "Microsoft.Compute"
        return {
            (compute, "disks/GET"): lambda call: self._found(call).body,
            (compute, "disks/LIST"): self._list,
            (compute, "disks/PATCH"): self._patch,
            (compute, "disks/DELETE"): self._delete,
        }

    def _found(self, call: ArmCall) -> Resource:
        return self._account.resource(call.group, TYPE, call.name)

    def _list(self, call: ArmCall) -> Body:
        if call.group:
            self._account.group(call.group)
        return page([disk.body for disk in self._account.of_type(TYPE, call.group)])

    def _patch(self, call: ArmCall) -> Reply:
        disk = self._found(call)
        if call.resource.get("tags") is not None:
            check_tags(call.resource["tags"])
            disk.body["tags"] = dict(call.resource["tags"])
        wanted = (call.resource.get("properties") or {}).get("diskSizeGB")
        if wanted is not None and int(wanted) < int(disk.properties["diskSizeGB"]):
            raise ArmError("OperationNotAllowed", "Disk size reduction is not supported.")
        if wanted is not None:
            disk.properties["diskSizeGB"] = int(wanted)
        task = self._operations.begin(call, str(disk.body["location"]), Plan(0.0, lambda: None, is_slow=False))
        return write_result(call, disk.body, 200, self._operations.headers(call, task, ASYNC))

    def _delete(self, call: ArmCall) -> Reply:
        self._account.group(call.group)
        disk = self._account.find(self._account.id_of(call.group, TYPE, call.name))
        if disk is None:
            return write_result(call, None, 204)
        if disk.body.get("managedBy"):
            raise ArmError("OperationNotAllowed", f"Disk {disk.name} is attached to VM {disk.body['managedBy']}.")
        plan = Plan(0.0, lambda: self._account.remove(disk.id), is_slow=False)
        task = self._operations.begin(call, str(disk.body["location"]), plan)
        return self._operations.accepted(call, task, ASYNC, LOCATION)
