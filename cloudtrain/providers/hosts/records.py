"""What this computer asked machines for, written down before it asked: a machine that is silent cannot tell."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from ...model.offer import Offer
from ...model.plain import from_plain, to_plain
from ...model.spec import HostSpec
from .claim import Claim, is_id

T = TypeVar("T")

KEPT_FOR = timedelta(days=1)
"""How long it is remembered that a machine was given back: it may be switched off, and is looked at once more."""


class Asked(StrEnum):
    """How far a claim has come, as far as this computer knows."""

    WAKING = "waking"  # a packet was sent; the machine has heard nothing of the claim
    CLAIMED = "claimed"  # it was asked for the claim, and may hold it
    RELEASED = "released"  # it said that it let go of it


@dataclass(frozen=True, slots=True)
class Record:
    """A claim and the machine it is on."""

    claim: Claim
    host: HostSpec
    asked: Asked
    at: datetime


class Records:
    """All of them, a file each, in a folder of this computer; and what machines were last seen to be made of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, record: Record) -> None:
        """Write a record, whole.

        Raises:
            OSError: it cannot be written.
        """
        self._write(record.claim.id, record)

    def read(self, id: str) -> Record | None:
        """Return a record; None when there is none."""
        return _read(Record, self._path(id)) if is_id(id) else None

    def remove(self, id: str) -> None:
        """Remove a record. An absent one is a success."""
        if is_id(id):
            self._path(id).unlink(missing_ok=True)

    def all(self, now: datetime) -> Iterator[Record]:
        """Yield every record; those of machines long given back are removed."""
        for path in sorted(self._folder.glob("host-*.json")):
            record = _read(Record, path)
            if record is None:
                continue
            if record.asked is Asked.RELEASED and record.at + KEPT_FOR < now:
                path.unlink(missing_ok=True)
            else:
                yield record

    def remember_offer(self, offer: Offer) -> None:
        """Keep what a machine is made of, for when it sleeps. A disk that has no room for it is no reason to stop."""
        with contextlib.suppress(OSError):
            self._write(_offer_name(offer.zone), offer)

    def remembered_offer(self, host: HostSpec) -> Offer | None:
        """Return what a machine was last seen to be made of."""
        return _read(Offer, self._path(_offer_name(host.name)))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write(self, name: str, content: object) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(name)
        fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(to_plain(content), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)


def _offer_name(host: str) -> str:
    return f"offer-{hashlib.sha256(host.encode()).hexdigest()[:12]}"


def _read(wanted: type[T], path: Path) -> T | None:
    """Return what a file holds. A damaged one says nothing: the machine itself has the last word as soon as it answers."""
    try:
        content: Any = json.loads(path.read_bytes())
        return from_plain(wanted, content)
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError, AttributeError):
        return None
