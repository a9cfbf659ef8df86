"""Kinds of TPU machine: their sizes, where Google says it has them, and what a chip costs.

Of each kind the sizes that are one machine: a larger slice is several machines, and a run here has one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from ...model.offer import Offer
from ...model.spec import MachineSpec, Market, Resources

NAME = "gcp"

READ_ON, SOURCE = date(2026, 8, 19), "gpuhunt"
"""Prices of a chip: dstackai/gpuhunt 35841515, `tpu_pricing.json`, filled in by hand by its authors (facts only; MPL-2.0).

What Google asks for flex-start is in no list we may read; it is at most the price on demand, which is taken for it.
"""

_IS_TPU = re.compile(r"(v5litepod|v6e)-\d+")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of TPU.

    Attributes:
        gpu: its name where an offer has a GPU's.
        chip_gib: memory of a chip, GiB.
        runtime: the software Google's page of runtime versions names for it.
        sizes: vCPUs and memory, GiB, of the machine with this many chips.
        self_ending: zones where Google rents it by flex-start, the one way to buy it that has an end of its own.
        zones: where else it is.
        usd_per_chip: by region, US dollars per hour on demand and as spot.
    """

    gpu: str
    chip_gib: float
    runtime: str
    sizes: Mapping[int, tuple[int, float]]
    self_ending: tuple[str, ...]
    zones: tuple[str, ...]
    usd_per_chip: Mapping[str, tuple[float, float]]


KINDS: Mapping[str, Kind] = {
    "v5litepod": Kind(
        gpu="TPU-v5e",
        chip_gib=16,
        runtime="v2-alpha-tpuv5-lite",
        sizes={1: (24, 48), 4: (112, 192), 8: (224, 384)},
        self_ending=("us-west4-a",),
        zones=("us-central1-a", "us-east1-c", "europe-west4-b", "asia-southeast1-b"),
        usd_per_chip={
            "us-central1": (1.2, 0.63),
            "us-west4": (1.2, 0.51),
            "europe-west4": (1.56, 0.663),
            "asia-southeast1": (1.56, 0.78),
        },
    ),
    "v6e": Kind(
        gpu="TPU-v6e",
        chip_gib=32,
        runtime="v2-alpha-tpuv6e",
        sizes={1: (44, 176), 4: (180, 720), 8: (180, 1440)},
        self_ending=("us-east5-a", "asia-northeast1-b"),
        zones=("us-central1-b", "us-east1-d", "europe-west4-a"),
        usd_per_chip={
            "us-east1": (2.7, 1.89),
            "us-east5": (2.7, 1.89),
            "europe-west4": (2.97, 2.08),
            "asia-northeast1": (3.24, 2.27),
        },
    ),
}
"""By how Google's types begin: `v6e-4` has four chips of the second. Zones of flex-start: Google's page "Request Cloud TPUs
using Flex-start", 2025-09-04; the others, and the machines' sizes: its pages of v5e and v6e."""


def is_tpu_type(instance_type: str) -> bool:
    """Say whether an instance type is a TPU's."""
    return _IS_TPU.fullmatch(instance_type) is not None


def kind_of(instance_type: str) -> Kind | None:
    """Return the kind of a TPU type; None for a type that is none, or too large for one machine."""
    kind = KINDS.get(instance_type.partition("-")[0])
    return kind if kind is not None and chips_of(instance_type) in kind.sizes else None


def chips_of(instance_type: str) -> int:
    """Return how many chips a TPU type has."""
    return int(instance_type.partition("-")[2]) if is_tpu_type(instance_type) else 0


def ends_itself(instance_type: str, zone: str, market: Market) -> bool:
    """Say whether Google rents this in a way that has an end of its own: spot, and flex-start where that is to be had."""
    kind = kind_of(instance_type)
    return kind is not None and (market is Market.SPOT or zone in kind.self_ending)


def tpu_offers(machine: MachineSpec | None, need: Resources) -> tuple[Offer, ...]:
    """Return TPU machines where one is named, by the machine config or by the need: nothing written for a GPU runs on them."""
    named = machine.instance_types if machine is not None else ()
    if any(is_tpu_type(each) for each in named) or (need.gpu or "").upper().startswith("TPU"):
        return tuple(_every())
    return ()


def _every() -> Iterator[Offer]:
    for prefix, kind in KINDS.items():
        for chips, (vcpus, memory_gib) in kind.sizes.items():
            for zone in (*kind.self_ending, *kind.zones):
                region = zone.rpartition("-")[0]
                usd = dict(zip((Market.ON_DEMAND, Market.SPOT), kind.usd_per_chip.get(region, ()), strict=False))
                for market in Market:
                    price = round(usd[market] * chips, 5) if market in usd else None
                    yield Offer(
                        NAME,
                        f"{prefix}-{chips}",
                        region,
                        market,
                        zone,
                        price,
                        READ_ON if price is not None else None,
                        vcpus,
                        memory_gib,
                        kind.gpu,
                        chips,
                        kind.chip_gib,
                        source=SOURCE if price is not None else "none",
                    )
