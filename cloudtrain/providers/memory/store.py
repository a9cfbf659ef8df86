"""Where the pretend cloud keeps its machines: a dictionary, or a file that several processes share."""

import copy
import fcntl
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from ...model.errors import ProviderUnavailableError
from ..folders import disk_errors_told

Machines = dict[str, dict[str, Any]]
"""Machines by id, as JSON data."""


class Store(Protocol):
    """Keeps the machines."""

    def change(self) -> AbstractContextManager[Machines]:
        """Hand out the machines to be read and changed by nobody else meanwhile; an exception undoes the changes."""
        ...


class DictStore:
    """Keeps them in this process."""

    def __init__(self, machines: Machines | None = None) -> None:
        self._machines: Machines = {} if machines is None else machines

    @contextmanager
    def change(self) -> Iterator[Machines]:
        """Hand out the machines to be read and changed."""
        changed = copy.deepcopy(self._machines)
        yield changed
        self._machines.clear()
        self._machines.update(changed)


class FileStore:
    """Keeps them in one JSON file, replaced whole, so that every process sees the same cloud."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def change(self) -> Iterator[Machines]:
        """Hand out the machines to be read and changed by no other process meanwhile.

        Raises:
            ProviderUnavailableError: the file is damaged, or cannot be read or written.
        """
        with disk_errors_told(self._path.parent), self._locked():
            before = self._read()
            changed = copy.deepcopy(before)
            yield changed
            if changed != before:
                self._write(changed)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A file of its own, since the other one is replaced while the lock is held.
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _read(self) -> Machines:
        try:
            machines = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise self._damaged(str(error)) from error
        if not isinstance(machines, dict) or not all(isinstance(machine, dict) for machine in machines.values()):
            raise self._damaged("it holds no machines")
        return machines

    def _write(self, machines: Machines) -> None:
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(machines, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    def _damaged(self, why: str) -> ProviderUnavailableError:
        return ProviderUnavailableError(
            f"The pretend cloud's file {self._path} is damaged: {why}", f"Remove it: rm {shlex.quote(str(self._path))}"
        )
