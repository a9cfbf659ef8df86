"""The ledger's file: made, opened, brought up to date, read and changed."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ..model.plain import from_plain, to_plain
from .schema import is_current, migrate
from .trouble import BUSY_TIMEOUT_S, damaged, told_plainly

FILE_NAME = "ledger.sqlite3"

T = TypeVar("T")


class LedgerFile:
    """The open file. Whatever is wrong with it is a `LedgerError`."""

    def __init__(self, home: Path) -> None:
        """Open the file below `home`; both are made when absent, for nobody else to read.

        Raises:
            LedgerError: it cannot be used; says what to type.
        """
        self._path = home / FILE_NAME
        with told_plainly(self._path):
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_private(self._path)
            # Transactions are begun by name, never behind our back.
            self._db = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            try:
                _prepare(self._db, home)
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close it. Safe to call twice."""
        self._db.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Make one transaction that no other process is inside of; an exception undoes it."""
        with told_plainly(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def read(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        """Return a query's rows."""
        with told_plainly(self._path):
            return self._db.execute(query, values).fetchall()

    def value(self, wanted: type[T], text: str) -> T:
        """Return what `text` wrote."""
        try:
            return from_plain(wanted, json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise damaged(self._path, f"a {wanted.__name__} in it cannot be read ({error})") from error

    def moment(self, text: str) -> datetime:
        """Return a column's time."""
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            raise damaged(self._path, f"a time in it cannot be read ({error})") from error


def text(value: Any) -> str:
    """Return one of our values as the file holds it."""
    return json.dumps(to_plain(value), separators=(",", ":"))


def _make_private(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _prepare(db: sqlite3.Connection, home: Path) -> None:
    db.execute("PRAGMA foreign_keys = ON")
    # An order must be on the disk before the cloud is asked, also when the power fails.
    db.execute("PRAGMA synchronous = FULL")
    if is_current(db) and db.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        return
    # SQLite does not wait its turn when two processes switch a new file to WAL at once, so they queue here.
    folder = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db)
    finally:
        os.close(folder)
