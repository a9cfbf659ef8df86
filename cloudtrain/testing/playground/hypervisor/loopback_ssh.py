"""The SSH server of loopback machines: asyncssh in one thread, commands started by each machine's first process."""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import struct
import termios
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncssh

_CHUNK = 1 << 16
_NAME = re.compile(r"[a-z_][a-z0-9_-]*")


class Gate:
    """One machine's way in: who may log in, and how a command is started there.

    Attributes:
        env: the environment of every command, less its user's part.
        control: the socket to the machine's first process.
    """

    def __init__(self, user: str, root: Path, env: Mapping[str, str]) -> None:
        """Let the machine's users in."""
        self.user = user
        self.root = root
        self.env = env
        self.control: socket.socket | None = None
        self.lines: set[Any] = set()
        self.acceptor: Any = None
        self._lock = threading.Lock()

    def admits(self, user: str, key: str) -> bool:
        """Say whether a user may log in with a public key, by the files on the machine as they are now."""
        if not _NAME.fullmatch(user) or (self.root / "run/nologin").exists():
            return False
        try:
            lines = (self.root / "home" / user / ".ssh/authorized_keys").read_text().splitlines()
        except OSError:
            return False
        return any(key.split()[1] in line.split() for line in lines if not line.startswith("#"))

    def start(
        self, argv: list[str], streams: Sequence[int], env: Mapping[str, str], folder: str, *, is_terminal: bool
    ) -> socket.socket:
        """Start a command; return the socket on which one JSON line says how it ended.

        Raises:
            OSError: the machine is ending.
        """
        assert self.control is not None
        ours, its = socket.socketpair()
        with its:
            order = {"argv": argv, "env": dict(env), "cwd": folder, "terminal": is_terminal}
            with self._lock:
                socket.send_fds(self.control, [b"x"], [its.fileno(), *streams])
            ours.sendall(json.dumps(order).encode() + b"\n")
        return ours


class SshThread:
    """The thread in which all machines' SSH servers live."""

    def __init__(self) -> None:
        """Start it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loopback ssh", daemon=True)
        self._thread.start()

    def open(self, gate: Gate, listener: socket.socket) -> str:
        """Let a machine's server listen at a bound socket; return what keeps it from that, "" when it does."""
        try:
            self._do(_listen(gate, listener))
        except (asyncssh.Error, asyncssh.KeyImportError, OSError) as error:
            return f"the SSH server does not start: {error}"
        return ""

    def break_lines(self, gate: Gate) -> None:
        """End all connections at once."""
        self._do(_break(gate))

    def shut(self, gate: Gate) -> None:
        """Listen no more, and end all connections."""
        self._do(_shut(gate))

    def close(self) -> None:
        """End the thread."""
        self._do(_finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _Server(asyncssh.SSHServer):
    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._line: Any = None

    def connection_made(self, conn: Any) -> None:
        self._line = conn
        self._gate.lines.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.lines.discard(self._line)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: Any) -> bool:
        return self._gate.admits(username, key.export_public_key().decode())

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return True


async def _listen(gate: Gate, listener: socket.socket) -> None:
    gate.acceptor = await asyncssh.listen(
        sock=listener,
        server_factory=lambda: _Server(gate),
        server_host_keys=[str(path) for path in sorted((gate.root / "etc/ssh").glob("ssh_host_*_key"))],
        process_factory=lambda process: _serve(gate, process),
        encoding=None,
        line_editor=False,
    )


async def _break(gate: Gate) -> None:
    for line in list(gate.lines):
        line.abort()


async def _shut(gate: Gate) -> None:
    if gate.acceptor is not None:
        gate.acceptor.close()
        await gate.acceptor.wait_closed()
    await _break(gate)


async def _finish() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()


async def _serve(gate: Gate, process: Any) -> None:
    user = process.get_extra_info("username")
    home = f"{gate.root}/home/{user}"
    theirs = {name: value for name, value in process.env.items() if name == "LANG" or name.startswith("LC_")}
    env = {**gate.env, **theirs, "HOME": home, "USER": user, "LOGNAME": user}
    terminal = process.get_terminal_type()
    if terminal is not None:
        env["TERM"] = terminal
    shell = gate.env["SHELL"]
    argv = [shell, "-c", process.command] if process.command is not None else [shell, "-l"]
    converse = _converse_by_pipes if terminal is None else _converse_by_terminal
    try:
        code = await converse(process, lambda streams: gate.start(argv, streams, env, home, is_terminal=terminal is not None))
    except OSError:  # the machine is ending
        return
    with contextlib.suppress(OSError, asyncssh.Error):  # the line may be gone
        await process.stdout.drain()  # what is still buffered would be lost with the exit code
        process.exit(code) if code >= 0 else process.exit_with_signal(_signal_name(-code))


def _signal_name(number: int) -> str:
    return signal.Signals(number).name.removeprefix("SIG")


Start = Callable[[Sequence[int]], socket.socket]


async def _converse_by_pipes(process: Any, start: Start) -> int:
    pipes = [os.pipe() for _ in range(3)]
    (its_in, our_in), (our_out, its_out), (our_err, its_err) = pipes
    its = (its_in, its_out, its_err)
    try:
        asked = start(its)
    finally:
        for stream in its:
            os.close(stream)
    loop = asyncio.get_running_loop()
    speaking = [
        asyncio.create_task(_carry_here(loop, our_out, process.stdout)),
        asyncio.create_task(_carry_here(loop, our_err, process.stderr)),
    ]
    listening = asyncio.create_task(_carry_there(process, our_in, is_terminal=False))
    await asyncio.gather(*speaking, return_exceptions=True)
    code = await _exit_code(loop, asked)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return code


async def _converse_by_terminal(process: Any, start: Start) -> int:
    ours, its = os.openpty()
    _resize(ours, process.term_size)
    try:
        asked = start((its, its, its))
    finally:
        os.close(its)
    loop = asyncio.get_running_loop()
    speaking = asyncio.create_task(_carry_here(loop, os.dup(ours), process.stdout))
    listening = asyncio.create_task(_carry_there(process, ours, is_terminal=True))
    code = await _exit_code(loop, asked)
    # Whoever stays behind on the terminal loses it with its owner.
    await asyncio.wait([speaking], timeout=0.2)
    for task in (speaking, listening):
        task.cancel()
    await asyncio.gather(speaking, listening, return_exceptions=True)
    return code


async def _carry_here(loop: asyncio.AbstractEventLoop, stream: int, sink: Any) -> None:
    """Carry what a command says to the client, until it ends or the client is gone."""
    reader = asyncio.StreamReader(limit=2 * _CHUNK)
    pipe = os.fdopen(stream, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while content := await reader.read(_CHUNK):
            sink.write(content)
            await sink.drain()
    finally:
        transport.close()


async def _carry_there(process: Any, stream: int, *, is_terminal: bool) -> None:
    """Carry what the client says to a command; a changed size of the client's window, too."""
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(stream, "wb", buffering=0)
    transport, protocol = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop), pipe)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        while True:
            try:
                content = await process.stdin.read(_CHUNK)
            except asyncssh.TerminalSizeChanged as change:
                if is_terminal:
                    _resize(stream, change.term_size)
                continue
            except (asyncssh.SignalReceived, asyncssh.BreakReceived):
                continue
            if not content:
                return
            writer.write(content)
            await writer.drain()
    finally:
        transport.close() if not is_terminal else transport.abort()


async def _exit_code(loop: asyncio.AbstractEventLoop, asked: socket.socket) -> int:
    with asked:
        asked.setblocking(False)
        said = b""
        while content := await loop.sock_recv(asked, 256):
            said += content
    if not said:
        raise ConnectionResetError("the machine ended")
    code: int = json.loads(said)["exit"]
    return code


def _resize(terminal: int, size: tuple[int, int, int, int]) -> None:
    width, height, pixel_width, pixel_height = size
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, pixel_width, pixel_height))
