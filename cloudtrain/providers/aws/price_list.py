"""Today's prices of a whole region, for the person's own copy of the price table."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ...model.errors import NotSetUpError
from ...model.offer import Offer
from ...model.spec import Market
from ..base import ProviderSettings
from .clients import Clients
from .credentials import credentials_source
from .instance_types import GPU_PATTERNS
from .market import sizes
from .pricing import on_demand_prices, spot_prices

THREADS = 16


def price_list(settings: ProviderSettings, clients: Clients, region: str) -> Sequence[Offer]:
    """Return a region's GPU types, and the table's types without a GPU, on both markets, with the prices of today.

    A spot price is that of the dearest zone: a lease made from it never outlasts its money.

    Raises:
        NotSetUpError: this computer has no SDK or no credentials.
        ProviderError: the cloud refused or did not answer.
    """
    if not credentials_source():
        # Said here, because the SDK would first look for the credentials of a machine in the cloud, and wait for an answer.
        raise NotSetUpError("There are no credentials for AWS on this computer, or no SDK", "cloudtrain check aws")
    now = settings.clock.now()
    plain = {offer.instance_type for offer in settings.prices("aws") if not offer.gpu}
    found = sizes(clients, region, (*GPU_PATTERNS, *sorted(plain)))
    wanted = [size for size in found.values() if size.gpu or size.name in plain]
    if not wanted:
        return ()
    names = [size.name for size in wanted]
    with ThreadPoolExecutor(THREADS) as pool:
        spot_asked = pool.submit(spot_prices, clients, region, names, now)
        on_demand = on_demand_prices(clients, region, names, pool)
        spot: dict[str, float] = {}
        for (name, _), usd in spot_asked.result().items():
            spot[name] = max(usd, spot.get(name, 0.0))
    prices = {Market.ON_DEMAND: on_demand, Market.SPOT: spot}
    return tuple(
        replace(size.offer(region, market), usd_per_hour=prices[market].get(size.name), priced_on=now.date())
        for size in wanted
        for market in Market
        if market in size.markets
    )
