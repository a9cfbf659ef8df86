import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtrain.ledger import file as ledger_file
from cloudtrain.ledger import schema
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.ledger.schema import APPLICATION_ID, MIGRATIONS, NewerFileError, is_current, migrate
from cloudtrain.model.errors import ExitCode, LedgerError
from cloudtrain.model.run import Run
from cloudtrain.model.spec import JobSpec, MachineSpec
from cloudtrain.testing.clock import FakeClock

JOB = JobSpec("digits", Path("/job"), "true")


def execute(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def test_folder_and_file_are_for_nobody_else(home: Path, clock: FakeClock) -> None:
    with Ledger.open(home / "deep", clock) as ledger:
        ledger.save_machine(MachineSpec("m", "memory"), None)
        assert (home / "deep").stat().st_mode & 0o777 == 0o700
        for file in (home / "deep").iterdir():
            assert file.stat().st_mode & 0o777 == 0o600, file.name


def test_a_file_that_others_could_read_is_closed_to_them(home: Path, clock: FakeClock) -> None:
    Ledger.open(home, clock).close()
    (home / "ledger.sqlite3").chmod(0o644)
    Ledger.open(home, clock).close()
    assert (home / "ledger.sqlite3").stat().st_mode & 0o777 == 0o600


def test_the_file_is_set_up_for_several_processes(home: Path, clock: FakeClock) -> None:
    opened = ledger_file.LedgerFile(home)
    assert opened.read("PRAGMA journal_mode") == [("wal",)]
    assert opened.read("PRAGMA busy_timeout") == [(10_000,)]
    assert opened.read("PRAGMA foreign_keys") == [(1,)]
    assert opened.read("PRAGMA synchronous") == [(2,)]
    assert opened.read("PRAGMA user_version") == [(len(MIGRATIONS),)]
    opened.close()
    opened.close()


def test_opening_imports_nothing_heavy(home: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from cloudtrain.ledger.ledger import Ledger;"
        "from cloudtrain.testing.clock import FakeClock; Ledger.open(Path(sys.argv[1]), FakeClock()).close();"
        "print([m for m in ('pydantic', 'yaml', 'rich', 'typer', 'subprocess', 'difflib') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program, str(home)], capture_output=True, check=True)
    assert answer.stdout == b"[]\n"


# Migrations


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_a_file_of_every_earlier_version_is_brought_up_to_date(home: Path, clock: FakeClock, version: int) -> None:
    home.mkdir()
    db = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)
    migrate(db, MIGRATIONS[:version])
    db.close()
    with Ledger.open(home, clock) as ledger:
        ledger.add_run(Run("r", "digits", "m", Path("/r")), JOB)
        assert ledger.run("r").id == "r"


NEXT = (
    "ALTER TABLE runs ADD COLUMN note TEXT NOT NULL DEFAULT ''",
    "UPDATE runs SET note = 'kept'",
)


def test_a_migration_keeps_what_is_there(home: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(home, clock) as ledger:
        ledger.add_run(Run("r", "digits", "m", Path("/r")), JOB)
    db = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)
    migrate(db, (*MIGRATIONS, NEXT))
    assert db.execute("SELECT id, note FROM runs").fetchall() == [("r", "kept")]
    assert is_current(db, (*MIGRATIONS, NEXT))
    with pytest.raises(NewerFileError):
        is_current(db, MIGRATIONS)
    db.close()


def test_a_migration_that_fails_changes_nothing(home: Path, clock: FakeClock) -> None:
    Ledger.open(home, clock).close()
    db = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, (*MIGRATIONS, (NEXT[0], "UPDATE no_such_table SET x = 1")))
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert not db.in_transaction
    db.execute("SELECT id FROM runs")
    with pytest.raises(sqlite3.OperationalError):
        db.execute("SELECT note FROM runs")
    db.close()


# Damages


def no_database(path: Path) -> None:
    path.write_bytes(b"this is no database, and long enough to be looked at as one: " * 40)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def another_program_s(path: Path) -> None:
    path.unlink()
    execute(path, "CREATE TABLE songs (title TEXT)", "PRAGMA user_version = 1")


def another_program_s_without_version(path: Path) -> None:
    path.unlink()
    execute(path, "CREATE TABLE songs (title TEXT)")


def without_its_tables(path: Path) -> None:
    execute(path, "DROP TABLE claims", "DROP TABLE runs", "DROP TABLE machines", "DROP TABLE intents")


def with_a_run_that_is_no_json(path: Path) -> None:
    execute(path, "UPDATE runs SET run = '{'")


def with_a_run_of_another_shape(path: Path) -> None:
    execute(path, "UPDATE runs SET run = '{\"id\": 3}'")


def with_a_phase_nobody_knows(path: Path) -> None:
    execute(path, "UPDATE runs SET run = replace(run, 'planned', 'dreaming')")


def with_text_that_is_none(path: Path) -> None:
    execute(path, "UPDATE runs SET run = CAST(X'FFFE' AS TEXT)")


DAMAGES = [
    no_database,
    cut_short,
    overwritten,
    a_folder,
    another_program_s,
    another_program_s_without_version,
    without_its_tables,
    with_a_run_that_is_no_json,
    with_a_run_of_another_shape,
    with_a_phase_nobody_knows,
    with_text_that_is_none,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_every_damage_is_said_and_its_command_cures_it(
    tmp_path: Path, clock: FakeClock, damage: Callable[[Path], None]
) -> None:
    home = tmp_path / "a home with spaces"
    for number in (1, 2):  # the second time there is something that was moved away before
        with Ledger.open(home, clock) as ledger:
            assert ledger.runs() == []
            ledger.add_run(Run("r", "digits", "m", Path("/r")), JOB)
        damage(home / "ledger.sqlite3")
        with pytest.raises(LedgerError) as raised, Ledger.open(home, clock) as ledger:
            ledger.runs()
        assert raised.value.exit_code is ExitCode.BAD_INPUT
        assert "by their tags" in raised.value.hint
        label, command = raised.value.hint.splitlines()[0].split(": ", 1)
        assert label == "Move it away"
        subprocess.run(["sh", "-c", command], check=True)
        assert (home / f"damaged-ledger-{number}" / "ledger.sqlite3").exists()


def test_a_newer_file_asks_for_an_upgrade_and_is_left_alone(home: Path, clock: FakeClock) -> None:
    Ledger.open(home, clock).close()
    execute(home / "ledger.sqlite3", f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(LedgerError, match="newer") as raised:
        Ledger.open(home, clock)
    assert "pip install --upgrade cloudtrain" in raised.value.hint
    db = sqlite3.connect(home / "ledger.sqlite3")
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    db.close()


def test_a_file_where_the_folder_belongs_is_said(home: Path, clock: FakeClock) -> None:
    home.write_text("a file")
    with pytest.raises(LedgerError, match="A file stands") as raised:
        Ledger.open(home, clock)
    assert f"mv {home}" in raised.value.hint
    with pytest.raises(LedgerError, match="A file stands"):
        Ledger.open(home / "below", clock)


def test_a_file_that_another_process_keeps_locked_is_said(ledger: Ledger, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger._file._db.execute("PRAGMA busy_timeout = 0")
    with pytest.raises(LedgerError, match="locked") as raised:
        ledger.save_machine(MachineSpec("m", "memory"), None)
    assert "lsof" in raised.value.hint
    other.execute("ROLLBACK")
    other.close()
    ledger.save_machine(MachineSpec("m", "memory"), None)


def test_a_disk_that_may_only_be_read_is_said(ledger: Ledger) -> None:
    ledger._file._db.execute("PRAGMA query_only = ON")
    with pytest.raises(LedgerError, match="cannot be opened for writing") as raised:
        ledger.save_machine(MachineSpec("m", "memory"), None)
    assert "ls -ld" in raised.value.hint


def test_a_full_disk_is_said_and_what_was_there_is_kept(ledger: Ledger) -> None:
    ledger.save_machine(MachineSpec("m", "memory"), None)
    pages = ledger._file.read("PRAGMA page_count")[0][0]
    ledger._file._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="full") as raised:
        ledger.save_machine(MachineSpec("big", "memory", description="x" * 100_000), None)
    assert "df -h" in raised.value.hint
    assert [record.spec.name for record in ledger.machines()] == ["m"]
    ledger.use("m")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OSError(30, "Read-only file system"), "Read-only file system"),
        (OSError(28, "No space left on device"), "full"),
    ],
)
def test_what_the_system_says_on_opening_is_passed_on(
    home: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def refuse(*_args: object) -> int:
        raise error

    monkeypatch.setattr(ledger_file.os, "open", refuse)
    with pytest.raises(LedgerError, match=words) as raised:
        Ledger.open(home, clock)
    assert str(home) in raised.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_may_not_be_written_is_said(home: Path, clock: FakeClock) -> None:
    home.mkdir(mode=0o500)
    with pytest.raises(LedgerError, match="cannot be opened for writing"):
        Ledger.open(home, clock)


def test_a_mistake_of_ours_is_not_blamed_on_the_file(ledger: Ledger) -> None:
    ledger.close()
    with pytest.raises(sqlite3.ProgrammingError):
        ledger.runs()


def test_the_file_says_whose_it_is() -> None:
    assert APPLICATION_ID.to_bytes(4, "big") == b"ctrn"
    assert schema.MIGRATIONS[0][0] == f"PRAGMA application_id = {APPLICATION_ID}"


def test_processes_queue_before_a_new_file_is_touched_and_not_afterwards(
    home: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(_folder: int, _operation: int) -> None:
        db = sqlite3.connect(home / "ledger.sqlite3")
        seen.append([db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "user_version")])
        db.close()

    monkeypatch.setattr(ledger_file.fcntl, "flock", look)
    Ledger.open(home, clock).close()
    Ledger.open(home, clock).close()
    assert seen == [["delete", 0]]
