"""The job's log: time-stamped bytes that go in as they come and come out exactly as they are."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import time
from typing import Callable

from . import state
from .errors import GuestError
from .moment import stamp

_CHUNK_BYTES = 1 << 20
_POLL_MS = 50
_BEATS_PER_LOOK = 10  # to see whether a supervisor lives costs a process on macOS: not at every beat


class LogWriter:
    """Write what a job prints, a time stamp before each line. A disk that refuses never raises: what it refused is counted.

    Attributes:
        lost_bytes: how much could not be written.
    """

    def __init__(self, path: str, now: Callable[[], float] = time.time) -> None:
        """Open the log for appending; `now` gives Unix seconds.

        Raises:
            OSError: it cannot be opened at all.
        """
        self.lost_bytes = 0
        self._now = now
        self._gap_bytes = 0
        self._reason = ""
        self._at_line_start = True
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, chunk: bytes) -> None:
        """Write what came, at once: a line that is not yet whole is not held back."""
        if not chunk:
            return
        mark = stamp(self._now())
        if self._gap_bytes and not self._write_all(self._gap_line(mark)):
            self._lose(len(chunk))
            return
        self._gap_bytes = 0
        # A stamp follows each line's end but the last one's: that line begins when its first byte comes.
        body = chunk[:-1].replace(b"\n", b"\n" + mark) + chunk[-1:]
        lead = mark if self._at_line_start else b""
        if not self._write_all(lead + body):
            self._lose(len(chunk))

    def say(self, text: str) -> None:
        """Write a line of the supervisor's own into the job's log."""
        lead = b"" if self._at_line_start else b"\n"
        self.write(lead + b"cloudtrain: " + text.encode("utf-8", "replace") + b"\n")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _gap_line(self, mark: bytes) -> bytes:
        lead = b"" if self._at_line_start else b"\n"
        return lead + mark + f"cloudtrain: lines of this log were lost here ({self._reason})\n".encode()

    def _lose(self, size: int) -> None:
        self.lost_bytes += size
        self._gap_bytes += size

    def _write_all(self, content: bytes) -> bool:
        view = memoryview(content)
        try:
            while view:
                written = os.write(self._file, view)
                if written:
                    self._at_line_start = view[written - 1] == ord("\n")
                view = view[written:]
        except OSError as error:
            self._reason = error.strerror or str(error)
            return False
        return True


def follow(run: str, offset: int, output: int) -> None:
    """Write job.log from a byte on to a descriptor as it grows, until the job has ended and every byte was written.

    Ends quietly when whoever reads goes away.

    Raises:
        GuestError: there is no such run.
    """
    path = os.path.join(run, "job.log")
    with contextlib.suppress(BrokenPipeError):
        for beat in itertools.count():
            if not os.path.isdir(run):
                raise GuestError(f"there is no run {run}")
            # Looked at before the log is read: whoever recorded the end had written every byte before.
            seen = state.read(run) if beat % _BEATS_PER_LOOK else state.observe(run)
            offset = _copy(path, offset, output)
            if (seen is not None and seen.is_over) or _is_deserted(output):
                return


def _copy(path: str, offset: int, output: int) -> int:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return offset
    try:
        while True:
            chunk = os.pread(file, _CHUNK_BYTES, offset)
            if not chunk:
                return offset
            _write_out(output, chunk)
            offset += len(chunk)
    finally:
        os.close(file)


def _write_out(output: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        try:
            view = view[os.write(output, view) :]
        except BlockingIOError:  # whoever gave us this descriptor made it non-blocking
            select.select([], [output], [])


def _is_deserted(output: int) -> bool:
    """Wait a moment; say whether the reader has gone. Nothing else would tell us while there is nothing to write."""
    poll = select.poll()
    poll.register(output, 0)
    events = dict(poll.poll(_POLL_MS)).get(output, 0)
    if events & select.POLLNVAL:  # macOS cannot poll a terminal
        time.sleep(_POLL_MS / 1000)
    return bool(events & (select.POLLERR | select.POLLHUP))
