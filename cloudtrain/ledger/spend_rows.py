"""The rows of what bills, inside of one transaction or one look."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Any

from ..model.instance import InstanceRef, LaunchOrder
from ..model.money import Charge, ChargeKind
from .file import LedgerFile, text

CHARGES = "SELECT number, charge, ended_at, deadline, seen_at FROM spend"


@dataclass(frozen=True, slots=True)
class OpenCharge:
    """A charge that goes on, and the number of its row."""

    number: int
    charge: Charge


class Rows:
    """One machine's rows in an open transaction."""

    def __init__(self, file: LedgerFile, db: Connection, ref: InstanceRef) -> None:
        self._file = file
        self._db = db
        self._key = (ref.provider, ref.id)

    def open(self) -> list[OpenCharge]:
        """Return what bills now."""
        query = f"{CHARGES} WHERE provider = ? AND machine_id = ? AND ended_at IS NULL"
        return [OpenCharge(row[0], charge_in(self._file, row)) for row in self._db.execute(query, self._key).fetchall()]

    def last(self) -> Charge | None:
        """Return the machine's newest compute, open or not; None for a machine that never had any."""
        query = f"{CHARGES} WHERE provider = ? AND machine_id = ? AND kind = ? ORDER BY number DESC LIMIT 1"
        row = self._db.execute(query, (*self._key, ChargeKind.COMPUTE.value)).fetchone()
        return None if row is None else charge_in(self._file, row)

    def has_any(self) -> bool:
        """Say whether anything of the machine was ever charged."""
        query = "SELECT 1 FROM spend WHERE provider = ? AND machine_id = ? LIMIT 1"
        return self._db.execute(query, self._key).fetchone() is not None

    def order(self, token: str) -> LaunchOrder | None:
        """Return the order a machine came from, None when it was not written down here."""
        row = self._db.execute("SELECT launch_order FROM intents WHERE token = ?", (token,)).fetchone()
        return None if row is None else self._file.value(LaunchOrder, row[0])

    def add(self, charge: Charge) -> None:
        """Begin a charge."""
        self._db.execute(
            "INSERT INTO spend (provider, machine_id, kind, name, run_id, token, began_at, deadline, seen_at, charge)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *self._key,
                charge.kind.value,
                charge.name,
                charge.run_id,
                charge.token,
                column_of(charge.began_at),
                column_of(charge.deadline),
                column_of(charge.seen_at),
                text(charge),
            ),
        )

    def close(self, ended: OpenCharge, at: datetime) -> None:
        """End a charge; one that ends where it began, or before it since the clock was set back, was none."""
        if at <= ended.charge.began_at:
            self._db.execute("DELETE FROM spend WHERE number = ?", (ended.number,))
        else:
            self._db.execute("UPDATE spend SET ended_at = ? WHERE number = ?", (column_of(at), ended.number))

    def renew(self, before: OpenCharge, after: Charge, at: datetime) -> None:
        """End a charge and begin another one in its place."""
        self.close(before, at)
        self.add(replace(after, began_at=max(before.charge.began_at, at)))

    def set_deadline(self, deadline: datetime | None) -> None:
        """Let what bills end by then; None for what does not end by itself."""
        self._db.execute(
            "UPDATE spend SET deadline = ?, seen_at = NULL WHERE provider = ? AND machine_id = ? AND ended_at IS NULL",
            (column_of(deadline), *self._key),
        )

    def set_seen(self, at: datetime) -> None:
        """Write down that what bills was seen to, at a time later than its deadline."""
        self._db.execute(
            "UPDATE spend SET seen_at = ? WHERE provider = ? AND machine_id = ? AND ended_at IS NULL",
            (column_of(at), *self._key),
        )


def charge_in(file: LedgerFile, row: tuple[Any, ...]) -> Charge:
    """Return the charge of a row of `CHARGES`."""
    ended_at, deadline, seen_at = (None if moment is None else file.moment(moment) for moment in row[2:])
    return replace(file.value(Charge, row[1]), ended_at=ended_at, deadline=deadline, seen_at=seen_at)


def column_of(moment: datetime | None) -> str | None:
    """Return a time as these columns hold it: all alike, so that they compare as texts."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")
