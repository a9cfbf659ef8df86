"""What it cost: sums of what billed, by run, by machine and by month, and what is left of the month's cap.

Months are calendar months in UTC, as the clouds bill them. What goes on is priced up to now. A price that nobody knows is in no
sum; the hours it was paid for are counted and said.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from .ledger.ledger import Ledger
from .model.errors import InstanceNotFoundError, LedgerError, NoOfferFitsError, ProviderError
from .model.event import Note, Tell
from .model.instance import Instance, InstanceRef, LaunchOrder
from .model.money import HOURS_PER_MONTH, Charge, ChargeKind, cents_down, cents_up
from .model.plain import to_plain
from .model.spec import Budget, MachineSpec
from .model.statement import Allowance, Cost, CostLine, DayCost, Meter, Statement
from .providers.base import Provider

_LEAST_USD = 0.01
"""Less than this is nothing to rent with."""

_FLOAT_DUST_USD = 1e-6
_DAY = timedelta(days=1)


def cost_of_run(ledger: Ledger, run_id: str, now: datetime) -> Cost:
    """Return what a run has cost so far."""
    return statement_of_run(ledger, run_id, now).total


def cost_record(
    ledger: Ledger, run_id: str, now: datetime, *, budget_usd: float | None, cap_usd: float | None
) -> dict[str, Any]:
    """Return what a run has cost as `run.json` holds it, with its own budget and the month's cap."""
    plain: dict[str, Any] = to_plain(cost_of_run(ledger, run_id, now))
    return plain | {"budget_usd": budget_usd, "monthly_budget_usd": cap_usd}


def statement_of_run(ledger: Ledger, run_id: str, now: datetime) -> Statement:
    """Return what a run (by its whole id) cost from its beginning to now, whatever months that is."""
    charges = ledger.spend.entries(run=run_id)
    since = min((charge.began_at for charge in charges), default=now)
    # What ended has ended, also when this computer's clock was set back since.
    return _statement(charges, since, max((charge.until(now) for charge in charges), default=now), now)


def statement_of_month(
    ledger: Ledger, month: datetime, now: datetime, *, machine: str | None = None, cap_usd: float | None = None
) -> Statement:
    """Return what the month of a moment cost, of one machine's name or of all; of all with what the cap leaves."""
    since, until = month_around(month)
    statement = _statement(ledger.spend.entries(since, until, name=machine), since, until, now)
    return statement if machine is not None else replace(statement, allowance=allowance(ledger, cap_usd, now, month=month))


def month_around(moment: datetime) -> tuple[datetime, datetime]:
    """Return when the calendar month (UTC) around a moment begins, and when the next one does."""
    since = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return since, (since + timedelta(days=31)).replace(day=1)


def allowance(
    ledger: Ledger, cap_usd: float | None, now: datetime, *, month: datetime | None = None, apart_from: str = ""
) -> Allowance | None:
    """Return what the cap leaves of the month of a moment, of this one when none is given; None without a cap.

    `apart_from` names a machine that a run is about to use: what that may cost while it serves no run is not held against it.
    """
    if cap_usd is None:
        return None
    since, until = month_around(month or now)
    committed = _committed(ledger, now, until, apart_from=apart_from) if since <= now < until else 0.0
    return _allowance(cap_usd, _cost(ledger.spend.entries(since, until), since, until, now).total_usd, committed)


def left_of_month(ledger: Ledger, cap_usd: float | None, now: datetime) -> float | None:
    """Return what may still be committed this month, USD; None without a cap."""
    found = allowance(ledger, cap_usd, now)
    return None if found is None else found.left_usd


def capped(budget: Budget, left: Allowance | None) -> tuple[Budget, str]:
    """Return the smaller of a budget and what the month has left, with a sentence about it when it is the latter, else "".

    Raises:
        NoOfferFitsError: the month has nothing left.
    """
    if left is None or (budget.usd is not None and budget.usd <= left.left_usd):
        return budget, ""
    usd = math.floor(round(left.left_usd * 100, 6)) / 100
    if usd < _LEAST_USD:
        raise _spent(left)
    return replace(budget, usd=usd), (
        f"The budget is what the month's cap of {cents_up(left.cap_usd)} leaves: {cents_down(usd)} "
        f"({cents_up(left.spent_usd)} spent, {cents_up(left.committed_usd)} committed)."
    )


def refuse_beyond_cap(order: LaunchOrder, ledger: Ledger, cap_usd: float | None, now: datetime) -> None:
    """Refuse an order that, with those written down before it, is more than the month has left.

    To be called when the order is in the ledger and the cloud has not been asked yet: of two terminals that want the rest of
    the month at the same moment, the one that came later into the ledger sees the other.

    Raises:
        NoOfferFitsError: it is too much; the order is to be settled as one that made nothing.
    """
    if cap_usd is None or order.lease.usd_per_hour == 0.0:
        return
    since, until = month_around(now)
    spent = _cost(ledger.spend.entries(since, until), since, until, now).total_usd
    left = _allowance(cap_usd, spent, _committed(ledger, now, until, before=order.token))
    if order.lease.most_usd(now) > left.left_usd + _FLOAT_DUST_USD:
        raise _spent(left)


def refuse_overcommitted(ledger: Ledger, cap_usd: float | None, now: datetime) -> None:
    """Refuse to go on when all that is written down is more than the month's cap.

    To be called when a machine that is off is in the books as on, and its cloud has not been asked yet.

    Raises:
        NoOfferFitsError: it is too much; the machine is to be written down as off again.
    """
    left = allowance(ledger, cap_usd, now)
    if left is not None and left.spent_usd + left.committed_usd > left.cap_usd + _FLOAT_DUST_USD:
        raise _spent(left)


def settle_vanished(spec: MachineSpec, provider: Provider, owned: Sequence[Instance], ledger: Ledger, now: datetime) -> None:
    """Close the account of machines that a provider, asked for all of ours, did not name and, asked by name, does not know.

    One that it does name is written down as it is. A provider that does not answer closes nothing.
    """
    listed = {instance.ref for instance in owned}
    for ref in {charge.ref for charge in ledger.spend.open_entries() if _is_at(charge, spec)} - listed:
        try:
            ledger.spend.seen(provider.get(ref), now)
        except InstanceNotFoundError:
            ledger.spend.gone(ref, now)
        except ProviderError:
            continue  # It bills on in our books, which is the safe mistake.


def came_to_its_deadline(ref: InstanceRef, ledger: Ledger, now: datetime) -> bool:
    """Say whether a machine that is off was on until its deadline, by what is written down: nobody switched it off before."""
    last = max(
        (charge for charge in ledger.spend.entries() if charge.ref == ref and charge.kind is ChargeKind.COMPUTE),
        key=lambda charge: charge.began_at,
        default=None,
    )
    return last is not None and last.deadline is not None and last.until(now) >= last.deadline


@contextmanager
def noted(tell: Tell) -> Iterator[None]:
    """Turn a ledger that cannot be written into a warning: an account that is not kept keeps no machine alive."""
    try:
        yield
    except LedgerError as error:
        tell(Note(f"What it costs could not be written down: {error.message}", "warning"))


def _statement(charges: Sequence[Charge], since: datetime, until: datetime, now: datetime) -> Statement:
    groups: dict[tuple[str, str], list[Charge]] = defaultdict(list)
    for charge in charges:
        key = (charge.run_id, "") if charge.run_id else (charge.ref.provider, charge.ref.id)
        groups[key].append(charge)
    lines = [_line(group, since, until, now) for group in groups.values()]
    lines.sort(key=lambda line: not line.run)  # in the order they began, but runs first
    return Statement(since, until, tuple(lines), _cost(charges, since, until, now), _days(charges, since, until, now))


def _line(charges: Sequence[Charge], since: datetime, until: datetime, now: datetime) -> CostLine:
    last = charges[-1]
    rates = [charge.usd_per_hour for charge in charges if charge.ended_at is None]
    known = [rate for rate in rates if rate is not None]
    rate = sum(known) if len(known) == len(rates) else None
    return CostLine(
        run=last.run_id,
        machine=last.name,
        provider=last.ref.provider,
        instance_type=last.instance_type,
        market=last.market.value,
        meter=_meter(charges, now),
        usd_per_hour=rate,
        usd_per_month=None if rate is None else rate * HOURS_PER_MONTH,
        cost=_cost(charges, since, until, now),
    )


def _meter(charges: Sequence[Charge], now: datetime) -> Meter:
    going_on = [charge for charge in charges if charge.ended_at is None]
    computing = [charge for charge in going_on if charge.kind is ChargeKind.COMPUTE]
    if computing:
        overdue = any(charge.deadline is not None and charge.deadline < now for charge in computing)
        return Meter.OVERDUE if overdue else Meter.RUNNING
    return Meter.STOPPED if going_on else Meter.ENDED


def _cost(charges: Sequence[Charge], since: datetime, until: datetime, now: datetime) -> Cost:
    usd = {kind: math.fsum(_usd(charge, since, until, now) for charge in charges if charge.kind is kind) for kind in ChargeKind}
    computing = [charge for charge in charges if charge.kind is ChargeKind.COMPUTE]
    return Cost(
        hours=math.fsum(charge.hours(since, until, now) for charge in computing),
        compute_usd=usd[ChargeKind.COMPUTE],
        disk_usd=usd[ChargeKind.DISK],
        address_usd=usd[ChargeKind.ADDRESS],
        total_usd=math.fsum(usd.values()),
        unpriced_hours=math.fsum(charge.hours(since, until, now) for charge in computing if charge.usd_per_hour is None),
        priced_on=max((charge.priced_on for charge in computing if charge.priced_on is not None), default=None),
    )


def _usd(charge: Charge, since: datetime, until: datetime, now: datetime) -> float:
    return charge.hours(since, until, now) * (charge.usd_per_hour or 0.0)


def _days(charges: Sequence[Charge], since: datetime, until: datetime, now: datetime) -> tuple[DayCost, ...]:
    sums: dict[date, float] = defaultdict(float)
    for charge in charges:
        first, last = max(since, charge.began_at), min(until, charge.until(now))
        day = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while day < last:
            sums[day.date()] += _usd(charge, max(day, first), min(day + _DAY, last), now)
            day += _DAY
    if not sums:
        return ()
    count = (max(sums) - min(sums)).days + 1
    return tuple(DayCost(day, sums[day]) for day in (min(sums) + number * _DAY for number in range(count)))


def _committed(ledger: Ledger, now: datetime, until: datetime, *, apart_from: str = "", before: str = "") -> float:
    """Return what may still be spent until then by what is open; of orders, those that came before the one of that token."""
    ahead = [
        charge.hours_ahead(now, until) * (charge.usd_per_hour or 0.0)
        for charge in ledger.spend.open_entries()
        if charge.run_id or charge.name != apart_from
    ]
    for order in ledger.open_intents():
        if order.token == before:
            break
        # One whose machine is in the books already is counted there.
        if order.lease.deadline > now and not ledger.spend.knows(order.token):
            hours = (min(order.lease.deadline, until) - now).total_seconds() / 3600
            ahead.append(hours * order.lease.usd_per_hour)
    return math.fsum(ahead)


def _allowance(cap_usd: float, spent: float, committed: float) -> Allowance:
    return Allowance(cap_usd, spent, committed, max(0.0, cap_usd - spent - committed))


def _spent(left: Allowance) -> NoOfferFitsError:
    """Return the refusal; with something left, it is less than what was wanted."""
    how = "is spent" if left.left_usd < _LEAST_USD else f"leaves {cents_down(left.left_usd)}, which is less than this may cost"
    return NoOfferFitsError(
        f"The month's cap of {cents_up(left.cap_usd)} {how} "
        f"({cents_up(left.spent_usd)} spent, {cents_up(left.committed_usd)} committed)",
        "What spent it: cloudtrain cost\nRaise it: cloudtrain settings --monthly-budget N",
    )


def _is_at(charge: Charge, spec: MachineSpec) -> bool:
    return (charge.ref.provider, charge.endpoint_url, charge.account) == (spec.provider, spec.endpoint_url, spec.account)
