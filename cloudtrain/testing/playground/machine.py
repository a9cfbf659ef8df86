"""The seam between a pretend cloud and what it boots: the cloud says what is to run, the hypervisor runs it as SSH hosts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class MachineOrder:
    """One machine to boot.

    Attributes:
        id: the cloud's name of the instance ("i-0123…"); also the host name.
        user_data: as the cloud hands it to the machine, decoded; a `#cloud-config` document or a script.
        user: the image's login name ("ubuntu"); it may use `sudo` without a password.
        metadata: what the metadata service answers, by path below its root. A path that is not there answers 404.
        metadata_service: whose service it plays. "ec2" has its pages below `/latest/` ("meta-data/instance-id") and wants a
            session token (IMDSv2); "google" has them below `/computeMetadata/v1/` ("instance/id") and wants Google's header;
            "azure" has documents below `/metadata/` ("instance", "scheduledevents") and wants Azure's header and a version.
        gpu, gpu_count, gpu_memory_mib, compute_capability: what `nvidia-smi` on the machine shows; no GPU, no `nvidia-smi`.
        files: what the image has besides, by path: a certificate to trust.
        environment: what every process on it finds in its environment, as /etc/environment has it; `{root}` in a value is where
            the machine's `/` lies.
        reaches: ports of this computer's 127.0.0.1 that answer at the machine's own 127.0.0.1 as well: the cloud's API.
    """

    id: str
    user_data: bytes
    user: str = "ubuntu"
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    metadata_service: Literal["ec2", "google", "azure"] = "ec2"
    gpu: str = ""
    gpu_count: int = 0
    gpu_memory_mib: int = 0
    compute_capability: str = ""
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reaches: tuple[int, ...] = ()


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

    def reboot(self, id: str, order: MachineOrder | None = None) -> None:
        """Restart the operating system, disk and address kept; with an `order`, with what that says from now on.

        Does not tell `on_power_off`.
        """
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

    def guest_attributes(self, id: str) -> dict[str, str]:
        """Return what a machine has written into its metadata service (Google's has room for that), by path; often nothing."""
        ...

    def advance(self, seconds: float) -> None:
        """Let the machines' timers (`shutdown +N`) run forward without waiting."""
        ...

    def close(self) -> None:
        """End every machine and remove everything that was made on this computer."""
        ...


OnPowerOff = Callable[[str], None]
"""Told the id of a machine whose own operating system switched it off, after everything on it has ended."""
