"""Extensions of machines: one publisher's, which installs NVIDIA's driver and restarts the machine for it."""

from ..calls import Reply
from .account import Account, Handler
from .errors import ArmError, not_found
from .lifecycle import Lifecycle
from .machines import TYPE as MACHINES
from .operations import ASYNC, Operations, Plan
from .things import Body, Machine, Resource
from .wire import ArmCall, write_result

TYPE = "Microsoft.Compute/virtualMachines/extensions"
PUBLISHER, DRIVER = "Microsoft.HpcCompute", "NvidiaGpuDriverLinux"


class Extensions:
    """Answers what is about extensions."""

    def __init__(self, account: Account, operations: Operations, lifecycle: Lifecycle) -> None:
        self._account, self._operations, self._lifecycle = account, operations, lifecycle

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        return {
            ("Microsoft.Compute", "virtualMachines/extensions/PUT"): self._put,
            ("Microsoft.Compute", "virtualMachines/extensions/GET"): lambda call: self._found(call).body,
        }

    def _machine(self, call: ArmCall) -> Machine:
        name = call.names["vmName"]
        machine = self._account.machines.get(self._account.id_of(call.group, MACHINES, name).lower())
        if machine is None:
            raise not_found(MACHINES, name, call.group)
        return machine

    def _id(self, call: ArmCall) -> str:
        return f"{self._machine(call).resource.id}/extensions/{call.names['vmExtensionName']}"

    def _found(self, call: ArmCall) -> Resource:
        found = self._account.find(self._id(call))
        if found is None:
            raise not_found(TYPE, call.names["vmExtensionName"], call.group)
        return found

    def _put(self, call: ArmCall) -> Reply:
        machine, given = self._machine(call), call.resource
        self._check(machine, given)
        id, name = self._id(call), call.names["vmExtensionName"]
        existing = self._account.find(id)
        properties = {**given["properties"], "provisioningState": "Creating" if existing is None else "Updating"}
        body = {**given, "id": id, "name": name, "type": TYPE, "properties": properties}
        resource = existing or Resource(id, TYPE, name, self._account.group(call.group).name, body)
        resource.body = body
        self._account.add(resource)
        plan = Plan(
            self._account.durations.driver,
            lambda: self._installed(machine, resource),
            lambda error: self._failed(machine, resource, error),
        )
        task = self._operations.begin(call, machine.region, plan)
        return write_result(call, body, 201 if existing is None else 200, self._operations.headers(call, task, ASYNC))

    def _check(self, machine: Machine, given: Body) -> None:
        named = tuple(given["properties"].get(key) for key in ("publisher", "type"))
        if named != (PUBLISHER, DRIVER) or not str(given["properties"].get("typeHandlerVersion", "")).startswith("1."):
            text = f"The handler for VM extension type '{'.'.join(map(str, named))}' was not found in '{machine.region}'."
            raise ArmError("ArtifactNotFound", text, status=404)
        if given.get("location") != machine.region:
            raise ArmError("InvalidParameter", f"The extension lies in {machine.region}, where its machine is.")
        if machine.power != "running":
            text = f"Cannot modify extensions in the VM '{machine.name}' when the VM is not running."
            raise ArmError("OperationNotAllowed", text)

    def _installed(self, machine: Machine, resource: Resource) -> None:
        if self._account.find(resource.id) is None:
            return
        resource.properties["provisioningState"] = "Succeeded"
        if not machine.has_own_driver and machine.power == "running":
            machine.has_own_driver = True
            self._lifecycle.reboot(machine)

    def _failed(self, machine: Machine, resource: Resource, error: ArmError) -> None:
        """Leave what Azure leaves: a machine that runs, bills, and is said to have failed."""
        resource.properties["provisioningState"] = "Failed"
        machine.properties["provisioningState"] = "Failed"
        machine.failure = error
