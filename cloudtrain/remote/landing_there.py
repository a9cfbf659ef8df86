# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib.
# ruff: noqa: PTH101, PTH102, PTH103, PTH105, PTH108, PTH114, PTH115, PTH118, PTH119, PTH120, PTH211
"""Put arriving files where they belong: the half of a transfer that receives, here and on the machine.

Standard library only, Python 3.8 or newer; its source travels to the machine.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import stat
import threading
from collections.abc import Iterable

from .entry_there import Entry

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Landing:
    """A folder (or a file to be) that entries are put into, by several threads at once.

    A file is written beside its place and renamed, so that none is seen half. Links are made last: while files are
    written, no link of this stream leads anywhere. Folders get their mode and time when nothing more changes in them.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._made: set[str] = set()
        self._modes: set[tuple[str, int]] = set()
        self._making = threading.Lock()
        self._folders: list[Entry] = []
        self._links: list[Entry] = []
        self._mark = f".arriving-{os.getpid()}-{os.urandom(4).hex()}"
        self._numbers = itertools.count()

    def put(self, entry: Entry, content: Iterable[bytes]) -> None:
        """Put one checked entry."""
        if entry.kind == "folder":
            self.folder(entry.name)
            self._folders.append(entry)
        elif entry.kind == "link":
            self._links.append(entry)
        else:
            self.file(entry.name, entry.mode, entry.mtime_ns, content)

    def finish(self) -> None:
        """Make the links that were put, and give the folders their mode and time."""
        if not self._made and not os.path.lexists(self._root):
            self.folder(".")
        for entry in self._links:
            self.link(entry)
        for entry in sorted(self._folders, reverse=True):
            self.settle(entry)

    def file(self, name: str, mode: int, mtime_ns: int, content: Iterable[bytes | memoryview]) -> None:
        """Put a file whole, or not at all."""
        folder = self.parent(name)
        part = f"{folder}/{self._mark}-{next(self._numbers)}"
        mode &= 0o777
        file = os.open(part, _NEW, mode)
        try:
            try:
                for chunk in content:
                    write_all(file, chunk)
                if (folder, mode) not in self._modes:
                    self._set_mode(file, folder, mode)
                os.utime(file, ns=(mtime_ns, mtime_ns))
            finally:
                os.close(file)
            self.move(part, name)
        except BaseException:
            with contextlib.suppress(OSError):  # what went wrong matters more than what is left of it
                os.unlink(part)
            raise

    def _set_mode(self, file: int, folder: str, mode: int) -> None:
        """Give a new file the mode it was made with; remember where the system takes nothing away from it."""
        if stat.S_IMODE(os.fstat(file).st_mode) == mode:
            self._modes.add((folder, mode))
        else:
            os.fchmod(file, mode)

    def move(self, part: str, name: str) -> None:
        """Rename a whole file onto its place; what stands there is replaced."""
        path = self.path(name)
        try:
            os.replace(part, path)
        except (IsADirectoryError, PermissionError):
            if kind_of(path) != "folder":
                raise
            shutil.rmtree(path)
            os.replace(part, path)

    def link(self, entry: Entry) -> None:
        """Make a link, unless it is there already."""
        path = os.path.join(self.parent(entry.name), os.path.basename(self.path(entry.name)))
        kind = kind_of(path)
        if kind == "other" and os.path.islink(path) and os.readlink(path) == entry.target:
            return
        if kind == "folder":
            shutil.rmtree(path)
        elif kind:
            os.unlink(path)
        os.symlink(entry.target, path)
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)

    def settle(self, entry: Entry) -> None:
        """Give a folder its mode and time."""
        path = self.folder(entry.name)
        # A folder its owner cannot enter could not even be removed.
        os.chmod(path, entry.mode & 0o777 | 0o700)
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))

    def folder(self, name: str) -> str:
        """Make a folder with those above it, and return its path; a link in the way is replaced."""
        if name in self._made:
            return self.path(name)
        with self._making:
            if "." not in self._made:
                os.makedirs(self._root, exist_ok=True)
                self._made.add(".")
            at = ""
            for part in [] if name == "." else name.split("/"):
                at = f"{at}/{part}" if at else part
                if at not in self._made:
                    _clear_and_make(self.path(at))
                    self._made.add(at)
        return self.path(name)

    def parent(self, name: str) -> str:
        """Make the folder that a name stands in, and return its path."""
        if name == ".":
            os.makedirs(os.path.dirname(self._root), exist_ok=True)
            return os.path.dirname(self._root)
        folder = name.rpartition("/")[0]
        return f"{self._root}/{folder}" if folder in self._made else self.folder(folder or ".")

    def remove(self, name: str) -> None:
        """Remove what stands under a name, with all below it; nothing there is no error."""
        path = self.path(name)
        kind = kind_of(path) if name != "." and self.is_reached(name) else ""
        if kind == "folder":
            shutil.rmtree(path)
        elif kind:
            os.unlink(path)

    def is_reached(self, name: str) -> bool:
        """Say whether the folder that a name stands in is there, and no link leads to it."""
        parent = name.rpartition("/")[0] or "."
        if name == "." or parent in self._made:
            return True
        at = ""
        for part in parent.split("/"):
            at = f"{at}/{part}" if at else part
            if at not in self._made and kind_of(self.path(at)) != "folder":
                return False
        with self._making:
            self._made.add(parent)
        return True

    def path(self, name: str) -> str:
        """Return where a name stands."""
        return self._root if name == "." else f"{self._root}/{name}"


def kind_of(path: str) -> str:
    """Return "folder", "other" (a link to a folder is no folder) or "" for nothing."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return "folder" if stat.S_ISDIR(mode) else "other"


def write_all(file: int, content: bytes | memoryview) -> None:
    """Write all of it. Raises OSError."""
    written = os.write(file, content)
    while written < len(content):
        written += os.write(file, memoryview(content)[written:])


def _clear_and_make(path: str) -> None:
    kind = kind_of(path)
    if kind == "folder":
        return
    if kind:
        os.unlink(path)
    with contextlib.suppress(FileExistsError):  # another stream was faster
        os.mkdir(path)
