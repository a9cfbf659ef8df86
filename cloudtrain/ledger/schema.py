"""The ledger's tables, and how an older file becomes a newer one."""

import sqlite3
from collections.abc import Sequence

APPLICATION_ID = 0x63_74_72_6E
"""Says in the file's header whose it is ("ctrn")."""

Migration = Sequence[str]

MIGRATIONS: tuple[Migration, ...] = (
    (
        f"PRAGMA application_id = {APPLICATION_ID}",
        # What is searched has its own column; everything else is JSON, which older and newer versions both read.
        "CREATE TABLE intents (token TEXT PRIMARY KEY, launch_order TEXT NOT NULL, intended_at TEXT NOT NULL,"
        " settled_at TEXT, ref TEXT)",
        "CREATE INDEX intents_open ON intents (intended_at) WHERE settled_at IS NULL",
        # `turn` orders by use, so that two uses in one instant or a clock set back do not blur which came last.
        "CREATE TABLE machines (name TEXT PRIMARY KEY, turn INTEGER NOT NULL, spec TEXT NOT NULL, instance TEXT,"
        " seen_at TEXT, used_at TEXT NOT NULL)",
        "CREATE TABLE runs (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, phase TEXT NOT NULL,"
        " run TEXT NOT NULL, job TEXT NOT NULL)",
        "CREATE TABLE claims (run_id TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE, holder TEXT NOT NULL,"
        " claimed_at TEXT NOT NULL)",
    ),
    (
        # One row for each thing that bills at one price; what changes while it does has its own column.
        "CREATE TABLE spend (number INTEGER PRIMARY KEY AUTOINCREMENT, provider TEXT NOT NULL, machine_id TEXT NOT NULL,"
        " kind TEXT NOT NULL, name TEXT NOT NULL, run_id TEXT NOT NULL, token TEXT NOT NULL, began_at TEXT NOT NULL,"
        " ended_at TEXT, deadline TEXT, seen_at TEXT, charge TEXT NOT NULL)",
        # Whatever two processes believe, nothing bills twice.
        "CREATE UNIQUE INDEX spend_open ON spend (provider, machine_id, kind) WHERE ended_at IS NULL",
        "CREATE INDEX spend_of_runs ON spend (run_id)",
        "CREATE TABLE speeds (name TEXT PRIMARY KEY, bytes_per_second REAL NOT NULL, measured_at TEXT NOT NULL)",
    ),
    # What the cloud accepted for an order and has not finished, as its adapter follows it on.
    ("ALTER TABLE intents ADD COLUMN operation TEXT",),
)
"""Migration N turns version N of the file into version N + 1. Only ever appended to."""


class ForeignFileError(Exception):
    """The file is a sound database, but not a ledger."""


class NewerFileError(Exception):
    """The file was written by a newer version."""


def is_current(db: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> bool:
    """Say whether the file needs no migration.

    Raises:
        ForeignFileError, NewerFileError: it is not ours to migrate.
    """
    version = _pragma(db, "user_version")
    (things,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    empty = version == 0 and things == 0
    if not empty and _pragma(db, "application_id") != APPLICATION_ID:
        raise ForeignFileError
    if version > len(migrations):
        raise NewerFileError
    return version == len(migrations)


def migrate(db: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the file to this version, each migration in one transaction. Safe when another process does the same.

    Raises:
        ForeignFileError, NewerFileError: it is not ours to migrate.
    """
    while not is_current(db, migrations):
        db.execute("BEGIN IMMEDIATE")
        try:
            # Read again: while this process waited for the lock another one may have taken this very step.
            version = _pragma(db, "user_version")
            if version < len(migrations):
                for statement in migrations[version]:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {version + 1}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _pragma(db: sqlite3.Connection, name: str) -> int:
    (value,) = db.execute(f"PRAGMA {name}").fetchone()
    return int(value)
