"""One folder of Google's Cloud Storage, read and written with the token of the machine's own service account."""

from __future__ import annotations

import base64
import binascii
import calendar
import json
import os
import re
import secrets
import time
from typing import Any, BinaryIO, Callable, Iterator, Mapping, Sequence
from urllib.parse import quote, urlencode, urlsplit

from .errors import GuestError
from .folder import PART_BYTES, Crew, NotYetError, Stored, T, opened, refuse_changed
from .gcs_token import MachineToken
from .line import Answer, BrokenLineError, Lines

USUAL_SERVER = "https://storage.googleapis.com"
CHUNK_BYTES = 2 * PART_BYTES
"""A large file goes in parts of this size, one after the other: Google takes them in their order alone. Of 256 KiB each."""

TRIES = 4
"""How often a part is sent whose line breaks; in between Google is asked how far it came."""

MTIME = "mtime"

_PAGE = "1000"
_FIELDS = "items(name,size,md5Hash,generation,updated,metadata),nextPageToken"
_MOST_ANSWER = 8 << 20
_ADDRESS = re.compile(r"gs://([a-z0-9][a-z0-9._-]+[a-z0-9])(?:/(.*))?", re.DOTALL)
_COME = re.compile(r"bytes=0-(\d+)")
_NOTHING: Mapping[str, str] = {}


class GcsFolder:
    """What lies below one address. See `folder.Folder`.

    Looking and storing speak Cloud Storage's JSON; content is read by its XML interface, whose answer names the file's own
    time.
    """

    def __init__(self, url: str, environ: Mapping[str, str], token: MachineToken) -> None:
        """Take an address ("gs://bucket/prefix/"); STORAGE_EMULATOR_HOST names another service, as for Google's libraries.

        Raises:
            GuestError: it is none.
        """
        found = _ADDRESS.fullmatch(url)
        if found is None:
            raise GuestError(f"{url!r} is no address in Cloud Storage")
        self._bucket, prefix = found[1], (found[2] or "").rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._token = token
        server = environ.get("STORAGE_EMULATOR_HOST") or USUAL_SERVER
        self._lines = Lines(server if "://" in server else f"http://{server}")
        self._crew = Crew()
        self._was_let_in = False
        self._seen: dict[tuple[str, str], tuple[str, float]] = {}

    def names(self) -> Iterator[Stored]:
        """Yield what is in it. See `folder.Folder.names`."""
        query = {"prefix": self._prefix, "maxResults": _PAGE, "fields": _FIELDS}
        while True:
            page = self._read(self._ask("GET", f"{self._objects}?{urlencode(query)}"))
            for found in _listed(page):
                yield self._stored(found)
            query["pageToken"] = str(page.get("nextPageToken") or "")
            if not query["pageToken"]:
                return

    def open(self, name: str, start: int, etag: str) -> Answer:
        """Return the answer to a request for an object from a byte on; it may be a refusal."""
        headers = {"Range": f"bytes={start}-"}
        generation = self._seen.get((name, etag), ("", 0.0))[0]
        if generation:
            headers["x-goog-if-generation-match"] = generation
        return self._ask("GET", f"/{self._bucket}/{_quoted(self._prefix + name, '/')}", headers)

    def mtime(self, stored: Stored) -> float:
        """Return when an object's file was last changed (Unix time), as whoever stored it said; else when it was stored."""
        return self._seen.get((stored.name, stored.etag), ("", stored.at))[1]

    def put_whole(self, name: str, path: str) -> None:
        """Store a file that has at most PART_BYTES. See `folder.Folder.put_whole`."""
        with opened(path) as file:
            info = os.fstat(file.fileno())
            content = os.pread(file.fileno(), PART_BYTES + 1, 0)
            refuse_changed(file, info, len(content))
        kind, body = _two_parts({"name": self._key(name), **_about(info)}, content)
        query = urlencode({"uploadType": "multipart", "fields": "name"})
        self._read(self._ask("POST", f"/upload{self._objects}?{query}", {"Content-Type": kind}, body))

    def put_in_parts(self, name: str, path: str, is_too_late: Callable[[], bool]) -> None:
        """Store a large file, whole or not at all. See `folder.Folder.put_in_parts`.

        What came of one that is not brought to its end is no object, costs nothing, and Google forgets it after a week.
        """
        with opened(path) as file:
            info = os.fstat(file.fileno())
            session = self._begin(name, info)
            start = 0
            while start < info.st_size:
                if is_too_late():
                    raise GuestError("there was no time left to copy it")
                if start + CHUNK_BYTES >= info.st_size:
                    refuse_changed(file, info, info.st_size)  # with its last part it is an object
                start = self._send(session, file, start, info.st_size)

    def for_each(self, act: Callable[[T], Any], items: Sequence[T]) -> None:
        """Do something with several things at once, and raise what the first that failed raises."""
        self._crew.for_each(act, items)

    def close(self) -> None:
        """Let the lines go."""
        self._crew.close()
        self._lines.close()

    @property
    def _objects(self) -> str:
        return f"/storage/v1/b/{self._bucket}/o"

    def _key(self, name: str) -> str:
        try:
            return (self._prefix + name).encode("utf-8").decode("utf-8")
        except UnicodeEncodeError:
            raise GuestError(f"{name!r} is no name that Cloud Storage can hold") from None

    def _begin(self, name: str, info: os.stat_result) -> str:
        """Begin an upload of several parts and return where they go: only below the server that the token is for."""
        query = urlencode({"uploadType": "resumable", "name": self._key(name)})
        headers = {"Content-Type": "application/json; charset=UTF-8", "X-Upload-Content-Length": str(info.st_size)}
        answer = self._ask("POST", f"/upload{self._objects}?{query}", headers, json.dumps(_about(info)).encode())
        self._read(answer)
        parts = urlsplit(answer.header("Location"))
        if not parts.path.startswith("/upload/"):
            raise BrokenLineError("Cloud Storage begins no upload")
        return f"{parts.path}?{parts.query}"

    def _send(self, session: str, file: BinaryIO, start: int, total: int) -> int:
        """Send one part and return how far the upload is then; where the line broke, Google is asked."""
        content = os.pread(file.fileno(), CHUNK_BYTES, start)
        where = f"bytes {start}-{start + len(content) - 1}/{total}"
        for attempt in range(TRIES):
            try:
                return self._come(self._ask("PUT", session, {"Content-Range": where}, content), total)
            except BrokenLineError:
                if attempt == TRIES - 1:
                    raise
            come = self._come(self._ask("PUT", session, {"Content-Range": f"bytes */{total}"}, b""), total)
            if come != start:
                return come
        raise BrokenLineError("Cloud Storage does not take it")

    def _come(self, answer: Answer, total: int) -> int:
        """Return how many bytes have come, as Google says: 308 as long as more are to come."""
        if answer.status != 308:
            self._read(answer)
            return total
        answer.leave()
        found = _COME.fullmatch(answer.header("Range"))
        return int(found[1]) + 1 if found else 0

    def _ask(self, method: str, target: str, headers: Mapping[str, str] = _NOTHING, body: bytes | None = None) -> Answer:
        signed = {**headers, "Authorization": f"Bearer {self._token()}"}
        return self._lines.ask(method, target, signed, body)

    def _read(self, answer: Answer) -> dict[str, Any]:
        """Return what Google said, if it did what was asked."""
        said = answer.all(_MOST_ANSWER)
        try:
            content = json.loads(said) if said else {}
        except ValueError:
            content = {}
        content = content if isinstance(content, dict) else {}
        if answer.status < 300:
            self._was_let_in = True
            return content
        why = _reason(content) or f"status {answer.status}"
        if answer.status == 401:
            self._token.forget()
            raise BrokenLineError(f"Cloud Storage does not take the token of the machine's service account: {why}")
        if answer.status >= 500 or answer.status in (408, 429):
            raise BrokenLineError(f"Cloud Storage answers {why}")
        if answer.status == 403 and not self._was_let_in:
            raise NotYetError(f"Cloud Storage refuses: {why}")
        raise GuestError(f"Cloud Storage refuses: {why}")

    def _stored(self, found: Mapping[str, Any]) -> Stored:
        try:
            name, size = str(found["name"])[len(self._prefix) :], int(found["size"])
            at = float(calendar.timegm(time.strptime(str(found["updated"])[:19], "%Y-%m-%dT%H:%M:%S")))
        except (KeyError, ValueError):
            raise BrokenLineError("Cloud Storage's list cannot be read") from None
        etag = _md5(str(found.get("md5Hash") or ""))
        self._seen[name, etag] = (str(found.get("generation") or ""), _mtime(found.get("metadata"), at))
        return Stored(name, size, etag, at)


def _quoted(text: str, safe: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe=safe + "-_.~")


def _listed(page: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    items = page.get("items", [])
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []


def _about(info: os.stat_result) -> dict[str, Any]:
    return {"contentType": "application/octet-stream", "metadata": {MTIME: f"{info.st_mtime:.6f}"}}


def _two_parts(head: Mapping[str, Any], content: bytes) -> tuple[str, bytes]:
    """Return the type and the body of an upload in one request: what is said of the object, and its content."""
    mark = secrets.token_hex(24)  # stands in no content by chance
    begin = f"--{mark}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(head)}\r\n"
    begin += f"--{mark}\r\nContent-Type: application/octet-stream\r\n\r\n"
    return f"multipart/related; boundary={mark}", b"".join((begin.encode(), content, f"\r\n--{mark}--\r\n".encode()))


def _mtime(metadata: Any, otherwise: float) -> float:
    try:
        return float(metadata[MTIME])
    except (KeyError, TypeError, ValueError):
        return otherwise


def _md5(base64_text: str) -> str:
    """Return an object's mark as hexadecimal digits; one that was put together from parts has none."""
    try:
        return base64.b64decode(base64_text, validate=True).hex()
    except (ValueError, binascii.Error):
        return ""


def _reason(content: Mapping[str, Any]) -> str:
    """Return Google's word for a refusal, which is one of a few: its sentences name what was asked for."""
    error = content.get("error")
    listed = error.get("errors") if isinstance(error, dict) else None
    first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
    return re.sub(r"[^A-Za-z]", "", str(first.get("reason") or ""))[:64]
