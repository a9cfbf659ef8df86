"""The person's own copy of the price table: what `cloudtrain prices refresh` read, kept beside the table of the wheel."""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from ..model.offer import Offer
from ..model.spec import Market
from .table import COLUMNS, offers_in, rows

FILE_NAME = "prices.csv"
"""Its name below the cache folder: everything in it can be fetched again."""

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, csv.Error)


def known_rows(provider: str, path: Path) -> tuple[Offer, ...]:
    """Return a provider's offers, of the wheel's table or the copy, whichever price of the two is newer.

    A known price is preferred to an unknown one, however old. A copy that is damaged is passed over; `damage` says so.

    Raises:
        OSError, ValueError, KeyError: the wheel's table is missing or damaged.
    """
    shipped = rows(provider)
    own = [offer for offer in copied_rows(path) if offer.provider == provider]
    if not own:
        return shipped
    best = {_place(offer): offer for offer in shipped}
    for offer in own:
        other = best.get(_place(offer))
        if other is None or _rank(offer) >= _rank(other):
            best[_place(offer)] = offer
    return tuple(best.values())


def copied_rows(path: Path) -> tuple[Offer, ...]:
    """Return all offers of the copy; none when there is no copy or it is damaged."""
    try:
        return _read(path)
    except _UNREADABLE:
        return ()


def damage(path: Path) -> str:
    """Return why the copy cannot be used, or "" when it can or there is none."""
    try:
        _read(path)
    except _UNREADABLE as error:
        return f"{type(error).__name__}: {error}"
    return ""


def write_copy(path: Path, offers: Iterable[Offer]) -> None:
    """Replace the copy as a whole, for nobody else to read. The old one stays until the new one is complete.

    Raises:
        OSError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_lines(offers))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _read(path: Path) -> tuple[Offer, ...]:
    try:
        changed_ns = path.stat().st_mtime_ns
    except FileNotFoundError:
        return ()
    return _parsed(path, changed_ns)


@lru_cache(maxsize=1)
def _parsed(path: Path, changed_ns: int) -> tuple[Offer, ...]:
    """Read the copy once, and again when it has changed: a list of configs asks for it once for each."""
    del changed_ns
    table = csv.DictReader(path.read_text(encoding="utf-8").splitlines(), strict=True)
    if tuple(table.fieldnames or ()) != COLUMNS:
        raise ValueError("its columns are not those of this version")
    offers = offers_in(table)
    if not all(offer.usd_per_hour is None or 0 < offer.usd_per_hour < math.inf for offer in offers):
        raise ValueError("a price in it is not above zero")
    return offers


def _place(offer: Offer) -> tuple[str, str, Market]:
    return offer.instance_type, offer.region, offer.market


def _rank(offer: Offer) -> tuple[bool, str]:
    return offer.usd_per_hour is not None, str(offer.priced_on or "")


def _lines(offers: Iterable[Offer]) -> Iterable[Mapping[str, object]]:
    """Yield one line for each type and region, both markets in it."""
    by_type: dict[tuple[str, str, str], dict[Market, Offer]] = {}
    for offer in offers:
        by_type.setdefault((offer.provider, offer.region, offer.instance_type), {})[offer.market] = offer
    for markets in by_type.values():
        offer = next(iter(markets.values()))
        line: dict[str, object] = {name: getattr(offer, name, "") for name in COLUMNS}
        for market, column in ((Market.ON_DEMAND, "on_demand_usd_per_hour"), (Market.SPOT, "spot_usd_per_hour")):
            sold = markets.get(market)
            line[column] = "" if sold is None or sold.usd_per_hour is None else sold.usd_per_hour
        yield line
