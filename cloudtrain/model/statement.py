"""A statement of what was spent: by run, by machine, by day, and what a month's cap leaves."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Meter(StrEnum):
    """Whether something goes on billing."""

    RUNNING = "running"
    OVERDUE = "over its deadline"  # it was to end, and nobody has seen since what became of it
    STOPPED = "stopped"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost, USD.

    Attributes:
        hours: how long compute was billed.
        unpriced_hours: how much of that was at a price nobody knows; it is in no sum.
        priced_on: the day the price of compute was true, the newest of several; None when nobody said.
    """

    hours: float = 0.0
    compute_usd: float = 0.0
    disk_usd: float = 0.0
    address_usd: float = 0.0
    total_usd: float = 0.0
    unpriced_hours: float = 0.0
    priced_on: date | None = None


@dataclass(frozen=True, slots=True)
class CostLine:
    """One run, or one machine while it served none.

    Attributes:
        run: the run's id, or "".
        machine: the machine's name; provider, type and market are those of the last machine it was.
        usd_per_hour: what it bills now: 0.0 when it ended, None when the price is unknown.
        usd_per_month: the same, per month.
    """

    run: str
    machine: str
    provider: str
    instance_type: str
    market: str
    meter: Meter
    usd_per_hour: float | None
    usd_per_month: float | None
    cost: Cost


@dataclass(frozen=True, slots=True)
class DayCost:
    """What one day (UTC) cost, USD."""

    day: date
    usd: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a month's cap leaves, USD.

    Attributes:
        spent_usd: up to now.
        committed_usd: what may still be spent in that month without another word: by open leases, by launches under way and by
            the disks of stopped machines.
        left_usd: the cap less both, never below zero.
    """

    cap_usd: float
    spent_usd: float
    committed_usd: float
    left_usd: float


@dataclass(frozen=True, slots=True)
class Statement:
    """What billed between two moments.

    Attributes:
        lines: runs, then machines while they served none; each in the order it began.
        days: each day (UTC) from the first that cost something to the last.
        allowance: None where no cap is set, or the statement is not of a whole month.
    """

    since: datetime
    until: datetime
    lines: tuple[CostLine, ...]
    total: Cost
    days: tuple[DayCost, ...] = ()
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class Billed:
    """What one provider says it billed, beside what we wrote down for the same days, USD.

    Attributes:
        billed_usd: None when it cannot or does not say; `problem` tells why then.
        difference_usd: billed less recorded.
        is_final: False while the cloud may still add to it.
    """

    provider: str
    recorded_usd: float
    billed_usd: float | None = None
    difference_usd: float | None = None
    is_final: bool = True
    problem: str = ""
