"""What can be wrong with the ledger's file, and what to type then."""

import errno
import itertools
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..model.errors import LedgerError
from .schema import ForeignFileError, NewerFileError

BUSY_TIMEOUT_S = 10.0
"""How long one process waits for another one's transaction, in seconds; ours take milliseconds."""


@contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say about the file into a LedgerError with the next step."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise  # a mistake of ours, not of the file
    except sqlite3.Error as error:
        raise _from_sqlite(path, error) from error
    except ForeignFileError as error:
        raise LedgerError(f"{path} is a database, but not cloudtrain's ledger.", _move_away(path)) from error
    except NewerFileError as error:
        raise LedgerError(
            f"{path} was written by a newer cloudtrain.", "Upgrade this one: pip install --upgrade cloudtrain"
        ) from error
    except OSError as error:
        raise _from_system(path, error) from error


def damaged(path: Path, why: str) -> LedgerError:
    """Return the error for a file whose content cannot be read, with the command that moves it away."""
    return LedgerError(f"The ledger {path} is damaged: {why}.", _move_away(path))


def _from_sqlite(path: Path, error: sqlite3.Error) -> LedgerError:
    # The low byte is the kind of error; the rest tells kinds of that kind apart.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerError(
            f"Another process has kept the ledger {path} locked for {BUSY_TIMEOUT_S:.0f} seconds.",
            "Try again. To see who has it open: lsof " + shlex.quote(str(path)),
        )
    if code == sqlite3.SQLITE_FULL:
        return _full(path)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return _unwritable(path, str(error))
    return damaged(path, str(error))


def _from_system(path: Path, error: OSError) -> LedgerError:
    if isinstance(error, IsADirectoryError):
        return LedgerError(f"A folder stands where the ledger's file belongs: {path}.", _move_away(path))
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return LedgerError(
            f"A file stands where cloudtrain's folder belongs: {path.parent}.",
            f"Move it away: mv {shlex.quote(str(path.parent))} {shlex.quote(f'{path.parent}.old')}",
        )
    if error.errno == errno.ENOSPC:
        return _full(path)
    return _unwritable(path, error.strerror or str(error))


def _full(path: Path) -> LedgerError:
    return LedgerError(
        f"The disk is full, so the ledger {path} cannot be written.",
        f"Make room and try again: df -h {shlex.quote(str(path.parent))}",
    )


def _unwritable(path: Path, why: str) -> LedgerError:
    return LedgerError(
        f"The ledger {path} cannot be opened for writing: {why}.",
        f"See whose it is and whether the disk is read-only: ls -ld {shlex.quote(str(path.parent))} {shlex.quote(str(path))}",
    )


def _move_away(path: Path) -> str:
    folders = (path.parent / f"damaged-ledger-{number}" for number in itertools.count(1))
    away = shlex.quote(str(next(folder for folder in folders if not folder.exists())))
    # SQLite keeps two more files beside it, which must not meet a new one.
    return (
        f"Move it away: mkdir {away} && mv {shlex.quote(str(path))}* {away}\n"
        "A new one is made by itself, and machines are found again by their tags: cloudtrain status"
    )
