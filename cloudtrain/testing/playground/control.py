"""The pretend cloud's own page: what a test in another process looks at and turns, below `/_playground/`."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .server import plain_reply

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

PREFIX = "/_playground/"
OWN_HOSTS = ("127.0.0.1", "localhost", "[::1]")


class Control:
    """Puts `/_playground/…` in front of a cloud's own application.

    `looks` answer a GET with JSON; `turns` take a POST's JSON object as their keyword arguments. `GET /_playground/address`
    is the caller's own address as plain text: the service that tells a laptop where it calls from.
    """

    def __init__(
        self, app: "WSGIApplication", looks: Mapping[str, Callable[[], object]], turns: Mapping[str, Callable[..., object]]
    ) -> None:
        self._app, self._looks, self._turns = app, looks, turns

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        path = str(environ.get("PATH_INFO", ""))
        if not path.startswith(PREFIX):
            return self._app(environ, start_response)
        if path == f"{PREFIX}address":
            return plain_reply(start_response, "200 OK", "text/plain", str(environ["REMOTE_ADDR"]).encode())
        status, answer = self._answer(environ, path.removeprefix(PREFIX))
        return plain_reply(start_response, status, "application/json", json.dumps(answer, default=str).encode())

    def _answer(self, environ: dict[str, Any], name: str) -> tuple[str, object]:
        # A web page in somebody's browser must not turn anything here: not by another host name, not by a form.
        if str(environ.get("HTTP_HOST", "")).rsplit(":", 1)[0] not in OWN_HOSTS:
            return "403 Forbidden", {"error": "the playground is for this computer only"}
        if environ["REQUEST_METHOD"] == "GET" and name in self._looks:
            return "200 OK", self._looks[name]()
        if environ["REQUEST_METHOD"] != "POST" or name not in self._turns:
            return "404 Not Found", {"error": f"look: {sorted(self._looks)}; turn: {sorted(self._turns)}"}
        if not str(environ.get("CONTENT_TYPE", "")).startswith("application/json"):
            return "415 Unsupported Media Type", {"error": "send application/json"}
        try:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            given = json.loads(environ["wsgi.input"].read(length) or b"{}")
            self._turns[name](**given)
        except (TypeError, ValueError, KeyError) as error:
            return "400 Bad Request", {"error": f"{type(error).__name__}: {error}"}
        return "200 OK", {"done": True}
