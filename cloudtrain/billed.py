"""What the clouds themselves say they billed, held beside what we wrote down."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from .model.errors import CloudtrainError, NotSetUpError
from .model.money import BilledDay
from .model.spec import MachineSpec
from .model.statement import Billed, Statement
from .providers.base import Bills, OfferSource


def compare(
    statement: Statement, accounts: Sequence[MachineSpec], open_provider: Callable[[MachineSpec], OfferSource], now: datetime
) -> tuple[Billed, ...]:
    """Ask every provider for its bill of the statement's days.

    One that has no bill to read, or does not answer, is told with the reason, unless nothing was ever written down for it.
    """
    recorded: dict[str, float] = defaultdict(float)
    for line in statement.lines:
        recorded[line.provider] += line.cost.total_usd
    specs: dict[str, list[MachineSpec]] = {provider: [] for provider in recorded}
    for spec in accounts:
        specs.setdefault(spec.provider, []).append(spec)
    found = [_compare(name, recorded.get(name), specs[name], statement, open_provider, now) for name in sorted(specs)]
    return tuple(billed for billed in found if billed is not None)


def _compare(
    name: str,
    recorded: float | None,
    specs: Sequence[MachineSpec],
    statement: Statement,
    open_provider: Callable[[MachineSpec], OfferSource],
    now: datetime,
) -> Billed | None:
    known = recorded or 0.0
    try:
        sources = [open_provider(spec) for spec in specs or (MachineSpec(name, name),)]
        bills = [source for source in sources if isinstance(source, Bills)]
        days = [day for source in bills for day in _days(source, statement, now)]
    except NotSetUpError as error:
        return None if recorded is None else Billed(name, known, problem=error.message)
    except CloudtrainError as error:
        return Billed(name, known, problem=error.message)
    if not bills:
        return None if recorded is None else Billed(name, known, problem="it has no bill that a program can read")
    usd = math.fsum(day.usd for day in days)
    return Billed(name, known, usd, usd - known, all(day.is_final for day in days))


def _days(source: Bills, statement: Statement, now: datetime) -> Sequence[BilledDay]:
    # The day that goes on is asked for too: our books have what it cost up to now.
    return source.billed(statement.since.date(), min(statement.until.date(), now.date() + timedelta(days=1)))
