"""Which files travel: chosen, counted and weighed before anything moves."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..model.errors import TransferError
from .entry_there import RefusedError, link_target, shown
from .ignore import Levels, is_ignored, read_level, without_blankets

NEVER_FOUND = frozenset({"__pycache__", ".venv", ".ipynb_checkpoints"})
"""Folders that stay here wherever they stand, unless a person names them."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file, folder or link.

    Attributes:
        name: relative to the set's root, with forward slashes.
        size: bytes; 0 for folders and links.
        kind: "file", "folder" (only empty folders and chosen ones need naming) or "link".
    """

    name: str
    size: int = 0
    kind: str = "file"


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files below one root, sorted by name.

    Attributes:
        skipped: names of sockets, FIFOs and devices, which stay behind.
    """

    root: Path
    entries: tuple[FileEntry, ...]
    skipped: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        """Return the sum of the files' sizes, bytes."""
        return sum(entry.size for entry in self.entries)


def gather(root: Path, names: Sequence[str]) -> FileSet:
    """Return the files below `root` that the names mean: files or folders, "." for all.

    `.gitignore` and `.cloudtrainignore` count at every level, the second one last. A name a person wrote travels although
    one of them lists it, with all that is in it but what other lines there leave out. `.git`, `runs/` in the root and
    folders a computer can make again stay here unless they are named.

    Raises:
        TransferError: a name is not there, a link leaves the root, or a folder cannot be read.
    """
    walk = _Walk(root)
    for name in names:
        walk.choose(name)
    entries = sorted(walk.found.values(), key=lambda entry: entry.name)
    return FileSet(root, tuple(entries), tuple(sorted(walk.skipped)))


def stays_out(root: Path, name: str) -> bool:
    """Say whether `gather(root, ["."])` would leave a name out if it stood there, whatever it were."""
    levels: Levels = ()
    prefix = ""
    for part in PurePosixPath(name).parts:
        levels += read_level(root / prefix, prefix)
        if any(_stays_here(prefix, part, kind) or is_ignored(levels, prefix, part, kind) for kind in ("file", "folder")):
            return True
        prefix += f"{part}/"
    return False


@dataclass(slots=True)
class _Walk:
    root: Path
    found: dict[str, FileEntry] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)

    def choose(self, name: str) -> None:
        parts = PurePosixPath(name).parts
        if not name or name.startswith("/") or ".." in parts or "\0" in name:
            raise TransferError(
                f"The input {shown(name)!r} is not inside {self.root}", "Name files and folders inside the job's folder."
            )
        if not parts:
            self._descend("", self._rules(""))
            return
        parents = ["/".join([*parts[:end], ""]) for end in range(len(parts))]
        self._refuse_detours(parents[1:])
        try:
            info = (self.root / parents[-1] / parts[-1]).lstat()
        except OSError as error:
            raise TransferError(
                f"The input {shown(name)} is not in {self.root}: {error.strerror}", "Correct `inputs`, or make it."
            ) from error
        self._add_chosen(parents, parts[-1], info)

    def _refuse_detours(self, folders: Sequence[str]) -> None:
        for folder in folders:
            if (self.root / folder).is_symlink():
                raise TransferError(
                    f"An input goes through the link {shown(folder)}", "Name the folder that the link points to."
                )

    def _add_chosen(self, parents: Sequence[str], name: str, info: os.stat_result) -> None:
        path = parents[-1] + name
        if not stat.S_ISDIR(info.st_mode):
            self._add(path, info)
            return
        self.found[path] = FileEntry(path, 0, "folder")
        levels: Levels = ()
        for folder in [*parents, f"{path}/"]:
            levels += self._rules(folder)
        self._descend(f"{path}/", without_blankets(levels, parents[-1], name))

    def _descend(self, prefix: str, levels: Levels) -> None:
        waiting = [(prefix, levels)]
        while waiting:
            prefix, levels = waiting.pop()
            count = 0
            for item in self._list(prefix):
                kind = "folder" if item.is_dir(follow_symlinks=False) else "file"
                if _stays_here(prefix, item.name, kind) or is_ignored(levels, prefix, item.name, kind):
                    continue
                count += 1
                if kind == "folder":
                    below = f"{prefix}{item.name}/"
                    waiting.append((below, levels + self._rules(below)))
                else:
                    self._add(prefix + item.name, item.stat(follow_symlinks=False))
            if not count and prefix:
                self.found[prefix[:-1]] = FileEntry(prefix[:-1], 0, "folder")

    def _list(self, prefix: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / prefix) as items:
                return list(items)
        except OSError as error:
            raise TransferError(
                f"The folder {shown(prefix or str(self.root))} cannot be read: {error.strerror}",
                "Make it readable, or list it in .cloudtrainignore.",
            ) from error

    def _rules(self, prefix: str) -> Levels:
        try:
            return read_level(self.root / prefix, prefix)
        except OSError as error:
            raise TransferError(
                f"{error.filename} cannot be read: {error.strerror}", "Nothing travels while it is unknown what must not."
            ) from error

    def _add(self, name: str, info: os.stat_result) -> None:
        if stat.S_ISREG(info.st_mode):
            self.found[name] = FileEntry(name, info.st_size)
        elif stat.S_ISLNK(info.st_mode):
            self._add_link(name)
        else:
            self.skipped.add(name)

    def _add_link(self, name: str) -> None:
        try:
            link_target(str(self.root), name)
        except RefusedError as error:
            raise TransferError(
                f"Not everything can travel: {error}",
                f"Copy what it points to, or leave the link here: echo '/{shown(name)}' >> .cloudtrainignore",
            ) from error
        self.found[name] = FileEntry(name, 0, "link")


def _stays_here(prefix: str, name: str, kind: str) -> bool:
    if name == ".git":
        return True
    return kind == "folder" and (name in NEVER_FOUND or (name == "runs" and not prefix))
