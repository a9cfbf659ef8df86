import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.run import Run, RunPhase
from cloudtrain.model.spec import JobSpec
from cloudtrain.testing.clock import FakeClock

WORKER = Path(__file__).with_name("worker.py")
COUNT = 25
JOB = JobSpec("digits", Path("/job"), "true")


def start(home: Path, name: str, task: str) -> subprocess.Popen[str]:
    argv = [sys.executable, str(WORKER), str(home), name, str(COUNT), task]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def together(home: Path, task: str, names: tuple[str, ...]) -> list[list[str]]:
    """Let several processes do a task at the same time; return the lines each one printed."""
    processes = [start(home, name, task) for name in names]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(names)
    return answers


def test_two_processes_that_write_at_once_lose_nothing(home: Path, clock: FakeClock) -> None:
    together(home, "walk", ("left", "right"))
    with Ledger.open(home, clock) as ledger:
        runs = ledger.runs(limit=1000)
        assert len(runs) == 2 * COUNT
        assert {(run.phase, run.usd) for run in runs} == {(RunPhase.COLLECTING, 5.0)}
        records = ledger.machines()
        assert len(records) == 2 * COUNT
        assert all(record.instance is not None for record in records)


@pytest.mark.parametrize("task", ["race", "claim"])
def test_of_two_processes_that_want_the_same_exactly_one_gets_it(home: Path, clock: FakeClock, task: str) -> None:
    shared = [f"shared-{number:03}" for number in range(COUNT)]
    with Ledger.open(home, clock) as ledger:
        for id in shared:
            ledger.add_run(Run(id, "digits", "m", Path("/r")), JOB)
    left, right = together(home, task, ("left", "right"))
    assert sorted(left + right) == shared
    with Ledger.open(home, clock) as ledger:
        if task == "race":
            assert sorted(run.id for run in ledger.runs() if run.reason == "left") == sorted(left)


def test_several_processes_may_open_a_new_file_at_once(home: Path, clock: FakeClock) -> None:
    names = ("a", "b", "c", "d")
    together(home, "open", names)
    with Ledger.open(home, clock) as ledger:
        assert sorted(record.spec.name for record in ledger.machines()) == sorted(names)


def test_a_process_killed_in_the_middle_leaves_a_readable_ledger(home: Path, clock: FakeClock) -> None:
    process = start(home, "victim", "forever")
    process.stdin.write("\n")
    process.stdin.flush()
    for expected in ("0\n", "1\n"):
        assert process.stdout.readline() == expected
    process.send_signal(signal.SIGKILL)
    rounds = 2 + len(process.communicate()[0].split())
    with Ledger.open(home, clock) as ledger:
        runs = {run.id: run for run in ledger.runs(limit=100_000)}
    # What it said was written is there, whole.
    for number in range(rounds):
        assert all(runs[f"victim{number}-{i:03}"].phase is RunPhase.COLLECTING for i in range(COUNT))
    db = sqlite3.connect(home / "ledger.sqlite3")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
