"""An offer: something a provider would rent us, and at what price."""

from dataclasses import dataclass
from datetime import date

from .spec import MachineSpec, Market, Resources

SPOT_HEADROOM = 1.1
"""By how much a spot price may rise above the offered one before the machine is let go."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One instance type in one place on one market.

    Attributes:
        zone: availability zone, or "" when the cloud chooses.
        usd_per_hour: compute price in USD/hour; None means unknown and never zero; 0.0 means no meter.
        priced_on: the day that price was true, or None where there is no meter.
        memory_gib: main memory, GiB. gpu_memory_gib: memory of each GPU, GiB.
        compute_capability: NVIDIA's number ("7.5"), or "" when unknown or no GPU.
        source: where the price comes from, in a word ("table", "api", "none").
        beside_usd_per_hour: what disk and address cost beside it while it runs, USD/hour.
    """

    provider: str
    instance_type: str
    region: str
    market: Market = Market.ON_DEMAND
    zone: str = ""
    usd_per_hour: float | None = None
    priced_on: date | None = None
    vcpus: int = 0
    memory_gib: float = 0.0
    gpu: str = ""
    gpu_count: int = 0
    gpu_memory_gib: float = 0.0
    compute_capability: str = ""
    source: str = ""
    beside_usd_per_hour: float = 0.0

    @property
    def full_usd_per_hour(self) -> float | None:
        """Return what an hour costs, compute, disk and address, in USD; None when the price is unknown."""
        return None if self.usd_per_hour is None else self.usd_per_hour + self.beside_usd_per_hour

    @property
    def most_usd_per_hour(self) -> float | None:
        """Return what an hour may come to cost at most, in USD: a spot price moves, and a lease is reckoned with this."""
        headroom = SPOT_HEADROOM if self.market is Market.SPOT else 1.0
        return None if self.usd_per_hour is None else self.usd_per_hour * headroom + self.beside_usd_per_hour

    def satisfies(self, need: Resources) -> bool:
        """Say whether this machine has at least what is needed. An unknown size (0) satisfies no need."""
        if need.gpu is not None and need.gpu.casefold() != self.gpu.casefold():
            return False
        return (
            self.gpu_count >= need.gpus
            and self.gpu_memory_gib >= need.gpu_memory_gb
            and self.vcpus >= need.cpus
            and self.memory_gib >= need.memory_gb
        )

    def named_by(self, machine: MachineSpec) -> bool:
        """Say whether a machine config allows this offer's region, type and market."""
        return (
            (not machine.regions or self.region in machine.regions)
            and (not machine.instance_types or self.instance_type in machine.instance_types)
            and self.market == machine.market
        )
