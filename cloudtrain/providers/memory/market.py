"""What the pretend cloud offers: two types in two regions on both markets, at made-up prices."""

from datetime import date

from ...model.offer import Offer
from ...model.spec import Market

NAME = "memory"
REGIONS = ("mem-1", "mem-2")
SPOT_SHARE = 1 / 3
"""What a spot machine costs of the full price."""

USD_PER_MONTH_STOPPED = 0.50
"""What the disk of a stopped machine pretends to cost, USD per month."""


def all_offers(day: date) -> tuple[Offer, ...]:
    """Return everything there is, priced on that day."""
    return tuple(offer for region in REGIONS for market in Market for offer in _offers(region, market, day))


def _offers(region: str, market: Market, day: date) -> tuple[Offer, Offer]:
    share = SPOT_SHARE if market is Market.SPOT else 1.0
    return (
        Offer(
            provider=NAME,
            instance_type="mem.cpu",
            region=region,
            market=market,
            usd_per_hour=round(0.10 * share, 4),
            priced_on=day,
            vcpus=4,
            memory_gib=16.0,
            source="pretend",
        ),
        Offer(
            provider=NAME,
            instance_type="mem.gpu",
            region=region,
            market=market,
            usd_per_hour=round(1.00 * share, 4),
            priced_on=day,
            vcpus=8,
            memory_gib=32.0,
            gpu="PRETEND",
            gpu_count=1,
            gpu_memory_gib=16.0,
            compute_capability="8.0",
            source="pretend",
        ),
    )
