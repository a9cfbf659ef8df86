"""What bills, from when to when and at which price: every machine's compute, disk and address.

A machine that is on has all three open, one that is stopped its disk alone, one that is gone none. Each call is one
transaction and safe to repeat: what is open already is not opened again, what has ended does not end once more.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from ..model.instance import Instance, InstanceRef, InstanceState
from ..model.money import Charge, ChargeKind
from ..model.offer import Offer
from .file import LedgerFile
from .spend_charges import charges_of, residual_of
from .spend_rows import CHARGES, OpenCharge, Rows, charge_in, column_of

_SETTLING = timedelta(minutes=2)
"""How long a machine may be asked to switch on and still be shown as off."""

_ON = (InstanceState.PENDING, InstanceState.RUNNING, InstanceState.POWERED_OFF)


class Spend:
    """The part of the ledger that knows about money. Every method may raise `LedgerError`. Times are aware."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def opened(self, instance: Instance, offer: Offer | None, run_id: str, at: datetime) -> None:
        """Write down that a machine bills from now on, launched or switched on again, for a run or for none ("").

        While it is on it costs what the offer says in full; without an offer, or with one of another type, what the instance
        itself says. Of a machine that bills already only the run changes. Where no meter runs nothing is written.
        """
        with self._rows(instance.ref) as rows:
            _open(rows, instance, offer, run_id, at)
            _move(rows, run_id, at)

    def stopped(self, instance: Instance, at: datetime) -> None:
        """Write down that a machine is off: compute and address end, its disk goes on, for no run."""
        with self._rows(instance.ref) as rows:
            _stop(rows, instance, at)

    def found_off(self, instance: Instance, at: datetime) -> None:
        """Write down that a machine was found off: since its deadline, if that came before anybody looked."""
        with self._rows(instance.ref) as rows:
            _found_off(rows, instance, at)

    def ended(self, ref: InstanceRef, at: datetime) -> None:
        """Write down that nothing of a machine bills any more, and since when."""
        with self._rows(ref) as rows:
            for row in rows.open():
                rows.close(row, at)

    def gone(self, ref: InstanceRef, at: datetime) -> None:
        """Write down that a machine was found gone: it ended by its deadline, if that came before anybody looked."""
        with self._rows(ref) as rows:
            _close_found(rows, at)

    def seen(self, instance: Instance, at: datetime) -> None:
        """Write down what a look at a machine of ours says about its bill.

        One that was switched on or off behind our back bills accordingly from now on, one that we never knew since its
        launch. While it ends, nothing changes until it has ended; nor when it is seen off that was switched on just now.
        """
        self.seen_all([instance], at)

    def seen_all(self, instances: Iterable[Instance], at: datetime) -> None:
        """Write down what a look at several machines says, in one transaction."""
        with self._file.change() as db:
            for instance in instances:
                _look(Rows(self._file, db, instance.ref), instance, at)

    def moved_to_run(self, ref: InstanceRef, run_id: str, at: datetime) -> None:
        """Let what a machine costs from now on count for a run, or for none ("")."""
        with self._rows(ref) as rows:
            _move(rows, run_id, at)

    def extended(self, ref: InstanceRef, deadline: datetime) -> None:
        """Write down the new deadline of a machine that is on."""
        with self._rows(ref) as rows:
            if _computing(rows):
                rows.set_deadline(deadline)

    def entries(
        self, since: datetime | None = None, until: datetime | None = None, *, name: str | None = None, run: str | None = None
    ) -> list[Charge]:
        """Return what billed between two moments, in the order it began; of one machine's name, of one run (its whole id)."""
        conditions = {
            "began_at < ?": column_of(until),
            "(ended_at IS NULL OR ended_at > ?)": column_of(since),
            "name = ?": name,
            "run_id = ?": run,
        }
        given = {condition: value for condition, value in conditions.items() if value is not None}
        where = " AND ".join(given) or "1"
        rows = self._file.read(f"{CHARGES} WHERE {where} ORDER BY began_at, number", *given.values())
        return [charge_in(self._file, row) for row in rows]

    def open_entries(self) -> list[Charge]:
        """Return what goes on billing, as far as we know."""
        rows = self._file.read(f"{CHARGES} WHERE ended_at IS NULL ORDER BY began_at, number")
        return [charge_in(self._file, row) for row in rows]

    def knows(self, token: str) -> bool:
        """Say whether the machine of an order was ever written down here."""
        return bool(self._file.read("SELECT 1 FROM spend WHERE token = ? LIMIT 1", token))

    @contextmanager
    def _rows(self, ref: InstanceRef) -> Iterator[Rows]:
        with self._file.change() as db:
            yield Rows(self._file, db, ref)


def _look(rows: Rows, instance: Instance, at: datetime) -> None:
    if instance.state is InstanceState.TERMINATED:
        _close_found(rows, at)
    elif instance.state is InstanceState.STOPPED:
        if not any(timedelta(0) <= at - row.charge.began_at < _SETTLING for row in _computing(rows)):
            _found_off(rows, instance, at)
    elif _computing(rows):
        _keep_up(rows, instance, at)
    elif instance.state in _ON:
        _open(rows, instance, None, "", at if rows.has_any() else instance.launched_at or at)


def _found_off(rows: Rows, instance: Instance, at: datetime) -> None:
    _stop(rows, instance, min([at, *(row.charge.until(at) for row in _computing(rows))]))


def _close_found(rows: Rows, at: datetime) -> None:
    for row in rows.open():
        rows.close(row, row.charge.until(at))


def _computing(rows: Rows) -> list[OpenCharge]:
    return [row for row in rows.open() if row.charge.kind is ChargeKind.COMPUTE]


def _open(rows: Rows, instance: Instance, offer: Offer | None, run_id: str, at: datetime) -> None:
    if _computing(rows):
        return
    charges = charges_of(instance, offer, rows.order(instance.token), run_id, at, rows.last())
    if not charges:
        return
    begun = {charge.kind: charge for charge in charges}
    for row in rows.open():
        # Its disk billed while it was off, and goes on.
        if row.charge.kind in begun and row.charge.usd_per_hour == begun[row.charge.kind].usd_per_hour:
            del begun[row.charge.kind]
        else:
            rows.close(row, at)
    for charge in begun.values():
        rows.add(charge)
    _move(rows, run_id, at)
    rows.set_deadline(charges[0].deadline)


def _move(rows: Rows, run_id: str, at: datetime) -> None:
    for row in rows.open():
        if row.charge.run_id != run_id:
            rows.renew(row, replace(row.charge, run_id=run_id), at)


def _stop(rows: Rows, instance: Instance, at: datetime) -> None:
    """End all but the disk. That goes on for no run, at what a stopped machine costs, or as before when nobody says."""
    disk = next((row for row in rows.open() if row.charge.kind is ChargeKind.DISK), None)
    for row in rows.open():
        if row != disk:
            rows.close(row, at)
    residual = residual_of(instance, rows.order(instance.token), at, rows.last())
    if disk is None:
        if residual is not None:
            rows.add(residual)
    elif residual is None or residual.usd_per_hour == disk.charge.usd_per_hour:
        _move(rows, "", at)
    else:
        rows.renew(disk, residual, at)
    rows.set_deadline(None)


def _keep_up(rows: Rows, instance: Instance, at: datetime) -> None:
    """Follow a deadline that was moved elsewhere; note that a machine is still there after it."""
    recorded = _computing(rows)[0].charge.deadline
    deadline = instance.deadline or recorded
    if deadline != recorded:
        rows.set_deadline(deadline)
    if deadline is not None and at > deadline:
        rows.set_seen(at)
