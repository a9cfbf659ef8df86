"""Questions, asked only where a person can answer."""

import sys

import typer

from ..model.errors import ConfigError, ExitCode
from .render import clean, note, part


def may_ask() -> bool:
    """Say whether a person sits at a terminal and sees what we ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def choose(question: str, letters: str) -> str | None:
    """Ask until one of the letters comes and return it; None where nobody can be asked, or nobody answers.

    Raises:
        KeyboardInterrupt: a signal was the answer.
    """
    if not may_ask():
        return None
    while True:
        part(f"\n{clean(question)} [{'/'.join(letters)}] ")
        try:
            typed = sys.stdin.readline()
        except OSError:  # the terminal is gone
            return None
        if not typed:
            return None
        if typed.strip()[:1].lower() in set(letters):
            return typed.strip()[0].lower()


def agree(question: str) -> bool:
    """Ask for a yes; anything else is a no, and so is nobody to ask."""
    if not may_ask():
        return False
    part(f"{clean(question)} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def must_agree(question: str, without_asking: str) -> None:
    """Leave unless a person agrees. `without_asking` is the line to type where nobody can be asked.

    Raises:
        ConfigError: there is nobody to ask.
    """
    if not may_ask():
        raise ConfigError(f"{question} There is no terminal to ask at", without_asking)
    if not agree(question):
        note("Nothing was done.")
        raise typer.Exit(int(ExitCode.INTERRUPTED))
