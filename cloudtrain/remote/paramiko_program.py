"""A program at the other end of one of paramiko's channels, with streams that have descriptors as a process's have."""

import contextlib
import os
import threading
from collections.abc import Callable
from typing import IO, Any

from .paramiko_link import Link
from .program import BROKE, GOODBYE_S

_PIECE = 1 << 17
_MOST_SAID = 1 << 16


class ChannelProgram:
    """A `Program` on a channel whose command was started.

    `let_go` is called once when it is closed; `overheard` is told what it says to its standard error, as it comes.
    """

    def __init__(
        self, channel: Any, link: Link, let_go: Callable[[], object], overheard: Callable[[bytes], object] | None = None
    ) -> None:
        self._channel = channel
        self._link = link
        self._let_go = let_go
        self._overheard = overheard or self._keep
        self._against = bytearray()
        feeding, writer = os.pipe()
        reader, hearing = os.pipe()
        self.stdin: IO[bytes] = os.fdopen(writer, "wb")
        self.stdout: IO[bytes] = os.fdopen(reader, "rb")
        self._threads = [
            threading.Thread(target=work, args=arguments, daemon=True)
            for work, arguments in ((self._feed, (feeding,)), (self._hear, (hearing,)), (self._overhear, ()))
        ]
        for thread in self._threads:
            thread.start()

    def said(self) -> str:
        """Return what the program said against it, and after that why the connection ended, if it did."""
        said = bytes(self._against).decode("utf-8", "replace")
        return said if self._link.is_alive() else f"{said}\n{self._link.last_words()}"

    def wait(self, timeout: float) -> int | None:
        """Wait for the exit code, and for the rest of what was said."""
        if not self._channel.status_event.wait(timeout):
            return None
        self._threads[-1].join(timeout)
        code = self._channel.exit_status
        return BROKE if code < 0 else int(code)

    def kill(self) -> None:
        """Close the channel: the program's input ends, and nobody hears it any more."""
        with contextlib.suppress(EOFError, OSError):  # the connection is gone, and the channel with it
            self._channel.close()

    def close(self) -> None:
        """Close our streams, then the channel."""
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(OSError):  # what is still buffered has no reader any more
                stream.close()
        self._channel.status_event.wait(GOODBYE_S)
        self.kill()
        for thread in self._threads:
            thread.join()
        let_go, self._let_go = self._let_go, _nothing
        let_go()

    def _feed(self, source: int) -> None:
        try:
            while content := os.read(source, _PIECE):
                self._channel.sendall(content)
            self._channel.shutdown_write()
        except (EOFError, OSError):
            return  # whoever hears the program learns what became of it
        finally:
            os.close(source)  # after this, whoever goes on writing is told that nobody reads

    def _hear(self, sink: int) -> None:
        try:
            while content := self._channel.recv(_PIECE):
                view = memoryview(content)
                while view:
                    view = view[os.write(sink, view) :]
        except EOFError:
            return  # the connection broke while the library answered for what came
        except OSError:
            self.kill()  # nobody listens here any more
        finally:
            os.close(sink)

    def _overhear(self) -> None:
        with contextlib.suppress(EOFError, OSError):  # the channel is closed, or its connection
            while content := self._channel.recv_stderr(_PIECE):
                self._overheard(content)

    def _keep(self, content: bytes) -> None:
        self._against += content[: _MOST_SAID - len(self._against)]


def _nothing() -> None:
    """Do nothing."""
