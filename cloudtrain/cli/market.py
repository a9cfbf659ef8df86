"""What the providers have, put side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..model.errors import ProviderUnavailableError
from ..model.finding import Finding
from ..model.offer import Offer
from ..model.spec import Market, Resources
from ..providers.registry import open_provider, provider_names
from ..wiring import provider_settings
from .price_sources import damaged_copy

PRETEND = "pretend"
"""The source of made-up prices: shown beside real ones only to those who name their provider."""


@dataclass(frozen=True, slots=True)
class Found:
    """Offers in the order that was asked for; the providers that did not answer, and prices that could not be read."""

    offers: tuple[Offer, ...]
    silent: tuple[Finding, ...]


def find_offers(
    providers: Sequence[str], need: Resources, *, market: Market | None, max_price: float | None, sort: str
) -> Found:
    """Ask the providers, all installed ones when none is named, for what satisfies the need.

    An unknown price is above every `max_price`. `sort` is a name in `ORDERS`.

    Raises:
        ConfigError: there is no provider of that name.
        ProviderUnavailableError: none of them answered.
    """
    offers: list[Offer] = []
    damaged = damaged_copy()
    silent = [damaged] if damaged is not None else []
    asked = tuple(providers) or provider_names()
    for name in asked:
        try:
            listed = open_provider(name, provider_settings()).offers(need)
        except ProviderUnavailableError as error:
            if len(asked) == 1:
                raise
            silent.append(Finding(False, name, error.message, error.hint))
        else:
            offers += [offer for offer in listed if providers or offer.source != PRETEND]
    fitting = [offer for offer in offers if _wanted(offer, market, max_price)]
    return Found(tuple(sorted(fitting, key=ORDERS[sort])), tuple(silent))


def check_providers(names: Sequence[str]) -> dict[str, tuple[Finding, ...]]:
    """Let each provider look at what it needs. One that does not load is a finding, too."""
    return {name: _check(name) for name in names}


def _check(name: str) -> tuple[Finding, ...]:
    try:
        return tuple(open_provider(name, provider_settings()).check())
    except ProviderUnavailableError as error:
        return (Finding(False, name, error.message, error.hint),)


def _wanted(offer: Offer, market: Market | None, max_price: float | None) -> bool:
    if market is not None and offer.market is not market:
        return False
    return max_price is None or (offer.usd_per_hour is not None and offer.usd_per_hour <= max_price)


def _price(offer: Offer) -> float:
    return float("inf") if offer.usd_per_hour is None else offer.usd_per_hour


def _per_gpu(offer: Offer) -> float:
    return _price(offer) / offer.gpu_count if offer.gpu_count else float("inf")


ORDERS: dict[str, Callable[[Offer], tuple[float, float, str, str]]] = {
    "price": lambda o: (_price(o), -o.gpu_memory_gib, o.provider, o.instance_type),
    "price-per-gpu": lambda o: (_per_gpu(o), _price(o), o.provider, o.instance_type),
    "gpu-memory": lambda o: (-o.gpu_memory_gib * o.gpu_count, _price(o), o.provider, o.instance_type),
    "memory": lambda o: (-o.memory_gib, _price(o), o.provider, o.instance_type),
}
"""How offers can be sorted, by name."""
