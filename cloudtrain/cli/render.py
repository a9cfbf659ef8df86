"""The only place that prints: answers to standard output, everything else to standard error.

A stream whose reader went away is written to no more; a run is never ended because nobody watches it.
"""

import os
import re
import sys
from contextlib import suppress
from typing import Any, TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

DIM, BOLD, RED, YELLOW, GREEN = "2", "1", "31", "33", "32"


def answer(text: str) -> None:
    """Print a line of the answer."""
    _write(sys.stdout, f"{clean(text)}\n")


def document(value: Any) -> None:
    """Print an answer as one JSON document, its field names the attribute names."""
    _write(sys.stdout, f"{as_json(value, indent=2)}\n")


def json_line(value: Any) -> None:
    """Print one JSON value on a line of its own."""
    _write(sys.stdout, f"{as_json(value)}\n")


def as_json(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON text."""
    import json  # here, because a verb that answers in words needs it not

    from ..model.plain import to_plain

    return json.dumps(to_plain(value), ensure_ascii=False, indent=indent)


def raw(content: bytes) -> None:
    """Write bytes to standard output exactly as they are."""
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except (OSError, ValueError):
        _let_go(sys.stdout)


def note(text: str, *, lead: str = "", style: str = "") -> None:
    """Print a line for the person; `lead` stands before it in a style."""
    _write(sys.stderr, f"{painted(lead, style, sys.stderr)} {clean(text)}\n" if lead else f"{clean(text)}\n")


def warning(text: str) -> None:
    """Print a line that the person should not miss."""
    note(text, lead="warning:", style=YELLOW)


def error_line(text: str) -> None:
    """Print what went wrong."""
    note(text, lead="error:", style=RED)


def part(text: str) -> None:
    """Print to standard error without ending the line."""
    _write(sys.stderr, clean(text))


def clean(text: str) -> str:
    """Return text without control characters: what a machine or a cloud said must not steer the terminal."""
    return _CONTROL.sub("\ufffd", text)


def is_terminal(stream: TextIO) -> bool:
    """Say whether a person sees this stream on a terminal that can move its cursor."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # it is closed
        return False


def painted(text: str, style: str, stream: TextIO) -> str:
    """Return text in a style of the terminal, or as it is where colours are not wanted."""
    if os.environ.get("NO_COLOR") or not is_terminal(stream):
        return text
    return f"\x1b[{style}m{text}\x1b[0m"


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        _let_go(stream)


def _let_go(stream: TextIO) -> None:
    """Send what is still written nowhere: a closed pipe or a full disk is no reason to end what bills or is being ended."""
    with suppress(OSError, ValueError):  # the stream may have no file behind it, or be closed
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
