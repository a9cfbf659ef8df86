"""Limits: which ones a machine counts against, in numbers, and where more is asked for."""

from collections.abc import Mapping
from typing import Any

import pytest

from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Market
from cloudtrain.prices.table import rows
from cloudtrain.providers.gcp.quota import (
    FAMILY_LIMIT,
    IN_CLOUD_QUOTAS,
    IN_COMPUTE,
    UNLIMITED,
    Limit,
    accelerator_of,
    limits,
    outlook_quota,
    read_quota_info,
    request_line,
)

from .answers import Answers, denied

IOWA = "us-central1"
REGION, PROJECT, INFO = (
    "compute.regions.get",
    "compute.projects.get",
    "cloudquotas.projects.locations.services.quotaInfos.get",
)
SPOT = Market.SPOT


def quotas(**metrics: tuple[float, float]) -> dict[str, Any]:
    return {"quotas": [{"metric": name, "limit": limit, "usage": usage} for name, (limit, usage) in metrics.items()]}


@pytest.fixture
def region() -> dict[str, tuple[float, float]]:
    return {
        "NVIDIA_L4_GPUS": (4.0, 1.0),
        "PREEMPTIBLE_NVIDIA_L4_GPUS": (2.0, 2.0),
        "NVIDIA_T4_GPUS": (1.0, 0.0),
        "NVIDIA_A100_GPUS": (8.0, 0.0),
        "NVIDIA_A100_80GB_GPUS": (0.0, 0.0),
        "CPUS": (72.0, 64.0),
        "PREEMPTIBLE_CPUS": (0.0, 0.0),
        "A2_CPUS": (12.0, 0.0),
        "SSD_TOTAL_GB": (500.0, 100.0),
        "IN_USE_ADDRESSES": (8.0, 2.0),
    }


@pytest.fixture
def project() -> dict[str, tuple[float, float]]:
    return {"GPUS_ALL_REGIONS": (8.0, 3.0), "CPUS_ALL_REGIONS": (1000.0, 70.0)}


@pytest.fixture
def rest(region: dict, project: dict) -> Answers:
    entries = [{"dimensions": {"gpu_family": "NVIDIA_H100"}, "details": {"value": "8"}}]
    infos = {"dimensions": ["region", "gpu_family"], "dimensionsInfos": entries}
    return Answers({REGION: lambda *_: quotas(**region), PROJECT: lambda *_: quotas(**project), INFO: infos})


def offer(name: str, gpu: str = "", gpus: int = 0, vcpus: int = 4, market: Market = Market.ON_DEMAND) -> Offer:
    return Offer("gcp", name, IOWA, market, vcpus=vcpus, gpu=gpu, gpu_count=gpus)


L4 = offer("g2-standard-4", "L4", 1)
T4 = offer("n1-standard-8+nvidia-tesla-t4", "T4", 1, vcpus=8)


def told(rest: Answers, offer: Offer, disk_gib: int = 100) -> dict[str, tuple[int, int | None, int]]:
    return {limit.name: (limit.limit, limit.used, limit.need) for limit in limits(rest, offer, disk_gib)}


def test_a_machine_counts_against_gpus_here_and_everywhere_cpus_disk_and_addresses(rest: Answers) -> None:
    assert told(rest, T4) == {
        "NVIDIA_T4_GPUS": (1, 0, 1),
        "GPUS_ALL_REGIONS": (8, 3, 1),
        "CPUS_ALL_REGIONS": (1000, 70, 8),
        "CPUS": (72, 64, 8),
        "SSD_TOTAL_GB": (500, 100, 100),
        "IN_USE_ADDRESSES": (8, 2, 1),
    }


@pytest.mark.parametrize(
    ("offer", "name"),
    [
        (offer("a2-highgpu-1g", "A100", 1), "NVIDIA_A100_GPUS"),
        (offer("a2-megagpu-16g", "A100", 16), "NVIDIA_A100_GPUS"),
        (offer("a2-ultragpu-1g", "A100", 1), "NVIDIA_A100_80GB_GPUS"),
        (offer("n1-standard-8+2xnvidia-tesla-v100", "V100", 2), "NVIDIA_V100_GPUS"),
        (L4, "NVIDIA_L4_GPUS"),
    ],
)
def test_each_gpu_has_its_limit(rest: Answers, offer: Offer, name: str) -> None:
    found = limits(rest, offer, 100)[0]
    assert (found.name, found.need) == (name, offer.gpu_count)


def test_every_gpu_of_the_table_has_a_limit() -> None:
    known = {*IN_COMPUTE, *IN_CLOUD_QUOTAS}
    assert [o.instance_type for o in rows("gcp") if o.gpu and accelerator_of(o.instance_type) not in known] == []


def test_what_runs_is_counted_to_the_last(rest: Answers, region: dict, project: dict) -> None:
    assert outlook_quota(rest, T4, 400) == ("0 of 1 T4 GPUs used in us-central1", True)
    assert outlook_quota(rest, T4, 401) == ("100 of 500 GB of SSD disk used in us-central1, 401 needed", False)
    region["CPUS"] = (72.0, 65.0)
    assert outlook_quota(rest, T4, 100) == ("65 of 72 vCPUs used in us-central1, 8 needed", False)
    region["CPUS"], project["GPUS_ALL_REGIONS"] = (80.0, 0.0), (3.0, 3.0)
    assert outlook_quota(rest, T4, 100) == ("3 of 3 GPUs used in all regions, 1 needed", False)
    region["NVIDIA_T4_GPUS"] = (1.0, 1.0)
    assert outlook_quota(rest, T4, 100) == (
        "1 of 1 T4 GPUs used in us-central1, 1 needed; 3 of 3 GPUs used in all regions, 1 needed",
        False,
    )


def test_spot_machines_have_a_limit_of_their_own_once_they_were_given_one(rest: Answers, region: dict) -> None:
    spot = offer("g2-standard-4", "L4", 1, market=SPOT)
    assert outlook_quota(rest, spot, 100) == ("2 of 2 spot L4 GPUs used in us-central1, 1 needed", False)
    region["PREEMPTIBLE_NVIDIA_L4_GPUS"] = (0.0, 0.0)
    assert outlook_quota(rest, spot, 100) == ("1 of 4 L4 GPUs used in us-central1", True)
    small = offer("n1-standard-8+nvidia-tesla-t4", "T4", 1, vcpus=8, market=SPOT)
    assert told(rest, small)["CPUS"] == (72, 64, 8)
    region["PREEMPTIBLE_CPUS"] = (8.0, 1.0)
    assert "CPUS" not in told(rest, small)
    assert told(rest, small)["PREEMPTIBLE_CPUS"] == (8, 1, 8)


def test_a_limit_that_is_not_listed_is_zero_for_gpus_and_none_for_the_rest(rest: Answers, region: dict, project: dict) -> None:
    del region["NVIDIA_T4_GPUS"], region["SSD_TOTAL_GB"], project["GPUS_ALL_REGIONS"], project["CPUS_ALL_REGIONS"]
    assert told(rest, T4) == {
        "NVIDIA_T4_GPUS": (0, 0, 1),
        "GPUS_ALL_REGIONS": (0, 0, 1),
        "CPUS": (72, 64, 8),
        "IN_USE_ADDRESSES": (8, 2, 1),
    }


def test_vcpus_are_those_of_the_family(rest: Answers) -> None:
    assert told(rest, offer("a2-highgpu-1g", "A100", 1, vcpus=12))["A2_CPUS"] == (12, 0, 12)
    assert not {"CPUS", "G2_CPUS"} & set(told(rest, L4))
    assert told(rest, offer("e2-standard-4"))["CPUS"] == (72, 64, 4)


def test_a_machine_without_a_gpu_needs_none(rest: Answers) -> None:
    assert "GPUS_ALL_REGIONS" not in told(rest, offer("e2-standard-4"))
    assert outlook_quota(rest, offer("e2-standard-4"), 30) == ("70 of 1000 vCPUs used in all regions", True)
    assert INFO not in rest.named()


def test_newer_gpus_are_limited_in_the_cloud_quotas_api(rest: Answers) -> None:
    h100 = offer("a3-highgpu-8g", "H100", 8, vcpus=208)
    assert limits(rest, h100, 100)[0] == Limit(f"{FAMILY_LIMIT} NVIDIA_H100", "H100 GPUs", IOWA, 8, None, 8)
    [path] = [path for method_id, path, _ in rest.asked if method_id == INFO]
    assert path == f"projects/my-project/locations/global/services/compute.googleapis.com/quotaInfos/{FAMILY_LIMIT}"


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("a3-highgpu-1g", "PREEMPTIBLE-NVIDIA-H100-GPUS-per-project-region"),
        ("a3-megagpu-8g", "PREEMPTIBLE-NVIDIA-H100-MEGA-GPUS-per-project-region"),
        ("a3-ultragpu-8g", "PREEMPTIBLE-NVIDIA-H200-GPUS-per-project-region"),
        ("a4-highgpu-8g", "PREEMPTIBLE-NVIDIA-B200-GPUS-per-project-region"),
        ("g4-standard-48", "PREEMPTIBLE-NVIDIA-RTX-PRO-6000-GPUS-per-project-region"),
    ],
)
def test_newer_spot_gpus_have_limits_named_after_them(rest: Answers, name: str, limit: str) -> None:
    rest.by_method[INFO] = {"dimensionsInfos": [{"applicableLocations": [IOWA], "details": {"value": "1"}}]}
    found = limits(rest, offer(name, "H100", 1, market=SPOT), 100)[0]
    assert (found.name, found.limit, found.used, found.is_enough) == (limit, 1, None, True)
    assert found.words == "1 spot H100 GPUs allowed in us-central1"


def test_spot_gpus_may_have_one_limit_for_all_families(rest: Answers) -> None:
    entries = {"dimensionsInfos": [{"dimensions": {"region": IOWA, "gpu_family": "NVIDIA_H100"}, "details": {"value": "3"}}]}

    def only_families(path: str, _: Mapping[str, str]) -> Mapping[str, Any]:
        if path.endswith(f"/PREEMPTIBLE-{FAMILY_LIMIT}"):
            return {"dimensions": ["region", "gpu_family"], **entries}
        raise denied(INFO, 404, "notFound")

    rest.by_method[INFO] = only_families
    h100 = offer("a3-highgpu-1g", "H100", 1, market=SPOT)
    found = limits(rest, h100, 100)[0]
    assert (found.name, found.limit) == (f"PREEMPTIBLE-{FAMILY_LIMIT} NVIDIA_H100", 3)
    rest.by_method[INFO] = denied(INFO, 404, "notFound")
    assert limits(rest, h100, 100)[0].name == "GPUS_ALL_REGIONS"


def info(value: str | None, *places: str, **dimensions: str) -> dict[str, Any]:
    details = {} if value is None else {"value": value}
    return {"dimensions": dimensions or None, "details": details, "applicableLocations": list(places)}


@pytest.mark.parametrize(
    ("entries", "limit"),
    [
        ([info("3", IOWA, gpu_family="NVIDIA_H100")], 3),
        ([info("3", "us-east4", gpu_family="NVIDIA_H100")], 0),
        ([info("3", IOWA, gpu_family="NVIDIA_H200")], 0),
        ([info("1", IOWA, gpu_family="NVIDIA_H100"), info("5", region=IOWA, gpu_family="NVIDIA_H100")], 5),
        ([info("1", IOWA, gpu_family="NVIDIA_H100"), info("5", region="us-east4", gpu_family="NVIDIA_H100")], 1),
        ([info(None, IOWA, gpu_family="NVIDIA_H100")], 0),
        ([info("-1", gpu_family="NVIDIA_H100")], UNLIMITED),
        ([], 0),
    ],
)
def test_the_most_precise_entry_that_speaks_of_it_counts(entries: list[dict[str, Any]], limit: int) -> None:
    assert read_quota_info({"dimensionsInfos": entries}, {"region": IOWA, "gpu_family": "NVIDIA_H100"}) == limit


def test_no_limit_is_enough_and_is_said() -> None:
    free = Limit("X", "H100 GPUs", IOWA, UNLIMITED, None, 8)
    assert free.is_enough
    assert free.words == "no limit on H100 GPUs in us-central1"


def test_without_the_cloud_quotas_api_the_other_limits_are_told(rest: Answers, project: dict) -> None:
    rest.by_method[INFO] = denied(INFO, reason="SERVICE_DISABLED")
    h100 = offer("a3-highgpu-8g", "H100", 8, vcpus=208)
    assert outlook_quota(rest, h100, 100) == ("3 of 8 GPUs used in all regions, 8 needed", False)


@pytest.mark.parametrize("method_id", [REGION, PROJECT])
def test_what_cannot_be_found_out_does_not_stand_in_the_way(method_id: str, rest: Answers) -> None:
    rest.by_method[method_id] = denied(method_id)
    assert outlook_quota(rest, L4, 100) == ("", True)


def test_where_more_is_asked_for(rest: Answers) -> None:
    here, everywhere = limits(rest, L4, 100)[:2]
    console = "https://console.cloud.google.com/iam-admin/quotas?project=my-project"
    assert request_line(here, "my-project") == f"Ask for 2: {console} (filter: NVIDIA_L4_GPUS us-central1)"
    assert request_line(everywhere, "my-project") == f"Ask for 4: {console} (filter: GPUS_ALL_REGIONS)"
