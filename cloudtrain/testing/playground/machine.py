"""The seam between a pretend cloud and what it boots: the cloud says what is to run, the hypervisor runs it as SSH hosts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MachineOrder:
    """One machine to boot.

    Attributes:
        id: the cloud's name of the instance ("i-0123…"); also the host name.
        user_data: as the cloud hands it to the machine, decoded; a `#cloud-config` document or a script.
        user: the image's login name ("ubuntu"); it may use `sudo` without a password.
        metadata: what the metadata service answers, by path below `/latest/` ("meta-data/instance-id" → text). Everything
            needs a session token (IMDSv2). A path that is not there answers 404.
        gpu, gpu_count, gpu_memory_mib, compute_capability: what `nvidia-smi` on the machine shows; no GPU, no `nvidia-smi`.
    """

    id: str
    user_data: bytes
    user: str = "ubuntu"
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    gpu: str = ""
    gpu_count: int = 0
    gpu_memory_mib: int = 0
    compute_capability: str = ""


@dataclass(frozen=True, slots=True)
class Booted:
    """A machine that runs: where its SSH server answers on this computer."""

    address: str
    port: int = 22


class Hypervisor(Protocol):
    """Runs machines. Every method may be called from any thread."""

    def boot(self, order: MachineOrder) -> Booted:
        """Boot a machine, or boot it again with its disk kept. Its SSH server may answer a little later.

        The user data runs as cloud-init runs it: boot commands at every boot, the rest at the first one.
        """
        ...

    def reboot(self, id: str) -> None:
        """Restart the operating system, the disk kept. Does not tell `on_power_off`."""
        ...

    def switch_off(self, id: str) -> None:
        """End everything that runs on the machine at once; keep its disk. An absent machine is a success."""
        ...

    def destroy(self, id: str) -> None:
        """End the machine and remove its disk. An absent one is a success."""
        ...

    def set_metadata(self, id: str, path: str, text: str | None) -> None:
        """Let the metadata service answer `text` from now on, or 404 with None. How a spot notice is switched on."""
        ...

    def advance(self, seconds: float) -> None:
        """Let the machines' timers (`shutdown +N`) run forward without waiting."""
        ...

    def close(self) -> None:
        """End every machine and remove everything that was made on this computer."""
        ...


OnPowerOff = Callable[[str], None]
"""Told the id of a machine whose own operating system switched it off, after everything on it has ended."""
