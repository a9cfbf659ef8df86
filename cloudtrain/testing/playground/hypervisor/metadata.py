"""The metadata services of machines: EC2's, where nothing is without a session token, and the choice between the three."""

import contextlib
import http.server
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from ..machine import MachineOrder
from .azure_metadata import AzureMetadata
from .google_metadata import GoogleMetadata

_TOKEN = "X-aws-ec2-metadata-token"
_TTL = "X-aws-ec2-metadata-token-ttl-seconds"
_LONGEST_TTL_S = 21600
_PATIENCE_S = 10.0


class MetadataService(Protocol):
    """What one machine's service answers. Every method may be called from any thread."""

    def set(self, path: str, text: str | None) -> None:
        """Answer `text` at a path from now on, or 404 with None."""
        ...

    def written(self) -> dict[str, str]:
        """Return what the machine itself has written there, by path."""
        ...

    def answer(self, caller: socket.socket) -> None:
        """Answer the requests of one connection."""
        ...


def metadata_for(order: MachineOrder, now: Callable[[], float]) -> MetadataService:
    """Return the service that a machine is ordered with."""
    if order.metadata_service == "google":
        return GoogleMetadata(order.metadata)
    if order.metadata_service == "azure":
        return AzureMetadata(order.metadata)
    pages = {"user-data": order.user_data.decode("utf-8", "surrogateescape")} if order.user_data else {}
    return Metadata({**pages, **order.metadata}, now)


class Metadata:
    """What one EC2 machine's service answers. Every method may be called from any thread."""

    def __init__(self, pages: Mapping[str, str], now: Callable[[], float]) -> None:
        """Answer these pages, by path below `/latest/`; tokens grow old on the clock `now`."""
        self._pages = {path.strip("/"): text for path, text in pages.items()}
        self._now = now
        self._tokens: dict[str, float] = {}
        self._lock = threading.Lock()

    def set(self, path: str, text: str | None) -> None:
        """Answer `text` at a path from now on, or 404 with None."""
        with self._lock:
            if text is None:
                self._pages.pop(path.strip("/"), None)
            else:
                self._pages[path.strip("/")] = text

    def written(self) -> dict[str, str]:
        """Return nothing: a machine writes nothing there."""
        return {}

    def answer(self, caller: socket.socket) -> None:
        """Answer the requests of one connection."""
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version, sys_version = "EC2ws", ""
            timeout = _PATIENCE_S

            def do_GET(self) -> None:
                self._send(*service._get(self.path, self.headers.get(_TOKEN)))

            def do_PUT(self) -> None:
                status, text = service._put(self.path, self.headers.get(_TTL), self.headers.get("X-Forwarded-For"))
                self._send(status, text, {_TTL: self.headers[_TTL]} if status == 200 else {})

            def _send(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
                content = text.encode("utf-8", "surrogateescape")
                self.send_response(status)
                for name, value in {
                    "Content-Type": "text/plain",
                    "Content-Length": str(len(content)),
                    **(headers or {}),
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        with caller, contextlib.suppress(OSError):  # who asked may be gone
            Handler(caller, ("", 0), None)  # type: ignore[arg-type]  # the server is asked for nothing

    def _put(self, path: str, ttl: str | None, forwarded: str | None) -> tuple[int, str]:
        if forwarded is not None:
            return 403, ""
        if path != "/latest/api/token":
            return 404, ""
        if ttl is None or not ttl.isdigit() or not 1 <= int(ttl) <= _LONGEST_TTL_S:
            return 400, ""
        token = secrets.token_urlsafe(40)
        with self._lock:
            self._tokens[token] = self._now() + int(ttl)
        return 200, token

    def _get(self, path: str, token: str | None) -> tuple[int, str]:
        with self._lock:
            if self._tokens.get(token or "", 0.0) <= self._now():
                return 401, ""
            wanted = path.partition("?")[0].removeprefix("/latest").strip("/")
            if path.startswith("/latest") and wanted in self._pages:
                return 200, self._pages[wanted]
            names = self._below(wanted) if path.startswith("/latest") else []
        return (200, "\n".join(names)) if names else (404, "")

    def _below(self, folder: str) -> list[str]:
        """Return the names right below a path; what has names below itself ends with a slash."""
        start = f"{folder}/" if folder else ""
        rest = [path[len(start) :] for path in self._pages if path.startswith(start)]
        return sorted({f"{name}/" if slash else name for name, slash, _ in (path.partition("/") for path in rest)})
