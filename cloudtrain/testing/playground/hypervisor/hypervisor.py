"""Machines of any kind behind the cloud's seam: who runs, which timers tick, what the metadata says; and a test's levers."""

import contextlib
import functools
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..machine import Booted, MachineOrder, OnPowerOff
from .engine import Engine, Running
from .leading import lead
from .metadata import MetadataService, metadata_for
from .porter import Porter
from .switch import Ground, Switch
from .timers import Timers

_RUN_TIMEOUT_S = 60.0


@dataclass(slots=True)
class _Machine:
    """One machine the hypervisor knows, running or not. `lock` is held while it is started or ended."""

    order: MachineOrder
    metadata: MetadataService
    running: Running | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)


class LocalHypervisor:
    """Boots machines on this computer. Every method may be called from any thread.

    `on_power_off` is called without any lock of ours held, in the thread that ended the machine: one of ours, or the one that
    called `advance`. It may call back.
    """

    def __init__(self, kind: str, engine: Engine, on_power_off: OnPowerOff, consoles: Path) -> None:
        """Run machines on an engine of a kind, "namespace" or "loopback"; `consoles` is where it writes what they say."""
        self.kind = kind
        self.engine = engine
        self._on_power_off = on_power_off
        self._consoles = consoles
        self._machines: dict[str, _Machine] = {}
        self._is_closed = False
        self._lock = threading.Lock()
        self._timers = Timers()
        self._switch = Switch(self._timers)
        self._porter = Porter()

    @property
    def gateway(self) -> str:
        """This computer's address, as every machine sees it: what listens there can be reached from all of them."""
        return self.engine.gateway

    def boot(self, order: MachineOrder) -> Booted:
        """Boot a machine; see `Hypervisor.boot`. One that runs already is left alone. A machine that was off has a new address.

        Raises:
            RuntimeError: it cannot be started; the message has the end of its console.
        """
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the hypervisor is closed")
            machine = self._machines.setdefault(order.id, _Machine(order, metadata_for(order, self._timers.now)))
        with machine.lock:
            if machine.running is None:
                machine.order = order
                machine.metadata = metadata_for(order, self._timers.now)
                self._start(machine, None)
            assert machine.running is not None
            return machine.running.booted

    def reboot(self, id: str, order: MachineOrder | None = None) -> None:
        """Restart a machine with its disk, address and metadata; see `Hypervisor.reboot`. One that is off stays off."""
        machine = self._machines.get(id)
        if machine is None:
            return
        with machine.lock:
            machine.order = order or machine.order
            running = machine.running
            if running is not None and self._end(machine, running):
                self._start(machine, running.booted.address)

    def switch_off(self, id: str) -> None:
        """End everything on a machine; see `Hypervisor.switch_off`."""
        if machine := self._machines.get(id):
            with machine.lock:
                self._end(machine, machine.running)

    def destroy(self, id: str) -> None:
        """End a machine and remove its disk; see `Hypervisor.destroy`."""
        with self._lock:
            machine = self._machines.pop(id, None)
        if machine is not None:
            with machine.lock:
                self._end(machine, machine.running)
                self.engine.destroy(id)

    def set_metadata(self, id: str, path: str, text: str | None) -> None:
        """Change what the metadata service answers; see `Hypervisor.set_metadata`.

        Raises:
            KeyError: there is no such machine.
        """
        self._machines[id].metadata.set(path, text)

    def guest_attributes(self, id: str) -> dict[str, str]:
        """Return what a machine has written into its metadata service; see `Hypervisor.guest_attributes`.

        Raises:
            KeyError: there is no such machine.
        """
        return self._machines[id].metadata.written()

    def advance(self, seconds: float) -> None:
        """Let the timers run forward; return when all that came due by that has happened.

        Tokens of the metadata service grow older too. The machines' own clocks do not move.
        """
        self._timers.advance(seconds)

    def close(self) -> None:
        """End and remove everything. Safe to call twice."""
        with self._lock:
            ids, was_closed, self._is_closed = list(self._machines), self._is_closed, True
        if was_closed:
            return
        for id in ids:
            self.destroy(id)
        self._timers.close()
        self._porter.close()
        self.engine.close()

    def run_in(
        self, id: str, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = _RUN_TIMEOUT_S
    ) -> "subprocess.CompletedProcess[bytes]":
        """A test's lever: run a command on a machine as its root, without its network; return when it ended.

        Raises:
            KeyError: no such machine runs.
            subprocess.TimeoutExpired: it did not end in time; it has been killed.
        """
        return self._running(id).run(argv, stdin, timeout)

    def cut_network(self, id: str) -> None:
        """A test's lever: take a machine's line away. With namespaces both sides hear nothing, and what was open stays open.

        On a loopback machine what was open breaks, and who calls waits in vain.
        """
        self._running(id).cut()

    def mend_network(self, id: str) -> None:
        """Undo `cut_network`. A boot does so too."""
        self._running(id).mend()

    def fill_disk(self, id: str) -> None:
        """A test's lever: leave no free byte on a machine's disk, until `free_disk`.

        Raises:
            RuntimeError: a loopback machine's disk is this computer's.
        """
        self.engine.fill_disk(id)

    def free_disk(self, id: str) -> None:
        """Undo `fill_disk`."""
        self.engine.free_disk(id)

    def set_gpu_load(self, id: str, *loads: str) -> None:
        """A test's lever: what `nvidia-smi` measures from now until the next boot, one word per GPU, the last for all the rest.

        "97" (percent), "[N/A]", "hang" (it never answers) or "fail" (exit code 9).
        """
        (self._running(id).root / "run/playground/gpu-load").write_text("\n".join(loads) + "\n")

    def console(self, id: str) -> str:
        """Return what a machine's consoles showed since it was first booted, "" for one that never was."""
        with contextlib.suppress(FileNotFoundError):
            return (self._consoles / f"{id}.log").read_text(errors="replace")
        return ""

    def _running(self, id: str) -> Running:
        running = self._machines[id].running
        if running is None:
            raise KeyError(f"{id} is off")
        return running

    def _start(self, machine: _Machine, address: str | None) -> None:
        """Start a machine, its lock held."""
        running = self.engine.start(machine.order, address)
        machine.running = running
        ground = Ground(machine.order.id, running.root, self.engine.root_uid, lambda mode: self._act(machine, running, mode))
        self._porter.open(running.doors.power, lambda caller: self._switch.answer(ground, caller))
        self._porter.open(running.doors.metadata, machine.metadata.answer)
        for port, door in running.doors.reaches.items():
            self._porter.open(door, functools.partial(lead, port))
        running.open_for_logins()

    def _end(self, machine: _Machine, running: Running | None) -> bool:
        """End that very boot of a machine, its lock held; say whether there was anything to end."""
        if running is None or machine.running is not running:
            return False
        machine.running = None
        self._switch.forget(machine.order.id)
        running.kill()
        self._porter.shut(running.doors.power)
        for door in (running.doors.metadata, *running.doors.reaches.values()):
            self._porter.shut(door)
        return True

    def _act(self, machine: _Machine, running: Running, mode: str) -> None:
        """Do what the machine's own operating system was asked."""
        with machine.lock:
            has_ended = self._end(machine, running)
            if has_ended and mode == "reboot":
                self._start(machine, running.booted.address)
        # A halted machine is still switched on for its cloud.
        if has_ended and mode == "poweroff":
            self._on_power_off(machine.order.id)
