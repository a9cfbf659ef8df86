"""The folder that plays a machine: ended, and removed whatever a job made of it."""

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..model.errors import ProviderError, ProviderUnavailableError
from .processes import end_processes

TRIES = 3
"""A process that is being killed may still finish making one file."""


def end_folder(root: Path) -> None:
    """End what runs in a folder that plays a machine, then remove it. An absent one is a success.

    Raises:
        ProviderError: something in it cannot be removed; nothing runs in it all the same.
    """
    end_processes(root)
    try:
        remove_folder(root)
    except OSError as error:
        raise ProviderError(
            f"Nothing runs in {root} any more, but it cannot be removed: {error.strerror or error}",
            f"Remove it: sudo rm -rf {shlex.quote(str(root))}",
        ) from error


@contextmanager
def disk_errors_told(folder: Path) -> Iterator[None]:
    """Turn what the system says about our files into the contract's words.

    Raises:
        ProviderUnavailableError: a file below `folder` cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        raise ProviderUnavailableError(
            f"{error.filename or folder} cannot be used: {error.strerror or error}",
            f"Look at the disk and the folder's owner: df -h {shlex.quote(str(folder))}; ls -ld {shlex.quote(str(folder))}",
        ) from error


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, also what a job made read-only. An absent one is a success.

    Raises:
        OSError: something in it cannot be removed.
    """
    for attempt in range(1, TRIES + 1):
        try:
            _open_up(folder)
            shutil.rmtree(folder)
        except FileNotFoundError:
            if not folder.exists():
                return
        except OSError:
            if attempt == TRIES:
                raise
        else:
            return


def _open_up(folder: Path) -> None:
    """Let the owner into every folder: a name can only be removed from a folder one may write to."""
    folder.chmod(0o700)
    for parent, names, _files in os.walk(folder):
        for name in names:
            inner = Path(parent, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
