"""The dated price table that ships with cloudtrain; SOURCES.md beside it says where each figure comes from."""

import csv
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from importlib import resources

from ..model.offer import Offer
from ..model.spec import Market
from .withdrawn import why_withdrawn

SOURCE = "table"

COLUMNS = (
    "provider",
    "region",
    "instance_type",
    "vcpus",
    "memory_gib",
    "gpu",
    "gpu_count",
    "gpu_memory_gib",
    "compute_capability",
    "on_demand_usd_per_hour",
    "spot_usd_per_hour",
    "priced_on",
    "source",
)
"""A table's columns, in their order."""


@cache
def rows(provider: str) -> tuple[Offer, ...]:
    """Return the table's offers for a provider, one per market; empty for a provider it does not know.

    A price the table does not have is None and never zero. What can no longer be rented is left out.

    Raises:
        OSError, ValueError, KeyError: the table is missing from this installation or damaged.
    """
    return offers_in(row for row in _table() if row["provider"] == provider)


def offers_in(lines: Iterable[dict[str, str]]) -> tuple[Offer, ...]:
    """Return the offers that lines of a table make, by column, without what can no longer be rented.

    Raises:
        ValueError, KeyError: a line cannot be read.
    """
    return tuple(offer for line in lines for offer in _offers(line) if not why_withdrawn(offer))


def cheapest(offers: Iterable[Offer]) -> Offer | None:
    """Return the offer with the lowest known price, or None when no price is known."""
    priced = [(offer.usd_per_hour, offer) for offer in offers if offer.usd_per_hour is not None]
    return min(priced, key=lambda pair: pair[0])[1] if priced else None


def table_date(provider: str) -> date:
    """Return the day of the oldest price the table has for a provider.

    Raises:
        KeyError: the table does not know the provider.
    """
    dates = [offer.priced_on for offer in rows(provider) if offer.priced_on is not None]
    if not dates:
        raise KeyError(provider)
    return min(dates)


@cache
def _table() -> tuple[dict[str, str], ...]:
    text = resources.files(__package__).joinpath("table.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def _offers(row: dict[str, str]) -> Iterator[Offer]:
    gpu_count, gpu_memory_gib = _gpus(row)
    for market, column in ((Market.ON_DEMAND, "on_demand_usd_per_hour"), (Market.SPOT, "spot_usd_per_hour")):
        yield Offer(
            provider=row["provider"],
            instance_type=row["instance_type"],
            region=row["region"],
            market=market,
            usd_per_hour=float(row[column]) if row[column] else None,
            priced_on=date.fromisoformat(row["priced_on"]),
            vcpus=int(row["vcpus"] or 0),
            memory_gib=float(row["memory_gib"] or 0),
            gpu=row["gpu"],
            gpu_count=gpu_count,
            gpu_memory_gib=gpu_memory_gib,
            compute_capability=row["compute_capability"],
            source=SOURCE,
        )


def _gpus(row: dict[str, str]) -> tuple[int, float]:
    """Return the whole GPUs and the memory of each, GiB. A slice of a GPU counts as no GPU, with the slice's memory."""
    count, memory_gib = float(row["gpu_count"] or 0), float(row["gpu_memory_gib"] or 0)
    if 0 < count < 1:
        return 0, round(count * memory_gib, 1)
    return int(count), memory_gib
