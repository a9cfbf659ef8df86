"""The last lines of a job's log, as a terminal would have left them."""

import re
from pathlib import Path

MOST_LINES = 200
"""How many lines are kept."""

_MOST_BYTES = 256 * 1024
_LONGEST_LINE = 2000
_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def log_tail(path: Path) -> str:
    """Return the log's last lines without colours and overwritten parts; "" when there is no log to be read."""
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _MOST_BYTES))
            content = file.read(_MOST_BYTES)
    except OSError:
        return ""
    lines = content.decode("utf-8", "replace").rstrip().split("\n")
    return "\n".join(_as_left_by_a_terminal(line) for line in lines[-MOST_LINES:])


def _as_left_by_a_terminal(line: str) -> str:
    # Of what a progress bar wrote over itself, the last.
    return _TERMINAL_CODES.sub("", line.rstrip("\r").rpartition("\r")[2])[:_LONGEST_LINE]
