"""Ports of this computer that lead through one of paramiko's connections."""

import contextlib
import socket
import threading
from typing import Any

from .paramiko_link import Link

_PIECE = 1 << 16
_HERE = "127.0.0.1"


class Port:
    """Port `here` at 127.0.0.1 leads to port `there` of the machine's until it is closed. Raises OSError when it is taken."""

    def __init__(self, here: int, there: int, link: Link) -> None:
        self._there = there
        self._link = link
        self._listener = socket.create_server((_HERE, here))
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        with contextlib.suppress(OSError):  # some systems shut down no socket that only listens
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                caller, address = self._listener.accept()
                threading.Thread(target=self._lead, args=(caller, address), daemon=True).start()

    def _lead(self, caller: socket.socket, address: tuple[str, int]) -> None:
        with caller:
            try:
                channel = self._link.transport.open_channel("direct-tcpip", (_HERE, self._there), address)
            except Exception:  # whatever the library makes of a refusal, whoever called here is hung up on
                return
            back = threading.Thread(target=_carry, args=(channel, caller), daemon=True)
            back.start()
            _carry(caller, channel)
            back.join()
            channel.close()


def _carry(source: Any, sink: Any) -> None:
    with contextlib.suppress(OSError, EOFError):  # one of the two has hung up
        while content := source.recv(_PIECE):
            sink.sendall(content)
    with contextlib.suppress(OSError, EOFError):  # it is closed already
        sink.shutdown(socket.SHUT_WR)
