"""The machine types, accelerators and places that the pretend Google Cloud has. A selection of the real ones."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

ZONES = {
    "us-central1": ("a", "b", "c", "f"),
    "us-east1": ("b", "c", "d"),
    "us-west1": ("a", "b", "c"),
    "us-west4": ("a", "b", "c"),
    "europe-west4": ("a", "b", "c"),
    "asia-southeast1": ("a", "b", "c"),
}
REGIONS = tuple(ZONES)


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A kind of GPU.

    Attributes:
        most: how many one machine can have.
        attaches: it can be attached to an N1 machine; else it is built into its machine types.
        metric: the quota that counts it in a region, "" where only Cloud Quotas does; for Spot it is PREEMPTIBLE_ and this.
        family: what Cloud Quotas calls it.
        shown: as its driver names it.
        only_in: zones that have it; empty for all.
    """

    name: str
    description: str
    most: int
    metric: str
    family: str
    shown: str
    memory_mib: int
    compute_capability: str
    attaches: bool = False
    only_in: tuple[str, ...] = ()


def _in(text: str) -> tuple[str, ...]:
    """Return zones written as "us-central1-abcf us-west1-ab"."""
    return tuple(
        f"{region}-{letter}" for region, _, letters in (word.rpartition("-") for word in text.split()) for letter in letters
    )


_A100 = _in("us-central1-abcf us-east1-b us-west1-b europe-west4-ab asia-southeast1-bc")
_H100 = _in("us-central1-ac us-west1-a us-west4-a us-east1-d europe-west4-bc asia-southeast1-b")
_KINDS = (
    Accelerator("nvidia-tesla-t4", "NVIDIA T4", 4, "NVIDIA_T4_GPUS", "NVIDIA_T4", "Tesla T4", 15360, "7.5", attaches=True),
    Accelerator(
        "nvidia-tesla-v100", "NVIDIA V100", 8, "NVIDIA_V100_GPUS", "NVIDIA_V100", "Tesla V100-SXM2-16GB", 16384, "7.0",
        attaches=True, only_in=_in("us-central1-abcf us-west1-ab europe-west4-a"),
    ),
    Accelerator(
        "nvidia-tesla-p100", "NVIDIA P100", 4, "NVIDIA_P100_GPUS", "NVIDIA_P100", "Tesla P100-PCIE-16GB", 16384, "6.0",
        attaches=True, only_in=_in("us-central1-cf us-west1-ab us-east1-bc europe-west4-a"),
    ),
    Accelerator(
        "nvidia-tesla-p4", "NVIDIA P4", 4, "NVIDIA_P4_GPUS", "NVIDIA_P4", "Tesla P4", 7680, "6.1",
        attaches=True, only_in=_in("us-central1-ac europe-west4-bc"),
    ),
    Accelerator("nvidia-l4", "NVIDIA L4", 8, "NVIDIA_L4_GPUS", "NVIDIA_L4", "NVIDIA L4", 23034, "8.9"),
    Accelerator(
        "nvidia-tesla-a100", "NVIDIA A100 40GB", 16, "NVIDIA_A100_GPUS", "NVIDIA_A100", "NVIDIA A100-SXM4-40GB", 40960, "8.0",
        only_in=_A100,
    ),
    Accelerator(
        "nvidia-a100-80gb", "NVIDIA A100 80GB", 8, "NVIDIA_A100_80GB_GPUS", "NVIDIA_A100_80GB", "NVIDIA A100-SXM4-80GB", 81920,
        "8.0", only_in=_in("us-central1-ac europe-west4-a asia-southeast1-c"),
    ),
    Accelerator(
        "nvidia-h100-80gb", "NVIDIA H100 80GB", 8, "", "NVIDIA_H100", "NVIDIA H100 80GB HBM3", 81559, "9.0", only_in=_H100
    ),
    Accelerator(
        "nvidia-h100-mega-80gb", "NVIDIA H100 80GB MEGA", 8, "", "NVIDIA_H100_MEGA", "NVIDIA H100 80GB HBM3", 81559, "9.0",
        only_in=_in("us-central1-ab europe-west4-b"),
    ),
    Accelerator(
        "nvidia-h200-141gb", "NVIDIA H200 141GB", 8, "", "NVIDIA_H200", "NVIDIA H200", 143771, "9.0",
        only_in=_in("us-central1-b us-east1-d"),
    ),
    Accelerator(
        "nvidia-b200", "NVIDIA B200", 8, "", "NVIDIA_B200", "NVIDIA B200", 183359, "10.0", only_in=_in("us-central1-b")
    ),
    Accelerator(
        "nvidia-rtx-pro-6000", "NVIDIA RTX PRO 6000", 8, "", "NVIDIA_RTX_PRO_6000",
        "NVIDIA RTX PRO 6000 Blackwell Server Edition", 97887, "12.0", only_in=_in("us-central1-bf europe-west4-b"),
    ),
)  # fmt: skip
ACCELERATORS = {one.name: one for one in _KINDS}


@dataclass(frozen=True, slots=True)
class MachineType:
    """A size of machine.

    Attributes:
        accelerator, count: the GPUs that are built in.
        spot_only: it cannot be bought on demand; a reservation or a place in the queue is not pretended here.
        disks: what its boot disk may be.
        deprecated: its state when it is not to be used any more, "".
    """

    name: str
    cpus: int
    memory_mb: int
    accelerator: str = ""
    count: int = 0
    spot_only: bool = False
    is_shared: bool = False
    deprecated: str = ""

    @property
    def family(self) -> str:
        """Return "n1", "g2", "a2" …"""
        return self.name.partition("-")[0]

    @property
    def disks(self) -> tuple[str, ...]:
        """Return the types of boot disk that it takes (cloud.google.com/compute/docs/disks/hyperdisks)."""
        if self.family in ("a4", "g4") or self.name.startswith("a3-ultragpu"):
            return ("hyperdisk-balanced",)
        if self.family == "a3":
            return ("pd-balanced", "pd-ssd", "hyperdisk-balanced")
        return ("pd-balanced", "pd-ssd") if self.family in ("g2", "a2") else ("pd-standard", "pd-balanced", "pd-ssd")

    def is_in(self, zone: str) -> bool:
        """Say whether a zone has it."""
        only_in = ACCELERATORS[self.accelerator].only_in if self.accelerator else ()
        return not only_in or zone in only_in


@functools.cache
def machine_types() -> dict[str, MachineType]:
    """Return every size by name."""
    l4s = {4: 1, 8: 1, 12: 1, 16: 1, 24: 2, 32: 1, 48: 4, 96: 8}
    shared = {"e2-micro": 1024, "e2-small": 2048, "e2-medium": 4096}
    sizes = [
        *(MachineType(f"n1-standard-{n}", n, n * 3840) for n in (1, 2, 4, 8, 16, 32, 64, 96)),
        *(MachineType(f"n1-highmem-{n}", n, n * 6656) for n in (2, 4, 8, 16, 32, 64, 96)),
        *(MachineType(name, 2, memory_mb, is_shared=True) for name, memory_mb in shared.items()),
        *(MachineType(f"e2-standard-{n}", n, n * 4096) for n in (2, 4, 8, 16, 32)),
        *(MachineType(f"n2-standard-{n}", n, n * 4096) for n in (2, 4, 8, 16, 32, 48, 64, 80)),
        *(MachineType(f"g2-standard-{n}", n, n * 4096, "nvidia-l4", count) for n, count in l4s.items()),
        *(MachineType(f"a2-highgpu-{k}g", 12 * k, 87040 * k, "nvidia-tesla-a100", k) for k in (1, 2, 4, 8)),
        MachineType("a2-megagpu-16g", 96, 1392640, "nvidia-tesla-a100", 16),
        *(MachineType(f"a2-ultragpu-{k}g", 12 * k, 174080 * k, "nvidia-a100-80gb", k) for k in (1, 2, 4, 8)),
        *(MachineType(f"a3-highgpu-{k}g", 26 * k, 239616 * k, "nvidia-h100-80gb", k, spot_only=k < 8) for k in (1, 2, 4, 8)),
        MachineType("a3-megagpu-8g", 208, 1916928, "nvidia-h100-mega-80gb", 8),
        MachineType("a3-ultragpu-8g", 224, 3022848, "nvidia-h200-141gb", 8, spot_only=True),
        MachineType("a4-highgpu-8g", 224, 4063232, "nvidia-b200", 8, spot_only=True),
        *(MachineType(f"g4-standard-{48 * k}", 48 * k, 184320 * k, "nvidia-rtx-pro-6000", k) for k in (1, 2, 4, 8)),
        MachineType("n1-ultramem-40", 40, 984064, deprecated="DEPRECATED"),
    ]
    return {size.name: size for size in sizes}


def zone_names(regions: Sequence[str] = REGIONS) -> list[str]:
    """Return the zones of these regions."""
    return [f"{region}-{letter}" for region in regions for letter in ZONES[region]]


def region_of(zone: str) -> str:
    """Return the region that a zone is in."""
    return zone.rpartition("-")[0]


def accelerators_of(body: dict[str, object]) -> list[tuple[str, int]]:
    """Return the GPUs of an instance, built in or attached, by name and number."""
    size = machine_types().get(last(str(body.get("machineType", ""))))
    built_in = [(size.accelerator, size.count)] if size is not None and size.accelerator else []
    given = body.get("guestAccelerators") or []
    assert isinstance(given, list)
    attached = [(last(str(one["acceleratorType"])), int(one["acceleratorCount"])) for one in given]
    return built_in or attached


def last(link: str) -> str:
    """Return the name at the end of a link."""
    return link.rpartition("/")[2]
