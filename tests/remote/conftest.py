"""Servers that a whole module shares, for a key pair and a login cost more than most of the laws; and a line without any."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from cloudtrain.model.errors import HostUnreachableError
from cloudtrain.remote.agent_there import Agent
from cloudtrain.remote.crew import Line
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


@pytest.fixture
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("control")


class PipePeer:
    """An agent, or what pretends to be one, in a thread of this process.

    Attributes:
        carried: bytes that went by, both ways.
    """

    first_bytes = b""

    def __init__(self, serve: Callable[["PipePeer"], object], after: int | None, stalls: bool, patience_s: float) -> None:
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
        def open_peer() -> PipePeer:
            self.peers.append(PipePeer(serve, after, stalls, patience_s))
            return self.peers[-1]

        return Line(open_peer, open_peer, HostUnreachableError)


@pytest.fixture(scope="module")
def pipes() -> PipeLine:
    return PipeLine()
