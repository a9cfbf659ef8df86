"""What a person means who names a run by a part of its id, or none: the last one. It is said which that was."""

from pathlib import Path

from .. import recovering
from ..journey import Tools
from ..model.errors import NotFoundError
from ..model.run import Run
from .render import note


def run_meant(word: str | None, tools: Tools) -> Run:
    """Return the run that is meant, by its id or an unmistakable part of it; one that the ledger lost by its folder here.

    Raises:
        NotFoundError: there is none, or several.
    """
    if word is not None:
        return recovering.run_named(word, tools, Path.cwd())
    last = tools.ledger.last_run()
    if last is None:
        raise NotFoundError("There is no run yet.", "Begin one: cloudtrain train local")
    note(f"{last.id} (the last one)")
    return last


def run_to_go_on_with(word: str | None, tools: Tools) -> Run:
    """Return the run to take up again: the one that is named, else the last one that is not over, else the last one.

    Raises:
        NotFoundError: there is none, or several.
    """
    unfinished = tools.ledger.open_runs() if word is None else []
    if not unfinished:
        return run_meant(word, tools)
    last = unfinished[0]  # newest first
    note(f"{last.id} (the last one that is not over)")
    return last
