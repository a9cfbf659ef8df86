"""The lease: the deadline every machine is born with, and the dollars behind it."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from .spec import Budget


class GuestEnd(StrEnum):
    """What the machine itself can do that stops its bill: the wrong one would leave it billing, or do nothing at all."""

    NONE = "none"  # nothing bills there, or nothing on the machine can end it
    POWEROFF = "poweroff"  # AWS, Google Cloud: an operating system that switches off ends or stops the machine
    DEALLOCATE = "deallocate"  # Azure: a machine that is merely off bills on


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
        """Turn dollars into a deadline: min(budget ÷ price, max lifetime), rounded down to whole seconds.

        The bill at the deadline never exceeds the budget. `now` must be aware, UTC.
        """
        lifetime_s = float(math.floor(budget.max_lifetime_s))
        bound_by = "max_lifetime"
        if budget.usd is not None and usd_per_hour > 0:
            affordable_s = budget.usd / usd_per_hour * 3600
            if affordable_s < lifetime_s:
                lifetime_s, bound_by = float(math.floor(affordable_s)), "budget"
                # Floating point may round the quotient up across a whole second; a cent too much is too much.
                if lifetime_s / 3600 * usd_per_hour > budget.usd:
                    lifetime_s -= 1
        return cls(now + timedelta(seconds=lifetime_s), usd_per_hour, budget.usd, bound_by)

    def most_usd(self, since: datetime) -> float:
        """Return the most this lease can cost from `since` on, in USD."""
        return max(0.0, (self.deadline - since).total_seconds()) / 3600 * self.usd_per_hour
