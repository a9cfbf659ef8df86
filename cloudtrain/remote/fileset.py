"""Which files travel: chosen, counted and weighed before anything moves."""

import heapq
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath

from ..model.errors import TransferError
from .entry_there import Entry, RefusedError, link_target, shown
from .ignore import Levels, is_ignored, read_level, without_blankets
from .manifest_there import LATEST_NS, MOST_BYTES
from .packed import FileEntry, Found, PackedEntries

NEVER_FOUND = frozenset({"__pycache__", ".venv", ".ipynb_checkpoints"})
"""Folders that stay here wherever they stand, unless a person names them."""


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files below one root, in the order of their names; a folder's counts with a slash behind it.

    Attributes:
        skipped: names of sockets, FIFOs and devices, which stay behind.
    """

    root: Path
    entries: PackedEntries
    skipped: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        """Return the sum of the files' sizes, bytes."""
        return self.entries.total_bytes

    def only(self, others: Iterable[FileEntry]) -> "FileSet":
        """Return the set without the entries that are not among others too, which come in the order of a set's."""
        return FileSet(self.root, PackedEntries(_in_both(self.entries.whole(), others)), self.skipped)


def gather(root: Path, names: Sequence[str], found: Found | None = None) -> FileSet:
    """Return the files below `root` that the names mean: files or folders, "." for all.

    `.gitignore` and `.cloudtrainignore` count at every level, the second one last. A name a person wrote travels although
    one of them lists it, with all that is in it but what other lines there leave out. `.git`, `runs/` in the root and
    folders a computer can make again stay here unless they are named. `found` grows meanwhile.

    Raises:
        TransferError: a name is not there, a link leaves the root, or a folder cannot be read.
    """
    walk = _Walk(root)
    walks = [walk.choose(name) for name in names]
    entries = PackedEntries(_each_once(heapq.merge(*walks, key=_place)) if len(walks) > 1 else chain(*walks), found)
    return FileSet(root, entries, tuple(sorted(walk.skipped)))


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


def _place(entry: Entry | FileEntry) -> str:
    """Return what entries are ordered by: below a folder every name begins with the folder's and a slash."""
    return f"{entry.name}/" if entry.kind == "folder" else entry.name


def _in_both(entries: Iterable[Entry], others: Iterable[FileEntry]) -> Iterator[Entry]:
    theirs = iter(others)
    other = next(theirs, None)
    for entry in entries:
        while other is not None and _place(other) < _place(entry):
            other = next(theirs, None)
        if other is not None and other.name == entry.name:
            yield entry


def _each_once(entries: Iterable[Entry]) -> Iterator[Entry]:
    last = ""
    for entry in entries:
        if entry.name != last:
            yield entry
        last = entry.name


@dataclass(slots=True)
class _Walk:
    """Looks for files. Nothing is remembered of them but what stays behind: a tree may have any number."""

    root: Path
    skipped: set[str] = field(default_factory=set)
    _above: str = field(init=False)

    def __post_init__(self) -> None:
        self._above = f"{self.root}/"

    def choose(self, name: str) -> Iterator[Entry]:
        """Return what a name means, in order, looked for as it is asked for."""
        parts = PurePosixPath(name).parts
        if not name or name.startswith("/") or ".." in parts or "\0" in name:
            raise TransferError(
                f"The input {shown(name)!r} is not inside {self.root}", "Name files and folders inside the job's folder."
            )
        if not parts:
            return self._below("", self._rules(""))
        parents = ["/".join([*parts[:end], ""]) for end in range(len(parts))]
        self._refuse_detours(parents[1:])
        try:
            info = (self.root / parents[-1] / parts[-1]).lstat()
        except OSError as error:
            raise TransferError(
                f"The input {shown(name)} is not in {self.root}: {error.strerror}", "Correct `inputs`, or make it."
            ) from error
        return self._chosen(parents, parts[-1], info)

    def _refuse_detours(self, folders: Sequence[str]) -> None:
        for folder in folders:
            if (self.root / folder).is_symlink():
                raise TransferError(
                    f"An input goes through the link {shown(folder)}", "Name the folder that the link points to."
                )

    def _chosen(self, parents: Sequence[str], name: str, info: os.stat_result) -> Iterator[Entry]:
        path = parents[-1] + name
        if not stat.S_ISDIR(info.st_mode):
            entry = self._seen(path, info)
            if entry is not None:
                yield entry
            return
        yield _folder(path, info)
        levels: Levels = ()
        for folder in [*parents, f"{path}/"]:
            levels += self._rules(folder)
        yield from self._below(f"{path}/", without_blankets(levels, parents[-1], name))

    def _below(self, prefix: str, levels: Levels) -> Iterator[Entry]:
        open_folders = [(prefix, levels, iter(self._list(prefix, levels)))]
        while open_folders:
            prefix, levels, names = open_folders[-1]
            above = self._above + prefix
            # The files up to the next folder, in one go: nearly all of a tree is files beside each other.
            for name in names:
                if name[-1] == "/":
                    break
                try:
                    info = os.lstat(above + name)
                except FileNotFoundError:  # it was there a moment ago, and nobody has counted it yet
                    continue
                entry = self._seen(prefix + name, info)
                if entry is not None:
                    yield entry
            else:
                open_folders.pop()
                continue
            below = prefix + name
            inner = levels + self._rules(below)
            found = self._list(below, inner)
            if not found:
                yield self._empty_folder(below[:-1])
            open_folders.append((below, inner, iter(found)))

    def _empty_folder(self, name: str) -> Entry:
        try:
            return _folder(name, os.lstat(self._above + name))
        except OSError as error:
            raise _unreadable(name, error) from error

    def _list(self, prefix: str, levels: Levels) -> list[str]:
        """Return the names in a folder that are to travel, in order; a folder's ends with a slash."""
        found: list[str] = []
        try:
            with os.scandir(self.root / prefix) as items:
                for item in items:
                    name, is_folder = item.name, item.is_dir(follow_symlinks=False)
                    kind = "folder" if is_folder else "file"
                    if (is_folder or name == ".git") and _stays_here(prefix, name, kind):
                        continue
                    if levels and is_ignored(levels, prefix, name, kind):
                        continue
                    found.append(name + "/" if is_folder else name)
        except OSError as error:
            raise _unreadable(prefix or str(self.root), error) from error
        found.sort()
        return found

    def _rules(self, prefix: str) -> Levels:
        try:
            return read_level(self.root / prefix, prefix)
        except OSError as error:
            raise TransferError(
                f"{error.filename} cannot be read: {error.strerror}", "Nothing travels while it is unknown what must not."
            ) from error

    def _seen(self, name: str, info: os.stat_result) -> Entry | None:
        mode = info.st_mode
        if stat.S_ISREG(mode):
            size, mtime_ns = info.st_size, info.st_mtime_ns
            if size > MOST_BYTES or not -LATEST_NS < mtime_ns < LATEST_NS:
                raise _impossible(name, "size" if size > MOST_BYTES else "time of last change")
            return Entry(name, "file", size, mode & 0o777, mtime_ns)
        if stat.S_ISLNK(mode):
            return self._link(name, info)
        self.skipped.add(name)
        return None

    def _link(self, name: str, info: os.stat_result) -> Entry:
        try:
            target = link_target(str(self.root), name)
        except RefusedError as error:
            raise TransferError(
                f"Not everything can travel: {error}",
                f"Copy what it points to, or leave the link here: echo '/{shown(name)}' >> .cloudtrainignore",
            ) from error
        return Entry(name, "link", 0, 0o777, info.st_mtime_ns, target)


def _folder(name: str, info: os.stat_result) -> Entry:
    return Entry(name, "folder", 0, info.st_mode & 0o777, info.st_mtime_ns)


def _unreadable(folder: str, error: OSError) -> TransferError:
    return TransferError(
        f"The folder {shown(folder)} cannot be read: {error.strerror}", "Make it readable, or list it in .cloudtrainignore."
    )


def _impossible(name: str, what: str) -> TransferError:
    return TransferError(
        f"{shown(name)} cannot travel: no machine would believe its {what}", "Correct it, or list it in .cloudtrainignore."
    )


def _stays_here(prefix: str, name: str, kind: str) -> bool:
    if name == ".git":
        return True
    return kind == "folder" and (name in NEVER_FOUND or (name == "runs" and not prefix))
