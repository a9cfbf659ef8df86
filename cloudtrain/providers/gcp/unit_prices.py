"""Google's prices by the part, kept on this computer for a week: its catalogue is read as a whole or not at all."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ...model.spec import Market
from ..base import ProviderSettings
from .billing import Part, catalogue
from .rest import Rest

FRESH = timedelta(days=7)
"""How old a price may be for the catalogue not to be asked."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What parts of machines cost, USD an hour, as the catalogue had it on one day."""

    by_part: Mapping[Part, float]
    read_on: date


def unit_prices(settings: ProviderSettings, rest: Rest, oldest: timedelta = FRESH) -> Prices:
    """Return the prices by the part, at most so old.

    Raises:
        ProviderError: there are none so new here, and the catalogue cannot be asked.
    """
    path, today = settings.home / "gcp" / "prices.json", settings.clock.now().date()
    kept = _kept(path)
    if kept is not None and timedelta(0) <= today - kept.read_on <= oldest:
        return kept
    found = Prices(catalogue(rest), today)
    with suppress(OSError):  # then it is read again the next time
        _keep(found, path)
    return found


def _kept(path: Path) -> Prices | None:
    """Return what was kept; None where there is nothing or it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        read = {Part(name, region, Market(market)): float(usd) for name, region, market, usd in content["prices"]}
        return Prices(read, date.fromisoformat(content["read_on"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(prices: Prices, path: Path) -> None:
    rows = [[part.name, part.region, part.market.value, usd] for part, usd in prices.by_part.items()]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(json.dumps({"read_on": prices.read_on.isoformat(), "prices": rows}), encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
