"""The job's log on its way to standard output: byte for byte, or on a terminal made harmless, its time stamps shortened."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from .harmless import Harmless
from .render import DIM, is_terminal, painted, raw

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{3}Z ")
_STAMP_SHAPE = b"0000-00-00T00:00:00.000Z "


class Log:
    """Takes the log's bytes in pieces cut anywhere."""

    def __init__(self, out: Callable[[bytes], None] = raw) -> None:
        """Write to `out`; time stamps are shortened when standard output is a terminal."""
        self._out = out
        self._shortens = is_terminal(sys.stdout)
        self._harmless = Harmless()
        self._start = b""
        self._at_start = True

    def write(self, chunk: bytes) -> None:
        """Pass the next bytes on at once; only a time stamp that is not yet whole is held back."""
        if not self._shortens:
            self._out(chunk)
            return
        pieces = self._harmless.passed(chunk).split(b"\n")
        done = b"\n".join(self._ended(piece) for piece in pieces[:-1])
        self._emit(done + (b"\n" if len(pieces) > 1 else b"") + self._piece(pieces[-1]))

    def finish(self) -> None:
        """Pass on what was held back."""
        self._emit(self._held())

    def _ended(self, piece: bytes) -> bytes:
        line = self._piece(piece) + self._held()
        self._at_start = True
        return line

    def _piece(self, piece: bytes) -> bytes:
        if not self._at_start:
            return piece
        self._start += piece
        if _STAMP_SHAPE.startswith(re.sub(rb"\d", b"0", self._start)) and len(self._start) < len(_STAMP_SHAPE):
            return b""
        self._at_start = False
        whole = self._held()
        found = _STAMP.match(whole)
        short = _short(found[1]) if found else b""
        return short + whole[found.end() :] if found and short else whole

    def _held(self) -> bytes:
        held, self._start = self._start, b""
        return held

    def _emit(self, content: bytes) -> None:
        if content:
            self._out(content)


def _short(stamp: bytes) -> bytes:
    """Return the local time of a stamp, or nothing for what only looks like one."""
    try:
        local = datetime.fromisoformat(stamp.decode("ascii")).replace(tzinfo=UTC).astimezone()
    except (ValueError, OverflowError):
        return b""
    return f"{painted(f'{local:%H:%M:%S}', DIM, sys.stdout)} ".encode("ascii")
