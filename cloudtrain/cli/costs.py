"""How a statement of what was spent looks."""

import sys
from collections.abc import Sequence

from ..model.money import cents_down, cents_up
from ..model.statement import Allowance, Billed, Cost, CostLine, DayCost, Meter, Statement
from .render import answer, is_terminal, warning
from .tables import table
from .words import span

_HEADERS = ("MACHINE", "TYPE", "MARKET", "HOURS", "COMPUTE", "DISK", "ADDRESS", "TOTAL", "PRICE OF", "NOW")
_RIGHT = ("HOURS", "COMPUTE", "DISK", "ADDRESS", "TOTAL", "USD", "RECORDED", "BILLED", "DIFFERENCE")
_LEAST_BAR = 10


def show_statement(statement: Statement, title: str) -> None:
    """Print runs, machines that served none, the days, and what it comes to; `title` says what the statement is of."""
    runs = [line for line in statement.lines if line.run]
    others = [line for line in statement.lines if not line.run]
    table(("RUN", *_HEADERS), [(line.run, *_row(line)) for line in runs], right=_RIGHT)
    if others:
        answer("Machines while they served no run:" if not runs else "\nMachines while they served no run:")
        table(_HEADERS, [_row(line) for line in others], right=_RIGHT)
    if len(statement.days) > 1:
        answer("")
        show_days(statement.days)
    answer("")
    answer(f"{title}: {cents(statement.total.total_usd)}{_cap(statement.allowance)}")
    _warn(statement)


def show_days(days: Sequence[DayCost]) -> None:
    """Print what each day cost: bars on a terminal, plain columns everywhere else."""
    if is_terminal(sys.stdout) and (sys.stdout.encoding or "").casefold().startswith("utf"):
        _drawn(days)
    else:
        table(("DAY", "USD"), [(day.day.isoformat(), cents(day.usd)) for day in days], right=_RIGHT)


def show_billed(billed: Sequence[Billed]) -> None:
    """Print what the clouds say they billed beside what was written down."""
    told = [one for one in billed if one.billed_usd is not None]
    rows = [
        (one.provider, cents(one.recorded_usd), cents(one.billed_usd or 0.0), _signed(one.difference_usd or 0.0), _final(one))
        for one in told
    ]
    answer("")
    table(("PROVIDER", "RECORDED", "BILLED", "DIFFERENCE", ""), rows, right=_RIGHT)
    for one in billed:
        if one.billed_usd is None:
            warning(f"{one.provider} does not say what it billed: {one.problem} ({cents(one.recorded_usd)} recorded)")
    if not billed:
        answer("No provider was used, so there is no bill to compare with.")


def cents(usd: float) -> str:
    """Return an amount to the cent; what is less than one is said to be."""
    return "<$0.01" if 0 < usd < 0.01 else f"${usd:,.2f}"


def _row(line: CostLine) -> tuple[str, ...]:
    cost = line.cost
    return (
        line.machine,
        line.instance_type,
        line.market,
        f"{cost.hours:.2f}",
        _priced(cost, cost.compute_usd),
        cents(cost.disk_usd),
        cents(cost.address_usd),
        _priced(cost, cost.total_usd),
        "-" if cost.priced_on is None else cost.priced_on.isoformat(),
        _now(line),
    )


def _priced(cost: Cost, usd: float) -> str:
    """Return an amount, or that it is not known: a price that nobody knows is no zero."""
    if not cost.unpriced_hours:
        return cents(usd)
    return f"{cents(usd)} + unknown" if usd else "unknown"


def _now(line: CostLine) -> str:
    if line.meter is Meter.ENDED:
        return "ended"
    if line.meter is Meter.STOPPED:
        return f"stopped, {'unknown' if line.usd_per_month is None else cents(line.usd_per_month)}/month"
    return f"{line.meter.value}, {'unknown' if line.usd_per_hour is None else f'${line.usd_per_hour:.3f}'}/h"


def _cap(allowance: Allowance | None) -> str:
    if allowance is None:
        return ""
    return (
        f" of the cap of {cents_up(allowance.cap_usd)}; {cents_up(allowance.committed_usd)} more is committed, "
        f"{cents_down(allowance.left_usd)} left"
    )


def _warn(statement: Statement) -> None:
    if statement.total.unpriced_hours:
        warning(f"{span(statement.total.unpriced_hours * 3600)} ran at a price nobody knows, which is in no sum.")
    for line in statement.lines:
        if line.meter is Meter.OVERDUE:
            warning(f"{line.machine} is over its deadline; nobody has looked since: cloudtrain status")


def _signed(usd: float) -> str:
    return f"{'-' if usd < 0 else '+'}{cents(abs(usd))}"


def _final(billed: Billed) -> str:
    return "" if billed.is_final else "not final yet"


def _drawn(days: Sequence[DayCost]) -> None:
    # Rich is loaded here and not above: where nobody watches nothing is drawn.
    from rich.bar import Bar
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    most = max(day.usd for day in days)
    amounts = [cents(day.usd) for day in days]
    label_width = len("2026-11-21") + max(len(amount) for amount in amounts) + 4
    width = max(_LEAST_BAR, min(60, console.width - label_width))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column()
    for day, amount in zip(days, amounts, strict=True):
        bar = Bar(most or 1.0, 0, day.usd, width=width)
        grid.add_row(Text(day.day.isoformat()), Text(amount), bar)
    console.print(grid)
