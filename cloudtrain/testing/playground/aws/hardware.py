"""Instance types: those that moto lacks, who offers which, and what GPU is in them."""

import copy
from dataclasses import dataclass
from typing import Any

from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES, InstanceType, InstanceTypeBackend

from .moto_app import REGIONS

MODEL = "p3dn.24xlarge"

MISSING = {
    # type: (vCPUs, memory GiB, GPU, GPUs, memory of each MiB)
    "g3s.xlarge": (4, 30.5, "M60", 1, 8192),
    "g3.4xlarge": (16, 122, "M60", 1, 8192),
    "g3.8xlarge": (32, 244, "M60", 2, 8192),
    "g3.16xlarge": (64, 488, "M60", 4, 8192),
    "p2.xlarge": (4, 61, "K80", 1, 12288),
    "p2.8xlarge": (32, 488, "K80", 8, 12288),
    "p2.16xlarge": (64, 732, "K80", 16, 12288),
    "p3.2xlarge": (8, 61, "V100", 1, 16384),
    "p3.8xlarge": (32, 244, "V100", 4, 16384),
    "p3.16xlarge": (64, 488, "V100", 8, 16384),
}
"""Older types that EC2 still sells and moto does not know."""

COMPUTE_CAPABILITY = {
    "K80": "3.7",
    "M60": "5.2",
    "V100": "7.0",
    "T4": "7.5",
    "T4g": "7.5",
    "A100": "8.0",
    "A10G": "8.6",
    "L4": "8.9",
    "L40S": "8.9",
    "H100": "9.0",
    "H200": "9.0",
    "B200": "10.0",
    "B300": "10.3",
    "RTX PRO 4500": "12.0",
    "RTX PRO Server 6000": "12.0",
}

OFFERED_ZONES = 3
"""The missing types are in so many zones of a region, so that its other zones refuse them."""


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs of an instance type; none has an empty name."""

    name: str = ""
    count: int = 0
    memory_mib: int = 0
    compute_capability: str = ""


def gpus(instance_type: str) -> Gpus:
    """Return the GPUs of an instance type as `nvidia-smi` would name them."""
    found = INSTANCE_TYPES.get(instance_type, {}).get("GpuInfo", {}).get("Gpus", [])
    if not found or found[0]["Manufacturer"] != "NVIDIA":
        return Gpus()
    gpu = found[0]
    name = f"Tesla {gpu['Name']}" if gpu["Name"] in ("K80", "M60", "V100", "T4") else f"NVIDIA {gpu['Name']}"
    return Gpus(name, gpu["Count"], gpu["MemoryInfo"]["SizeInMiB"], COMPUTE_CAPABILITY.get(gpu["Name"], ""))


def vcpus(instance_type: str) -> int:
    """Return the vCPUs of an instance type that exists."""
    return int(INSTANCE_TYPES[instance_type]["VCpuInfo"]["DefaultVCpus"])


def exists(instance_type: str) -> bool:
    """Say whether there is such a type at all."""
    return instance_type in INSTANCE_TYPES


def zones_offering(region: str, instance_type: str) -> list[str]:
    """Return the names of the zones that have a type; empty when the region does not."""
    offerings = INSTANCE_TYPE_OFFERINGS["availability-zone"][region]
    return [offer["Location"] for offer in offerings if offer["InstanceType"] == instance_type]


def types_offered(region: str) -> list[str]:
    """Return the names of the types a region has."""
    return [offer["InstanceType"] for offer in INSTANCE_TYPE_OFFERINGS["region"][region]]


def add_missing_types() -> None:
    """Teach moto the types it lacks, once in a process."""
    for name, figures in MISSING.items():
        if name not in INSTANCE_TYPES:
            INSTANCE_TYPES[name] = _described(name, *figures)
            InstanceTypeBackend.instance_types.append(InstanceType(name))
            for region in REGIONS:
                _offer(name, region)


def _described(name: str, cpus: int, memory_gib: float, gpu: str, count: int, gpu_mib: int) -> dict[str, Any]:
    described: dict[str, Any] = copy.deepcopy(INSTANCE_TYPES[MODEL])
    described["InstanceType"], described["CurrentGeneration"], described["Hypervisor"] = name, name.startswith("p3"), "xen"
    described["InstanceStorageSupported"] = False
    described.pop("InstanceStorageInfo")
    described["EbsInfo"]["NvmeSupport"] = "unsupported"
    described["NetworkInfo"]["EfaSupported"] = False
    described["NetworkInfo"].pop("EfaInfo")
    described["MemoryInfo"] = {"SizeInMiB": int(memory_gib * 1024)}
    described["VCpuInfo"] |= {"DefaultCores": cpus // 2, "DefaultVCpus": cpus, "ValidCores": [cpus // 2]}
    described["GpuInfo"]["TotalGpuMemoryInMiB"] = count * gpu_mib
    described["GpuInfo"]["Gpus"][0] |= {"Name": gpu, "Count": count, "LogicalGpuCount": count}
    described["GpuInfo"]["Gpus"][0]["MemoryInfo"] = {"SizeInMiB": gpu_mib}
    return described


def _offer(name: str, region: str) -> None:
    zones = RegionsAndZonesBackend.zones[region][:OFFERED_ZONES]
    locations = {
        "region": [region],
        "availability-zone": [zone.name for zone in zones],
        "availability-zone-id": [zone.zone_id for zone in zones],
    }
    for location_type, places in locations.items():
        offers = [{"InstanceType": name, "Location": place, "LocationType": location_type} for place in places]
        INSTANCE_TYPE_OFFERINGS[location_type][region].extend(offers)
