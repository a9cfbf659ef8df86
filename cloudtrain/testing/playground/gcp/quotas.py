"""How much of everything the project may have: Compute Engine's own limits, and those that only Cloud Quotas shows."""

import functools
from collections import Counter
from collections.abc import Iterator, Sequence

from .account import Account, Body, Machine
from .errors import Failure
from .hardware import ACCELERATORS, REGIONS, last, machine_types

LIMITS = {
    "CPUS": 500.0,
    "DISKS_TOTAL_GB": 81920.0,
    "SSD_TOTAL_GB": 8192.0,
    "IN_USE_ADDRESSES": 69.0,
    "STATIC_ADDRESSES": 21.0,
    "INSTANCES": 2000.0,
    "PREEMPTIBLE_CPUS": 0.0,
    "N2_CPUS": 200.0,
    **{metric: 16.0 for one in ACCELERATORS.values() if (metric := one.metric)},
    **{f"PREEMPTIBLE_{metric}": 16.0 for one in ACCELERATORS.values() if (metric := one.metric)},
}
"""Each region's. A limit of CPUS that is 0 for Spot means, as at Google, that CPUS counts for Spot too."""

PROJECT_LIMITS = {"CPUS_ALL_REGIONS": 1000.0, "GPUS_ALL_REGIONS": 32.0, "FIREWALLS": 300.0, "NETWORKS": 30.0, "IMAGES": 2000.0}
FAMILY_LIMIT = 8.0
"""GPUs of a family that only Cloud Quotas counts, by region; a test sets it by the family's name ("NVIDIA_H100")."""

ALIVE = ("PROVISIONING", "STAGING", "RUNNING", "STOPPING", "REPAIRING")


class Quotas:
    """Counts what there is."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def set(self, metric: str, limit: float, regions: Sequence[str] = REGIONS) -> None:
        """Set a limit, in every region or the project's own.

        Raises:
            KeyError: there is no such quota.
        """
        families = {one.family for one in ACCELERATORS.values() if not one.metric}
        if metric in PROJECT_LIMITS:
            regions = ("",)
        elif metric not in LIMITS and metric not in families | {f"PREEMPTIBLE_{family}" for family in families}:
            raise KeyError(metric)
        for region in regions:
            self._account.quotas[region, metric] = float(limit)

    def limit(self, metric: str, region: str) -> float:
        """Return a limit; `region` is "" for the project's own."""
        default = PROJECT_LIMITS.get(metric, 0.0) if not region else LIMITS.get(metric, FAMILY_LIMIT)
        return self._account.quotas.get((region, metric), default)

    def usage(self, region: str) -> Counter[str]:
        """Return how much there is of everything, by metric; `region` is "" for the whole project."""
        used: Counter[str] = Counter()
        for machine in self._account.machines.values():
            if machine.state in ALIVE and region in ("", machine.region):
                for metric, amount in needed(machine):
                    used[metric] += amount
        for metric, gb in self._disks(region):
            used[metric] += gb
        used["FIREWALLS"], used["NETWORKS"] = len(self._account.firewalls), len(self._account.networks)
        return used

    def shown(self, region: str) -> list[Body]:
        """Return them as regions.get and projects.get do."""
        used, metrics = self.usage(region), LIMITS if region else PROJECT_LIMITS
        return [{"metric": name, "limit": self.limit(name, region), "usage": float(used[name])} for name in metrics]

    def exceeded(self, machine: Machine) -> Failure | None:
        """Return why there can be no such machine, which is counted already, or None."""
        used = {region: self.usage(region) for region in ("", machine.region)}
        for metric in [*(metric for metric, _ in needed(machine)), "DISKS_TOTAL_GB", "SSD_TOTAL_GB"]:
            region = "" if metric in PROJECT_LIMITS else machine.region
            limit = self.limit(metric, region)
            if used[region][metric] > limit:
                return _failure(metric, limit, region)
        return None

    def _disks(self, region: str) -> Iterator[tuple[str, int]]:
        for (zone, _), disk in self._account.disks.items():
            if zone.startswith(region):
                metric = "DISKS_TOTAL_GB" if last(str(disk["type"])) == "pd-standard" else "SSD_TOTAL_GB"
                yield metric, int(disk["sizeGb"])


def needed(machine: Machine) -> tuple[tuple[str, int], ...]:
    """Return what a machine counts for, by metric; a family that only Cloud Quotas counts by the family's name."""
    has_address = any(nic.get("accessConfigs") for nic in machine.body["networkInterfaces"])
    attached = machine.body.get("guestAccelerators", [])
    kind, count = (last(attached[0]["acceleratorType"]), attached[0]["acceleratorCount"]) if attached else ("", 0)
    return _needed(last(machine.body["machineType"]), kind, count, machine.is_spot) + (
        (("IN_USE_ADDRESSES", 1),) if has_address else ()
    )


@functools.cache
def _needed(size_name: str, kind: str, count: int, is_spot: bool) -> tuple[tuple[str, int], ...]:
    size, found = machine_types()[size_name], [("INSTANCES", 1)]
    kind, count = kind or size.accelerator, count or size.count
    if kind:
        one = ACCELERATORS[kind]
        found.append((("PREEMPTIBLE_" if is_spot else "") + (one.metric or one.family), count))
        found.append(("GPUS_ALL_REGIONS", 0 if is_spot else count))
    if not kind or size.family == "n1":
        found += [("N2_CPUS" if size.family == "n2" else "CPUS", size.cpus), ("CPUS_ALL_REGIONS", size.cpus)]
    return tuple(found)


def _failure(metric: str, limit: float, region: str) -> Failure:
    where = f"in region {region}" if region else "globally"
    details = {
        "quotaInfo": {
            "metricName": f"compute.googleapis.com/{metric.lower()}",
            "limitName": f"{metric.replace('_', '-')}-per-project{'-region' if region else ''}",
            "dimensions": {"region": region or "global"},
            "limit": limit,
        }
    }
    return Failure("QUOTA_EXCEEDED", f"Quota '{metric}' exceeded.  Limit: {limit} {where}.", (details,))
