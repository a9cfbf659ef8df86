"""Which run a verb means that was given no name."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloudtrain.cli import runs
from cloudtrain.model.run import Run

FIRST = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def made(id: str, minutes: int) -> Run:
    return Run(id, "job", "lab", Path(), created_at=FIRST + timedelta(minutes=minutes))


def tools(unfinished: list[Run], last: Run) -> SimpleNamespace:
    return SimpleNamespace(ledger=SimpleNamespace(open_runs=lambda: unfinished, last_run=lambda: last))


def test_the_last_run_that_is_not_over_is_gone_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    old, killed, newest = made("old", 0), made("killed", 1), made("newest", 2)
    assert runs.run_to_go_on_with(None, tools([killed, old], newest)) is killed
    assert capsys.readouterr().err.startswith("killed (the last one that is not over)\n")


def test_where_all_are_over_it_is_the_last_one(capsys: pytest.CaptureFixture[str]) -> None:
    newest = made("newest", 2)
    assert runs.run_to_go_on_with(None, tools([], newest)) is newest
    assert capsys.readouterr().err == "newest (the last one)\n"
