# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib.
"""Look at what stands in a folder before anybody asks: while the other side still chooses what it will send.

Standard library only, Python 3.8 or newer; its source travels to the machine.
"""

from __future__ import annotations

import os
import threading
import time
from typing import NamedTuple

FRESH_S = 10.0
"""How long after the look began what was seen is told, seconds; later each name is looked at anew."""

MOST = 100_000
"""So many files are remembered, about 20 MB; the others are looked at when they are asked for."""


class Seen(NamedTuple):
    """What a file was."""

    size: int
    mtime_ns: int
    mode: int


def is_vacant(root: str) -> bool:
    """Say whether nothing stands there, in a folder or in its place: all that comes will be new."""
    try:
        with os.scandir(root) as items:
            return next(items, None) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False  # whoever asks for what is there finds out why


class Ahead:
    """The files below a folder, as a thread of its own finds them; it ends with the first question."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._seen: dict[str, Seen] = {}
        self._began = time.monotonic()
        self._is_over = False
        threading.Thread(target=self._look, daemon=True).start()

    def seen(self) -> dict[str, Seen]:
        """Return what has been seen so far, by name; nothing when that is too long ago."""
        self._is_over = True
        if self._is_old():
            self._seen = {}
        return self._seen

    def _is_old(self) -> bool:
        return time.monotonic() - self._began > FRESH_S

    def _look(self) -> None:
        folders = [""]
        while folders and not self._is_over and not self._is_old():
            try:
                self._look_into(folders.pop(), folders)
            except OSError:
                continue  # whoever asks for what is there finds out why

    def _look_into(self, prefix: str, folders: list[str]) -> None:
        seen = self._seen
        with os.scandir(f"{self._root}/{prefix}") as items:
            for item in items:
                if item.is_dir(follow_symlinks=False):
                    folders.append(f"{prefix}{item.name}/")
                elif item.is_file(follow_symlinks=False):
                    info = item.stat(follow_symlinks=False)
                    seen[prefix + item.name] = Seen(info.st_size, info.st_mtime_ns, info.st_mode)
                if self._is_over or len(seen) >= MOST:
                    self._is_over = True
                    return
