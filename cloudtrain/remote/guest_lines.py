"""Short questions to the guests of several machines: one line to each, opened when it is needed, kept until all are closed."""

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ..model.errors import HostUnreachableError
from ..model.instance import SshEndpoint
from . import guest_archive
from .base import Completed
from .guest import Guest
from .ssh import SshRemote

CONNECT_TIMEOUT_S = 5.0
"""A machine of one's own that does not answer within so many seconds is off."""

ANSWER_TIMEOUT_S = 120.0
"""How long a guest may take for a short answer, in seconds: a job it ends takes its time, and so does a driver in trouble."""

_BUILDING = threading.Lock()
"""Some versions of Python (3.11) fail when two threads parse source at the same time."""


class GuestLines:
    """The lines. Several threads may ask at once."""

    def __init__(self, control_folder: Path) -> None:
        self._control_folder = control_folder
        self._lines: dict[str, SshRemote] = {}
        self._lock = threading.Lock()

    def ask(self, endpoint: SshEndpoint, arguments: Sequence[str], stdin: bytes) -> Completed:
        """Run a command of the guest, which is put there first where it is missing.

        Raises:
            HostUnreachableError: no line, or it broke; what was asked for may have happened then.
            HostKeyError: another machine answers.
        """
        key = repr(endpoint)
        try:
            line = self._lines.get(key) or self._open(key, endpoint)
            # The guest needs nothing but the standard library, and a machine's site packages may take their time.
            command = [line.python, "-I", "-S", str(line.home / guest_archive.file_name()), *arguments]
            return line.run(command, stdin=stdin, timeout=ANSWER_TIMEOUT_S)
        except HostUnreachableError:
            self._drop(key)
            raise

    def close(self) -> None:
        """Let all lines go. A later question opens a new one."""
        for key in list(self._lines):
            self._drop(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open(self, key: str, endpoint: SshEndpoint) -> SshRemote:
        line = SshRemote(endpoint, control_folder=self._control_folder, connect_timeout_s=CONNECT_TIMEOUT_S)
        with _BUILDING:
            guest_archive.build()
        try:
            Guest.install(line)
        except BaseException:
            line.close()
            raise
        with self._lock:
            kept = self._lines.setdefault(key, line)
        if kept is not line:
            line.close()  # two threads asked at once
        return kept

    def _drop(self, key: str) -> None:
        with self._lock:
            line = self._lines.pop(key, None)
        if line is not None:
            line.close()
