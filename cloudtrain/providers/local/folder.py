"""The folders that play this computer's machines: one each, with the machine's own record inside."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ...model.errors import InstanceNotFoundError, ProviderUnavailableError
from ...model.instance import Instance, InstanceRef, InstanceState, LaunchOrder, LocalEndpoint
from ...model.plain import from_plain, to_plain
from ..folders import end_folder

NAME = "local"
REGION = "here"
INSTANCE_TYPE = "this-machine"
RECORD = "instance.json"


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as its folder records it.

    Attributes:
        deadline: shown and moved like any; nothing here ends the machine at it, since it has no meter. A run's own
            deadline is the supervisor's to keep. None while it is stopped.
    """

    id: str
    token: str
    name: str
    owner: str
    launched_at: datetime
    deadline: datetime | None
    state: InstanceState = InstanceState.RUNNING

    @classmethod
    def ordered(cls, order: LaunchOrder, now: datetime) -> "Machine":
        """Make the machine of an order; the same token gives the same id."""
        digest = hashlib.sha256(order.token.encode()).hexdigest()
        return cls(f"{NAME}-{digest[:12]}", order.token, order.machine.name, order.owner, now, order.lease.deadline)

    def running_until(self, deadline: datetime) -> "Machine":
        """Return it running under a deadline."""
        return replace(self, state=InstanceState.RUNNING, deadline=deadline)

    def stopped(self) -> "Machine":
        """Return it stopped, its lease over."""
        return replace(self, state=InstanceState.STOPPED, deadline=None)

    def shown(self, root: Path) -> Instance:
        """Return it in the contract's words."""
        runs = self.state is InstanceState.RUNNING
        return Instance(
            ref=InstanceRef(NAME, self.id, REGION),
            name=self.name,
            state=self.state,
            token=self.token,
            owner=self.owner,
            instance_type=INSTANCE_TYPE,
            address="localhost" if runs else "",
            endpoint=LocalEndpoint(root) if runs else None,
            usd_per_hour=0.0,
            launched_at=self.launched_at,
            deadline=self.deadline,
        )


class MachineFolders:
    """All of them, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, machine: Machine) -> Machine:
        """Make a machine's folder, or return the machine that is there under this id already."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made beside and renamed: of two processes with one order the second finds a whole machine or none.
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))
        try:
            _write(fresh / RECORD, machine)
            fresh.rename(self.root(machine.id))
        except OSError:
            shutil.rmtree(fresh)
            if (self.root(machine.id) / RECORD).exists():
                return self.read(machine.id)
            raise
        return machine

    def read(self, id: str) -> Machine:
        """Return the machine of this id.

        Raises:
            InstanceNotFoundError: there is none.
            ProviderUnavailableError: its record is damaged.
        """
        # An id becomes a path: anything that is not of our making names nothing.
        if not _is_id(id):
            raise InstanceNotFoundError(f"This computer knows no machine {id}")
        try:
            return from_plain(Machine, json.loads((self.root(id) / RECORD).read_bytes()))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InstanceNotFoundError(f"This computer knows no machine {id}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise ProviderUnavailableError(
                f"The record {self.root(id) / RECORD} is damaged: {error}", "See what this computer has: cloudtrain status"
            ) from error

    def change(self, machine: Machine) -> None:
        """Write a machine's record anew, whole."""
        _write(self.root(machine.id) / RECORD, machine)

    def remove(self, id: str) -> None:
        """End what runs in a machine's folder and remove it. An absent one is a success."""
        root = self.root(id)
        if not _is_id(id) or not root.exists():
            return
        # What is removed in parts is no machine any more from the first moment on.
        (root / RECORD).unlink(missing_ok=True)
        end_folder(root)

    def all(self) -> Iterator[Instance]:
        """Yield every machine; one whose record is damaged shows as UNKNOWN under its id."""
        for root in sorted(self._folder.glob(f"{NAME}-*")):
            if _is_id(root.name):
                try:
                    yield self.read(root.name).shown(root)
                except InstanceNotFoundError:
                    continue  # it was removed while we looked
                except ProviderUnavailableError:
                    yield Instance(InstanceRef(NAME, root.name, REGION), root.name, InstanceState.UNKNOWN, usd_per_hour=0.0)

    def unfinished(self) -> Iterator[Path]:
        """Yield the folders of machines that were ended and could not be removed."""
        for root in sorted(self._folder.glob(f"{NAME}-*")):
            if _is_id(root.name) and not (root / RECORD).exists():
                yield root

    def root(self, id: str) -> Path:
        """Return the folder that plays the machine of this id."""
        return self._folder / id


def _is_id(text: str) -> bool:
    return re.fullmatch(rf"{NAME}-[0-9a-f]{{12}}", text) is not None


def _write(path: Path, machine: Machine) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(to_plain(machine), file, indent=1)
    fresh.replace(path)
