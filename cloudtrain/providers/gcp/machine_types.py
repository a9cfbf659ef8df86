"""Machine types: what Compute Engine says of one, in the words of the price table.

A GPU is built into an accelerator-optimised type (G2, G4, A2, A3, A4) or attached to a general one (N1). The second kind has
no name of Google's: here `n1-standard-4+nvidia-tesla-t4` is one with one T4, `n1-standard-8+2xnvidia-tesla-t4` one with two.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...model.offer import Offer
from ...model.spec import Market

MIB_PER_GIB = 1024


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU model: its name in the price table, the memory of each, GiB, and NVIDIA's compute capability."""

    name: str
    memory_gib: float
    compute_capability: str


GPUS: dict[str, Gpu] = {
    "nvidia-tesla-p4": Gpu("P4", 8, "6.1"),
    "nvidia-tesla-p100": Gpu("P100", 16, "6.0"),
    "nvidia-tesla-v100": Gpu("V100", 16, "7.0"),
    "nvidia-tesla-t4": Gpu("T4", 16, "7.5"),
    "nvidia-tesla-a100": Gpu("A100", 40, "8.0"),
    "nvidia-a100-80gb": Gpu("A100", 80, "8.0"),
    "nvidia-l4": Gpu("L4", 24, "8.9"),
    "nvidia-h100-80gb": Gpu("H100", 80, "9.0"),
    "nvidia-h100-mega-80gb": Gpu("H100", 80, "9.0"),
    "nvidia-h200-141gb": Gpu("H200", 141, "9.0"),
    "nvidia-b200": Gpu("B200", 180, "10.0"),
    "nvidia-rtx-pro-6000": Gpu("RTXPRO6000", 96, "12.0"),
}
"""The GPUs of Compute Engine by Google's names. One that is not here (K80, virtual workstations, TPUs) is not offered."""

ATTACHABLE: dict[str, Mapping[int, tuple[int, float]]] = {
    "nvidia-tesla-p4": {1: (24, 156), 2: (48, 312), 4: (96, 624)},
    "nvidia-tesla-p100": {1: (16, 104), 2: (32, 208), 4: (96, 624)},
    "nvidia-tesla-t4": {1: (48, 312), 2: (48, 312), 4: (96, 624)},
    "nvidia-tesla-v100": {1: (12, 78), 2: (24, 156), 4: (48, 312), 8: (96, 624)},
}
"""The GPUs that N1 takes: for each count the most vCPUs and memory, GiB, beside them.

From Google's page "GPU machine types", section "N1 general-purpose machine series", as gpuhunt 35841515 has it, 2026-08-19.
"""

SLICES = {"g4-standard-6": 1 / 8, "g4-standard-12": 1 / 4, "g4-standard-24": 1 / 2}
"""Types with a part of a GPU. A part counts as no GPU, with its share of the memory."""

SPOT_ONLY = re.compile(r"a4-.+|a3-ultragpu-.+|a3-highgpu-[124]g")
"""Types that nobody can buy on demand, though they have a price there: from a reservation or on the spot market only."""

NAMES_WITH_GPU = r"(a2|a3|a4|g2|g4)-.+|n1-standard-(1|2|4|8|16|32|64|96)"
"""The names of all types that have GPUs or take them, as Google's filter reads it. Other N1 shapes only when they are named."""

_ON_DEMAND_AND_SPOT = frozenset(Market)
_ATTACHED = re.compile(r"(?P<machine>[^+]+)\+(?:(?P<count>\d+)x)?(?P<accelerator>.+)")
_GONE = ("DEPRECATED", "OBSOLETE", "DELETED")


@dataclass(frozen=True, slots=True)
class Parts:
    """What an insert asks for: a machine type, and the GPUs that are attached to it.

    Attributes:
        accelerator: Google's name of the GPU, "" where none is attached (a built-in one is not).
    """

    machine_type: str
    accelerator: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class MachineType:
    """What a machine of one type has in one zone. A slice of a GPU counts as no GPU, with the slice's memory.

    Attributes:
        accelerator: Google's name of its GPU, "" for none.
        part: of one GPU that it has: 1.0 for whole ones.
        memory_gib, gpu_memory_gib: GiB, the latter of each GPU.
        local_ssds: local disks of 375 GiB each that come with it and are paid beside it.
        is_shared: it has a part of its vCPUs' time only.
    """

    name: str
    zone: str = ""
    vcpus: int = 0
    memory_gib: float = 0.0
    accelerator: str = ""
    gpu_count: int = 0
    part: float = 1.0
    local_ssds: int = 0
    is_shared: bool = False

    @property
    def markets(self) -> frozenset[Market]:
        """Return how it can be bought."""
        return frozenset({Market.SPOT}) if SPOT_ONLY.fullmatch(self.name) else _ON_DEMAND_AND_SPOT

    @property
    def region(self) -> str:
        """Return the region of its zone."""
        return self.zone.rpartition("-")[0]

    @property
    def gpus_paid(self) -> float:
        """Return how many GPUs are paid for: a whole number, or the part of one."""
        return float(self.gpu_count) if self.part == 1 else self.part

    def offer(self, market: Market) -> Offer:
        """Return it as an offer in its zone, without a price."""
        gpu = GPUS.get(self.accelerator)
        return Offer(
            provider="gcp",
            instance_type=self.name,
            region=self.region,
            market=market,
            zone=self.zone,
            vcpus=self.vcpus,
            memory_gib=self.memory_gib,
            gpu=gpu.name if gpu else "",
            gpu_count=self.gpu_count if self.part == 1 else 0,
            gpu_memory_gib=round(gpu.memory_gib * self.part, 1) if gpu else 0.0,
            compute_capability=gpu.compute_capability if gpu else "",
            source="api",
        )


def parts(instance_type: str) -> Parts:
    """Take an instance type of ours apart: "n1-standard-8+2xnvidia-tesla-t4" is an n1-standard-8 and two T4."""
    found = _ATTACHED.fullmatch(instance_type)
    if found is None:
        return Parts(instance_type)
    return Parts(found["machine"], found["accelerator"], int(found["count"] or 1))


def joined(parts: Parts) -> str:
    """Return the instance type that `parts` would take apart into these."""
    if not parts.count:
        return parts.machine_type
    return f"{parts.machine_type}+{f'{parts.count}x' if parts.count > 1 else ''}{parts.accelerator}"


def read_machine_type(info: Mapping[str, Any]) -> MachineType | None:
    """Return what an entry of machineTypes.list says, or None for a type that is going, or whose GPU or processor we lack.

    Left out, as in the price table: accelerators that are not NVIDIA's, virtual workstations, and Arm machines.
    """
    if info.get("deprecated", {}).get("state") in _GONE or info.get("architecture") == "ARM64":
        return None
    name, built_in = info["name"], info.get("accelerators", ())
    accelerator = _accelerator(built_in[0].get("guestAcceleratorType", "")) if built_in else ""
    if built_in and not accelerator:
        return None
    count = int(built_in[0].get("guestAcceleratorCount", 0)) if built_in else 0
    bundled = int(info.get("bundledLocalSsds", {}).get("partitionCount", 0))
    return MachineType(
        name=name,
        zone=info["zone"].rpartition("/")[2],
        vcpus=int(info.get("guestCpus", 0)),
        memory_gib=round(info.get("memoryMb", 0) / MIB_PER_GIB, 2),
        accelerator=accelerator,
        gpu_count=count,
        part=SLICES.get(name, 1.0),
        local_ssds=max(bundled, _known_ssds(name, count)),
        is_shared=bool(info.get("isSharedCpu", False)),
    )


def attached(machines: Iterable[MachineType], cards: Iterable[Mapping[str, Any]]) -> Iterator[MachineType]:
    """Yield what N1 machines become with the GPUs of their zones, as acceleratorTypes.list lists those."""
    most: dict[str, dict[str, int]] = {}
    for card in cards:
        if card["name"] in ATTACHABLE and card.get("deprecated", {}).get("state") not in _GONE:
            most.setdefault(card["zone"].rpartition("/")[2], {})[card["name"]] = int(card.get("maximumCardsPerInstance", 0))
    for machine in machines:
        if not machine.name.startswith("n1-") or machine.is_shared:
            continue
        for accelerator, most_cards in most.get(machine.zone, {}).items():
            for count, (vcpus, memory_gib) in ATTACHABLE[accelerator].items():
                if count <= most_cards and machine.vcpus <= vcpus and machine.memory_gib <= memory_gib:
                    name = joined(Parts(machine.name, accelerator, count))
                    yield replace(machine, name=name, accelerator=accelerator, gpu_count=count)


def _accelerator(named: str) -> str:
    """Return the GPU of this name; one of several kinds ("nvidia-rtx-pro-6000-…") goes by its first words."""
    if named in GPUS:
        return named
    is_part = named.startswith("nvidia-rtx-pro-6000") and not named.endswith("vws")
    return "nvidia-rtx-pro-6000" if is_part else ""


def _known_ssds(name: str, gpus: int) -> int:
    """Return how many local disks of 375 GiB come with a type, where the interface does not say it."""
    for family, each in (("a2-ultragpu", 1), ("a3-highgpu", 2), ("a3-megagpu", 2), ("a3-ultragpu", 4)):
        if name.startswith(family):
            return each * gpus
    return 0
