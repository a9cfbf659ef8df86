"""One multiplexed connection of the OpenSSH client: opened when it is first needed, shared by every command, closed once."""

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from ..model.errors import HostUnreachableError
from ..model.instance import SshEndpoint
from .foreground import run_in_foreground
from .program import ClientProcess
from .ssh_errors import port_taken, translate
from .ssh_options import KNOWN_HOSTS, SOCKET, client_options, destination, known_hosts

_LONGEST_SOCKET_PATH = 85
"""Bytes: about 104 fit into a socket's address on the strictest system, and ssh appends 17 while it makes one."""


class SshConnection:
    """The way to one endpoint."""

    def __init__(self, endpoint: SshEndpoint, control_folder: Path, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._control_folder = control_folder
        self._timeout_s = timeout_s
        self._folder: Path | None = None
        self._opening = threading.Lock()

    def start(self, command: str) -> ClientProcess:
        """Run a command (text for the machine's shell) over the connection.

        Raises:
            HostUnreachableError, HostKeyError: no connection can be made.
        """
        return ClientProcess([*self._open("yes"), "-T", *destination(self._endpoint), command])

    def start_apart(self, command: str) -> ClientProcess:
        """Run one over a connection of its own, which no person is asked for anything.

        One connection carries no more than its window per round trip, whatever the line could.
        """
        return ClientProcess([*self._open("yes"), "-S", "none", "-T", *destination(self._endpoint), command])

    def run_for_person(self, command: Sequence[str]) -> int:
        """Give our own standard streams to a command, or to a login shell; at a terminal a person may be asked a passphrase."""
        at_terminal = sys.stdin.isatty()
        client = self._open("no" if at_terminal else "yes")
        return run_in_foreground([*client, "-t" if at_terminal else "-T", *destination(self._endpoint), *command])

    def is_alive(self) -> bool:
        """Say whether the connection stands."""
        return self._control("check")

    def forward(self, here: int, there: int) -> None:
        """Have a port of this computer lead to the same address of the machine, as long as the connection stands.

        Raises:
            HostUnreachableError: no connection can be made, or it carries no ports.
        """
        if self._folder is not None and not self.is_alive():
            (self._folder / SOCKET).unlink(missing_ok=True)  # of a connection that was killed, and could not tidy up
        ssh = self._open("yes")[0]
        # Only the connection that stands is spoken to: a person's configuration may hold ports of its own.
        socket = "none" if self._folder is None else str(self._folder / SOCKET).replace("%", "%%")
        command = [ssh, "-F", "none", "-S", socket, "-O", "forward", "-L", f"127.0.0.1:{here}:127.0.0.1:{there}"]
        command += destination(self._endpoint)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, timeout=30)
        if done.returncode:
            raise port_taken(self._endpoint, here, there)

    def error(self, said: str) -> Exception:
        """Return the error for a client that gave up with these words."""
        return translate(said, self._endpoint)

    def close(self) -> None:
        """Let the connection go."""
        if self._folder is not None:
            self._control("exit")
            # The connection that was told to exit removes its socket itself, perhaps under our hands.
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _open(self, batch: str) -> list[str]:
        ssh = shutil.which("ssh")
        if ssh is None:
            raise HostUnreachableError(
                "There is no OpenSSH client on this computer any more",
                "Install it: apt install openssh-client (or dnf, brew: openssh). Or: pip install 'cloudtrain[ssh]'",
            )
        with self._opening:
            if self._folder is None:
                trusted = known_hosts(self._endpoint)
                self._folder = _short_private_folder(self._control_folder)
                (self._folder / KNOWN_HOSTS).write_text(trusted)
            client = [ssh, *client_options(self._endpoint, self._folder, self._timeout_s, batch)]
            # A socket that nobody listens at any more costs nothing: the client then makes a connection of its own.
            if not (self._folder / SOCKET).exists():
                self._connect([*client, "-M", "-N", "-f", *destination(self._endpoint)], batch)
        return client

    def _connect(self, command: Sequence[str], batch: str) -> None:
        # With -f the client returns when it is let in and its socket listens; what stays behind holds our stderr open,
        # so that must be a file. A session of its own keeps a person's Ctrl-C from the connection, and the terminal from
        # who may not ask.
        with tempfile.TemporaryFile() as said:
            try:
                code = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=batch == "yes",
                    timeout=2 * self._timeout_s + 5 if batch == "yes" else None,
                ).returncode
            except subprocess.TimeoutExpired as error:
                raise translate("it does not answer in time", self._endpoint) from error
            said.seek(0)
            if code:
                raise translate(said.read().decode("utf-8", "replace"), self._endpoint)

    def _control(self, verb: str) -> bool:
        ssh = shutil.which("ssh")
        if ssh is None or self._folder is None or not (self._folder / SOCKET).exists():
            return False
        command = [ssh, *client_options(self._endpoint, self._folder, self._timeout_s, "yes"), "-O", verb]
        with contextlib.suppress(subprocess.TimeoutExpired):  # a client that hangs has no connection to speak of
            done = subprocess.run([*command, *destination(self._endpoint)], capture_output=True, timeout=10)
            return done.returncode == 0
        return False


def _short_private_folder(wanted: Path) -> Path:
    """Return a new 0700 folder, in `wanted` where a socket's path fits and the folder is ours alone."""
    with contextlib.suppress(OSError):  # then the system's own temporary folder will do
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = wanted.lstat()
        is_ours = stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o022
        if is_ours and len(os.fsencode(wanted)) + 15 <= _LONGEST_SOCKET_PATH:
            return Path(tempfile.mkdtemp(prefix="ct-", dir=wanted))
    return Path(tempfile.mkdtemp(prefix="ct-"))
