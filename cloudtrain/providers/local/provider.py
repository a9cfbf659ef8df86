"""This computer as a provider: no meter, no cloud, the same contract. A machine is a folder, and jobs run beside you."""

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from ...model.errors import ProviderError
from ...model.finding import Finding
from ...model.instance import Instance, InstanceRef, InstanceState, LaunchOrder, Leftover
from ...model.lease import Lease
from ...model.offer import Offer
from ...model.spec import Resources
from ..base import ProviderSettings
from ..extras import is_installed
from ..folders import disk_errors_told
from ..gpu_models import most_alike
from ..processes import end_processes
from .folder import INSTANCE_TYPE, NAME, REGION, Machine, MachineFolders
from .hardware import GIB, cpu_count, gpus, memory_gib

ROOM_GIB = 10.0
"""Less free disk than this, GiB, and a framework's packages may not fit."""


class LocalProvider:
    """A `Provider` that is `Pausable`: stopping ends the jobs and keeps the folder."""

    name = NAME

    def __init__(self, settings: ProviderSettings) -> None:
        self._clock = settings.clock
        self._home = settings.home
        self._machines = MachineFolders(settings.home / "local-machines")

    def check(self) -> Sequence[Finding]:
        """Look at this computer: Python, disk, an installer, GPUs."""
        return (
            Finding(True, "python", platform.python_version()),
            self._disk_finding(),
            _installer_finding(),
            _gpu_finding(),
        )

    def offers(self, need: Resources) -> Sequence[Offer]:
        """Return this computer, if it satisfies the need."""
        alike = most_alike(gpus())
        offer = Offer(
            provider=NAME,
            instance_type=INSTANCE_TYPE,
            region=REGION,
            usd_per_hour=0.0,
            vcpus=cpu_count(),
            memory_gib=memory_gib(),
            gpu=alike[0].model if alike else "",
            gpu_count=len(alike),
            gpu_memory_gib=alike[0].memory_gib if alike else 0.0,
            compute_capability=alike[0].compute_capability if alike else "",
            source="none",
        )
        return (offer,) if offer.satisfies(need) else ()

    def launch(self, order: LaunchOrder) -> Instance:
        """Make a folder that plays a machine, running at once, or return the one this token made."""
        if order.offer.instance_type != INSTANCE_TYPE:
            raise ProviderError(
                f"This computer is {INSTANCE_TYPE!r} and no {order.offer.instance_type!r}", "cloudtrain offers --provider local"
            )
        with disk_errors_told(self._home):
            return self._shown(self._machines.add(Machine.ordered(order, self._clock.now())))

    def get(self, ref: InstanceRef) -> Instance:
        """Return the machine. Past its deadline it still shows RUNNING, with that deadline: it has no meter."""
        with disk_errors_told(self._home):
            return self._shown(self._machines.read(ref.id))

    def list_owned(self) -> Sequence[Instance]:
        """Return every machine of this computer."""
        with disk_errors_told(self._home):
            return tuple(self._machines.all())

    def leftovers(self) -> Sequence[Leftover]:
        """Return the folders of ended machines that could not be removed; they cost room, not money."""
        with disk_errors_told(self._home):
            return tuple(Leftover(NAME, "folder", str(root), REGION) for root in self._machines.unfinished())

    def remove(self, leftover: Leftover) -> None:
        """Remove the folder of an ended machine."""
        with disk_errors_told(self._home):
            self._machines.remove(Path(leftover.id).name)

    def terminate(self, ref: InstanceRef) -> None:
        """End what runs on the machine and remove its folder."""
        with disk_errors_told(self._home):
            self._machines.remove(ref.id)

    def extend(self, ref: InstanceRef, lease: Lease) -> None:
        """Move the deadline of a running machine."""
        with disk_errors_told(self._home):
            machine = self._machines.read(ref.id)
            if machine.state is not InstanceState.RUNNING:
                raise ProviderError(
                    f"{machine.name} is stopped and has no deadline to move", f"Start it: cloudtrain start {machine.name}"
                )
            self._machines.change(machine.running_until(lease.deadline))

    def stop(self, ref: InstanceRef) -> None:
        """End what runs on the machine and keep its folder."""
        with disk_errors_told(self._home):
            machine = self._machines.read(ref.id)
            end_processes(self._machines.root(ref.id))
            self._machines.change(machine.stopped())

    def start(self, ref: InstanceRef, lease: Lease) -> Instance:
        """Let the machine run under a new lease."""
        with disk_errors_told(self._home):
            machine = self._machines.read(ref.id).running_until(lease.deadline)
            self._machines.change(machine)
            return self._shown(machine)

    def _shown(self, machine: Machine) -> Instance:
        return machine.shown(self._machines.root(machine.id))

    def _disk_finding(self) -> Finding:
        # The state folder may not have been made yet.
        there = next(folder for folder in (self._home, *self._home.absolute().parents) if folder.exists())
        free = shutil.disk_usage(there).free / GIB
        if free < ROOM_GIB:
            return Finding(False, "disk", f"{free:.1f} GiB are free at {there}", f"Make room: {ROOM_GIB:.0f} GiB or more")
        return Finding(True, "disk", f"{free:.1f} GiB are free at {there}")


def create(settings: ProviderSettings) -> LocalProvider:
    """Make the provider."""
    return LocalProvider(settings)


def _installer_finding() -> Finding:
    uv = shutil.which("uv")
    if uv is not None:
        return Finding(True, "installer", f"uv: {uv}")
    if is_installed("pip"):
        return Finding(True, "installer", "pip; uv would be faster")
    return Finding(False, "installer", "neither uv nor pip was found", "python -m ensurepip")


def _gpu_finding() -> Finding:
    found = gpus()
    if not found:
        return Finding(True, "gpu", "no NVIDIA GPU was found; jobs run on the processor")
    return Finding(True, "gpu", ", ".join(f"{gpu.model} ({gpu.memory_gib:g} GiB)" for gpu in found))
