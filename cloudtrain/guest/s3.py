"""One folder of S3, read and written with the credentials of the machine's own role."""

from __future__ import annotations

import calendar
import contextlib
import html
import os
import re
import time
from typing import Any, BinaryIO, Callable, Iterator, Mapping, Sequence
from urllib.parse import unquote

from .download import MTIME_HEADER
from .errors import GuestError
from .folder import PART_BYTES, Crew, Stored, T, opened, refuse_changed
from .line import Answer, BrokenLineError, Lines
from .role import RoleCredentials
from .signature import Request, headers_of

MOST_PARTS = 10_000

_MOST_ANSWER = 8 << 20
_ENTRY = re.compile(r"<Contents>(.*?)</Contents>", re.DOTALL)
_FIELD = re.compile(r"<(Key|Size|LastModified|ETag)>(.*?)</\1>", re.DOTALL)
_NEXT = re.compile(r"<NextContinuationToken>(.*?)</NextContinuationToken>", re.DOTALL)
_UPLOAD = re.compile(r"<UploadId>(.*?)</UploadId>", re.DOTALL)
_CODE = re.compile(r"<Code>(.*?)</Code>", re.DOTALL)
_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]+[a-z0-9])(?:/(.*))?", re.DOTALL)

NOTHING: Mapping[str, str] = {}


class Folder:
    """What lies below one address. Any thread may ask."""

    def __init__(
        self,
        url: str,
        region: str,
        environ: Mapping[str, str],
        credentials: RoleCredentials,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take an address ("s3://bucket/prefix/"); AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL name another service.

        Raises:
            GuestError: it is none.
        """
        found = _ADDRESS.fullmatch(url)
        if found is None:
            raise GuestError(f"{url!r} is no address in S3")
        bucket, prefix = found[1], (found[2] or "").rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._region = region
        self._credentials = credentials
        self._now = now
        server, self._base = _server(
            bucket, region, environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
        )
        self._lines = Lines(server)
        self._crew = Crew()

    def names(self) -> Iterator[Stored]:
        """Yield what is in it.

        Raises:
            GuestError: S3 refuses.
            BrokenLineError: the line broke.
        """
        query = {"list-type": "2", "encoding-type": "url", "prefix": self._prefix}
        while True:
            page = self._said(self._ask("GET", None, query=query))
            yield from (_stored(entry, self._prefix) for entry in _ENTRY.findall(page))
            more = _NEXT.search(page)
            if more is None:
                return
            query["continuation-token"] = html.unescape(more[1])

    def open(self, name: str, start: int, etag: str) -> Answer:
        """Return the answer to a request for an object from a byte on; it may be a refusal."""
        return self._ask("GET", name, headers={"Range": f"bytes={start}-", "If-Match": f'"{etag}"'})

    def mtime(self, stored: Stored) -> float:
        """Return when an object's file was last changed (Unix time), as whoever stored it said; else when it was stored."""
        answer = self._ask("HEAD", stored.name)
        self._said(answer)
        try:
            return float(answer.header(MTIME_HEADER))
        except ValueError:
            return stored.at

    def put_whole(self, name: str, path: str) -> None:
        """Store a file that has at most PART_BYTES.

        Raises:
            ChangedError: it changed meanwhile, or is larger.
            GuestError: S3 refuses.
            BrokenLineError: the line broke.
            OSError: the file cannot be read.
        """
        with opened(path) as file:
            info = os.fstat(file.fileno())
            content = os.pread(file.fileno(), PART_BYTES + 1, 0)
            refuse_changed(file, info, len(content))
            self._said(self._ask("PUT", name, headers=_time_of(info), body=content))

    def put_in_parts(self, name: str, path: str, is_too_late: Callable[[], bool]) -> None:
        """Store a large file, whole or not at all, several parts at once; `is_too_late` is asked before each.

        Raises:
            ChangedError, GuestError, BrokenLineError, OSError: as `put_whole`.
            GuestError: it is too late.
        """
        with opened(path) as file:
            info = os.fstat(file.fileno())
            begun = _UPLOAD.search(self._said(self._ask("POST", name, query={"uploads": ""}, headers=_time_of(info))))
            if begun is None:
                raise BrokenLineError("S3 begins no upload")
            upload = {"uploadId": html.unescape(begun[1])}
            try:
                marks = self._send_parts(name, file, upload, is_too_late)
                refuse_changed(file, info, info.st_size)
                self._complete(name, upload, marks)
            except BaseException:
                with contextlib.suppress(GuestError, BrokenLineError):  # what came is then the bucket's own rules to clear
                    self._said(self._ask("DELETE", name, query=upload))
                raise

    def for_each(self, act: Callable[[T], Any], items: Sequence[T]) -> None:
        """Do something with several things at once, and raise what the first that failed raises."""
        self._crew.for_each(act, items)

    def close(self) -> None:
        """Let the lines go."""
        self._crew.close()
        self._lines.close()

    def _send_parts(
        self, name: str, file: BinaryIO, upload: Mapping[str, str], is_too_late: Callable[[], bool]
    ) -> Sequence[str]:
        length = os.fstat(file.fileno()).st_size
        size = max(PART_BYTES, -(-length // MOST_PARTS))
        marks = [""] * -(-length // size)

        def send(number: int) -> None:
            if is_too_late():
                raise GuestError("there was no time left to copy it")
            content = os.pread(file.fileno(), size, number * size)
            answer = self._ask("PUT", name, query={**upload, "partNumber": str(number + 1)}, body=content)
            self._said(answer)
            marks[number] = answer.header("ETag")

        self.for_each(send, range(len(marks)))
        return marks

    def _complete(self, name: str, upload: Mapping[str, str], marks: Sequence[str]) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{html.escape(mark)}</ETag></Part>"
            for number, mark in enumerate(marks, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        said = self._said(self._ask("POST", name, query=upload, body=body))
        # S3 begins to answer before it knows whether it can.
        if "<Error>" in said:
            raise BrokenLineError("S3 did not put the parts together")

    def _ask(
        self,
        method: str,
        name: str | None,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes = b"",
    ) -> Answer:
        """Ask about an object, or about the bucket when there is no name."""
        key = "" if name is None else self._prefix + name
        request = Request(method, self._lines.host, f"{self._base}/{key}", query, headers, body)
        try:
            signed = headers_of(request, self._credentials(), self._region, self._now())
            return self._lines.ask(method, request.target, signed, body if method in ("PUT", "POST") else None)
        except UnicodeEncodeError:
            raise GuestError(f"{name!r} is no name that S3 can hold") from None

    def _said(self, answer: Answer) -> str:
        """Return what S3 said, if it did what was asked."""
        said = answer.all(_MOST_ANSWER).decode("utf-8", "replace")
        if answer.status < 300:
            return said
        found = _CODE.search(said)
        code = found[1] if found else f"status {answer.status}"
        if code in ("ExpiredToken", "InvalidToken", "InvalidAccessKeyId"):
            self._credentials.forget()
            raise BrokenLineError(f"S3 does not take the credentials of the machine's role: {code}")
        if answer.status >= 500 or answer.status == 429:
            raise BrokenLineError(f"S3 answers {code}")
        raise GuestError(f"S3 refuses: {code}")


def _server(bucket: str, region: str, endpoint: str) -> tuple[str, str]:
    """Return S3's address for a bucket, and what every path there begins with."""
    if endpoint:
        return endpoint.rstrip("/"), f"/{bucket}"
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    if "." in bucket:  # the certificate is for one name before the service's
        return f"https://s3.{region}.{domain}", f"/{bucket}"
    return f"https://{bucket}.s3.{region}.{domain}", ""


def _stored(entry: str, prefix: str) -> Stored:
    """Return what an entry of a list says."""
    fields = {name: html.unescape(value) for name, value in _FIELD.findall(entry)}
    try:
        at = calendar.timegm(time.strptime(fields["LastModified"].partition(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S"))
        name = unquote(fields["Key"].replace("+", " "), errors="surrogateescape")
        return Stored(name[len(prefix) :], int(fields["Size"]), fields["ETag"].strip('"'), at)
    except (KeyError, ValueError):
        raise BrokenLineError("S3's list cannot be read") from None


def _time_of(info: os.stat_result) -> Mapping[str, str]:
    return {MTIME_HEADER: f"{info.st_mtime:.6f}"}
