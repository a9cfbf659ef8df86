"""One folder of Blob Storage, read and written in the name of the machine's own identity."""

from __future__ import annotations

import base64
import html
import os
import re
import threading
import uuid
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, BinaryIO, Callable, Iterator, Mapping, Sequence
from urllib.parse import quote, unquote, urlencode, urlsplit

from .azure_identity import StorageIdentity
from .errors import GuestError
from .folder import PART_BYTES, Crew, NotYetError, Stored, T, opened, refuse_changed
from .line import Answer, BrokenLineError, Lines

MTIME_HEADER = "x-ms-meta-mtime"
MOST_BLOCKS = 50_000
SERVICE_VERSION = "2020-12-06"

_MOST_ANSWER = 16 << 20
_ADDRESS = re.compile(r"az://([a-z0-9]+)/([a-z0-9$-]+)(?:/(.*))?", re.DOTALL)
_ENTRY = re.compile(r"<Blob>(.*?)</Blob>", re.DOTALL)
_NAME = re.compile(r'<Name( Encoded="true")?>(.*?)</Name>', re.DOTALL)
_FIELD = re.compile(r"<(Content-Length|Etag|Last-Modified|ResourceType)>(.*?)</\1>", re.DOTALL)
_NEXT = re.compile(r"<NextMarker>(.+?)</NextMarker>", re.DOTALL)
_NOT_YET = ("AuthorizationPermissionMismatch", "InsufficientAccountPermissions")
"""What is said to who has no right, and to who was given it some minutes ago."""

NOTHING: Mapping[str, str] = {}


class BlobFolder:
    """See `Folder`."""

    def __init__(self, url: str, environ: Mapping[str, str], identity: StorageIdentity | None = None) -> None:
        """Take an address ("az://account/container/prefix/"); CLOUDTRAIN_BLOB_URL names another service.

        Raises:
            GuestError: it is none.
        """
        found = _ADDRESS.fullmatch(url)
        if found is None:
            raise GuestError(f"{url!r} is no address in Blob Storage")
        self._account, self._container = found[1], found[2]
        prefix = (found[3] or "").rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._service = (environ.get("CLOUDTRAIN_BLOB_URL") or "").rstrip("/")
        self._identity = identity or StorageIdentity()
        self._lock = threading.Lock()
        self._made: tuple[Lines, str] | None = None
        self._crew = Crew()

    def names(self) -> Iterator[Stored]:
        """See `Folder.names`."""
        query = {"restype": "container", "comp": "list", "prefix": self._prefix}
        while True:
            page = self._said(self._ask("GET", None, query=query))
            for entry in _ENTRY.findall(page):
                found = _stored(entry, self._prefix)
                if found is not None:
                    yield found
            more = _NEXT.search(page)
            if more is None:
                return
            query["marker"] = html.unescape(more[1])

    def open(self, name: str, start: int, etag: str) -> Answer:
        """See `Folder.open`."""
        answer = self._ask("GET", name, headers={"Range": f"bytes={start}-", "If-Match": f'"{etag}"'})
        if answer.status in (401, 403):
            self._said(answer)  # a right that counts at one of its doors may not count at the next one yet
        return answer

    def mtime(self, stored: Stored) -> float:
        """See `Folder.mtime`."""
        answer = self._ask("HEAD", stored.name)
        self._said(answer)
        try:
            return float(answer.header(MTIME_HEADER))
        except ValueError:
            return stored.at

    def put_whole(self, name: str, path: str) -> None:
        """See `Folder.put_whole`."""
        with opened(path) as file:
            info = os.fstat(file.fileno())
            content = os.pread(file.fileno(), PART_BYTES + 1, 0)
            refuse_changed(file, info, len(content))
            self._said(self._ask("PUT", name, headers={"x-ms-blob-type": "BlockBlob", **_time_of(info)}, body=content))

    def put_in_parts(self, name: str, path: str, is_too_late: Callable[[], bool]) -> None:
        """See `Folder.put_in_parts`. What came of one that failed, Azure clears away in a week, or with the next that works."""
        with opened(path) as file:
            info = os.fstat(file.fileno())
            blocks = self._send_blocks(name, file, info.st_size, is_too_late)
            refuse_changed(file, info, info.st_size)
            listed = "".join(f"<Latest>{each}</Latest>" for each in blocks)
            body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
            self._said(self._ask("PUT", name, query={"comp": "blocklist"}, headers=_time_of(info), body=body))

    def for_each(self, act: Callable[[T], Any], items: Sequence[T]) -> None:
        """See `Folder.for_each`."""
        self._crew.for_each(act, items)

    def close(self) -> None:
        """See `Folder.close`."""
        self._crew.close()
        if self._made is not None:
            self._made[0].close()

    def _send_blocks(self, name: str, file: BinaryIO, length: int, is_too_late: Callable[[], bool]) -> Sequence[str]:
        """Send a file's blocks and return their names: of one length, as Azure wants it, and another try's are others."""
        size = max(PART_BYTES, -(-length // MOST_BLOCKS))
        upload = uuid.uuid4().hex
        blocks = [base64.b64encode(f"{upload}-{number:05d}".encode()).decode() for number in range(-(-length // size))]

        def send(number: int) -> None:
            if is_too_late():
                raise GuestError("there was no time left to copy it")
            content = os.pread(file.fileno(), size, number * size)
            self._said(self._ask("PUT", name, query={"comp": "block", "blockid": blocks[number]}, body=content))

        self._crew.for_each(send, range(len(blocks)))
        return blocks

    def _ask(
        self,
        method: str,
        name: str | None,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes | None = None,
    ) -> Answer:
        """Ask about a blob, or about the container when there is no name."""
        lines, base = self._place()
        try:
            path = base if name is None else f"{base}/{quote(self._prefix + name, safe='/~')}"
            target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        except UnicodeEncodeError:
            raise GuestError(f"{name!r} is no name that Blob Storage can hold") from None
        ours = {
            "Authorization": f"Bearer {self._identity.token()}",
            "x-ms-version": SERVICE_VERSION,
            "x-ms-date": formatdate(usegmt=True),
        }
        return lines.ask(method, target, {**headers, **ours}, body)

    def _place(self) -> tuple[Lines, str]:
        """Return the lines to the service, and what every path there begins with."""
        with self._lock:
            if self._made is None:
                to = urlsplit(self._service or f"https://{self._account}.{self._identity.domain()}")
                below = f"/{self._account}/{self._container}" if self._service else f"/{self._container}"
                self._made = Lines(f"{to.scheme}://{to.netloc}"), to.path + below
            return self._made

    def _said(self, answer: Answer) -> str:
        """Return what Blob Storage said, if it did what was asked."""
        said = answer.all(_MOST_ANSWER).decode("utf-8", "replace")
        if answer.status < 300:
            return said
        code = answer.header("x-ms-error-code") or f"status {answer.status}"
        if answer.status == 401:
            self._identity.forget()
            raise BrokenLineError(f"Blob Storage does not take the token of the machine's identity: {code}")
        if code in _NOT_YET:
            raise NotYetError(f"Blob Storage refuses: {code}")
        if answer.status >= 500 or answer.status == 429:
            raise BrokenLineError(f"Blob Storage answers {code}")
        raise GuestError(f"Blob Storage refuses: {code}")


def _stored(entry: str, prefix: str) -> Stored | None:
    """Return what an entry of a list says; None for a folder, which accounts with a tree of folders list like a blob."""
    named, fields = _NAME.search(entry), {name: html.unescape(value) for name, value in _FIELD.findall(entry)}
    if fields.get("ResourceType") == "directory":
        return None
    try:
        at = parsedate_to_datetime(fields["Last-Modified"]).timestamp()
        name = html.unescape(named[2]) if named is not None else ""
        whole = unquote(name) if named is not None and named[1] else name
        return Stored(whole[len(prefix) :], int(fields["Content-Length"]), fields["Etag"].strip('"'), at)
    except (KeyError, ValueError, TypeError):
        raise BrokenLineError("Blob Storage's list cannot be read") from None


def _time_of(info: os.stat_result) -> Mapping[str, str]:
    return {MTIME_HEADER: f"{info.st_mtime:.6f}"}
