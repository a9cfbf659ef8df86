"""How machines change: power states that bill as Azure's do, and what runs underneath follows."""

import json
from collections.abc import Callable
from datetime import timedelta

from .account import Account
from .boot import boot_order, scheduled_event
from .entra import Entra
from .errors import ArmError
from .network_rules import PLACEHOLDER, public_address
from .operations import Operations, Plan, Task
from .things import BILLED, Machine, Resource
from .wire import ArmCall

NOTICE_S = 30.0
NO_EVENTS = json.dumps({"DocumentIncarnation": 1, "Events": []})


class Lifecycle:
    """Drives the machines of a subscription. Called with the cloud's lock held."""

    def __init__(self, account: Account, operations: Operations, entra: Entra) -> None:
        self._account, self._operations, self._entra = account, operations, entra
        self.forget: Callable[[str], None] = lambda scope: None

    def create(self, call: ArmCall, machine: Machine) -> Task:
        """Boot a machine that has just been taken in; one that failed before is tried again."""
        machine.failure = None
        machine.properties["provisioningState"] = "Creating"
        plan = Plan(self._account.durations.create, lambda: self._run(machine), lambda error: self._fail(machine, error))
        return self._begin(call, machine, plan)

    def update(self, call: ArmCall, machine: Machine) -> Task:
        """Let a change of a machine's description take effect."""
        machine.properties["provisioningState"] = "Updating"
        return self._begin(call, machine, Plan(0.0, lambda: self._done(machine), is_slow=False))

    def start(self, call: ArmCall, machine: Machine) -> Task:
        """Switch a machine on; one that runs goes on running."""
        if machine.power == "running":
            return self._begin(call, machine, Plan(0.0, lambda: self._done(machine)))
        if machine.power in ("deallocated", ""):
            machine.failure = None
        machine.properties["provisioningState"] = "Updating"
        was, power = machine.power, "starting"
        self._set_power(machine, power)
        plan = Plan(
            self._account.durations.start, lambda: self._run(machine), lambda error: self._not_started(machine, was, error)
        )
        return self._begin(call, machine, plan)

    def power_off(self, call: ArmCall, machine: Machine) -> Task:
        """Switch a machine off. It goes on billing: that is what `deallocate` is for."""
        if machine.power == "deallocated":
            return self._begin(call, machine, Plan(0.0, lambda: self._done(machine)))
        self._account.hypervisor.switch_off(machine.id)
        return self._ending(call, machine, "stopping", "stopped", self._account.durations.stop)

    def deallocate(self, call: ArmCall, machine: Machine) -> Task:
        """Switch a machine off and give its hardware back: nothing bills but its disk and its address."""
        if machine.power == "deallocated":
            return self._begin(call, machine, Plan(0.0, lambda: self._done(machine)))
        self._account.hypervisor.switch_off(machine.id)
        return self._ending(call, machine, "deallocating", "deallocated", self._account.durations.deallocate)

    def deallocate_by_itself(self, machine: Machine, why: str) -> None:
        """Do so because something in the cloud wants it; what is no more, or has no hardware, is left alone."""
        if machine.power in ("deallocated", "deallocating", "") or machine.state == "deleting":
            return
        self._account.note(f"{machine.id} is deallocated by {why}")
        self._account.hypervisor.switch_off(machine.id)
        self._operations.preempt(machine.task)
        self._set_power(machine, "deallocating")
        plan = Plan(self._account.durations.deallocate, lambda: self._stopped(machine, "deallocated"))
        machine.task = self._operations.begin_unasked("Microsoft.Compute", machine.region, plan)

    def restart(self, call: ArmCall, machine: Machine) -> Task:
        """Restart a machine's operating system."""
        if machine.power != "running":
            text = f"Cannot restart VM '{machine.name}' as it is not running."
            raise ArmError("OperationNotAllowed", text)
        self.reboot(machine)
        return self._begin(call, machine, Plan(self._account.durations.start, lambda: self._done(machine)))

    def reboot(self, machine: Machine) -> None:
        """Restart a machine's operating system, which finds what has come to it meanwhile."""
        self._account.hypervisor.reboot(machine.id, boot_order(self._account, self._entra, machine))

    def delete(self, call: ArmCall, machine: Machine) -> Task:
        """End a machine in any state, and what is to go with it."""
        machine.properties["provisioningState"] = "Deleting"
        self._account.hypervisor.destroy(machine.id)
        plan = Plan(self._account.durations.delete, lambda: self.remove(machine), lambda error: self._fail(machine, error))
        return self._begin(call, machine, plan)

    def remove(self, machine: Machine) -> None:
        """Let a machine be gone, with the disk, interfaces and addresses that are to go with it."""
        id = machine.resource.id
        if id.lower() not in self._account.machines:
            return
        self._operations.preempt(machine.task)
        if machine.reclaim is not None:
            self._account.timeline.cancel(machine.reclaim)
        self._account.hypervisor.destroy(machine.id)
        self._set_power(machine, "")
        machine.properties["provisioningState"] = "Deleting"
        del self._account.machines[id.lower()]
        self._account.gone.append(machine)
        self._account.remove(id)
        self.forget(id)
        _clear_beside(self._account, machine)

    def powered_off(self, id: str) -> None:
        """Follow a machine whose own operating system switched it off: it is stopped, and bills."""
        machine = next((one for one in self._account.machines.values() if one.id == id), None)
        if machine is None or machine.power not in ("running", "starting"):
            return
        self._account.note(f"{id} switched itself off, and goes on billing")
        self._stopped(machine, "stopped")

    def reclaim(self, machine: Machine, notice_s: float = NOTICE_S) -> None:
        """Tell a Spot machine that it is evicted in so many seconds, and do it then, as its eviction policy says.

        Raises:
            ValueError: it is no running Spot machine.
        """
        if not machine.is_spot or machine.power != "running":
            raise ValueError(f"{machine.id} is no running Spot machine: it is {machine.state}")
        now = self._account.timeline.now()
        end = now + timedelta(seconds=notice_s)
        self._account.hypervisor.set_metadata(machine.id, "scheduledevents", scheduled_event(machine, end))
        self._account.note(f"{machine.id} will be evicted at {end:%H:%M:%S}")
        if machine.reclaim is not None:
            self._account.timeline.cancel(machine.reclaim)
        machine.reclaim = self._account.timeline.at(end, lambda: self._evict(machine))

    def _evict(self, machine: Machine) -> None:
        machine.reclaim = None
        if machine.properties.get("evictionPolicy") == "Delete":
            self._account.note(f"{machine.id} is evicted and deleted")
            self.remove(machine)
        else:
            self._account.hypervisor.set_metadata(machine.id, "scheduledevents", NO_EVENTS)
            self.deallocate_by_itself(machine, "its eviction")

    def _begin(self, call: ArmCall, machine: Machine, plan: Plan) -> Task:
        self._operations.preempt(machine.task)
        task = self._operations.begin(call, machine.region, plan)
        machine.task = task
        return task

    def _ending(self, call: ArmCall, machine: Machine, meanwhile: str, at_last: str, seconds: float) -> Task:
        machine.properties["provisioningState"] = "Updating"
        self._set_power(machine, meanwhile)
        plan = Plan(seconds, lambda: self._stopped(machine, at_last), lambda error: self._not_ended(machine, meanwhile, error))
        return self._begin(call, machine, plan)

    def _run(self, machine: Machine) -> None:
        if not machine.power:
            self._set_power(machine, "starting")
        try:
            machine.booted = self._account.hypervisor.boot(boot_order(self._account, self._entra, machine))
        except Exception as error:  # whatever a hypervisor cannot do fails this operation, as a broken host does
            self._account.note(f"{machine.id} did not boot: {error!r}")
            raise ArmError("OSProvisioningInternalError", f"OS Provisioning failed for VM '{machine.name}'.") from error
        machine.boots += 1
        machine.allocated_at = self._account.timeline.now()
        self._set_power(machine, "running")
        self._done(machine)
        if (address := public_address(self._account, machine)) is not None:
            address.properties["ipAddress"] = machine.booted.address

    def _done(self, machine: Machine) -> None:
        machine.properties["provisioningState"] = "Succeeded"

    def _stopped(self, machine: Machine, power: str) -> None:
        machine.booted = machine.failure = None
        self._set_power(machine, power)
        self._done(machine)
        if power == "deallocated" and machine.reclaim is not None:
            self._account.timeline.cancel(machine.reclaim)
            machine.reclaim = None
        # A machine that is off answers nowhere, and may answer elsewhere next time.
        if (address := public_address(self._account, machine)) is not None:
            address.properties["ipAddress"] = PLACEHOLDER.format(len(self._account.resources) % 254 + 1)

    def _fail(self, machine: Machine, error: ArmError) -> None:
        """Leave what Azure leaves of a machine that could not be made: the machine, failed."""
        machine.properties["provisioningState"] = "Failed"
        machine.failure = error
        if machine.power == "starting":
            self._set_power(machine, "")

    def _not_started(self, machine: Machine, was: str, error: ArmError) -> None:
        self._set_power(machine, was if was in ("deallocated", "stopped") else "deallocated")
        machine.properties["provisioningState"] = "Failed"
        machine.failure = error

    def _not_ended(self, machine: Machine, meanwhile: str, error: ArmError) -> None:
        """Leave a machine that could not be switched off as it was on its way: nobody works on it any more, and it bills."""
        self._set_power(machine, meanwhile)
        machine.meter.turn(self._account.timeline.now(), on=True)
        machine.properties["provisioningState"] = "Failed"
        machine.failure = error

    def _set_power(self, machine: Machine, power: str) -> None:
        machine.power = power
        machine.meter.turn(self._account.timeline.now(), on=power in BILLED)
        disk = self._account.find(str(machine.properties["storageProfile"]["osDisk"]["managedDisk"].get("id", "")))
        if disk is not None:
            disk.properties["diskState"] = "Reserved" if power == "deallocated" else "Attached"


def _clear_beside(account: Account, machine: Machine) -> None:
    """Delete what was made to go with a machine; let go of the rest."""
    profile = machine.properties["storageProfile"]
    for disk in (profile["osDisk"], *profile.get("dataDisks", [])):
        found = account.find(str((disk.get("managedDisk") or {}).get("id", "")))
        if found is not None and disk.get("deleteOption") == "Delete":
            account.remove(found.id)
        elif found is not None:
            found.properties["diskState"] = "Unattached"
            found.body.pop("managedBy", None)
    for given in machine.properties["networkProfile"].get("networkInterfaces", []):
        nic = account.find(str(given["id"]))
        if nic is None:
            continue
        nic.properties.pop("virtualMachine", None)
        if (given.get("properties") or {}).get("deleteOption") == "Delete":
            account.remove(nic.id)
            _clear_addresses(account, nic)


def _clear_addresses(account: Account, nic: Resource) -> None:
    for one in nic.properties["ipConfigurations"]:
        given = one["properties"].get("publicIPAddress") or {}
        address = account.find(str(given.get("id", "")))
        options = (
            (given.get("properties") or {}).get("deleteOption"),
            (address.properties if address else {}).get("deleteOption"),
        )
        if address is not None and "Delete" in options:
            account.remove(address.id)
