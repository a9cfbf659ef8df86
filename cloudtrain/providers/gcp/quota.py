"""The project's limits: which ones a machine counts against, how much of each is used, how to ask for more.

A machine counts against several at once: GPUs of its kind in the region, GPUs in all regions together, vCPUs, disk and
addresses. Compute Engine's own list of a region ends with the L4 and the A100; what came later (H100, H200, B200, RTX PRO 6000)
is limited in the Cloud Quotas API alone, which knows limits and no usage.
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ...model.errors import ProviderError
from ...model.offer import Offer
from ...model.spec import Market
from .machine_types import parts
from .rest import Rest
from .translate import is_absent

CONSOLE = "https://console.cloud.google.com/iam-admin/quotas?project={project}"

IN_COMPUTE = {
    "nvidia-tesla-p4": "NVIDIA_P4_GPUS",
    "nvidia-tesla-p100": "NVIDIA_P100_GPUS",
    "nvidia-tesla-v100": "NVIDIA_V100_GPUS",
    "nvidia-tesla-t4": "NVIDIA_T4_GPUS",
    "nvidia-l4": "NVIDIA_L4_GPUS",
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS",
    "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS",
}
"""The limits that regions.get lists, by the GPU's name; for spot machines with PREEMPTIBLE_ before it."""

IN_CLOUD_QUOTAS = {
    "nvidia-h100-80gb": "NVIDIA_H100",
    "nvidia-h100-mega-80gb": "NVIDIA_H100_MEGA",
    "nvidia-h200-141gb": "NVIDIA_H200",
    "nvidia-b200": "NVIDIA_B200",
    "nvidia-rtx-pro-6000": "NVIDIA_RTX_PRO_6000",
}
"""The families of the Cloud Quotas API, by the GPU's name: values of the dimension `gpu_family`, or parts of a limit's name."""

FAMILY_LIMIT = "GPUS-PER-GPU-FAMILY-per-project-region"
UNLIMITED = -1

_BUILT_IN = (
    (re.compile(r"g2-.+"), "nvidia-l4"),
    (re.compile(r"g4-.+"), "nvidia-rtx-pro-6000"),
    (re.compile(r"a2-ultragpu-.+"), "nvidia-a100-80gb"),
    (re.compile(r"a2-.+"), "nvidia-tesla-a100"),
    (re.compile(r"a3-megagpu-.+"), "nvidia-h100-mega-80gb"),
    (re.compile(r"a3-ultragpu-.+"), "nvidia-h200-141gb"),
    (re.compile(r"a3-.+"), "nvidia-h100-80gb"),
    (re.compile(r"a4-.+"), "nvidia-b200"),
)
_OWN_CPUS = frozenset({"a2", "c2", "c2d", "c3", "m1", "m2", "m3", "n2", "n2d", "t2a", "t2d"})
"""Families whose vCPUs have a limit of their own. Those of E2 and N1 share one; of others none is listed."""
_SHARED_CPUS = frozenset({"e2", "n1"})


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit a machine counts against.

    Attributes:
        name: Google's name of it ("NVIDIA_L4_GPUS").
        what: what is counted, in words ("L4 GPUs").
        place: the region, or "all regions".
        limit: how many there may be; UNLIMITED for any.
        used: how many there are now, of anybody in the project; None where Google does not say.
        need: how many the machine takes.
    """

    name: str
    what: str
    place: str
    limit: int
    used: int | None
    need: int

    @property
    def is_enough(self) -> bool:
        """Say whether the machine still fits."""
        return self.limit == UNLIMITED or (self.used or 0) + self.need <= self.limit

    @property
    def words(self) -> str:
        """Return "1 of 4 L4 GPUs used in us-central1"."""
        if self.limit == UNLIMITED:
            return f"no limit on {self.what} in {self.place}"
        if self.used is None:
            return f"{self.limit} {self.what} allowed in {self.place}"
        return f"{self.used} of {self.limit} {self.what} used in {self.place}"


def outlook_quota(rest: Rest, offer: Offer, disk_gib: int) -> tuple[str, bool]:
    """Return what the limits for a machine say ("1 of 4 L4 GPUs used in us-central1"), and whether it still fits.

    Of the limits that are too small all are told, else the GPUs' or the vCPUs'. What cannot be found out is "" and fits.
    """
    try:
        found = limits(rest, offer, disk_gib)
    except ProviderError:
        return "", True
    short = [limit for limit in found if not limit.is_enough]
    told = [f"{limit.words}, {limit.need} needed" for limit in short] or [limit.words for limit in found[:1]]
    return "; ".join(told), not short


def limits(rest: Rest, offer: Offer, disk_gib: int) -> list[Limit]:
    """Return the limits a machine of this offer with a boot disk of so many GiB counts against, the GPUs' first.

    What only the Cloud Quotas API knows is left out where that cannot be asked: it is another service, often not switched on.

    Raises:
        ProviderError: Compute Engine refused or did not answer.
    """
    accelerator = accelerator_of(offer.instance_type)
    with ThreadPoolExecutor(3) as pool:
        region_asked = pool.submit(_of_region, rest, offer.region)
        project_asked = pool.submit(_of_project, rest)
        newer_asked = pool.submit(_newer_gpus, rest, offer, accelerator)
        region, project, newer = region_asked.result(), project_asked.result(), newer_asked.result()
    gpus = _gpus(region, offer, accelerator) if accelerator in IN_COMPUTE else newer
    return [*gpus, *_everywhere(project, offer, accelerator), *_beside(region, offer, disk_gib)]


def request_line(limit: Limit, project: str) -> str:
    """Return where more is asked for."""
    where = "" if limit.place == "all regions" else f" {limit.place}"
    return f"Ask for {(limit.used or 0) + limit.need}: {CONSOLE.format(project=project)} (filter: {limit.name}{where})"


def accelerator_of(instance_type: str) -> str:
    """Return Google's name of a type's GPU, "" for a type without one that we know."""
    attached = parts(instance_type).accelerator
    return attached or next((gpu for pattern, gpu in _BUILT_IN if pattern.fullmatch(instance_type)), "")


def _of_region(rest: Rest, region: str) -> dict[str, Mapping[str, Any]]:
    path = f"projects/{rest.project}/regions/{region}"
    return _by_metric(rest.call("compute.regions.get", "GET", path).get("quotas", ()))


def _of_project(rest: Rest) -> dict[str, Mapping[str, Any]]:
    return _by_metric(rest.call("compute.projects.get", "GET", f"projects/{rest.project}").get("quotas", ()))


def _by_metric(quotas: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {quota["metric"]: quota for quota in quotas}


def _gpus(region: Mapping[str, Mapping[str, Any]], offer: Offer, accelerator: str) -> list[Limit]:
    """Return the limit of a GPU that Compute Engine lists itself; a limit that is not listed is zero."""
    metric, need = IN_COMPUTE[accelerator], max(offer.gpu_count, 1)
    own = f"PREEMPTIBLE_{metric}" if offer.market is Market.SPOT else metric
    # A project that has never been given a limit for spot machines runs them under the one for all others.
    if offer.market is Market.SPOT and not int(region.get(own, {}).get("limit", 0)):
        own = metric
    what = f"spot {offer.gpu} GPUs" if own != metric else f"{offer.gpu} GPUs"
    return [_limit(own, what, offer.region, region.get(own, {}), need)]


def _newer_gpus(rest: Rest, offer: Offer, accelerator: str) -> list[Limit]:
    """Return the limit of a GPU that the Cloud Quotas API alone knows."""
    family = IN_CLOUD_QUOTAS.get(accelerator)
    if family is None:
        return []
    is_spot = offer.market is Market.SPOT
    what = f"spot {offer.gpu} GPUs" if is_spot else f"{offer.gpu} GPUs"
    for name in _names(family) if is_spot else (FAMILY_LIMIT,):
        try:
            info = quota_info(rest, name)
        except ProviderError as error:
            if is_absent(error):
                continue
            return []
        limit = read_quota_info(info, {"region": offer.region, "gpu_family": family})
        label = f"{name} {family}" if "gpu_family" in info.get("dimensions", ()) else name
        return [Limit(label, what, offer.region, limit, None, max(offer.gpu_count, 1))]
    return []


def _names(family: str) -> tuple[str, str]:
    """Return the names a limit on spot GPUs may have: one of each family's own, or that of all families."""
    return f"PREEMPTIBLE-{family.replace('_', '-')}-GPUS-per-project-region", f"PREEMPTIBLE-{FAMILY_LIMIT}"


def quota_info(rest: Rest, name: str) -> dict[str, Any]:
    """Return what the Cloud Quotas API says of a limit of Compute Engine's.

    Raises:
        ProviderError: it refused or did not answer.
    """
    path = f"projects/{rest.project}/locations/global/services/compute.googleapis.com/quotaInfos/{name}"
    return rest.call("cloudquotas.projects.locations.services.quotaInfos.get", "GET", path)


def read_quota_info(info: Mapping[str, Any], wanted: Mapping[str, str]) -> int:
    """Return the limit for these dimensions: of the entries that speak of them the most precise; none, or no value, is zero."""
    fitting = [each for each in info.get("dimensionsInfos", ()) if _fits(each, wanted)]
    best: Mapping[str, Any] = max(fitting, key=lambda each: len(each.get("dimensions") or {}), default={})
    return int(best.get("details", {}).get("value") or 0)


def _fits(entry: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    dimensions, places = entry.get("dimensions") or {}, entry.get("applicableLocations") or ()
    is_there = not places or wanted["region"] in places or "region" in dimensions
    return is_there and all(wanted.get(name) == value for name, value in dimensions.items())


def _everywhere(project: Mapping[str, Mapping[str, Any]], offer: Offer, accelerator: str) -> list[Limit]:
    """Return the limits of all regions together. Spot machines count against them, too."""
    found = []
    if accelerator:
        need = max(offer.gpu_count, 1)
        found.append(_limit("GPUS_ALL_REGIONS", "GPUs", "all regions", project.get("GPUS_ALL_REGIONS", {}), need))
    if "CPUS_ALL_REGIONS" in project:
        found.append(_limit("CPUS_ALL_REGIONS", "vCPUs", "all regions", project["CPUS_ALL_REGIONS"], offer.vcpus))
    return found


def _beside(region: Mapping[str, Mapping[str, Any]], offer: Offer, disk_gib: int) -> list[Limit]:
    """Return the region's limits of vCPUs, disk and addresses, the vCPUs' first. One that is not listed does not bind."""
    family = offer.instance_type.partition("-")[0]
    cpus = f"{family.upper()}_CPUS" if family in _OWN_CPUS else "CPUS" if family in _SHARED_CPUS else ""
    if offer.market is Market.SPOT and int(region.get("PREEMPTIBLE_CPUS", {}).get("limit", 0)):
        cpus = "PREEMPTIBLE_CPUS"
    needs = ((cpus, "vCPUs", offer.vcpus), ("SSD_TOTAL_GB", "GB of SSD disk", disk_gib), ("IN_USE_ADDRESSES", "addresses", 1))
    return [_limit(name, what, offer.region, region[name], need) for name, what, need in needs if name in region]


def _limit(name: str, what: str, place: str, quota: Mapping[str, Any], need: int) -> Limit:
    return Limit(name, what, place, int(quota.get("limit", 0)), int(quota.get("usage", 0)), need)
