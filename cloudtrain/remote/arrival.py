"""Places beside a destination where things arrive, so that nothing half arrived is ever seen under its name."""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..model.errors import HostUnreachableError, TransferError
from .base import OnBytes
from .entry_there import Entry, RefusedError, describe, shown
from .fileset import FileSet

_AGAIN = "Nothing was left half done here. Try again."


@contextlib.contextmanager
def arriving(destination: Path) -> Iterator[Path]:
    """Hand out a place beside `destination` that becomes it when the block ends well, and vanishes when not.

    Raises:
        TransferError: `destination` exists, or the block was refused something by a guard or the system.
    """
    with _explaining(destination):
        _refuse_existing(destination)
        with tempfile.TemporaryDirectory(prefix=".arriving-", dir=destination.parent) as folder:
            place = Path(folder) / "it"
            yield place
            _publish(place, destination)


@contextlib.contextmanager
def staged(destination: Path, key: str, earlier: Path | None = None) -> Iterator["Stage"]:
    """Hand out the same, but keep what has come when the line breaks: the next one with this key goes on with it.

    The first one begins with the files of `earlier`, if there are any; nothing there is ever changed.

    Raises:
        TransferError: as `arriving` does.
    """
    with _explaining(destination):
        _refuse_existing(destination)
        with _kept_folder(destination.parent, key) as folder:
            place = Path(folder) / "it"
            if earlier is not None and not os.path.lexists(place):
                _begin_with(earlier, place)
            yield Stage(place, os.path.lexists(place), _folds_names(folder))
            _publish(place, destination)


@contextlib.contextmanager
def growing(place: Path) -> Iterator[bool]:
    """Let what comes be added to what stands at `place`; hand out whether the disk takes some different names for the same.

    Raises:
        TransferError: the block was refused something by a guard or the system.
    """
    with _explaining(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".arriving-", dir=place.parent) as folder:
            names_fold = _folds_names(folder)
        yield names_fold


class Stage:
    """A place to arrive at.

    Attributes:
        place: what becomes the destination.
        is_begun: something is there from an earlier attempt.
        names_fold: the disk takes some different names for the same.
    """

    def __init__(self, place: Path, is_begun: bool, names_fold: bool) -> None:
        self.place = place
        self.is_begun = is_begun
        self.names_fold = names_fold


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


@contextlib.contextmanager
def _explaining(destination: Path) -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        raise TransferError(f"{shown(destination.name)} did not arrive: {error}", _AGAIN) from error
    except OSError as error:
        raise TransferError(f"{shown(destination.name)} did not arrive: {error.strerror or error}", _AGAIN) from error


def _refuse_existing(destination: Path) -> None:
    if os.path.lexists(destination):
        raise RefusedError(f"{destination} exists already")
    destination.parent.mkdir(parents=True, exist_ok=True)


def _publish(place: Path, destination: Path) -> None:
    if os.path.lexists(destination):
        raise RefusedError(f"{destination} has come into being meanwhile")
    place.rename(destination)


@contextlib.contextmanager
def _kept_folder(parent: Path, key: str) -> Iterator[str]:
    """Hand out a folder that is ours alone; it is removed unless the line broke when something had come."""
    folder, lock = _lock_folder(parent, key)
    try:
        yield folder
    except (HostUnreachableError, KeyboardInterrupt):
        if not os.path.lexists(Path(folder) / "it"):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _begin_with(earlier: Path, place: Path) -> None:
    """Give files a second name in a new tree, which is replaced there and never written to; what is under way is left out."""
    if earlier.is_symlink():
        return
    try:
        if earlier.is_file():
            os.link(earlier, place)
        for folder, _, names in os.walk(earlier):
            beside = place / Path(folder).relative_to(earlier)
            beside.mkdir()
            for name in names:
                path = Path(folder) / name
                if path.is_file() and not path.is_symlink() and not name.startswith(".arriving-"):
                    os.link(path, beside / name)
    except OSError:
        # A disk without second names, or somebody who tidies up meanwhile: then all of it travels.
        shutil.rmtree(place, ignore_errors=True)


def _lock_folder(parent: Path, key: str) -> tuple[str, int]:
    """Return the key's folder locked, or a new one when somebody else uses it or it is not ours."""
    folder = str(parent / f".arriving-{key}")
    with contextlib.suppress(FileExistsError):
        Path(folder).mkdir(mode=0o700)
    info = Path(folder).lstat()
    if stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o022:
        lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder, lock
        except OSError:
            os.close(lock)
    folder = tempfile.mkdtemp(prefix=".arriving-", dir=parent)
    return folder, os.open(folder, os.O_RDONLY | os.O_CLOEXEC)


def _folds_names(folder: str) -> bool:
    probe = Path(folder) / "Probe"
    probe.mkdir(exist_ok=True)
    try:
        return (Path(folder) / "pROBE").exists()
    finally:
        probe.rmdir()
