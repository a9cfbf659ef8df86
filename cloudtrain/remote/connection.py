"""What a line needs of an SSH connection, whoever makes it: the system's OpenSSH client, or paramiko where there is none."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..model.errors import HostUnreachableError
from ..model.instance import SshEndpoint
from .program import Program
from .ssh_connection import SshConnection


class Connection(Protocol):
    """The way to one endpoint: opened when it is first needed, and again after it broke or was let go.

    Every method that opens it may raise HostUnreachableError or HostKeyError.
    """

    def start(self, command: str) -> Program:
        """Run a command (text for the machine's shell) over the connection that stands."""
        ...

    def start_apart(self, command: str) -> Program:
        """Run one over a connection of its own, which ends with it; no person is asked for anything."""
        ...

    def run_for_person(self, command: Sequence[str]) -> int:
        """Give this process's own standard streams to a command, or to a login shell when there is none."""
        ...

    def forward(self, here: int, there: int) -> None:
        """Have a port of this computer lead to the same address of the machine, as long as the connection stands."""
        ...

    def is_alive(self) -> bool:
        """Say whether the connection stands."""
        ...

    def error(self, said: str) -> Exception:
        """Return the error for a program that could not be heard to its end and left these words."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


def connection_to(endpoint: SshEndpoint, control_folder: Path, timeout_s: float) -> Connection:
    """Return a connection by OpenSSH, or by paramiko on a computer that has none. Nothing is opened.

    Raises:
        HostUnreachableError: this computer has neither.
    """
    if shutil.which("ssh") is not None:
        return SshConnection(endpoint, control_folder, timeout_s)
    try:
        # Half a second of imports, for those alone who need them.
        from .paramiko_connection import ParamikoConnection
    except ImportError as error:
        raise HostUnreachableError(
            "There is no SSH client on this computer",
            "Install OpenSSH: apt install openssh-client (or dnf, brew: openssh). Or: pip install 'cloudtrain[ssh]'",
        ) from error
    return ParamikoConnection(endpoint, control_folder, timeout_s)
