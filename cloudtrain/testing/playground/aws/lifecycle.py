"""How machines change: every state in between is seen at least once, and what runs underneath follows."""

import json
from collections.abc import Callable
from datetime import timedelta

from ..machine import MachineOrder
from .account import Account, Machine
from .hardware import gpus
from .machine_roles import credential_pages

UNSEEN_S = 5.0
"""A state that nobody looks at lasts this much longer; one that was seen may end."""

NOTICE_S = 120.0
FORGOTTEN_AFTER_S = 3600.0
SPOT_NOTICE = "meta-data/spot/instance-action"

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
BY_USER = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
BY_ITSELF = ("Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown")
BY_SPOT = ("Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination")
BY_FAILURE = ("Server.InternalError", "Server.InternalError: Internal error on launch")


class Lifecycle:
    """Drives the machines of an account. Called with the cloud's lock held."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def launch(self, machine: Machine) -> None:
        """Take in a machine that moto has just made."""
        self._account.machines[machine.id] = machine
        self._set_address(machine, None)
        self._enter(machine, "pending", self._account.durations.pending, self._run)

    def start(self, machine: Machine) -> None:
        """Switch on a stopped machine."""
        machine.instance.state_reason.code, machine.instance.state_reason.message = "", ""
        machine.instance.launch_time = self._account.timeline.now()
        self._enter(machine, "pending", self._account.durations.pending, self._run)

    def stop(self, machine: Machine, reason: tuple[str, str] = BY_USER) -> None:
        """Switch off a running machine; its disk stays."""
        self._account.hypervisor.switch_off(machine.id)
        self._enter(machine, "stopping", self._account.durations.stopping, self._stopped)
        self._give_reason(machine, reason)

    def terminate(self, machine: Machine, reason: tuple[str, str] = BY_USER) -> None:
        """End a machine in any state; one that is ending already goes on ending."""
        if machine.state in ("shutting-down", "terminated"):
            return
        if machine.reclaim is not None:
            self._account.timeline.cancel(machine.reclaim)
        self._account.hypervisor.destroy(machine.id)
        self._close_spot_request(machine, reason)
        self._enter(machine, "shutting-down", self._account.durations.shutting_down, self._terminated)
        self._give_reason(machine, reason)

    def reboot(self, machine: Machine) -> None:
        """Restart a running machine's operating system."""
        self._account.hypervisor.reboot(machine.id)

    def seen(self, machines: list[Machine]) -> None:
        """Note that a caller was shown these machines: what they are in between may end."""
        for machine in machines:
            if machine.change is not None and machine.change_ready is not None:
                machine.change.due = min(machine.change.due, machine.change_ready)

    def powered_off(self, id: str) -> None:
        """Follow a machine whose own operating system switched it off, as its launch asked."""
        machine = self._account.machines.get(id)
        if machine is None or machine.state != "running":
            return
        self._account.note(f"{id} switched itself off")
        # A one-time spot machine cannot be stopped, whatever its launch asked for.
        if machine.instance.instance_initiated_shutdown_behavior == "terminate" or machine.spot_request:
            self.terminate(machine, BY_ITSELF)
        else:
            self.stop(machine, BY_ITSELF)

    def reclaim(self, machine: Machine, notice_s: float = NOTICE_S) -> None:
        """Tell a spot machine that it ends in so many seconds, and end it then.

        Raises:
            ValueError: it is no running spot machine.
        """
        if not machine.spot_request or machine.state != "running":
            raise ValueError(f"{machine.id} is no running spot instance: it is {machine.state}")
        end = self._account.timeline.now() + timedelta(seconds=notice_s)
        notice = {"action": "terminate", "time": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
        self._account.hypervisor.set_metadata(machine.id, SPOT_NOTICE, json.dumps(notice))
        self._account.spot_requests[machine.spot_request].status = "marked-for-termination"
        self._account.note(f"{machine.id} will be reclaimed at {end:%H:%M:%S}")
        if machine.reclaim is not None:
            self._account.timeline.cancel(machine.reclaim)
        machine.reclaim = self._account.timeline.at(end, lambda: self.terminate(machine, BY_SPOT))

    def _enter(self, machine: Machine, state: str, seconds: float, then: Callable[[Machine], None]) -> None:
        timeline = self._account.timeline
        if machine.change is not None:
            timeline.cancel(machine.change)
        _set_state(machine, state)
        machine.change_ready = timeline.now() + timedelta(seconds=seconds)
        machine.change = timeline.after(seconds + UNSEEN_S, lambda: then(machine))

    def _run(self, machine: Machine) -> None:
        machine.change = None
        try:
            machine.booted = self._account.hypervisor.boot(self._order(machine))
        except Exception as error:  # whatever a hypervisor cannot do ends this machine, as a broken host does
            self._account.note(f"{machine.id} did not boot: {error!r}")
            self.terminate(machine, BY_FAILURE)
            return
        machine.boots += 1
        _set_state(machine, "running")
        self._set_address(machine, machine.booted.address)
        self._account.hypervisor.set_metadata(machine.id, "meta-data/public-ipv4", machine.instance.public_ip)

    def _stopped(self, machine: Machine) -> None:
        machine.change, machine.booted = None, None
        self._set_address(machine, None)
        _set_state(machine, "stopped")

    def _terminated(self, machine: Machine) -> None:
        machine.change, machine.booted = None, None
        reason = machine.instance.state_reason
        for nic in machine.instance.nics.values():
            nic.delete_on_termination = True
        machine.instance.terminate()  # moto's own: takes the disks with it that are to go, and writes its own reason
        machine.instance.state_reason = reason
        self._set_address(machine, None)
        self._account.timeline.after(FORGOTTEN_AFTER_S, lambda: self._forget(machine))

    def _forget(self, machine: Machine) -> None:
        """Let go of a machine that ended an hour ago, as EC2 does."""
        self._account.machines.pop(machine.id, None)
        reservations = self._account.moto.ec2(machine.region).reservations
        for key in [key for key, kept in reservations.items() if machine.instance in kept.instances]:
            reservations[key].instances.remove(machine.instance)
            if not reservations[key].instances:
                del reservations[key]

    def _give_reason(self, machine: Machine, reason: tuple[str, str]) -> None:
        machine.instance.state_reason.code, machine.instance.state_reason.message = reason

    def _close_spot_request(self, machine: Machine, reason: tuple[str, str]) -> None:
        request = self._account.spot_requests.get(machine.spot_request)
        if request is not None:
            request.state = "closed" if request.state == "active" else request.state
            request.status = "instance-terminated-no-capacity" if reason == BY_SPOT else "instance-terminated-by-user"

    def _set_address(self, machine: Machine, address: str | None) -> None:
        nic = machine.instance.nics.get(0)
        if nic is not None:
            nic.public_ip = address if nic.public_ip_auto_assign else None

    def _order(self, machine: Machine) -> MachineOrder:
        gpu = gpus(machine.instance.instance_type)
        return MachineOrder(
            id=machine.id,
            user_data=machine.user_data,
            user=machine.user,
            metadata={**_metadata(machine), **credential_pages(machine)},
            gpu=gpu.name,
            gpu_count=gpu.count,
            gpu_memory_mib=gpu.memory_mib,
            compute_capability=gpu.compute_capability,
            environment={"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self._account.port}"},
            reaches=(self._account.port,),
        )


def _set_state(machine: Machine, state: str) -> None:
    machine.instance.instance_state.name, machine.instance.instance_state.code = state, CODES[state]


def _metadata(machine: Machine) -> dict[str, str]:
    instance = machine.instance
    paths = {
        "meta-data/instance-id": machine.id,
        "meta-data/ami-id": instance.image_id,
        "meta-data/instance-type": instance.instance_type,
        "meta-data/instance-life-cycle": "spot" if machine.spot_request else "on-demand",
        "meta-data/local-ipv4": instance.private_ip,
        "meta-data/placement/availability-zone": instance.availability_zone,
        "meta-data/placement/region": machine.region,
    }
    if instance.metadata_options.instance_metadata_tags == "enabled":
        paths |= {f"meta-data/tags/instance/{key}": value for key, value in machine.tags.items()}
    return paths
