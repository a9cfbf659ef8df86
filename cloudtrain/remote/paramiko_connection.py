"""A connection for a computer without an OpenSSH client. Imported only there: the library takes half a second to load."""

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import paramiko

from ..model.errors import HostUnreachableError
from ..model.instance import SshEndpoint
from .landing_there import write_all
from .paramiko_link import PATIENCE_S, Link, log_in
from .paramiko_ports import Port
from .paramiko_program import ChannelProgram
from .program import BROKE, GOODBYE_S
from .ssh_errors import no_line, port_taken


class ParamikoConnection:
    """The way to one endpoint. Nobody is ever asked for a passphrase; `control_folder` is OpenSSH's, and not needed here."""

    def __init__(self, endpoint: SshEndpoint, _control_folder: Path, timeout_s: float, patience_s: float = PATIENCE_S) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._link: Link | None = None
        self._ports: list[Port] = []
        self._opening = threading.Lock()

    def start(self, command: str) -> ChannelProgram:
        """Run a command over the connection that stands; where the server runs no more on it, over another one."""
        try:
            return self._run(command, self._standing(), _nothing)
        except paramiko.ChannelException:
            return self.start_apart(command)

    def start_apart(self, command: str) -> ChannelProgram:
        """Run one over a connection of its own, which ends with it."""
        link = self._log_in()
        try:
            return self._run(command, link, link.close)
        except paramiko.ChannelException as error:
            link.close()
            raise no_line(self._endpoint, f"it runs no commands: {error}") from error
        except BaseException:
            link.close()
            raise

    def run_for_person(self, command: Sequence[str]) -> int:
        """Give our own standard streams to a command.

        Raises:
            HostUnreachableError: a shell for a person, or no connection.
        """
        if not command:
            raise HostUnreachableError(
                "A shell on a machine needs OpenSSH, which this computer does not have",
                "Install it: apt install openssh-client (or dnf, brew: openssh). Commands work: cloudtrain ssh NAME -- ls",
            )
        program = self._run(" ".join(command), self._standing(), _nothing, lambda content: write_all(2, content))
        threading.Thread(target=_feed, args=(program,), daemon=True).start()
        try:
            while content := os.read(program.stdout.fileno(), 1 << 16):
                write_all(1, content)
            code = program.wait(GOODBYE_S)
        finally:
            program.close()
        return BROKE if code is None else code

    def is_alive(self) -> bool:
        """Say whether the connection stands."""
        return self._link is not None and self._link.is_alive()

    def forward(self, here: int, there: int) -> None:
        """Have a port of this computer lead to the same address of the machine, as long as the connection stands."""
        link = self._standing()
        try:
            self._ports.append(Port(here, there, link))
        except OSError as error:
            raise port_taken(self._endpoint, here, there) from error

    def error(self, said: str) -> Exception:
        """Return the error for a program that was not heard to its end."""
        return no_line(self._endpoint, said)

    def close(self) -> None:
        """Let the connection and its ports go."""
        with self._opening:
            self._let_go()

    def _let_go(self) -> None:
        for port in self._ports:  # they lead over this connection and no other
            port.close()
        self._ports.clear()
        if self._link is not None:
            self._link.close()
            self._link = None

    def _standing(self) -> Link:
        with self._opening:
            if self._link is None or not self._link.is_alive():
                self._let_go()
                self._link = self._log_in()
            return self._link

    def _log_in(self) -> Link:
        return log_in(self._endpoint, self._timeout_s, self._patience_s)

    def _run(
        self, command: str, link: Link, let_go: Callable[[], object], overheard: Callable[[bytes], object] | None = None
    ) -> ChannelProgram:
        try:
            channel = link.transport.open_session(timeout=self._patience_s)
            channel.exec_command(command)
        except paramiko.ChannelException:
            raise
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise no_line(self._endpoint, str(error) or link.last_words()) from error
        return ChannelProgram(channel, link, let_go, overheard)


def _feed(program: ChannelProgram) -> None:
    with contextlib.suppress(OSError, ValueError):  # it reads no more, or has ended
        while content := os.read(0, 1 << 16):
            write_all(program.stdin.fileno(), content)
        program.stdin.close()


def _nothing() -> None:
    """Do nothing: the connection stands on."""
