"""The line that fits an endpoint."""

from pathlib import Path

from ..model.instance import Endpoint, LocalEndpoint, MemoryEndpoint, SshEndpoint
from .base import Remote
from .local import LocalRemote
from .memory import MemoryRemote
from .ssh import SshRemote


def open_remote(endpoint: Endpoint, *, cache: Path, control_folder: Path) -> Remote:
    """Return a line to the endpoint; nothing is connected before it is used.

    `cache` is where a machine that is this computer keeps environments; `control_folder` where SSH's sockets stand.
    """
    match endpoint:
        case LocalEndpoint(root):
            return LocalRemote(root, cache)
        case MemoryEndpoint(root):
            return MemoryRemote(root)
        case SshEndpoint():
            return SshRemote(endpoint, control_folder=control_folder)
