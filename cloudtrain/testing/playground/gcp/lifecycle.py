"""How machines change: every state in between is seen at least once, and what runs underneath follows."""

import functools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ..machine import MachineOrder
from .account import Account, Machine, time_text
from .boot import boot_order
from .course import Step
from .errors import Failure, OperationFailedError
from .hardware import last
from .operations import Operation, Operations
from .quotas import Quotas
from .scheduling import seconds
from .wire import GoogleCall

ENDING = ("STOPPING", "TERMINATED")


class Lifecycle:
    """Drives the machines of an account. Called with the cloud's lock held."""

    def __init__(self, account: Account, operations: Operations, quotas: Quotas) -> None:
        self._account, self._operations, self._quotas = account, operations, quotas

    def launch(self, call: GoogleCall, machine: Machine, keep: Callable[[], None]) -> Operation:
        """Make a machine; `keep` puts it and its disks into the account, at once."""
        steps = self._to_running(machine, lambda: self._remove(machine, with_disks=True))
        return self._operations.begin("insert", machine.body, steps, call=call, machine=machine, at_once=keep)

    def start(self, call: GoogleCall, machine: Machine) -> Operation:
        """Switch on a machine that is off."""

        steps = self._to_running(machine, lambda: self._set_state(machine, "TERMINATED"))
        at_once = functools.partial(self._set_state, machine, "PROVISIONING")
        return self._operations.begin("start", machine.body, steps, call=call, machine=machine, at_once=at_once)

    def stop(self, machine: Machine, kind: str = "stop", call: GoogleCall | None = None) -> Operation:
        """Switch off a machine; its disks stay."""
        half = self._account.durations.stopping / 2
        steps = [Step(half), Step(half, lambda: self._stopped(machine))]
        return self._operations.begin(
            kind, machine.body, steps, call=call, machine=machine, at_once=lambda: self._switch_off(machine)
        )

    def delete(self, machine: Machine, kind: str = "delete", call: GoogleCall | None = None) -> Operation:
        """End a machine in any state, and those of its disks that are to go with it."""

        def at_once() -> None:
            self._cancel_reclaim(machine)
            self._switch_off(machine)

        half = self._account.durations.stopping / 2
        steps = [Step(half), Step(half, lambda: self._deleted(machine))]
        return self._operations.begin(kind, machine.body, steps, call=call, machine=machine, at_once=at_once)

    def reset(self, call: GoogleCall, machine: Machine) -> Operation:
        """Restart a machine's operating system."""
        return self._operations.change(call, machine.body, lambda: self._account.hypervisor.reboot(machine.id))

    def powered_off(self, id: str) -> None:
        """Follow a machine whose own operating system switched it off: it is stopped, whatever it was to do at its deadline."""
        machine = next((one for one in self._account.machines.values() if one.id == id), None)
        if machine is None or machine.state != "RUNNING":
            return
        self._account.note(f"{id} switched itself off")
        self.stop(machine, "compute.instances.guestTerminate")

    def reclaim(self, machine: Machine, notice_s: float | None = None) -> None:
        """Take a Spot machine back.

        Its metadata says `instance/preempted` TRUE at once; when the notice that it asked for has passed (120 seconds or
        none), Compute Engine sends ACPI's soft off and 30 seconds later ends it, as `instanceTerminationAction` says. That
        the early notice is this same key turning TRUE is what cluster-api-provider-gcp ("Advance notice for Spot preemption")
        and karpenter-provider-gcp (interruption controller) say; Google's reference only says "Metadata Service preemption
        notice". The soft off itself is not sent here: no process hears of it.

        Raises:
            ValueError: it is no running Spot machine.
        """
        if not machine.is_spot or machine.state != "RUNNING":
            raise ValueError(f"{machine.id} is no running Spot instance: it is {machine.state}")
        if notice_s is None:
            notice_s = seconds(machine.scheduling.get("preemptionNoticeDuration"))
        self._account.hypervisor.set_metadata(machine.id, "instance/preempted", "TRUE")
        self._account.note(f"{machine.id} is preempted: its shutdown begins in {notice_s:g} s")
        self._cancel_reclaim(machine)
        machine.reclaim = self._account.timeline.after(
            notice_s + self._account.durations.soft_off, lambda: self._preempted(machine)
        )

    def arm(self, machine: Machine) -> None:
        """Give a machine that runs the end that its scheduling asks for."""
        self._disarm(machine)
        end = self._end_of(machine)
        if end is not None:
            machine.body["resourceStatus"] = {"scheduling": {"terminationTimestamp": time_text(end)}}
            machine.deadline = self._account.timeline.at(end, lambda: self._expired(machine))

    def _to_running(self, machine: Machine, undo: Callable[[], None]) -> Sequence[Step]:
        def take_room() -> None:
            if failure := self._quotas.exceeded(machine):
                undo()
                raise OperationFailedError(failure)
            self._set_state(machine, "STAGING")

        durations = self._account.durations
        return [Step(durations.provisioning, take_room), Step(durations.staging, lambda: self._run(machine))]

    def _run(self, machine: Machine) -> None:
        try:
            machine.booted = self._account.hypervisor.boot(self._order(machine))
        except Exception as error:  # whatever a hypervisor cannot do ends this machine, as a broken host does
            self._account.note(f"{machine.id} did not boot: {error!r}")
            self._set_state(machine, "TERMINATED")
            raise OperationFailedError(Failure("INTERNAL_ERROR", "Internal error. Please try again.")) from error
        machine.boots += 1
        self._set_state(machine, "RUNNING")
        machine.body["lastStartTimestamp"] = self._account.now_text()
        self._set_address(machine, machine.booted.address)
        self.arm(machine)

    def _switch_off(self, machine: Machine) -> None:
        self._disarm(machine)
        self._account.hypervisor.switch_off(machine.id)
        if machine.state != "TERMINATED":
            self._set_state(machine, "STOPPING")

    def _stopped(self, machine: Machine) -> None:
        self._cancel_reclaim(machine)
        machine.booted = None
        self._set_address(machine, None)
        machine.body["lastStopTimestamp"] = self._account.now_text()
        self._set_state(machine, "TERMINATED")

    def _deleted(self, machine: Machine) -> None:
        self._remove(machine, with_disks=False)

    def _remove(self, machine: Machine, *, with_disks: bool) -> None:
        """Let go of a machine, and of its disks: those that go with it, or all, when it never was."""
        if self._account.machines.get((machine.zone, machine.name)) is not machine:
            return  # deleted twice
        del self._account.machines[machine.zone, machine.name]
        self._account.hypervisor.destroy(machine.id)
        for attached in machine.body["disks"]:
            key = (machine.zone, last(attached["source"]))
            disk = self._account.disks.get(key)
            if disk is not None and (attached["autoDelete"] or with_disks):
                del self._account.disks[key]
            elif disk is not None:
                disk["users"] = [user for user in disk.get("users", []) if user != machine.body["selfLink"]]

    def _preempted(self, machine: Machine) -> None:
        machine.reclaim = None
        if machine.state != "RUNNING":
            return
        self._end(machine, "compute.instances.preempted")

    def _expired(self, machine: Machine) -> None:
        """End a machine whose time is over. What Google calls this operation is not known here; this uses stop and delete."""
        machine.deadline = None
        if machine.state == "RUNNING":
            self._account.note(f"{machine.id} has run as long as it may")
            self._end(machine, "")

    def _end(self, machine: Machine, kind: str) -> None:
        if machine.scheduling.get("instanceTerminationAction") == "DELETE":
            self.delete(machine, kind or "delete")
        else:
            self.stop(machine, kind or "stop")

    def _end_of(self, machine: Machine) -> datetime | None:
        length = machine.scheduling.get("maxRunDuration")
        if length:
            return self._account.timeline.now() + timedelta(seconds=seconds(length))
        moment = machine.scheduling.get("terminationTime")
        return datetime.fromisoformat(str(moment)) if moment else None

    def _disarm(self, machine: Machine) -> None:
        if machine.deadline is not None:
            self._account.timeline.cancel(machine.deadline)
        machine.deadline = None
        machine.body["resourceStatus"] = {"scheduling": {}}

    def _cancel_reclaim(self, machine: Machine) -> None:
        if machine.reclaim is not None:
            self._account.timeline.cancel(machine.reclaim)
        machine.reclaim = None

    def _set_state(self, machine: Machine, state: str) -> None:
        machine.body["status"] = state

    def _set_address(self, machine: Machine, address: str | None) -> None:
        for nic in machine.body["networkInterfaces"]:
            for config in nic.get("accessConfigs", [])[:1]:
                config.pop("natIP", None)
                config.update({"natIP": address} if address else {})

    def _order(self, machine: Machine) -> MachineOrder:
        return boot_order(self._account, machine)
