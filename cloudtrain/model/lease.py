"""The lease: the deadline every machine is born with, and the dollars behind it."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from .spec import Budget

BILLED_STEP_S = 60
"""No cloud bills in larger steps, in seconds: a minute that was begun may be paid whole, and is the least one pays."""


class GuestEnd(StrEnum):
    """What the machine itself can do that stops its bill: the wrong one would leave it billing, or do nothing at all."""

    NONE = "none"  # nothing bills there, or nothing on the machine can end it
    POWEROFF = "poweroff"  # AWS, Google Cloud: an operating system that switches off ends or stops the machine
    DEALLOCATE = "deallocate"  # Azure: a machine that is merely off bills on, so it asks to be deallocated
    DELETE = "delete"  # Azure: it asks to be deleted, and its disk and address with it


@dataclass(frozen=True, slots=True)
class Lease:
    """When a machine ends, whoever is watching.

    Attributes:
        deadline: aware, UTC.
        usd_per_hour: the full price of the machine (compute, disk, address) the deadline was computed from;
            0.0 where there is no meter.
        budget_usd: the cap in USD, or None.
        bound_by: "budget" or "max_lifetime": which of the two set the deadline.
    """

    deadline: datetime
    usd_per_hour: float
    budget_usd: float | None = None
    bound_by: str = "max_lifetime"

    @classmethod
    def grant(cls, budget: Budget, usd_per_hour: float, now: datetime) -> "Lease":
        """Turn dollars into a deadline: min(budget ÷ price, max lifetime), rounded down.

        `usd_per_hour` is the full price (compute, disk, address). The bill at the deadline never exceeds the budget, also
        where every minute begun is billed: dollars buy whole minutes. `now` must be aware, UTC.
        """
        lifetime_s, bound_by = math.floor(budget.max_lifetime_s), "max_lifetime"
        if budget.usd is not None and usd_per_hour > 0:
            affordable_s = _exact(budget.usd) / _exact(usd_per_hour) * 3600 // BILLED_STEP_S * BILLED_STEP_S
            if affordable_s < lifetime_s:
                lifetime_s, bound_by = int(affordable_s), "budget"
        return cls(now + timedelta(seconds=lifetime_s), usd_per_hour, budget.usd, bound_by)

    def most_usd(self, since: datetime) -> float:
        """Return the most this lease can cost from `since` on, in USD."""
        left = max(timedelta(0), self.deadline - since)
        return float(_exact(self.usd_per_hour) * Fraction(left // timedelta(microseconds=1), 3_600_000_000))


def _exact(amount: float) -> Fraction:
    """Return an amount as a person writes it: 0.1 is a tenth, and three of them are not more than 0.3."""
    return Fraction(str(amount))
