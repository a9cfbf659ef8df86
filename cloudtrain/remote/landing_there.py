# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib.
# ruff: noqa: PTH100, PTH101, PTH102, PTH103, PTH105, PTH108, PTH118, PTH120, PTH123, PTH211
"""Put arriving files where they belong: the half of a transfer that receives, here and on the machine.

Standard library only, Python 3.8 or newer. On the machine its source stands behind that of tar_there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator

from .tar_there import REFUSED, Entry, RefusedError, members, shown, stays_inside

MOST_BYTES = 1 << 42
MOST_FILES = 4_000_000

_LONGEST_NAME = 4096
_DEEPEST = 256


class Guard:
    """Refuse what may not come, whoever sent it: every name is new, plain and below the root."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES) -> None:
        self._bytes_left = most_bytes
        self._files_left = most_files
        self._kinds: dict[str, str] = {}
        self._named: set[str] = set()

    def check(self, entry: Entry) -> None:
        """Raise RefusedError for an entry that may not come."""
        name = entry.name
        parts = name.split("/")
        if name != "." and (any(part in ("", ".", "..") for part in parts) or "\0" in name):
            raise RefusedError(f"the name {shown(name)} leaves its folder")
        if len(name) > _LONGEST_NAME or len(parts) > _DEEPEST:
            raise RefusedError(f"the name {shown(name)} is too long")
        if name in self._named or self._kinds.get(name, entry.kind) != entry.kind:
            raise RefusedError(f"{shown(name)} comes twice")
        self._named.add(name)
        if name != ".":
            self._enter_parents(parts)
        if entry.kind == "link" and (name == "." or not stays_inside(name, entry.target)):
            raise RefusedError(f"the link {shown(name)} leaves its folder: it points to {shown(entry.target)}")
        self._enter(name, entry.kind)
        self._bytes_left -= entry.size
        if self._bytes_left < 0:
            raise RefusedError("more bytes came than may come")

    def is_file_below(self, name: str) -> bool:
        """Say whether a file of that name has come, and is not the root itself."""
        return name != "." and self._kinds.get(name) == "file"

    def _enter_parents(self, parts: list[str]) -> None:
        for end in range(len(parts)):
            parent = "/".join(parts[:end]) or "."
            if self._kinds.get(parent, "folder") != "folder":
                raise RefusedError(f"{shown('/'.join(parts))} stands below what is no folder")
            self._enter(parent, "folder")

    def _enter(self, name: str, kind: str) -> None:
        if name not in self._kinds:
            self._kinds[name] = kind
            self._files_left -= 1
            if self._files_left < 0:
                raise RefusedError("more files came than may come")


class Landing:
    """A folder (or a file to be) that entries are put into.

    A file is written beside its place and renamed, so that none is seen half. Links are made last: while files are
    written, no link of this stream leads anywhere. Folders get their mode and time when nothing more changes in them.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._made: set[str] = set()
        self._folders: list[Entry] = []
        self._links: list[Entry] = []
        self._part = f".arriving-{os.getpid()}-{os.urandom(4).hex()}"

    def put(self, entry: Entry, content: Iterable[bytes]) -> None:
        """Put one checked entry."""
        if entry.kind == "folder":
            self._folder(entry.name)
            self._folders.append(entry)
        elif entry.kind == "link":
            self._links.append(entry)
        else:
            self._file(entry, content)

    def drop(self, name: str) -> None:
        """Take away a file that was put, before anything is finished."""
        os.unlink(self._path(name))

    def finish(self) -> None:
        """Make the links, and give the folders their mode and time."""
        if not self._made and not os.path.lexists(self._root):
            self._folder(".")
        for entry in self._links:
            path = self._place(entry.name)
            os.symlink(entry.target, path)
            os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
        for entry in sorted(self._folders, reverse=True):
            path = self._path(entry.name)
            # A folder its owner cannot enter could not even be removed.
            os.chmod(path, entry.mode & 0o777 | 0o700)
            os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))

    def _file(self, entry: Entry, content: Iterable[bytes]) -> None:
        parent = self._parent(entry.name)
        part = os.path.join(parent, self._part)
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(file, "wb", buffering=0):
                for chunk in content:
                    _write_all(file, chunk)
                os.fchmod(file, entry.mode & 0o777)
                os.utime(file, ns=(entry.mtime_ns, entry.mtime_ns))
            os.replace(part, self._place(entry.name, keep_file=True))
        except BaseException:
            with contextlib.suppress(OSError):  # what went wrong matters more than what is left of it
                os.unlink(part)
            raise

    def _place(self, name: str, *, keep_file: bool = False) -> str:
        """Return the path with nothing in its way; a file may stay to be replaced in one step."""
        path = self._path(name)
        self._parent(name)
        kind = _kind(path)
        if kind == "folder":
            shutil.rmtree(path)
        elif kind and not keep_file:
            os.unlink(path)
        return path

    def _parent(self, name: str) -> str:
        if name == ".":
            os.makedirs(os.path.dirname(self._root), exist_ok=True)
            return os.path.dirname(self._root)
        return self._folder(os.path.dirname(name) or ".")

    def _folder(self, name: str) -> str:
        if "." not in self._made:
            os.makedirs(self._root, exist_ok=True)
            self._made.add(".")
        at = ""
        for part in [] if name == "." or name in self._made else name.split("/"):
            at = f"{at}/{part}" if at else part
            if at not in self._made:
                self._clear_and_make(self._path(at))
                self._made.add(at)
        return self._path(name)

    def _clear_and_make(self, path: str) -> None:
        kind = _kind(path)
        if kind == "folder":
            return
        if kind:
            os.unlink(path)
        os.mkdir(path)

    def _path(self, name: str) -> str:
        return self._root if name == "." else os.path.join(self._root, name)


def unpack(entries: Iterable[tuple[Entry, Iterator[bytes]]], root: str, guard: Guard) -> int:
    """Put a stream of entries below `root`; return how many came."""
    landing = Landing(root)
    count = 0
    for entry, content in entries:
        guard.check(entry)
        landing.put(entry, content)
        count += 1
    landing.finish()
    return count


def _kind(path: str) -> str:
    """Return "folder", "other" (a link to a folder is no folder) or "" for nothing."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return ""
    return "folder" if stat.S_ISDIR(mode) else "other"


def _write_all(file: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(file, view) :]


def main(destination: str) -> int:
    """Unpack standard input below a folder and print how many entries came; return the exit code."""
    try:
        count = unpack(members(sys.stdin.buffer), os.path.abspath(destination), Guard())
    except (RefusedError, OSError) as error:
        print(error, file=sys.stderr)
        return REFUSED
    print(count, flush=True)
    return 0
