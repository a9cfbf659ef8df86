"""Google's metadata server, as a machine sees it: `/computeMetadata/v1/…` and nothing without its header.

As cloud.google.com/compute/docs/metadata/querying-metadata has it.
"""

import contextlib
import hashlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_ROOT = "/computeMetadata/v1/"
_WRITABLE = "instance/guest-attributes/"
_SWITCH = "instance/attributes/enable-guest-attributes"
_PATIENCE_S = 10.0
_LONGEST_WAIT_S = 3600.0


class GoogleMetadata:
    """What one machine's server answers. Every method may be called from any thread.

    Attributes:
        waiting: how many callers wait for a change now.
    """

    def __init__(self, pages: Mapping[str, str]) -> None:
        """Answer these pages, by path below `/computeMetadata/v1/`."""
        self._pages = {path.strip("/"): text for path, text in pages.items()}
        self._changed = threading.Condition()
        self.waiting = 0

    def set(self, path: str, text: str | None) -> None:
        """Answer `text` at a path from now on, or 404 with None; who waits for a change is answered."""
        with self._changed:
            if text is None:
                self._pages.pop(path.strip("/"), None)
            else:
                self._pages[path.strip("/")] = text
            self._changed.notify_all()

    def written(self) -> dict[str, str]:
        """Return the guest attributes, by path below them."""
        with self._changed:
            return {path.removeprefix(_WRITABLE): text for path, text in self._pages.items() if path.startswith(_WRITABLE)}

    def answer(self, caller: socket.socket) -> None:
        """Answer the requests of one connection."""
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version, sys_version = "Metadata Server for VM", ""
            timeout = _PATIENCE_S

            def do_GET(self) -> None:
                self._send(*service._get(self.path, self.headers))

            def do_PUT(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self._send(*service._put(self.path, content.decode("utf-8", "replace"), self.headers))

            def _send(self, status: int, kind: str, text: str) -> None:
                content = text.encode("utf-8", "surrogateescape")
                self.send_response(status)
                self.send_header("Metadata-Flavor", "Google")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                if status == 200:
                    self.send_header("ETag", _etag(text))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        with caller, contextlib.suppress(OSError):  # who asked may be gone
            Handler(caller, ("", 0), None)  # type: ignore[arg-type]  # the server is asked for nothing

    def _get(self, target: str, headers: Any) -> tuple[int, str, str]:
        url = urlsplit(target)
        path, query = unquote(url.path), parse_qs(url.query)
        if path == "/":
            return 200, "application/text", "computeMetadata/\n"
        if refused := _refused(path, headers):
            return refused
        wanted = path.removeprefix(_ROOT).strip("/")
        with self._changed:
            if query.get("wait_for_change") == ["true"]:
                self._wait(wanted, query)
            return self._page(wanted, query)

    def _put(self, target: str, text: str, headers: Any) -> tuple[int, str, str]:
        path = unquote(urlsplit(target).path)
        if refused := _refused(path, headers):
            return refused
        wanted = path.removeprefix(_ROOT)
        with self._changed:
            if not wanted.startswith(_WRITABLE) or self._pages.get(_SWITCH, "").upper() != "TRUE":
                return 403, "text/html", "Guest attributes endpoint access is disabled."
            self._pages[wanted] = text
            self._changed.notify_all()
        return 200, "application/text", ""

    def _wait(self, wanted: str, query: dict[str, list[str]]) -> None:
        """Wait, the lock held, until a page is another one than the caller has seen: than it is now, or than its ETag says."""
        end = time.monotonic() + min(float(query.get("timeout_sec", [_LONGEST_WAIT_S])[0]), _LONGEST_WAIT_S)
        seen = query.get("last_etag", [_etag(self._page(wanted, query)[2])])[0]
        self.waiting += 1
        while _etag(self._page(wanted, query)[2]) == seen and end > time.monotonic():
            self._changed.wait(end - time.monotonic())
        self.waiting -= 1

    def _page(self, wanted: str, query: dict[str, list[str]]) -> tuple[int, str, str]:
        if wanted in self._pages:
            return 200, "application/json" if wanted.endswith("/token") else "application/text", self._pages[wanted]
        below = {path: text for path, text in self._pages.items() if path.startswith(f"{wanted}/" if wanted else "")}
        if not below:
            return 404, "text/html", "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>"
        start = len(wanted) + 1 if wanted else 0
        if query.get("recursive") == ["true"]:
            tree = _tree({path[start:]: text for path, text in below.items()})
            return 200, "application/json", json.dumps(tree)
        parts = (path[start:].partition("/") for path in below)
        names = sorted({f"{name}/" if slash else name for name, slash, _ in parts})
        return 200, "application/text", "".join(f"{name}\n" for name in names)


def _refused(path: str, headers: Any) -> tuple[int, str, str] | None:
    if not path.startswith(_ROOT):
        return 404, "text/html", "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>"
    if headers.get("Metadata-Flavor") != "Google" or headers.get("X-Forwarded-For") is not None:
        return 403, "text/html", "<!DOCTYPE html><title>Error 403 (Forbidden)!!1</title> Missing Metadata-Flavor:Google header."
    return None


def _etag(text: str) -> str:
    return hashlib.sha1(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()[:16]


def _tree(pages: Mapping[str, str]) -> dict[str, Any]:
    """Return pages as one object; names are written as JSON does (machine-type is machineType), but those of attributes."""
    tree: dict[str, Any] = {}
    for path, text in pages.items():
        at, is_ours = tree, False
        *folders, name = path.split("/")
        for folder in folders:
            at = at.setdefault(folder if is_ours else _camel(folder), {})
            is_ours = is_ours or folder == "attributes"
        at[name if is_ours else _camel(name)] = text
    return tree


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)
