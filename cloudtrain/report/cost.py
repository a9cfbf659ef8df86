"""What the run cost, part by part, and the caps it stood under."""

from collections.abc import Mapping
from typing import Any

from .facts import mapping_in, number_in, text_in
from .summary import terms
from .words import duration, money


def cost_panel(record: Mapping[str, Any]) -> str:
    """Return the record's cost as a list of terms, "" when it holds none."""
    if not mapping_in(record, "cost") or number_in(record, "price", "usd_per_hour") == 0:
        return ""
    compute, unpriced = number_in(record, "cost", "hours"), number_in(record, "cost", "unpriced_hours")
    hours = f" for {duration(compute * 3600)}" if compute and compute > 0 else ""
    rows = {
        "Compute": _usd(record, "compute_usd", hours),
        "Disk": _usd(record, "disk_usd"),
        "Address": _usd(record, "address_usd"),
        "Total": _usd(record, "total_usd"),
        "In no sum": f"{duration(unpriced * 3600)} at an unknown price" if unpriced and unpriced > 0 else None,
        "Price of": text_in(record, "cost", "priced_on"),
        "Budget": _usd(record, "budget_usd"),
        "Month's cap": _usd(record, "monthly_budget_usd"),
    }
    return f'<div class="card">{terms(rows)}</div>' if any(rows.values()) else ""


def _usd(record: Mapping[str, Any], key: str, more: str = "") -> str | None:
    amount = number_in(record, "cost", key)
    return None if amount is None else money(amount) + more
