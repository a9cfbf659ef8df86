"""SSH servers on this machine's loopback: the real OpenSSH, and one in Python whose line can be cut.

Both let one new key in, answer with one new host key, and give the account a home folder of its own.
"""

import asyncio
import contextlib
import os
import pwd
import queue
import shutil
import socket
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..model.instance import SshEndpoint

_SSHD_CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey "{host_key}"
AuthorizedKeysFile "{authorized_keys}"
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
SetEnv "HOME={home}"
"""


@dataclass(frozen=True, slots=True)
class SshServer:
    """A server that is listening.

    Attributes:
        endpoint: how to reach it.
        home: the account's home folder on it.
    """

    endpoint: SshEndpoint
    home: Path


def find_sshd() -> str | None:
    """Return the path of the OpenSSH server, which most systems keep off the PATH."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"])
    return shutil.which("sshd", path=path)


def make_key(path: Path) -> str:
    """Make a key pair without a passphrase at `path`; return its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def openssh_server(folder: Path) -> Iterator[SshServer]:
    """Run the system's sshd as this user, its files in `folder`.

    Raises:
        FileNotFoundError: there is none.
        RuntimeError: it does not start.
    """
    sshd = find_sshd()
    if sshd is None:
        raise FileNotFoundError("no sshd here: install the package openssh-server")
    server = _make_server(folder, free_port())
    config = folder / "sshd_config"
    names = {"host_key": folder / "host_key", "authorized_keys": folder / "authorized_keys"}
    config.write_text(_SSHD_CONFIG.format(port=server.endpoint.port, home=server.home, **names))
    _make_separation_folder(sshd, config)
    command = [sshd, "-D", "-e", "-f", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = _read_until_listening(process.stderr)
            if process.poll() is not None or not said:
                raise RuntimeError("sshd did not start")
            # It goes on talking, and must not be kept waiting for a listener.
            drain = threading.Thread(target=process.stderr.read, daemon=True)
            drain.start()
            yield server
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def asyncssh_server(folder: Path, *, cut_after_bytes: int | None = None) -> Iterator[SshServer]:
    """Run asyncssh's server in a thread. It drops a connection whose commands have carried more than so many bytes."""
    server = _make_server(folder, 0)
    doors: queue.Queue[_Door | None] = queue.Queue()
    thread = threading.Thread(target=_run, args=(_keep_open(folder, server.home, cut_after_bytes, doors), doors), daemon=True)
    thread.start()
    door = doors.get()
    if door is None:
        raise RuntimeError("the asyncssh server did not start")
    try:
        yield SshServer(replace(server.endpoint, port=door.port), server.home)
    finally:
        door.loop.call_soon_threadsafe(door.closing.set)
        thread.join()


@dataclass(frozen=True, slots=True)
class _Door:
    port: int
    loop: asyncio.AbstractEventLoop
    closing: asyncio.Event


def _run(serving: Coroutine[Any, Any, None], doors: "queue.Queue[_Door | None]") -> None:
    try:
        asyncio.run(serving)
    finally:
        doors.put(None)  # nobody must wait for a server that failed


async def _keep_open(folder: Path, home: Path, cut_after_bytes: int | None, doors: "queue.Queue[_Door | None]") -> None:
    import asyncssh

    callers: list[asyncssh.SSHServerConnection] = []

    class Host(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            callers.append(conn)

    listening = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Host,
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized_keys"),
        process_factory=lambda process: _serve_command(process, home, cut_after_bytes),
        encoding=None,
        allow_pty=False,
    )
    closing = asyncio.Event()
    doors.put(_Door(listening.get_port(), asyncio.get_running_loop(), closing))
    await closing.wait()
    listening.close()
    await listening.wait_closed()
    for caller in callers:  # a connection that nobody closed outlives its server's loop, and is complained of much later
        caller.abort()
        await caller.wait_closed()


def _make_server(folder: Path, port: int) -> SshServer:
    folder.mkdir(parents=True, exist_ok=True)
    host_key = make_key(folder / "host_key")
    (folder / "authorized_keys").write_text(make_key(folder / "key") + "\n")
    home = folder / "home"
    home.mkdir()
    user = pwd.getpwuid(os.getuid()).pw_name
    return SshServer(SshEndpoint("127.0.0.1", (host_key,), port, user, folder / "key"), home)


def _make_separation_folder(sshd: str, config: Path) -> None:
    """Make the empty folder that sshd, run by root, wants; its own test says which one. Packages make it at boot."""
    said = subprocess.run([sshd, "-t", "-f", str(config)], capture_output=True, text=True).stderr
    _, found, path = said.partition("Missing privilege separation directory: ")
    if found:
        Path(path.split("\n")[0].strip()).mkdir(mode=0o755, parents=True, exist_ok=True)


def _read_until_listening(stderr: Any) -> str:
    for line in stderr:
        if "Server listening" in line:
            return str(line)
    return ""


async def _serve_command(process: Any, home: Path, cut_after_bytes: int | None) -> None:
    transport, child = await _start(process.command or os.environ.get("SHELL", "/bin/sh"), home)
    try:
        await _converse(process, transport, child, cut_after_bytes)
    finally:  # also when the server closes under a command that still runs
        transport.close()
        await child.wait()


async def _converse(process: Any, transport: Any, child: Any, cut_after_bytes: int | None) -> None:
    carried = 0

    async def carry(source: Any, sink: Any) -> None:
        nonlocal carried
        while content := await source.read(1 << 16):
            carried += len(content)
            if cut_after_bytes is not None and carried > cut_after_bytes:
                process.get_extra_info("connection").abort()
                return
            sink.write(content)
            await sink.drain()

    async def listen() -> None:
        try:
            await carry(process.stdin, child.stdin)
        finally:  # the end of what is said to it, or of the line
            child.stdin.close()

    listener = asyncio.create_task(listen())
    # A line that breaks raises asyncssh's own errors in all three, which mean nothing but that it is over.
    speaking = (carry(child.stdout, process.stdout), carry(child.stderr, process.stderr))
    await asyncio.gather(*speaking, return_exceptions=True)
    for number in (0, 1, 2):  # whoever still speaks hears that nobody listens
        transport.get_pipe_transport(number).close()
    code = await child.wait()
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)
    # What is still buffered would be lost with the exit code.
    await asyncio.gather(process.stdout.drain(), return_exceptions=True)
    process.exit(code if code >= 0 else 128 - code)


async def _start(command: str, home: Path) -> tuple[Any, Any]:
    """Start a command; return its transport, which can close our ends of its pipes, and its process."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_shell(
        lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=1 << 17, loop=loop),
        command,
        env={**os.environ, "HOME": str(home)},
    )
    return transport, asyncio.subprocess.Process(transport, protocol, loop)
