"""An HTTP server on loopback for a pretend cloud: threads, and connections that can be broken on purpose."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterable
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LOOPBACK = "127.0.0.1"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class LostConnectionError(ConnectionError):
    """Raised by an application that wants the caller's connection reset instead of answered."""


class LoopbackServer:
    """Serves a WSGI application on 127.0.0.1, one thread per connection."""

    def __init__(self, app: "WSGIApplication", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Bind at once; port 0 takes a free one. With `tls` it speaks HTTPS.

        Raises:
            OSError: the port is taken.
        """
        self._connections = _Connections()
        self._scheme = "https" if tls else "http"
        # Bound here, because werkzeug ends the whole process when a port is taken.
        with socket.create_server((LOOPBACK, port)) as bound:
            self._port = int(bound.getsockname()[1])
            self._server: BaseWSGIServer = make_server(
                LOOPBACK, self._port, app, threaded=True, request_handler=_handler(self._connections, tls), fd=bound.fileno()
            )
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        """Return the address, without a slash at its end."""
        return f"{self._scheme}://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Take no more connections and close those that are open."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._connections.close()


def plain_reply(start_response: Any, status: str, content_type: str, body: bytes) -> Iterable[bytes]:
    """Answer one request."""
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]


class _Connections:
    """The open connections, so that none outlives its server."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: set[socket.socket] = set()

    def add(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def remove(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def close(self) -> None:
        """Break every connection that is still open; their threads end by it."""
        with self._lock:
            left = list(self._open)
        for connection in left:
            with contextlib.suppress(OSError):  # the other side was first
                connection.shutdown(socket.SHUT_RDWR)


def _handler(connections: _Connections, tls: ssl.SSLContext | None) -> type[WSGIRequestHandler]:
    class Handler(WSGIRequestHandler):
        """One connection: quiet, known while it is open, and reset when the application says so."""

        # Without this an answer of two writes waits 40 ms in between for an acknowledgement.
        disable_nagle_algorithm = True

        def setup(self) -> None:
            self.request = _secured(self.request, tls)
            super().setup()
            connections.add(self.connection)

        def handle(self) -> None:
            # Who does not trust our certificate hangs up, in the middle of it or at its end.
            with contextlib.suppress(ssl.SSLError):
                super().handle()

        def finish(self) -> None:
            connections.remove(self.connection)
            with contextlib.suppress(ssl.SSLError):
                super().finish()
            self.connection.close()  # which with TLS is another socket than the one that the server knows

        def send_response(self, code: int, message: str | None = None) -> None:
            # Without a Date of the server's own: a pretend cloud dates its replies itself.
            self.send_response_only(code, message)

        def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
            self.close_connection = True
            if isinstance(error, LostConnectionError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                self.connection.close()  # takes effect when the handler closes its files; the caller then sees a reset

        def log(self, type: str, message: str, *args: Any) -> None:
            """Say nothing: the recorder has every call."""

    return Handler


def _secured(connection: socket.socket, tls: ssl.SSLContext | None) -> socket.socket:
    """Return a connection that speaks TLS, when it is to.

    Not so the listening socket, where a caller who says nothing would keep all the others waiting.
    """
    return connection if tls is None else tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
