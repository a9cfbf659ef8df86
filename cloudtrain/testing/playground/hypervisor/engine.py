"""The seam inside the hypervisor: what a kind of machine has to be able to do."""

import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from ..machine import Booted, MachineOrder


@dataclass(frozen=True, slots=True)
class Doors:
    """The sockets of one machine that the hypervisor answers; both listen already.

    Attributes:
        metadata: HTTP, the metadata service.
        power: a Unix socket on which `shutdown` and its kin ask.
        reaches: what leads from the machine's own 127.0.0.1 to this computer's, by port.
    """

    metadata: socket.socket
    power: socket.socket
    reaches: Mapping[int, socket.socket] = field(default_factory=lambda: MappingProxyType({}))


class Running(Protocol):
    """One machine that runs. Every method may be called from any thread."""

    @property
    def booted(self) -> Booted: ...

    @property
    def doors(self) -> Doors: ...

    @property
    def root(self) -> Path:
        """The machine's `/`, as a path on this computer. It is there as long as the machine runs."""
        ...

    def open_for_logins(self) -> None:
        """Let the boot go on, now that both doors are answered."""
        ...

    def kill(self) -> None:
        """End everything that runs on it; return when all has ended."""
        ...

    def run(self, argv: Sequence[str], stdin: bytes, timeout: float) -> subprocess.CompletedProcess[bytes]:
        """Run a command as the machine's root; return when it ended.

        Raises:
            subprocess.TimeoutExpired: it did not end in time; it has been killed.
        """
        ...

    def cut(self) -> None:
        """Take its line away, without a word to either side where that is possible."""
        ...

    def mend(self) -> None:
        """Give the line back."""
        ...


class Engine(Protocol):
    """Runs machines of one kind."""

    @property
    def root_uid(self) -> int:
        """The user id, on this computer, of what counts as root on the machines."""
        ...

    @property
    def gateway(self) -> str:
        """This computer's address, as every machine sees it: the way to a cloud double that listens there."""
        ...

    def start(self, order: MachineOrder, address: str | None) -> Running:
        """Start a machine on its disk, which is made when it has none. `address` is what it had; None asks for a new one."""
        ...

    def fill_disk(self, id: str) -> None:
        """Leave no free byte on the machine's disk.

        Raises:
            RuntimeError: this kind of machine has no disk of its own.
        """
        ...

    def free_disk(self, id: str) -> None:
        """Undo `fill_disk`."""
        ...

    def destroy(self, id: str) -> None:
        """Remove the disk of a machine that does not run."""
        ...

    def close(self) -> None:
        """Remove all that the engine made on this computer. No machine runs any more."""
        ...
