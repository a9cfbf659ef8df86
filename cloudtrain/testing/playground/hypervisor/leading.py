"""Leads a connection from a machine's own 127.0.0.1 to this computer's, where the cloud's API answers."""

import contextlib
import socket
import threading

_CHUNK = 1 << 16


def lead(port: int, caller: socket.socket) -> None:
    """Carry bytes both ways until both sides have ended."""
    # Where nobody answers, the caller is hung up on.
    with caller, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as there:
        back = threading.Thread(target=_carry, args=(there, caller), name="hypervisor way back", daemon=True)
        back.start()
        _carry(caller, there)
        back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # one of the two is gone, which the other direction sees too
        while content := source.recv(_CHUNK):
            target.sendall(content)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
