"""Trees as tar streams: written from a file set, unpacked from whoever sent them, trusting nobody."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..model.errors import TransferError
from .base import OnBytes
from .fileset import FileSet
from .landing_there import MOST_BYTES, MOST_FILES, Guard, Landing
from .leaving_there import MOST_TOLD
from .tar_there import Entry, RefusedError, describe, members, pack, shown, with_content

_AGAIN = "Nothing was left half done here. Try again."


def write_tar(files: FileSet, out: BinaryIO, on_bytes: OnBytes | None = None) -> None:
    """Write the files as one tar stream with mode, modification time and links.

    Raises:
        TransferError: a file is gone, cannot be read, or changed while it was read.
        OSError: `out` does not take it.
    """
    counter = Counter(files.total_bytes, on_bytes)
    try:
        pack(with_content(str(files.root), described(files)), out.write, counter.add)
    except RefusedError as error:
        raise refused(error) from error


def unpack_tar(
    source: BinaryIO,
    destination: Path,
    on_bytes: OnBytes | None = None,
    *,
    most_bytes: int = MOST_BYTES,
    most_files: int = MOST_FILES,
) -> tuple[str, ...]:
    """Unpack a stream nobody vouches for *as* `destination`, whole or not at all; return what was left behind there.

    Absolute names, "..", names that come twice, links that leave, hard links, devices, FIFOs and streams that end too soon
    are refused; set-user-ID bits are dropped. What `source` raises of ours leaves as it is. A file that is told to have been
    left behind although it came is dropped: it broke off there, and what came is filled up with zeros.

    Raises:
        TransferError: `destination` exists, the stream was refused, or the disk does not take it.
    """
    guard = Guard(most_bytes, most_files)
    with arriving(destination) as place:
        landing = Landing(str(place))
        counter = Counter(0, on_bytes)
        for entry, content in members(source):
            guard.check(entry)
            counter.total = counter.total or entry.total
            landing.put(entry, counter.counted(content))
        left = _told(source)
        for name in filter(guard.is_file_below, left):
            landing.drop(name)
        landing.finish()
    return tuple(shown(name) for name in left)


@contextlib.contextmanager
def arriving(destination: Path) -> Iterator[Path]:
    """Hand out a place beside `destination` that becomes it when the block ends well, and vanishes when not.

    Raises:
        TransferError: `destination` exists, or the block was refused something by a guard or the system.
    """
    try:
        if os.path.lexists(destination):
            raise RefusedError(f"{destination} exists already")
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".arriving-", dir=destination.parent) as folder:
            place = Path(folder) / "it"
            yield place
            if os.path.lexists(destination):
                raise RefusedError(f"{destination} has come into being meanwhile")
            place.rename(destination)
    except RefusedError as error:
        raise TransferError(f"{shown(destination.name)} did not arrive: {error}", _AGAIN) from error
    except OSError as error:
        raise TransferError(f"{shown(destination.name)} did not arrive: {error.strerror or error}", _AGAIN) from error


class Counter:
    """Count bytes as they pass, and tell whoever wants to know."""

    def __init__(self, total: int, on_bytes: OnBytes | None) -> None:
        self.total = total
        self._done = 0
        self._on_bytes = on_bytes

    def add(self, count: int) -> None:
        """Count some more."""
        self._done += count
        if self._on_bytes is not None:
            self._on_bytes(self._done, self.total)

    def counted(self, content: Iterator[bytes]) -> Iterator[bytes]:
        """Hand the content on, counted."""
        for chunk in content:
            yield chunk
            self.add(len(chunk))


def described(files: FileSet) -> Iterator[Entry]:
    """Hand out the set's entries as they stand on the disk now.

    Raises:
        RefusedError: one is gone, or is no longer what was counted.
    """
    for counted in files.entries:
        try:
            entry = describe(str(files.root), counted.name)
        except OSError as error:
            raise RefusedError(f"{shown(counted.name)} cannot be read: {error.strerror}") from error
        if entry is None or entry.kind != counted.kind:
            raise RefusedError(f"{shown(counted.name)} is no longer the {counted.kind} it was")
        yield entry


def refused(error: Exception) -> TransferError:
    """Return what a person is told when files cannot leave here."""
    return TransferError(f"Not everything was sent: {error}", "Let it rest, then try again: what has arrived is replaced.")


def _told(source: BinaryIO) -> list[str]:
    """Return the names that follow the stream: what was left behind."""
    said = b""
    while chunk := source.read(1 << 16):
        said = (said + chunk).lstrip(b"\0") if not said else said + chunk
        if len(said) > MOST_TOLD:
            raise RefusedError("the stream does not end where it says it does")
    try:
        left = json.loads(said or b"[]")
    except (ValueError, RecursionError) as error:
        raise RefusedError("the stream is damaged: what follows it cannot be read") from error
    if not isinstance(left, list) or not all(isinstance(name, str) for name in left):
        raise RefusedError("the stream is damaged: what follows it are no names")
    return left
