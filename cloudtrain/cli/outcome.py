"""How a verb that watches a run takes its leave: a last line, and the exit code."""

from typing import NoReturn

import typer

from ..config.wording import shown_path
from ..model.errors import ExitCode
from ..model.run import Outcome, Run
from .render import GREEN, RED, json_line, note
from .show import cost, took


def leave(run: Run, *, as_json: bool, interrupted: bool) -> NoReturn:
    """Say what became of the run and exit with what the shell should hear.

    `interrupted` says that a signal made us let a job go on.
    """
    if as_json:
        json_line({"event": "run", "run": run})
    elif run.outcome is not None:
        _say_outcome(run, run.outcome)
    raise typer.Exit(int(exit_code(run, interrupted=interrupted)))


def exit_code(run: Run, *, interrupted: bool) -> ExitCode:
    """Return the exit code of a run: that of its outcome; a run let go on has none yet."""
    if run.outcome is None:
        return ExitCode.INTERRUPTED if interrupted else ExitCode.DONE
    return run.outcome.exit_code


def _say_outcome(run: Run, outcome: Outcome) -> None:
    report = run.folder / "report.html"
    parts = (
        run.reason,
        took(run),
        cost(run),
        f"results: {shown_path(run.folder)}",
        f"report: {shown_path(report)}" if report.exists() else "",
    )
    style = GREEN if outcome is Outcome.SUCCEEDED else RED
    note(" · ".join(part for part in parts if part), lead=f"{outcome.value}:", style=style)
