"""Lines to an HTTP server that are kept open from one request to the next, one for each thread."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from typing import Mapping
from urllib.parse import urlsplit

from .errors import GuestError

_TIMEOUT_S = 60.0
_LITTLE_BYTES = 1 << 16
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class BrokenLineError(Exception):
    """The network or the server failed; the same may work later. Says nothing of what was asked: that may be a secret."""


class Answer:
    """A server's answer. Read it to its end or leave it: the line takes no other request before."""

    def __init__(self, response: http.client.HTTPResponse, line: http.client.HTTPConnection) -> None:
        self.status = response.status
        self._response = response
        self._line = line

    def header(self, name: str) -> str:
        """Return a header, "" when it is absent."""
        return self._response.getheader(name) or ""

    def read(self, most: int) -> bytes:
        """Return some of the body, nothing when it is over.

        Raises:
            BrokenLineError: the line broke.
        """
        try:
            return self._response.read(most)
        except (OSError, http.client.HTTPException) as error:
            self._line.close()
            raise _broken(error) from None

    def all(self, most: int) -> bytes:
        """Return the whole body.

        Raises:
            BrokenLineError: it did not come whole, or is longer than `most` bytes.
        """
        body = b"".join(iter(lambda: self.read(most), b""))  # one read may give less than there is
        if len(body) > most:
            raise BrokenLineError("the answer is too long")
        return body

    def leave(self) -> None:
        """Make the line free for another request: what little is left is read, and on much the line is closed."""
        try:
            self._response.read(_LITTLE_BYTES)
        except (OSError, http.client.HTTPException):
            self._line.close()
        if not self._response.isclosed():
            self._line.close()


class Lines:
    """Lines to one server (`https://host`). Any thread may ask; each has a line of its own."""

    def __init__(self, server: str, timeout_s: float = _TIMEOUT_S) -> None:
        """Take the scheme and the host of an address.

        Raises:
            GuestError: it has none.
        """
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.netloc or not _PRINTABLE.fullmatch(server):
            raise GuestError("an address in the object storage is none")
        self.host = parts.netloc
        self._is_secure = parts.scheme == "https"
        self._timeout_s = timeout_s
        self._own = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close the lines of all threads, none of which may be asking. Whoever asks later opens its own again."""
        for line in self._opened:
            line.close()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Send a request and return the answer, its body unread. Ask for nothing that may not be done twice.

        Raises:
            GuestError: the target is no path of an address.
            BrokenLineError: there is no line, or it broke.
        """
        if not _PRINTABLE.fullmatch(target):
            raise GuestError("an address in the object storage is none")
        line = self._line()
        if line.sock is not None:
            # A server may hang up on a line that was quiet for a while; that is no failure of this request.
            try:
                return _asked(line, method, target, headers, body)
            except BrokenLineError:
                line.close()
        return _asked(line, method, target, headers, body)

    def _line(self) -> http.client.HTTPConnection:
        line: http.client.HTTPConnection | None = getattr(self._own, "line", None)
        if line is None:
            line = self._own.line = self._new_line()
            self._opened.append(line)
        return line

    def _new_line(self) -> http.client.HTTPConnection:
        try:
            if self._is_secure:
                return http.client.HTTPSConnection(self.host, timeout=self._timeout_s, context=ssl.create_default_context())
            return http.client.HTTPConnection(self.host, timeout=self._timeout_s)
        except http.client.HTTPException:
            raise GuestError("an address in the object storage is none") from None


def _asked(
    line: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> Answer:
    try:
        line.request(method, target, body=body, headers=dict(headers))
        return Answer(line.getresponse(), line)
    except (OSError, http.client.HTTPException) as error:
        line.close()
        raise _broken(error) from None


def _broken(error: Exception) -> BrokenLineError:
    """Return what went wrong on a line, in words that quote nothing of what was asked for."""
    if isinstance(error, socket.timeout):
        return BrokenLineError("the server did not answer in time")
    return BrokenLineError(getattr(error, "verify_message", "") or getattr(error, "strerror", "") or type(error).__name__)
