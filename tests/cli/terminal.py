"""A command on a pretend terminal: what a person would see, and keys to press."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE_S = 60
"""A process that lives longer fails its test instead of hanging it; no test that passes waits for it."""


class Terminal:
    """A process whose terminal is ours. Reading blocks until the awaited text or the end came: nothing waits on time."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        self._ours, theirs = pty.openpty()
        self.seen = b""
        self._give_up_at = time.monotonic() + PATIENCE_S
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            # Its own session, so that the terminal becomes the one Ctrl-C comes from.
            preexec_fn=_take_terminal,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **(environ or {})},
            cwd=folder,
        )
        os.close(theirs)

    def read_until(self, text: str, *, after: int = 0) -> int:
        """Read on until the text was seen behind position `after`; return where it ends."""
        wanted = text.encode()
        while (found := self.seen.find(wanted, after)) < 0:
            if not self._read():
                raise AssertionError(f"{text!r} never came; seen: {self.seen.decode(errors='replace')}")
        return found + len(wanted)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def close_window(self) -> None:
        """Take the terminal away, as a closed window does."""
        os.close(self._ours)
        self._ours = -1

    def end(self) -> int:
        """Read all that is left and return the exit code."""
        while self._ours >= 0 and self._read():
            pass
        return self.process.wait()

    @property
    def text(self) -> str:
        return self.seen.decode(errors="replace").replace("\r\n", "\n")

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], max(0.0, self._give_up_at - time.monotonic()))[0]:
            raise AssertionError(f"it goes on for {PATIENCE_S} s; seen: {self.text}")
        try:
            chunk = os.read(self._ours, 4096)
        except OSError:  # Linux says so when the last process has left the terminal
            return False
        self.seen += chunk
        return bool(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._ours >= 0:
            os.close(self._ours)


def _take_terminal() -> None:
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
