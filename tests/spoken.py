"""What pretend tools of a pretend machine say: lines in a named pipe."""

import os
import select
from pathlib import Path


class Spoken:
    """A named pipe that is held open from both sides to the end: who speaks while nobody listens would be killed by it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._pipe = os.open(path, os.O_RDWR)

    def lines(self) -> list[str]:
        """Wait until somebody has spoken, and return whole lines; fail when nobody does. Two may speak at once."""
        said = b""
        while not said.endswith(b"\n"):
            assert select.select([self._pipe], [], [], 30)[0], "the machine is silent"
            said += os.read(self._pipe, 4096)
        return said.decode().splitlines()

    def close(self) -> None:
        """Listen no more."""
        os.close(self._pipe)
