"""What lies at a path of this machine, said in so few bytes that a name can cover it."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import Iterator
from urllib.parse import unquote, urlsplit

_SMALL_BYTES = 64 << 20  # a folder's content is read up to here; beyond it sizes and times must do
_CHUNK_BYTES = 1 << 20

# What building a package leaves beside it: were it counted, no folder would be the same after its first installation.
_LEFT_BY_BUILDING = re.compile(r"(?:.*/)?(?:__pycache__|\.git|[^/]+\.egg-info)|build/(?:lib|bdist|temp)[^/]*")


def path_of(location: str, folder: str) -> str | None:
    """Return the absolute path that a path or `file:` address means, seen from a folder; None for any other address."""
    if location[:5].lower() == "file:":
        location = unquote(urlsplit(location).path)
    elif "://" in location:
        return None
    return os.path.normpath(os.path.join(folder, location))


def digest(path: str) -> str:
    """Return a text that changes with what lies at a path, "" where nothing does.

    A file counts with its content; a folder with its files' names and content, or sizes and times where they are large.
    """
    seen = _look(path)
    if seen is None:
        return ""
    if not stat.S_ISDIR(seen.st_mode):
        return _content(path, seen)
    files = [(name, _look(os.path.join(path, name))) for name in _files_below(path)]
    total = sum(file.st_size for _, file in files if file is not None)
    describe = _content if total <= _SMALL_BYTES else _size_and_time
    whole = hashlib.sha256()
    for name, file in files:
        said = "" if file is None else describe(os.path.join(path, name), file)
        whole.update(os.fsencode(name) + b"\0" + said.encode("ascii") + b"\0")
    return whole.hexdigest()


def _files_below(folder: str) -> Iterator[str]:
    """Yield the names of all that is no folder (a link to one counts as none), always in the same order."""
    for path, folders, files in os.walk(folder):
        inside = os.path.relpath(path, folder)
        folders[:] = sorted(name for name in folders if not _LEFT_BY_BUILDING.fullmatch(_joined(inside, name)))
        linked = [name for name in folders if os.path.islink(os.path.join(path, name))]
        for name in sorted([*files, *linked]):
            yield _joined(inside, name)


def _joined(inside: str, name: str) -> str:
    return name if inside == "." else f"{inside}/{name}"


def _content(path: str, seen: os.stat_result) -> str:
    # Only a plain file can be read to its end: a named pipe would keep us for ever.
    if not stat.S_ISREG(seen.st_mode):
        return _size_and_time(path, seen)
    content = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
                content.update(chunk)
    except OSError:  # the installer will say so if it needs the file
        return _size_and_time(path, seen)
    return content.hexdigest()


def _size_and_time(_: str, seen: os.stat_result) -> str:
    return f"{seen.st_mode} {seen.st_size} {seen.st_mtime_ns}"


def _look(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
