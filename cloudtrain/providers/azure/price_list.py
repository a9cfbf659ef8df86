"""Today's prices of a whole region, for the person's own copy of the price table."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ...model.errors import NotSetUpError, ProviderError
from ...model.offer import Offer
from ...model.spec import Market
from ..base import ProviderSettings
from .arm import Arm
from .catalog import NAME, may_ask
from .retail_prices import is_priced, region_prices
from .sizes import sizes


def price_list(settings: ProviderSettings, arm: Arm, region: str) -> Sequence[Offer]:
    """Return a region's sizes with a GPU, and the table's without one, on both markets, with the prices of today.

    Raises:
        NotSetUpError: this computer has no login for Azure, or none of its libraries.
        ProviderError: Azure refused or did not answer, or has no such region, or its prices are in no list.
    """
    if not may_ask():
        raise NotSetUpError("There is no login for Azure on this computer, or none of its libraries", "cloudtrain check azure")
    if not is_priced(arm.endpoints.manager):
        raise ProviderError(f"Azure's list of prices does not speak for {arm.endpoints.manager}", "Its own portal shows them.")
    with ThreadPoolExecutor(1) as pool:
        prices_asked = pool.submit(region_prices, region)
        found = sizes(arm, region)
        prices = prices_asked.result()
    if not found:
        raise ProviderError(
            f"Azure has no region {region}, or nothing there for this subscription", "az account list-locations --output table"
        )
    plain = {offer.instance_type for offer in settings.prices(NAME) if not offer.gpu}
    today = settings.clock.now().date()
    return tuple(
        replace(size.offer(market), usd_per_hour=prices.get((size.name, market)), priced_on=today)
        for size in found.values()
        if size.gpu or size.name in plain
        for market in Market
        if market in size.markets
    )
