# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib.
# ruff: noqa: PTH115, PTH118, PTH120, PTH123
"""What travels: one entry, as it stands on a disk, and its content.

Standard library only, Python 3.8 or newer, imports nothing of ours: its source travels to the machine.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

CHUNK = 1 << 20


class RefusedError(Exception):
    """Something cannot travel, or what came is not what may come."""


class Entry(NamedTuple):
    """One thing that travels."""

    name: str
    kind: str
    size: int = 0
    mode: int = 0o644
    mtime_ns: int = 0
    target: str = ""


def describe(root: str, name: str) -> Entry | None:
    """Return what stands there, or None for what is neither file, folder nor link.

    Raises:
        RefusedError: a link that leaves `root`.
    """
    info = os.lstat(root if name == "." else f"{root}/{name}")
    mode = info.st_mode & 0o777
    if stat.S_ISREG(info.st_mode):
        return Entry(name, "file", info.st_size, mode, info.st_mtime_ns)
    if stat.S_ISDIR(info.st_mode):
        return Entry(name, "folder", 0, mode, info.st_mtime_ns)
    if stat.S_ISLNK(info.st_mode):
        return Entry(name, "link", 0, 0o777, info.st_mtime_ns, link_target(root, name))
    return None


def link_target(root: str, name: str) -> str:
    """Return where a link points, relative to its own folder and without a way around.

    Raises:
        RefusedError: it leaves `root`.
    """
    path = os.path.join(root, name)
    target = os.readlink(path)
    top, end = os.path.realpath(root), os.path.realpath(path)
    if end != top and not end.startswith(top.rstrip("/") + "/"):
        raise RefusedError(f"the link {shown(name)} leaves its folder: it points to {shown(target)}")
    if stays_inside(name, target):
        return target
    return os.path.relpath(end, os.path.realpath(os.path.dirname(path)))


def stays_inside(name: str, target: str) -> bool:
    """Say whether a link's target stays below the root whatever other links stand there.

    Steps up may only come first: behind another link, ".." is not what it looks like.
    """
    parts = target.split("/")
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    is_plain = bool(target) and not target.startswith("/") and "\0" not in target and ".." not in parts[up:]
    return is_plain and up <= name.count("/")


def content_of(root: str, entry: Entry) -> Iterator[bytes]:
    """Hand out a file's content, exactly `entry.size` bytes.

    Raises:
        RefusedError: it is not, or no longer, the file that was described.
    """
    path = root if entry.name == "." else os.path.join(root, entry.name)
    changed = f"{shown(entry.name)} changed while it was read"
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        left = entry.size
        if not stat.S_ISREG(before.st_mode) or before.st_size != left:
            raise RefusedError(changed)
        while left:
            chunk = file.read(min(left, CHUNK))
            if not chunk:
                raise RefusedError(changed)
            left -= len(chunk)
            yield chunk
        if file.read(1) or os.fstat(file.fileno()).st_mtime_ns != before.st_mtime_ns:
            raise RefusedError(changed)


def with_content(root: str, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """Hand out each entry with its content.

    Raises:
        RefusedError: a file changed or cannot be read.
    """
    for entry in entries:
        yield entry, named(entry.name, content_of(root, entry)) if entry.kind == "file" else iter(())


def named(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Hand the pieces on; what the system says against reading them names the file."""
    try:
        yield from pieces
    except OSError as error:
        raise RefusedError(f"{shown(name)} cannot be read: {error.strerror}") from error


def shown(name: str) -> str:
    """Return a name as a person may see it: one line, no control characters, not endless."""
    text = name if name.isprintable() else ascii(name)
    return text if len(text) <= 300 else text[:300] + "…"
