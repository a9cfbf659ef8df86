"""What a person reads when something went wrong, and what the shell hears."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typer

from ..model.errors import CloudtrainError, ExitCode
from .render import error_line, note


@contextmanager
def told() -> Iterator[None]:
    """Turn an error of ours, or Ctrl-C outside of a run, into a sentence on stderr and an exit code."""
    try:
        yield
    except CloudtrainError as error:
        show_error(error)
        raise typer.Exit(int(error.exit_code)) from error
    except KeyboardInterrupt as error:
        note("Interrupted.")
        raise typer.Exit(int(ExitCode.INTERRUPTED)) from error


def show_error(error: CloudtrainError) -> None:
    """Say what happened, and below it what to type."""
    happened = str(error).removesuffix(f"\n{error.hint}") if error.hint else str(error)
    error_line(happened)
    for line in error.hint.splitlines():
        note(f"  {line}")


def report_bug(error: Exception) -> int:
    """Say that this is a bug and where its traceback was written; return the exit code that says something may still bill."""
    error_line(f"This is a bug in cloudtrain: {type(error).__name__}: {error}")
    text = "".join(traceback.format_exception(error))
    try:
        note(f"  Its traceback: {_write_private(text)}")
    except OSError:
        note(text)
    note("  See whether anything bills: cloudtrain status")
    return int(ExitCode.MAY_STILL_BILL)


def _write_private(text: str) -> Path:
    # Imported here: only a bug needs it, and the bug may be in it.
    from ..config.folders import state_folder

    folder = state_folder() / "bugs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"cloudtrain {' '.join(sys.argv[1:])}\n\n{text}")
    return path
