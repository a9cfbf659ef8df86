"""Questions, asked only where a person can answer."""

import sys

from .render import clean, part


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
