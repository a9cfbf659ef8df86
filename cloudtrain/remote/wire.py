"""One stream of bytes to one agent: sent and received whole, and never waited for without end."""

import contextlib
import os
import select
import threading
from collections.abc import Callable, Sequence

from ..model.errors import HostUnreachableError, RemoteError
from . import agent_source
from .frames_there import MAGIC, ORDER, Frame, encode, receive
from .program import GOODBYE_S, Program

PATIENCE_S = 25.0
"""How long nothing may come, seconds; the agent says something every five."""

_LONGEST_GREETING = 1 << 16
_PIPE_BYTES = 1 << 20


class Wire:
    """Two descriptors and a way to end it all. `end` must make reads and writes that wait come back; it may come twice."""

    def __init__(self, reader: int, writer: int, end: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        self._reader = reader
        self._writer = writer
        self._patience_s = patience_s
        self.end = end
        self._sending = threading.Lock()
        self._poll = select.poll()
        self._poll.register(reader, select.POLLIN)

    def send(self, pieces: Sequence[bytes]) -> None:
        """Send pieces one after the other. Raises OSError when nobody takes them."""
        with self._sending:
            self._write(pieces)

    def send_if_free(self, pieces: Sequence[bytes]) -> bool:
        """Send pieces unless another thread is sending; say whether they went."""
        if not self._sending.acquire(blocking=False):
            return False
        try:
            self._write(pieces)
        finally:
            self._sending.release()
        return True

    def receive(self) -> Frame:
        """Return the next frame.

        Raises:
            EOFError: the other end is gone.
            HostUnreachableError: nothing came for too long.
            RefusedError: what came is no frame.
        """
        return receive(self._read)

    def greet(self) -> None:
        """Wait for the agent's first word; a login shell may have something to say before. Raises as `receive` does."""
        said = b""
        while not said.endswith(MAGIC):
            said += self._read(1)
            if len(said) > _LONGEST_GREETING:
                raise RemoteError(
                    "The machine does not stop talking before it is asked", "Look at what its shell prints at login."
                )

    def _write(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(self._writer, view) :]

    def _read(self, size: int) -> bytes:
        content = bytearray(size)
        view = memoryview(content)
        while view:
            if not self._poll.poll(self._patience_s * 1000):
                raise HostUnreachableError(
                    f"The machine has said nothing for {self._patience_s:g} s", "Try again: what has arrived is kept."
                )
            count = os.readv(self._reader, [view])
            if not count:
                raise EOFError
            view = view[count:]
        return bytes(content) if size < 1 << 12 else content  # type: ignore[return-value]  # a large copy saved


class Client:
    """A program that is an agent.

    Attributes:
        wire: the stream to the agent.
        opening: what it must hear first.
    """

    def __init__(self, program: Program, order: object) -> None:
        self._program = program
        reader, writer = program.stdout.fileno(), program.stdin.fileno()
        _widen(reader, writer)
        self.wire = Wire(reader, writer, program.kill)
        self.opening: Sequence[bytes] = (agent_source.start()[1], *encode(ORDER, order))

    def last_words(self) -> str:
        """Return what was said against it, once the stream has ended."""
        self._program.wait(GOODBYE_S)  # one that does not end is ended when it is closed
        return self._program.said()

    def close(self) -> None:
        """Let it go: the agent sees its input end."""
        self._program.close()


def _widen(*pipes: int) -> None:
    """Let the pipes hold more where the system can, which spares it switching to and fro."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        for pipe in pipes:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
