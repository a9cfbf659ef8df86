"""Instance types: what EC2 says of one, in the words of the price table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...model.offer import Offer
from ...model.spec import Market
from ...model.support import ARM_GPUS

GPU_PATTERNS = ("g*", "p*")
"""Names of the types that have GPUs of a kind cloudtrain knows: EC2 filters by name and not by "has a GPU"."""

MIB_PER_GIB = 1024
_NEAR = 0.1
"""How far, as a fraction, EC2's figure for a GPU's memory may lie from the one its maker gives: 22.4 is called 24."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU model: NVIDIA's compute capability, and the memory sizes it is sold with, GiB."""

    compute_capability: str
    memory_gib: tuple[float, ...] = ()


GPUS: dict[str, Gpu] = {
    "K80": Gpu("3.7", (12,)),
    "M60": Gpu("5.2", (8,)),
    "V100": Gpu("7.0", (16, 32)),
    "T4": Gpu("7.5", (16,)),
    "T4G": Gpu("7.5", (16,)),
    "A100": Gpu("8.0", (40, 80)),
    "A10G": Gpu("8.6", (24,)),
    "L4": Gpu("8.9", (24,)),
    "L40S": Gpu("8.9", (48,)),
    "H100": Gpu("9.0", (80,)),
    "H200": Gpu("9.0", (141,)),
    "B200": Gpu("10.0", (180,)),
    "GB200": Gpu("10.0"),
    "B300": Gpu("10.3"),
    "GB300": Gpu("10.3"),
    "RTXPRO4500": Gpu("12.0", (32,)),
    "RTXPRO6000": Gpu("12.0", (96,)),
}
"""The GPUs of EC2, by the names of the price table. One that is not here has no known compute capability."""


@dataclass(frozen=True, slots=True)
class InstanceType:
    """What a machine of one type has. A slice of a GPU counts as no GPU, with the slice's memory.

    Attributes:
        memory_gib, gpu_memory_gib: GiB, the latter of each GPU.
        markets: how it can be bought; empty for what is sold in reserved blocks only.
    """

    name: str
    markets: frozenset[Market]
    vcpus: int = 0
    memory_gib: float = 0.0
    gpu: str = ""
    gpu_count: int = 0
    gpu_memory_gib: float = 0.0
    compute_capability: str = ""

    def offer(self, region: str, market: Market, zone: str = "") -> Offer:
        """Return it as an offer in one place, without a price."""
        return Offer(
            provider="aws",
            instance_type=self.name,
            region=region,
            market=market,
            zone=zone,
            vcpus=self.vcpus,
            memory_gib=self.memory_gib,
            gpu=self.gpu,
            gpu_count=self.gpu_count,
            gpu_memory_gib=self.gpu_memory_gib,
            compute_capability=self.compute_capability,
            source="api",
        )


def read_instance_type(info: Mapping[str, Any]) -> InstanceType | None:
    """Return what one entry of DescribeInstanceTypes says, or None for a type no image or framework of ours runs on.

    Left out, as in the price table: accelerators that are not NVIDIA's, and Arm machines except those whose GPU says so.
    """
    devices = info.get("GpuInfo", {}).get("Gpus", [])
    if any(device.get("Manufacturer") != "NVIDIA" for device in devices):
        return None
    name, count, memory_gib = _gpu(devices[0]) if devices else ("", 0, 0.0)
    if "x86_64" not in info.get("ProcessorInfo", {}).get("SupportedArchitectures", ["x86_64"]) and name not in ARM_GPUS:
        return None
    classes = info.get("SupportedUsageClasses", [])
    return InstanceType(
        name=info["InstanceType"],
        markets=frozenset(market for market in Market if market.value in classes),
        vcpus=info.get("VCpuInfo", {}).get("DefaultVCpus", 0),
        memory_gib=round(info.get("MemoryInfo", {}).get("SizeInMiB", 0) / MIB_PER_GIB, 2),
        gpu=name,
        gpu_count=count,
        gpu_memory_gib=memory_gib,
        compute_capability=GPUS[name].compute_capability if name in GPUS else "",
    )


def gpu_name(name: str) -> str:
    """Return a GPU's name as the price table writes it: "RTX PRO Server 6000" is RTXPRO6000, "T4g" is T4G."""
    return "".join(word for word in name.upper().split() if word not in ("NVIDIA", "SERVER"))


def _gpu(device: Mapping[str, Any]) -> tuple[str, int, float]:
    """Return a device's name, how many whole ones there are, and the memory of each, GiB."""
    name = gpu_name(device.get("Name", ""))
    part = device.get("GpuPartitionSize", 1.0)
    memory_gib = _as_sold(name, device.get("MemoryInfo", {}).get("SizeInMiB", 0) / MIB_PER_GIB, part)
    return name, device.get("Count", 0) if part == 1 else 0, memory_gib


def _as_sold(name: str, memory_gib: float, part: float) -> float:
    """Return the size this memory goes by: a job that asks for 24 GiB means a card that is called so."""
    known = GPUS[name].memory_gib if name in GPUS else ()
    near = [size * part for size in known if abs(memory_gib / part - size) <= _NEAR * size]
    return round(near[0] if near else memory_gib, 1)
