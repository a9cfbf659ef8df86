"""Money: what bills from when to when, what a cloud says it billed, and what a wait costs."""

import math
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from .instance import InstanceRef
from .spec import Market

HOURS_PER_MONTH = 730.0
"""What the clouds divide a monthly price by."""


class ChargeKind(StrEnum):
    """What bills: the machine itself while it is on, and what it leaves behind when it is off."""

    COMPUTE = "compute"
    DISK = "disk"  # whatever bills on while the machine is stopped
    ADDRESS = "address"  # whatever bills beside compute and ends with it


@dataclass(frozen=True, slots=True)
class Charge:
    """One thing that bills, at one price, for one run or for none, from one moment to another.

    Attributes:
        run_id: the run it is for, or "" for a machine that a person keeps by name.
        usd_per_hour: USD/hour; None means unknown and never zero.
        priced_on: the day that price was true, or None when nobody said.
        source: where the price comes from, in a word ("table", "api", "cloud").
        token: the order the machine came from, or "".
        endpoint_url: the private endpoint it was rented at, or None for the cloud's own.
        account: the project or subscription that its config names, or "".
        ended_at: None while it goes on.
        deadline: when the machine is to end by itself; None when it is stopped, or when nobody knows.
        seen_at: when the machine was last seen on after its deadline, or None.
    """

    ref: InstanceRef
    name: str
    run_id: str
    instance_type: str
    market: Market
    kind: ChargeKind
    usd_per_hour: float | None
    priced_on: date | None
    began_at: datetime
    source: str = ""
    token: str = ""
    endpoint_url: str | None = None
    account: str = ""
    ended_at: datetime | None = None
    deadline: datetime | None = None
    seen_at: datetime | None = None

    def until(self, now: datetime) -> datetime:
        """Return to when it billed, as far as is known at `now`: past its deadline only as far as it was seen there."""
        if self.ended_at is not None:
            return self.ended_at
        latest = [moment for moment in (self.deadline, self.seen_at) if moment is not None]
        return now if self.deadline is None else min(now, max(latest))

    def hours(self, since: datetime, until: datetime, now: datetime) -> float:
        """Return the hours it billed between two moments, as far as is known at `now`."""
        first, last = max(since, self.began_at), min(until, self.until(now))
        return max(0.0, (last - first).total_seconds() / 3600)

    def hours_ahead(self, now: datetime, until: datetime) -> float:
        """Return the hours it may bill from `now` on: to its deadline, and without one to `until`."""
        if self.ended_at is not None:
            return 0.0
        last = until if self.deadline is None else min(until, self.deadline)
        return max(0.0, (last - now).total_seconds() / 3600)


@dataclass(frozen=True, slots=True)
class BilledDay:
    """What a cloud says it billed for what is ours on one day, USD.

    Attributes:
        day: UTC.
        is_final: False while the cloud may still add to it.
    """

    day: date
    usd: float
    is_final: bool = True


@dataclass(frozen=True, slots=True)
class UploadCost:
    """How long an upload takes, in seconds, and what the machine costs meanwhile, USD; None when its price is unknown."""

    seconds: float
    usd: float | None


def upload_cost(count: int, bytes_per_second: float, usd_per_hour: float | None) -> UploadCost:
    """Return what it takes to upload `count` bytes to a machine that is on.

    Raises:
        ValueError: the speed is none.
    """
    if not (math.isfinite(bytes_per_second) and bytes_per_second > 0):
        raise ValueError(f"{bytes_per_second} bytes per second is no speed")
    seconds = count / bytes_per_second
    return UploadCost(seconds, None if usd_per_hour is None else seconds / 3600 * usd_per_hour)


def cents_up(usd: float) -> str:
    """Write an amount that is held against a cap: to the cent, and never less than it is."""
    # A float that is a hair above a whole cent is that cent.
    return f"${math.ceil(round(usd * 100, 6)) / 100:,.2f}"


def cents_down(usd: float) -> str:
    """Write an amount that is left of a cap: to the cent, and never more than it is."""
    return f"${math.floor(round(usd * 100, 6)) / 100:,.2f}"
