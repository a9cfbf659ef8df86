"""How a rented machine is reached over SSH: by the keys that were made for it here, and no others."""

import os

from ..model.instance import SshEndpoint
from ..model.spec import MachineSpec, SshSettings
from .keys import KeyShelf

PROXY_VARIABLE = "CLOUDTRAIN_SSH_PROXY_COMMAND"
DEFAULT_USER = "ubuntu"


def ssh_endpoint(
    address: str, *, shelf: KeyShelf, token: str, user: str, name: str, machine: MachineSpec | None
) -> SshEndpoint | None:
    """Return how to reach a machine at its address.

    None without an address, or when its keys are on another computer: nothing is trusted unseen. `user` is who its image logs
    in, "" when that is not known; `name` is the machine's, and `machine` the config in use.
    """
    line = shelf.line_to(token)
    if not address or line is None:
        return None
    identity_file, host_public_key = line
    settings = machine.ssh if machine is not None and machine.name == name else SshSettings()
    return SshEndpoint(
        host=address,
        host_keys=(host_public_key,),
        port=settings.port,
        user=settings.user or user or DEFAULT_USER,
        identity_file=identity_file,
        proxy_command=settings.proxy_command or os.environ.get(PROXY_VARIABLE) or None,
        options=settings.options,
    )
