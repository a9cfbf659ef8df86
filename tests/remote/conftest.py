"""Servers that a whole module shares, for a key pair and a login cost more than most of the laws; and a line without any."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from cloudtrain.model.errors import HostUnreachableError
from cloudtrain.remote.agent_there import Agent
from cloudtrain.remote.crew import Line
from cloudtrain.remote.frames_there import ORDER, encode
from cloudtrain.remote.paramiko_connection import ParamikoConnection
from cloudtrain.remote.ssh import SshRemote
from cloudtrain.remote.wire import Wire
from cloudtrain.testing.ssh_server import SshServer, asyncssh_server, find_sshd, openssh_server


@pytest.fixture(scope="module")
def openssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    if find_sshd() is None:
        pytest.skip("no sshd here: install the package openssh-server")
    with openssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def asyncssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with asyncssh_server(tmp_path_factory.mktemp("asyncssh")) as server:
        yield server


@pytest.fixture(scope="module")
def openssh_line(openssh: SshServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshRemote]:
    with SshRemote(openssh.endpoint, control_folder=tmp_path_factory.mktemp("control")) as line:
        yield line


@pytest.fixture(scope="module")
def asyncssh_line(asyncssh: SshServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshRemote]:
    with SshRemote(asyncssh.endpoint, control_folder=tmp_path_factory.mktemp("control")) as line:
        yield line


@pytest.fixture(scope="module")
def paramiko_line(openssh: SshServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshRemote]:
    unused = tmp_path_factory.mktemp("unused")
    with SshRemote(openssh.endpoint, control_folder=unused, connect=ParamikoConnection) as line:
        yield line
    assert not list(unused.iterdir())


@pytest.fixture(scope="module")
def paramiko_to_asyncssh(asyncssh: SshServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshRemote]:
    with SshRemote(asyncssh.endpoint, control_folder=tmp_path_factory.mktemp("unused"), connect=ParamikoConnection) as line:
        yield line


@pytest.fixture
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("control")


class PipePeer:
    """An agent, or what pretends to be one, in a thread of this process.

    Attributes:
        carried: bytes that went by, both ways.
    """

    def __init__(
        self, order: object, serve: Callable[["PipePeer"], object], after: int | None, stalls: bool, patience_s: float
    ) -> None:
        self.opening = encode(ORDER, order)
        self._ours, self._theirs = socket.socketpair()
        self._after = after
        self._stalls = stalls
        self._released = threading.Event()
        self.carried = 0
        self.wire = Wire(self._ours.fileno(), self._ours.fileno(), self._end, patience_s)
        self._thread = threading.Thread(target=serve, args=(self,), daemon=True)
        self._thread.start()

    def read(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            chunk = self._theirs.recv(min(size - len(content), 1 << 16))
            if not chunk:
                raise EOFError
            content += chunk
            self._count(len(chunk))
        return bytes(content)

    def write(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                left = len(view) if self._after is None else min(len(view), max(1, self._after - self.carried))
                self._theirs.sendall(view[:left])
                view = view[left:]
                self._count(left)

    def last_words(self) -> str:
        return "cut"

    def close(self) -> None:
        self._end()
        self._thread.join()
        self._ours.close()
        self._theirs.close()

    def _count(self, count: int) -> None:
        self.carried += count
        if self._after is None or self.carried < self._after:
            return
        if self._stalls:
            self._released.wait()
        self._ours.shutdown(socket.SHUT_RDWR)
        raise EOFError

    def _end(self) -> None:
        self._released.set()
        for side in (self._ours, self._theirs):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already


class PipeLine:
    """Makes lines to agents in this process; remembers who was at the other end."""

    def __init__(self) -> None:
        self.peers: list[PipePeer] = []

    def __call__(
        self,
        serve: Callable[[PipePeer], object] = lambda peer: Agent(peer.read, peer.write).serve(),
        *,
        after: int | None = None,
        stalls: bool = False,
        patience_s: float = 20.0,
    ) -> Line:
        def open_peer(order: object) -> PipePeer:
            self.peers.append(PipePeer(order, serve, after, stalls, patience_s))
            return self.peers[-1]

        return Line(open_peer, open_peer, HostUnreachableError)


@pytest.fixture(scope="module")
def pipes() -> PipeLine:
    return PipeLine()


class Relay:
    """A port that leads to another one here, until something befalls its line.

    Attributes:
        carried: bytes that went by, both ways, over all connections.
        befallen: what has happened to it so far.
    """

    def __init__(self, port: int) -> None:
        self._goal = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.carried = 0
        self.befallen: list[str] = []
        self._pairs: list[_Pair] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._fault = ""
        self._left = 0
        self._end: threading.Timer | None = None
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def stall(self) -> None:
        """Hold back everything from now on; in the end it hangs up, for a test that nobody else ends."""
        self._flowing.clear()
        self._end = threading.Timer(60, self._hang_up)
        self._end.daemon = True
        self._end.start()

    def befall(self, fault: str, after: int) -> None:
        """Let something happen after so many more bytes: "cut", "reset", "stalled" or "slowed"."""
        self._fault, self._left = fault, after

    def flow(self) -> None:
        """Carry everything again; who was there before stays hung up on."""
        self._fault = ""
        if self._end is not None:
            self._end.cancel()
        self._hang_up()
        self._flowing.set()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listening.join()
        self._listener.close()
        self.flow()
        for pair in self._pairs:
            pair.join()

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            pair = _Pair(near, socket.create_connection(("127.0.0.1", self._goal)), self._pass)
            self._pairs.append(pair)
            if self._fault in ("cut", "reset") and self._left < 0:
                pair.hang_up()

    def _pass(self, pair: "_Pair", content: bytes) -> int:
        """Note what goes by; return the largest piece it may go on in, 0 when the line is gone."""
        self._flowing.wait()
        self.carried += len(content)
        self._left -= len(content)
        if not self._fault or self._left >= 0:
            return len(content)
        self.befallen.append(self._fault)
        if self._fault == "slowed":
            return 200
        if self._fault == "stalled":
            self.stall()
            self._flowing.wait()
        elif self._fault == "reset":
            for each in self._pairs:
                each.reset()
        else:
            self._hang_up()
        return 0

    def _hang_up(self) -> None:
        for pair in self._pairs:
            pair.hang_up()


class _Pair:
    """Two ends of one connection, and a thread for each direction."""

    def __init__(self, near: socket.socket, far: socket.socket, on_pass: Callable[["_Pair", bytes], int]) -> None:
        self._ends = (near, far)
        self._on_pass = on_pass
        self._is_reset = False
        for end in self._ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._threads = [
            threading.Thread(target=self._carry, args=ends, daemon=True) for ends in (self._ends, self._ends[::-1])
        ]
        for thread in reversed(self._threads):  # the first one waits for the second
            thread.start()

    def hang_up(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Have the connection closed without a farewell: what is under way is lost, as in a router that forgot it."""
        self._is_reset = True
        for end in self._ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(1 << 14):
                piece = self._on_pass(self, content)
                if not piece:
                    break
                for start in range(0, len(content), piece):
                    sink.sendall(content[start : start + piece])
            if not self._is_reset:
                sink.shutdown(socket.SHUT_WR)
        if threading.current_thread() is self._threads[0]:
            self._threads[1].join()
            for end in self._ends:
                end.close()
