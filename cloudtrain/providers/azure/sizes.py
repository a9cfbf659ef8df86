"""Sizes: what Azure says of one, which GPU it has, and which are to be had no more.

Azure does not say which GPU a size has: the model is read from the size's name, by the table here. What has a part of a GPU
counts as none, with that part's memory.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...model.offer import Offer
from ...model.spec import Market
from .arm import Arm

SKUS_API = "2021-07-01"

LIST_SIZES = "Microsoft.Compute/skus/read"


@dataclass(frozen=True, slots=True)
class Series:
    """Sizes that have one kind of GPU.

    Attributes:
        names: regular expression for the whole name behind "Standard_".
        gpu: the GPU as the price table writes it.
        memory_gib: of each GPU, GiB; 0.0 when not known.
        vcpus_per_gpu: vCPUs that come with one whole GPU, where smaller sizes have a part of one; 0 where all GPUs are whole.
        is_told: False where nobody says how much of a GPU a size has.
    """

    names: re.Pattern[str]
    gpu: str
    memory_gib: float = 0.0
    vcpus_per_gpu: int = 0
    is_told: bool = True


SERIES = (
    Series(re.compile(r"NC\d+as_T4_v3"), "T4", 16),
    Series(re.compile(r"NV\d+adm?s_A10_v5"), "A10", 24, vcpus_per_gpu=36),
    Series(re.compile(r"NC\d+ads_A100_v4"), "A100", 80),
    Series(re.compile(r"NC\d+adi?s_H100_v5"), "H100NVL", 94),
    Series(re.compile(r"NC\d+l?ds_xl_RTXPRO6000BSE_v6"), "RTXPRO6000", 96, is_told=False),
    Series(re.compile(r"ND\d+r?s_v2"), "V100", 32),
    Series(re.compile(r"ND\d+asr_v4"), "A100", 40),
    Series(re.compile(r"ND\d+amsr_A100_v4"), "A100", 80),
    Series(re.compile(r"ND\d+isr_H100_v5"), "H100", 80),
    Series(re.compile(r"ND\d+isr_H200_v5"), "H200", 141),
)
"""The N-series that have NVIDIA's GPUs and can be rented."""

COMPUTE_CAPABILITIES = {
    "V100": "7.0",
    "T4": "7.5",
    "A100": "8.0",
    "A10": "8.6",
    "H100": "9.0",
    "H100NVL": "9.0",
    "H200": "9.0",
    "RTXPRO6000": "12.0",
}

RETIRED: Mapping[str, re.Pattern[str]] = {
    "NC": re.compile(r"NC\d+r?"),
    "NCv2": re.compile(r"NC\d+r?s_v2"),
    "NCv3": re.compile(r"NC\d+r?s_v3"),
    "ND": re.compile(r"ND\d+r?s"),
    "NV": re.compile(r"NV\d+"),
    "NVv2": re.compile(r"NV\d+s_v2"),
    "NVv3": re.compile(r"NV\d+m?s_v3"),
    "NVv4": re.compile(r"NV\d+as_v4"),
}
"""GPU series that Microsoft has retired: NCv3 on 2025-09-30, NVv3 and NVv4 on 2026-09-30, the others before. Price lists have
some of them still."""

# Behind the size's own letters stands the GPU, where it is one of NVIDIA's newer ones: ND96isr_H100_v5.
_NAMED_GPU = re.compile(r"N[CDV]\d+[a-z]+_([ABHL]\d+)_v\d+")


@dataclass(frozen=True, slots=True)
class Size:
    """What a machine of one size has in one region.

    Attributes:
        family: Azure's name of what it counts against ("Standard NCASv3_T4 Family").
        zones: where this subscription may have it; empty where the region has no zones.
        markets: how it can be bought.
        memory_gib, gpu_memory_gib: GiB, the latter of each GPU.
    """

    name: str
    region: str
    family: str
    zones: tuple[str, ...] = ()
    markets: frozenset[Market] = frozenset({Market.ON_DEMAND})
    vcpus: int = 0
    memory_gib: float = 0.0
    gpu: str = ""
    gpu_count: int = 0
    gpu_memory_gib: float = 0.0
    compute_capability: str = ""

    def offer(self, market: Market, zone: str = "") -> Offer:
        """Return it as an offer, without a price. Azure's own name of a zone ("1") alone tells nobody where it is."""
        return Offer(
            provider="azure",
            instance_type=self.name,
            region=self.region,
            market=market,
            zone=f"{self.region}-{zone}" if zone else "",
            vcpus=self.vcpus,
            memory_gib=self.memory_gib,
            gpu=self.gpu,
            gpu_count=self.gpu_count,
            gpu_memory_gib=self.gpu_memory_gib,
            compute_capability=self.compute_capability,
            source="api",
        )


def sizes(arm: Arm, region: str) -> dict[str, Size]:
    """Return the sizes that this subscription may have in a region now, by name.

    Raises:
        ProviderError: Azure refused or did not answer.
    """
    path = arm.below("providers/Microsoft.Compute/skus")
    listed = arm.pages(LIST_SIZES, path, api=SKUS_API, query={"$filter": f"location eq '{region}'"})
    found = (read_size(entry, region) for entry in listed)
    return {size.name: size for size in found if size is not None}


def read_size(entry: Mapping[str, Any], region: str) -> Size | None:
    """Return what one entry of the Resource SKUs says, or None for what cannot be rented or no image of ours runs on.

    Left out: what is retired or closed to this subscription, Arm processors, the first generation of Hyper-V, confidential
    machines, and GPUs that are not NVIDIA's.
    """
    name, told = str(entry.get("name", "")), _capabilities(entry)
    if entry.get("resourceType") != "virtualMachines" or is_retired(name) or not _is_fit(name, told):
        return None
    zones = _zones(entry, region)
    if zones is None:
        return None
    # Some sizes are sold with a part of their vCPUs switched off, for what is licensed by the vCPU.
    vcpus = int(told.get("vCPUsAvailable") or told.get("vCPUs") or 0)
    gpu, count, memory_gib = gpu_of(name, vcpus, int(told.get("GPUs") or 0))
    return Size(
        name,
        region,
        str(entry.get("family", "")),
        zones,
        frozenset(Market) if told.get("LowPriorityCapable") == "True" else frozenset({Market.ON_DEMAND}),
        vcpus,
        float(told.get("MemoryGB") or 0),
        gpu,
        count,
        memory_gib,
        COMPUTE_CAPABILITIES.get(gpu, ""),
    )


def is_retired(name: str) -> bool:
    """Say whether a size belongs to a series that Microsoft has retired."""
    own = name.removeprefix("Standard_").removesuffix("_Promo")
    return any(names.fullmatch(own) for names in RETIRED.values())


def gpu_of(name: str, vcpus: int, count: int) -> tuple[str, int, float]:
    """Return the GPU's model, how many whole ones there are, and the memory of each, GiB; "" for no GPU that we know.

    `count` is Azure's, which counts a part of a GPU for one.
    """
    own = name.removeprefix("Standard_")
    for series in SERIES:
        if not series.names.fullmatch(own):
            continue
        if not series.is_told:
            return series.gpu, 0, 0.0
        part = vcpus / series.vcpus_per_gpu if series.vcpus_per_gpu else 1.0
        return (series.gpu, count, series.memory_gib) if part >= 1 else (series.gpu, 0, round(series.memory_gib * part, 1))
    named = _NAMED_GPU.fullmatch(own)
    return (named[1], count, 0.0) if named else ("", 0, 0.0)


def _capabilities(entry: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: str(each.get("value", "")) for each in entry.get("capabilities") or ()}


def _is_fit(name: str, told: Mapping[str, str]) -> bool:
    has_gpu = int(told.get("GPUs") or 0) > 0
    return (
        told.get("CpuArchitectureType", "x64") == "x64"
        and "V2" in told.get("HyperVGenerations", "V1").split(",")
        and not told.get("ConfidentialComputingType")
        and (not has_gpu or bool(gpu_of(name, 0, 1)[0]))
    )


def _zones(entry: Mapping[str, Any], region: str) -> tuple[str, ...] | None:
    """Return the zones that this subscription may have the size in; None when it may not have it in the region at all."""
    places = [place for place in entry.get("locationInfo") or () if _is(place.get("location", ""), region)]
    known = {zone for place in places for zone in place.get("zones") or ()}
    shut: set[str] = set()
    for restriction in entry.get("restrictions") or ():
        info = restriction.get("restrictionInfo") or {}
        closed = [*(info.get("locations") or ()), *(restriction.get("values") or ())]
        if restriction.get("type") != "Zone" and (not closed or any(_is(place, region) for place in closed)):
            return None
        if restriction.get("type") == "Zone":
            shut |= set(info.get("zones") or ())
    left = known - shut
    return None if known and not left else tuple(sorted(left))


def _is(place: str, region: str) -> bool:
    """Say whether two names of a region are one: Azure writes "East US" and "eastus"."""
    return place.replace(" ", "").lower() == region.replace(" ", "").lower()
