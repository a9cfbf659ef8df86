"""A folder in object storage, whichever cloud keeps it: what those need who copy a job's outputs there and back.

A machine reaches it with what it is itself, and with nothing of ours. Which cloud it is stands in the address.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable, Iterator, Mapping, Protocol, Sequence, TypeVar

from .errors import GuestError
from .line import Answer, BrokenLineError

PART_BYTES = 16 << 20
"""What is larger goes in parts of this size, so that a break costs one part and several travel at once."""

THREADS = 4

T = TypeVar("T")


class ChangedError(Exception):
    """A file changed while it was read: it is not finished."""


class NotYetError(BrokenLineError):
    """A right that the machine was just given does not count yet; in some minutes it may."""


@dataclass(frozen=True)
class Stored:
    """An object: its name below the folder, its bytes, its mark, and when it was stored (Unix time)."""

    name: str
    size: int
    etag: str
    at: float


class Folder(Protocol):
    """What lies below one address. Any thread may ask."""

    def names(self) -> Iterator[Stored]:
        """Yield what is in it.

        Raises:
            GuestError: the storage refuses.
            BrokenLineError: the line broke; NotYetError: a right of the machine's does not count yet.
        """
        ...

    def open(self, name: str, start: int, etag: str) -> Answer:
        """Return the answer to a request for an object from a byte on; it may be a refusal."""
        ...

    def mtime(self, stored: Stored) -> float:
        """Return when an object's file was last changed (Unix time), as whoever stored it said; else when it was stored."""
        ...

    def put_whole(self, name: str, path: str) -> None:
        """Store a file that has at most PART_BYTES.

        Raises:
            ChangedError: it changed meanwhile, or is larger.
            GuestError, BrokenLineError: as `names`.
            OSError: the file cannot be read.
        """
        ...

    def put_in_parts(self, name: str, path: str, is_too_late: Callable[[], bool]) -> None:
        """Store a large file, whole or not at all, several parts at once; `is_too_late` is asked before each.

        Raises:
            ChangedError, GuestError, BrokenLineError, OSError: as `put_whole`.
            GuestError: it is too late.
        """
        ...

    def for_each(self, act: Callable[[T], Any], items: Sequence[T]) -> None:
        """Do something with several things at once, and raise what the first that failed raises."""
        ...

    def close(self) -> None:
        """Let the lines go."""
        ...


class Crew:
    """Does several things at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS)

    def for_each(self, act: Callable[[T], Any], items: Sequence[T]) -> None:
        """Do something with several things at once, and raise what the first that failed raises."""
        futures = [self._pool.submit(act, item) for item in items]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()
            wait(futures)

    def close(self) -> None:
        """Let its threads go."""
        self._pool.shutdown()


def folder_at(url: str, region: str, environ: Mapping[str, str]) -> Folder:
    """Return the folder at an address. `environ` may name other services, as each cloud's module says.

    Raises:
        GuestError: the address is none.
    """
    # Each is imported when it is meant: the zip holds no compiled code.
    scheme = url.partition("://")[0]
    if scheme == "az":
        from .azblob import BlobFolder

        return BlobFolder(url, environ)
    if scheme == "gs":
        from . import gcs, gcs_token

        return gcs.GcsFolder(url, environ, gcs_token.MachineToken(environ))
    if scheme == "s3":
        from . import role, s3

        return s3.Folder(url, region, environ, role.RoleCredentials(environ))
    raise GuestError(f"{url!r} is no address of a folder in object storage")


def opened(path: str) -> BinaryIO:
    """Open a file to copy it: never through a link, and never waiting for somebody to write into a named pipe.

    Raises:
        OSError: it cannot be read.
    """
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def refuse_changed(file: BinaryIO, before: os.stat_result, read: int) -> None:
    """Refuse a file that is not what it was, or of which more or less was read.

    Raises:
        ChangedError: it is one.
    """
    now = os.fstat(file.fileno())
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or read != now.st_size:
        raise ChangedError
