"""JSON lines that a machine wrote: read in bounded time and memory, whatever stands in them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

WHOLE_BYTES = 4 * 1024 * 1024
"""Up to this size a file is read line by line; of a larger one, lines at even distances are read."""

_LONGEST_LINE = 1024 * 1024
_LINES_OF_A_LARGE_FILE = 20_000
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class JsonLine:
    """One line. `content` is None when it does not hold one JSON object; `number` counts from 1.

    In a file too large to be read whole, `number` is an estimate that never falls from line to line.
    """

    number: int
    content: dict[str, Any] | None


def read_json_lines(path: Path) -> Iterator[JsonLine]:
    """Yield the lines of a file that are not blank. A file that is absent, no regular file or unreadable has none."""
    if path.is_symlink() or not path.is_file():
        return
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            yield from (_every_line(file) if size <= WHOLE_BYTES else _lines_at_even_distances(file, size))
    except OSError:
        return


def _every_line(file: BinaryIO) -> Iterator[JsonLine]:
    # A file may grow while it is read: what was there when we opened it is enough.
    budget = WHOLE_BYTES
    number = 0
    while budget > 0 and (line := file.readline(_LONGEST_LINE)):
        budget -= len(line)
        number += 1
        if line.strip():
            yield JsonLine(number, _json_object(line))


def _lines_at_even_distances(file: BinaryIO, size: int) -> Iterator[JsonLine]:
    head = file.read(_TAIL_BYTES)
    bytes_per_line = (head.rfind(b"\n") + 1 or len(head)) / max(1, head.count(b"\n"))
    last = _start_of_last_line(file, size)
    position = 0
    for index in range(1, _LINES_OF_A_LARGE_FILE + 1):
        if position >= last:
            break
        file.seek(position)
        line = file.readline(_LONGEST_LINE)
        if line.strip():
            yield JsonLine(1 + round(position / bytes_per_line), _json_object(line))
        # One byte early, and on to the end of that line: what follows is the beginning of the next one.
        file.seek(max(position + len(line), size * index // _LINES_OF_A_LARGE_FILE) - 1)
        file.readline(_LONGEST_LINE)
        position = file.tell()
    file.seek(last)
    yield JsonLine(1 + round(last / bytes_per_line), _json_object(file.readline(_LONGEST_LINE)))


def _start_of_last_line(file: BinaryIO, size: int) -> int:
    file.seek(size - _TAIL_BYTES)
    tail = file.read(_TAIL_BYTES).rstrip()
    return size - _TAIL_BYTES + tail.rfind(b"\n") + 1


def _json_object(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
