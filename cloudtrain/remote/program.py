"""A program at the other end of a connection, seen from here as its standard streams."""

import contextlib
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, Protocol

GOODBYE_S = 5.0
"""How long a program may take to end once it is let go, in seconds."""

BROKE = 255
"""The exit code where the connection broke before the program's own was heard. A program may say it as well."""

_MOST_SAID = 1 << 16


class Program(Protocol):
    """Something runs there. `stdin` and `stdout` have descriptors of this system's, which may be used in their place."""

    @property
    def stdin(self) -> IO[bytes]:
        """What it reads."""
        ...

    @property
    def stdout(self) -> IO[bytes]:
        """What it says; at its end the program is over or cannot be heard any more."""
        ...

    def said(self) -> str:
        """Return what was said against it so far, by itself or by whoever carries it."""
        ...

    def wait(self, timeout: float) -> int | None:
        """Return its exit code once it has ended, `BROKE` where nobody heard it; None when it has not in so many seconds."""
        ...

    def kill(self) -> None:
        """End the way to it at once: reads and writes that wait come back. It may come twice, from any thread."""
        ...

    def close(self) -> None:
        """Let it go: it sees its input end, and is given a little time for that."""
        ...


def listen(program: Program, timeout_s: float) -> tuple[int, bytes] | None:
    """Say nothing to a program and return its exit code and all it said; None when it did not end in so many seconds."""
    given_up = threading.Event()

    def give_up() -> None:
        given_up.set()
        program.kill()

    alarm = threading.Timer(timeout_s, give_up)
    alarm.daemon = True
    alarm.start()
    try:
        program.stdin.close()
        said = program.stdout.read()
        code = program.wait(GOODBYE_S)
    finally:
        alarm.cancel()
    return None if given_up.is_set() or code is None else (code, said)


class ClientProcess:
    """A `Program` that a client of this system's carries: its streams are the client's own."""

    def __init__(self, command: Sequence[str]) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the client; close() closes it
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._said, start_new_session=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin: IO[bytes] = self._process.stdin
        self.stdout: IO[bytes] = self._process.stdout

    def said(self) -> str:
        """Return what the client printed beside the program's output."""
        self._said.seek(0)
        return self._said.read(_MOST_SAID).decode("utf-8", "replace")

    def wait(self, timeout: float) -> int | None:
        """Wait for the client."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Kill the client."""
        self._process.kill()

    def close(self) -> None:
        """Close the client's streams, and kill it when it does not end."""
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(OSError):  # what is still buffered has no reader any more
                stream.close()
        if self.wait(GOODBYE_S) is None:
            self._process.kill()
            self._process.wait()
        self._said.close()
