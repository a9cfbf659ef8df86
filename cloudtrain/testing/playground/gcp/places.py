"""What Compute Engine offers where: zones, regions, machine types and accelerators."""

import zlib

from .account import Account, Body, Handler
from .errors import not_found
from .hardware import ACCELERATORS, REGIONS, Accelerator, MachineType, machine_types, region_of, zone_names
from .listing import aggregated, listed
from .quotas import Quotas
from .wire import GoogleCall

MADE = "1969-12-31T16:00:00.000-08:00"


class Places:
    """Answers what asks for places and sizes."""

    def __init__(self, account: Account, quotas: Quotas) -> None:
        self._account, self._quotas = account, quotas

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {
            "compute.zones.get": self._zone,
            "compute.zones.list": self._zones,
            "compute.regions.get": self._region,
            "compute.regions.list": self._regions,
            "compute.projects.get": self._project,
            "compute.machineTypes.get": self._type,
            "compute.machineTypes.list": self._types,
            "compute.machineTypes.aggregatedList": self._all_types,
            "compute.acceleratorTypes.get": self._accelerator,
            "compute.acceleratorTypes.list": self._accelerators,
            "compute.acceleratorTypes.aggregatedList": self._all_accelerators,
            "compute.diskTypes.get": self._disk_type,
            "compute.diskTypes.list": self._disk_types,
        }

    def _zone(self, call: GoogleCall) -> Body:
        return self._shown_zone(check_zone(self._account, call.path["zone"]))

    def _zones(self, call: GoogleCall) -> Body:
        found = [self._shown_zone(zone) for zone in zone_names()]
        return listed(call, "compute#zoneList", found, self._account.link("zones"))

    def _region(self, call: GoogleCall) -> Body:
        if call.path["region"] not in REGIONS:
            raise not_found(f"projects/{self._account.project}/regions/{call.path['region']}")
        return self._shown_region(call.path["region"])

    def _regions(self, call: GoogleCall) -> Body:
        found = [self._shown_region(region) for region in REGIONS]
        return listed(call, "compute#regionList", found, self._account.link("regions"))

    def _project(self, call: GoogleCall) -> Body:
        account = self._account
        items = [{"key": key, "value": value} for key, value in account.project_metadata.items()]
        return {
            "kind": "compute#project",
            "id": account.number,
            "creationTimestamp": MADE,
            "name": account.project,
            "commonInstanceMetadata": {"kind": "compute#metadata", "fingerprint": "OV3oQhhCLQY=", "items": items},
            "quotas": self._quotas.shown(""),
            "selfLink": f"{account.link('').rstrip('/')}",
            "defaultServiceAccount": f"{account.number}-compute@developer.gserviceaccount.com",
            "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
            "defaultNetworkTier": "PREMIUM",
        }

    def _type(self, call: GoogleCall) -> Body:
        zone, name = check_zone(self._account, call.path["zone"]), call.path["machineType"]
        size = machine_types().get(name)
        if size is None or not size.is_in(zone):
            raise not_found(f"projects/{self._account.project}/zones/{zone}/machineTypes/{name}")
        return self._shown_type(size, zone)

    def _types(self, call: GoogleCall) -> Body:
        zone = check_zone(self._account, call.path["zone"])
        found = [self._shown_type(size, zone) for size in machine_types().values() if size.is_in(zone)]
        return listed(call, "compute#machineTypeList", found, self._account.link(f"zones/{zone}/machineTypes"))

    def _all_types(self, call: GoogleCall) -> Body:
        found = [
            (f"zones/{zone}", self._shown_type(size, zone))
            for zone in zone_names()
            for size in machine_types().values()
            if size.is_in(zone)
        ]
        link = self._account.link("aggregated/machineTypes")
        return aggregated(call, "compute#machineTypeAggregatedList", "machineTypes", found, _scopes(), link)

    def _accelerator(self, call: GoogleCall) -> Body:
        zone, name = check_zone(self._account, call.path["zone"]), call.path["acceleratorType"]
        if name not in ACCELERATORS or not _has(ACCELERATORS[name], zone):
            raise not_found(f"projects/{self._account.project}/zones/{zone}/acceleratorTypes/{name}")
        return self._shown_accelerator(ACCELERATORS[name], zone)

    def _accelerators(self, call: GoogleCall) -> Body:
        zone = check_zone(self._account, call.path["zone"])
        found = [self._shown_accelerator(one, zone) for one in ACCELERATORS.values() if _has(one, zone)]
        return listed(call, "compute#acceleratorTypeList", found, self._account.link(f"zones/{zone}/acceleratorTypes"))

    def _all_accelerators(self, call: GoogleCall) -> Body:
        found = [
            (f"zones/{zone}", self._shown_accelerator(one, zone))
            for zone in zone_names()
            for one in ACCELERATORS.values()
            if _has(one, zone)
        ]
        link = self._account.link("aggregated/acceleratorTypes")
        return aggregated(call, "compute#acceleratorTypeAggregatedList", "acceleratorTypes", found, _scopes(), link)

    def _disk_type(self, call: GoogleCall) -> Body:
        zone, name = check_zone(self._account, call.path["zone"]), call.path["diskType"]
        if name not in DISK_TYPES:
            raise not_found(f"projects/{self._account.project}/zones/{zone}/diskTypes/{name}")
        return self._shown_disk_type(name, zone)

    def _disk_types(self, call: GoogleCall) -> Body:
        zone = check_zone(self._account, call.path["zone"])
        found = [self._shown_disk_type(name, zone) for name in DISK_TYPES]
        return listed(call, "compute#diskTypeList", found, self._account.link(f"zones/{zone}/diskTypes"))

    def _shown_zone(self, zone: str) -> Body:
        return self._place("compute#zone", f"zones/{zone}", zone) | {
            "description": zone,
            "status": "UP",
            "region": self._account.link(f"regions/{region_of(zone)}"),
            "availableCpuPlatforms": ["Intel Haswell", "Intel Skylake", "Intel Cascade Lake"],
        }

    def _shown_region(self, region: str) -> Body:
        return self._place("compute#region", f"regions/{region}", region) | {
            "description": region,
            "status": "UP",
            "zones": [self._account.link(f"zones/{zone}") for zone in zone_names([region])],
            "quotas": self._quotas.shown(region),
        }

    def _shown_type(self, size: MachineType, zone: str) -> Body:
        body = self._place("compute#machineType", f"zones/{zone}/machineTypes/{size.name}", size.name) | {
            "description": f"{size.cpus} vCPUs, {size.memory_mb / 1024:g} GB RAM",
            "guestCpus": size.cpus,
            "memoryMb": size.memory_mb,
            "maximumPersistentDisks": 128,
            "maximumPersistentDisksSizeGb": "263168",
            "zone": zone,
            "isSharedCpu": size.is_shared,
            "architecture": "X86_64",
        }
        if size.accelerator:
            body["accelerators"] = [{"guestAcceleratorType": size.accelerator, "guestAcceleratorCount": size.count}]
        return body | ({"deprecated": {"state": size.deprecated}} if size.deprecated else {})

    def _shown_accelerator(self, one: Accelerator, zone: str) -> Body:
        return self._place("compute#acceleratorType", f"zones/{zone}/acceleratorTypes/{one.name}", one.name) | {
            "description": one.description,
            "zone": self._account.link(f"zones/{zone}"),
            "maximumCardsPerInstance": one.most,
        }

    def _shown_disk_type(self, name: str, zone: str) -> Body:
        return self._place("compute#diskType", f"zones/{zone}/diskTypes/{name}", name) | {
            "description": name,
            "validDiskSize": "10GB-65536GB",
            "zone": self._account.link(f"zones/{zone}"),
            "defaultDiskSizeGb": "100",
        }

    def _place(self, kind: str, path: str, name: str) -> Body:
        number = str(zlib.crc32(path.encode()))
        return {"kind": kind, "id": number, "creationTimestamp": MADE, "name": name, "selfLink": self._account.link(path)}


DISK_TYPES = ("pd-standard", "pd-balanced", "pd-ssd", "hyperdisk-balanced")


def check_zone(account: Account, zone: str) -> str:
    """Return a zone that there is.

    Raises:
        GoogleError: 404; there is no such zone.
    """
    if zone not in zone_names():
        raise not_found(f"projects/{account.project}/zones/{zone}")
    return zone


def _has(one: Accelerator, zone: str) -> bool:
    return not one.only_in or zone in one.only_in


def _scopes() -> list[str]:
    return [f"zones/{zone}" for zone in zone_names()]
