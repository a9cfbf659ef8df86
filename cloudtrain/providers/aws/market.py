"""One region's market as it is now: which types, in which zones, at what price."""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ...model.errors import ProviderError
from ...model.offer import Offer
from ...model.spec import Market
from .clients import Clients
from .instance_types import GPU_PATTERNS, InstanceType, read_instance_type
from .pricing import on_demand_prices, spot_prices
from .translate import calling

FRESH = timedelta(days=7)
"""How old a table's price may be for the price list not to be asked."""

Place = tuple[str, str, Market]
"""Instance type, region and market: what a table has one price for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for.

    Attributes:
        types: instance types, most wanted first; empty for all that have a GPU.
        listed: the table's offers.
        now: aware, UTC.
    """

    types: tuple[str, ...]
    market: Market
    listed: Mapping[Place, Offer]
    now: datetime


def live_offers(clients: Clients, region: str, wanted: Wanted, pool: ThreadPoolExecutor) -> list[Offer]:
    """Return one offer for each type and zone of a region. Calls that do not wait for each other are made at once.

    A price that cannot be asked for is the table's, with its date, or unknown.

    Raises:
        ProviderError: EC2 refused or did not answer.
    """
    sizes_asked = pool.submit(sizes, clients, region, wanted.types or GPU_PATTERNS)
    names = wanted.types or tuple(name for name, size in sizes_asked.result().items() if size.gpu)
    if not names:
        return []
    zones_asked = pool.submit(zones, clients, region, names)
    prices = _prices(clients, region, names, wanted, pool)
    found = sizes_asked.result()
    offered = zones_asked.result()
    return [
        _priced(found[name].offer(region, wanted.market, zone), prices, wanted)
        for name in names
        if name in found and wanted.market in found[name].markets
        for zone in sorted(offered.get(name, ()))
    ]


def sizes(clients: Clients, region: str, patterns: Iterable[str]) -> dict[str, InstanceType]:
    """Return the types of these names (`*` stands for anything) that a region has, by name.

    Raises:
        ProviderError: EC2 refused or did not answer.
    """
    with calling(region):
        # As a filter a name the region does not know is no error.
        pages = clients.ec2(region).get_paginator("describe_instance_types")
        found = pages.paginate(Filters=[{"Name": "instance-type", "Values": list(patterns)}]).build_full_result()
    read = (read_instance_type(info) for info in found.get("InstanceTypes", []))
    return {size.name: size for size in read if size is not None}


def zones(clients: Clients, region: str, types: Iterable[str]) -> dict[str, set[str]]:
    """Return the availability zones of a region that really have these types, by type. Local zones are left out.

    Raises:
        ProviderError: EC2 refused or did not answer.
    """
    with calling(region):
        pages = clients.ec2(region).get_paginator("describe_instance_type_offerings")
        found = pages.paginate(
            LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": list(types)}]
        ).build_full_result()
    return read_zones(region, found.get("InstanceTypeOfferings", []))


def read_zones(region: str, offerings: Iterable[Mapping[str, str]]) -> dict[str, set[str]]:
    """Return the availability zones in the answer of DescribeInstanceTypeOfferings, by type; local zones are left out."""
    offered: dict[str, set[str]] = {}
    for entry in offerings:
        if re.fullmatch(re.escape(region) + "[a-z]", entry["Location"]):
            offered.setdefault(entry["InstanceType"], set()).add(entry["Location"])
    return offered


def _prices(
    clients: Clients, region: str, names: Iterable[str], wanted: Wanted, pool: ThreadPoolExecutor
) -> dict[tuple[str, str], float]:
    """Return today's prices by type and zone; the zone is "" where the price is that of the region."""
    try:
        if wanted.market is Market.SPOT:
            return spot_prices(clients, region, names, wanted.now)
        stale = [name for name in names if not _is_fresh(wanted.listed.get((name, region, Market.ON_DEMAND)), wanted.now)]
        found = on_demand_prices(clients, region, stale, pool)
    except ProviderError:
        return {}  # Denied or unreachable: what the table knows is better than nothing, and it says how old it is.
    return {(name, ""): usd for name, usd in found.items()}


def _is_fresh(offer: Offer | None, now: datetime) -> bool:
    if offer is None or offer.usd_per_hour is None or offer.priced_on is None:
        return False
    return timedelta(0) <= now.date() - offer.priced_on <= FRESH


def _priced(offer: Offer, prices: Mapping[tuple[str, str], float], wanted: Wanted) -> Offer:
    zone = offer.zone if offer.market is Market.SPOT else ""
    usd = prices.get((offer.instance_type, zone))
    if usd is not None:
        return replace(offer, usd_per_hour=usd, priced_on=wanted.now.date())
    listed = wanted.listed.get((offer.instance_type, offer.region, offer.market))
    if listed is None or listed.usd_per_hour is None:
        return offer
    return replace(offer, usd_per_hour=listed.usd_per_hour, priced_on=listed.priced_on, source=listed.source)
