"""Boots each machine of a pretend cloud as a real SSH host on this computer, in one of two kinds.

"namespace" (Linux, root rights): real OpenSSH on port 22 of an address of its own, in PID, mount, network, UTS, IPC and time
namespaces, with a root of its own by overlayfs: of this computer's files only the system's show through, and what the machine
writes is its own, in memory, and ends with the hypervisor. The login user has no rights but by `sudo` (see `image.py`).

"loopback" (everywhere): a server in Python on 127.0.0.1, commands run as this user in the machine's own folder. Absolute paths
cannot be private there: `CLOUDTRAIN_GUEST_ROOT` names the machine's folder, and who honours it prefixes system paths with it.

Both boot user data as cloud-init does (`user_data.py`, `inside/first_boot.py`), have the power tools, `sudo`, `cloud-init
status` and, when ordered, `nvidia-smi`, and serve metadata to who has a token. A machine lives no longer than this process.
"""

from pathlib import Path

from ..machine import OnPowerOff
from . import namespace
from .directory import Directory
from .engine import Engine
from .hypervisor import LocalHypervisor

__all__ = ["DISK_BYTES", "LocalHypervisor", "open_hypervisor"]

DISK_BYTES = 2 << 30
"""What a machine with namespaces may write to its disk when nothing else is said."""


def open_hypervisor(
    folder: Path, on_power_off: OnPowerOff, *, kind: str = "auto", disk_bytes: int = DISK_BYTES
) -> LocalHypervisor:
    """Make a hypervisor that keeps its files in `folder`: `machines.json`, `consoles/`, and loopback machines' disks.

    `kind` is "namespace", "loopback", or "auto" for the first where that is possible and the second elsewhere.

    Raises:
        ValueError: there is no such kind.
        RuntimeError: that kind cannot run here; the message says why.
    """
    if kind not in ("namespace", "loopback", "auto"):
        raise ValueError(f"there is no hypervisor of kind {kind!r}: namespace, loopback or auto")
    why_not = "" if kind == "loopback" else namespace.missing()
    if why_not and kind == "namespace":
        raise RuntimeError(f"machines with namespaces cannot run here: {why_not}")
    chosen = "loopback" if kind == "loopback" or why_not else "namespace"
    consoles = folder / "consoles"
    consoles.mkdir(parents=True, exist_ok=True)
    return LocalHypervisor(chosen, _engine(chosen, folder, consoles, disk_bytes), on_power_off, consoles)


def _engine(kind: str, folder: Path, consoles: Path, disk_bytes: int) -> Engine:
    directory = Directory(folder)
    if kind == "namespace":
        return namespace.NamespaceEngine(directory, folder, consoles, disk_bytes)
    # Only here: asyncssh is no dependency of the package itself.
    from .loopback import LoopbackEngine

    return LoopbackEngine(directory, folder, consoles)
