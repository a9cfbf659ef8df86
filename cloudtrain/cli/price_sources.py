"""Where prices come from: the table of the wheel, and the person's own copy of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from ..config.assets import asset_folder
from ..config.machine import list_machines
from ..model.errors import ConfigError
from ..model.event import Tell
from ..model.finding import Finding
from ..model.offer import Offer
from ..prices.refresh import Refreshed, refresh
from ..prices.table import rows
from ..prices.users_copy import copied_rows, damage
from ..providers.base import PriceLister
from ..providers.registry import open_provider, provider_names
from ..wiring import prices_file, provider_settings

SHIPPED = "cloudtrain"


@dataclass(frozen=True, slots=True)
class PriceSource:
    """One place prices come from.

    Attributes:
        origin: "cloudtrain" for the table that came with it, else the path of the person's copy.
        types, regions: how many have a price.
        oldest, newest: the days the prices were true.
    """

    provider: str
    origin: str
    types: int
    regions: int
    oldest: date
    newest: date


def price_sources() -> list[PriceSource]:
    """Return a line for each provider and place that has prices of it."""
    path = prices_file()
    copied = copied_rows(path)
    found: list[PriceSource] = []
    for name in provider_names():
        found += _source(name, SHIPPED, rows(name))
        found += _source(name, str(path), [offer for offer in copied if offer.provider == name])
    return found


def damaged_copy() -> Finding | None:
    """Return what is wrong with the person's own copy, or None."""
    why = damage(prices_file())
    if not why:
        return None
    message = f"your copy of the prices is damaged and not used: {prices_file()}: {why}"
    return Finding(False, "prices", message, "cloudtrain prices refresh")


def refresh_prices(provider: str, regions: Sequence[str], tell: Tell) -> Refreshed:
    """Write today's prices of these regions, or of those of the shipped configs, into the person's own copy.

    Raises:
        ConfigError: there is no such provider, this version cannot read its prices, or the copy cannot be written.
        ProviderError: the cloud refused or did not answer.
    """
    source = open_provider(provider, provider_settings())
    if not isinstance(source, PriceLister):
        raise ConfigError(
            f"{provider} publishes no prices; there are those of {', '.join(_readable())}",
            "cloudtrain prices refresh --provider aws",
            field="--provider",
        )
    wanted = tuple(dict.fromkeys(regions)) or _shipped_regions(provider)
    try:
        return refresh(provider, wanted, source.price_list, prices_file(), tell)
    except OSError as error:
        raise ConfigError(
            f"the prices cannot be written: {error.strerror or error}",
            f"ls -ld {prices_file().parent}",
            file=str(prices_file()),
        ) from error


def _source(provider: str, origin: str, offers: Iterable[Offer]) -> list[PriceSource]:
    priced = [offer for offer in offers if offer.usd_per_hour is not None and offer.priced_on is not None]
    dates = [offer.priced_on for offer in priced if offer.priced_on is not None]
    if not dates:
        return []
    types = {offer.instance_type for offer in priced}
    return [PriceSource(provider, origin, len(types), len({offer.region for offer in priced}), min(dates), max(dates))]


def _readable() -> list[str]:
    return [name for name in provider_names() if isinstance(open_provider(name, provider_settings()), PriceLister)]


def _shipped_regions(provider: str) -> tuple[str, ...]:
    machines, _ = list_machines(folders=[asset_folder("configs")])
    return tuple(dict.fromkeys(region for machine in machines if machine.provider == provider for region in machine.regions))
