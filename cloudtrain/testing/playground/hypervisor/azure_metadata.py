"""Azure's Instance Metadata Service, as a machine sees it: `/metadata/…`, and nothing without its header and a version.

As learn.microsoft.com/azure/virtual-machines/instance-metadata-service has it.
"""

import contextlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_VERSIONS = (
    "2017-04-02", "2017-08-01", "2017-11-01", "2017-12-01", "2018-02-01", "2018-04-02", "2018-10-01", "2019-02-01",
    "2019-03-11", "2019-04-30", "2019-06-01", "2019-06-04", "2019-08-01", "2019-08-15", "2019-11-01", "2020-06-01",
    "2020-07-01", "2020-09-01", "2020-10-01", "2020-12-01", "2021-01-01", "2021-02-01", "2021-03-01", "2021-05-01",
    "2021-10-01", "2021-11-01", "2021-12-13", "2023-07-01", "2025-04-07",
)  # fmt: skip
_EVENTS, _TOKEN = "scheduledevents", "identity/oauth2/token"
_NO_EVENTS = json.dumps({"DocumentIncarnation": 1, "Events": []})
_PATIENCE_S = 10.0
_OLD_S = 86399


class AzureMetadata:
    """What one machine's service answers. Every method may be called from any thread.

    Scheduled events are switched on by the first question for them: what was announced before is never told.
    """

    def __init__(self, pages: Mapping[str, str]) -> None:
        """Answer these documents, by path below `/metadata/`."""
        self._pages = {path.strip("/"): text for path, text in pages.items()}
        self._asks_for_events = False
        self._approved: list[str] = []
        self._lock = threading.Lock()

    def set(self, path: str, text: str | None) -> None:
        """Answer `text` at a path from now on, or nothing with None."""
        path = path.strip("/")
        with self._lock:
            if path == _EVENTS and not self._asks_for_events:
                return
            if text is None:
                self._pages.pop(path, None)
            else:
                self._pages[path] = text

    def written(self) -> dict[str, str]:
        """Return whether the machine asks for scheduled events, and which of them it has approved."""
        with self._lock:
            return {"asks-for-events": str(self._asks_for_events).lower(), "approved-events": " ".join(self._approved)}

    def answer(self, caller: socket.socket) -> None:
        """Answer the requests of one connection."""
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version, sys_version = "Microsoft-IIS/10.0", ""
            timeout = _PATIENCE_S

            def do_GET(self) -> None:
                self._send(*service._get(self.path, self.headers))

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self._send(*service._post(self.path, self.headers, content.decode("utf-8", "replace")))

            def _send(self, status: int, text: str) -> None:
                content = text.encode()
                self.send_response(status)
                kind = "application/json; charset=utf-8" if text.startswith(("{", "[")) else "text/plain; charset=utf-8"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        with caller, contextlib.suppress(OSError):  # who asked may be gone
            Handler(caller, ("", 0), None)  # type: ignore[arg-type]  # the server is asked for nothing

    def _get(self, target: str, headers: Any) -> tuple[int, str]:
        url = urlsplit(target)
        path, query = unquote(url.path).strip("/"), {key: values[-1] for key, values in parse_qs(url.query).items()}
        if refused := _refused(path, query, headers):
            return refused
        wanted = path.removeprefix("metadata").strip("/")
        with self._lock:
            if wanted == _EVENTS:
                self._asks_for_events = True
                return 200, self._pages.get(_EVENTS, _NO_EVENTS)
            if wanted == _TOKEN:
                own = f"{_TOKEN}?resource={query.get('resource', '').rstrip('/')}"  # a token is for one service alone
                return _token(self._pages.get(own, self._pages.get(_TOKEN)), query)
            return _part(self._pages.get("instance", "{}"), wanted, query)

    def _post(self, target: str, headers: Any, body: str) -> tuple[int, str]:
        url = urlsplit(target)
        path, query = unquote(url.path).strip("/"), {key: values[-1] for key, values in parse_qs(url.query).items()}
        if refused := _refused(path, query, headers):
            return refused
        if path != f"metadata/{_EVENTS}":
            return 405, _error("Method not allowed")
        try:
            asked = [str(one["EventId"]) for one in json.loads(body)["StartRequests"]]
        except (ValueError, KeyError, TypeError):
            return 400, _error("Bad request. The body has no StartRequests.")
        with self._lock:
            self._approved += asked
        return 200, ""


def _refused(path: str, query: Mapping[str, str], headers: Any) -> tuple[int, str] | None:
    if path.split("/")[0] != "metadata":
        return 404, _error("Not found")
    if str(headers.get("Metadata", "")).lower() != "true" or headers.get("X-Forwarded-For") is not None:
        return 400, _error("Bad request. Required metadata header not specified")
    if query.get("api-version") not in _VERSIONS:
        text = "Bad request. api-version is invalid or was not specified in the request."
        return 400, json.dumps({"error": text, "newest-versions": list(reversed(_VERSIONS))[:3]})
    return None


def _token(page: str | None, query: Mapping[str, str]) -> tuple[int, str]:
    if not query.get("resource"):
        return 400, json.dumps(
            {"error": "invalid_request", "error_description": "Required query variable 'resource' is missing"}
        )
    if page is None:
        return 400, json.dumps({"error": "invalid_request", "error_description": "Identity not found"})
    now = int(time.time())
    times = {"not_before": str(now), "expires_on": str(now + _OLD_S)}
    return 200, json.dumps({**json.loads(page), **times, "resource": query["resource"]})


def _part(page: str, wanted: str, query: Mapping[str, str]) -> tuple[int, str]:
    """Return a document or a part of it; one value alone is to be asked for as text."""
    at: Any = {"instance": json.loads(page)}
    for name in wanted.split("/"):
        if isinstance(at, list) and name.isdigit() and int(name) < len(at):
            at = at[int(name)]
        elif isinstance(at, dict) and name in at:
            at = at[name]
        else:
            return 404, _error("Not found")
    if isinstance(at, dict | list):
        return 200, json.dumps(at)
    if query.get("format") != "text":
        return 400, _error("Bad request. Only format=text is supported for this value.")
    return 200, str(at)


def _error(text: str) -> str:
    return json.dumps({"error": text})
