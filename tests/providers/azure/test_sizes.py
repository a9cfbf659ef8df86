"""Sizes: which GPU a name means, what is retired or closed, and in which zones the rest may be had."""

import re

import pytest

from cloudtrain.config.assets import asset_folder
from cloudtrain.config.machine import list_machines
from cloudtrain.model.spec import Market
from cloudtrain.prices.table import rows
from cloudtrain.providers.azure.sizes import COMPUTE_CAPABILITIES, RETIRED, SERIES, gpu_of, is_retired, read_size, sizes

from .answers import GPU, T4_FAMILY, Answers, shut, sku

LIST = "Microsoft.Compute/skus/read"


@pytest.mark.parametrize(
    ("name", "vcpus", "count", "gpu"),
    [
        ("Standard_NC4as_T4_v3", 4, 1, ("T4", 1, 16)),
        ("Standard_NC64as_T4_v3", 64, 4, ("T4", 4, 16)),
        ("Standard_NV36ads_A10_v5", 36, 1, ("A10", 1, 24)),
        ("Standard_NV36adms_A10_v5", 36, 1, ("A10", 1, 24)),
        ("Standard_NV72ads_A10_v5", 72, 2, ("A10", 2, 24)),
        ("Standard_NV18ads_A10_v5", 18, 1, ("A10", 0, 12)),
        ("Standard_NV6ads_A10_v5", 6, 1, ("A10", 0, 4)),
        ("Standard_NC24ads_A100_v4", 24, 1, ("A100", 1, 80)),
        ("Standard_NC40ads_H100_v5", 40, 1, ("H100NVL", 1, 94)),
        ("Standard_NC80adis_H100_v5", 80, 2, ("H100NVL", 2, 94)),
        ("Standard_NC128ds_xl_RTXPRO6000BSE_v6", 128, 1, ("RTXPRO6000", 0, 0)),
        ("Standard_NC8lds_xl_RTXPRO6000BSE_v6", 8, 1, ("RTXPRO6000", 0, 0)),
        ("Standard_ND40rs_v2", 40, 8, ("V100", 8, 32)),
        ("Standard_ND96asr_v4", 96, 8, ("A100", 8, 40)),
        ("Standard_ND96amsr_A100_v4", 96, 8, ("A100", 8, 80)),
        ("Standard_ND96isr_H100_v5", 96, 8, ("H100", 8, 80)),
        ("Standard_ND96isr_H200_v5", 96, 8, ("H200", 8, 141)),
        ("Standard_ND128isr_B300_v6", 128, 8, ("B300", 8, 0)),
        ("Standard_ND96isr_MI300X_v5", 96, 8, ("", 0, 0)),
        ("Standard_NG32ads_V620_v1", 32, 1, ("", 0, 0)),
        ("Standard_D4s_v5", 4, 0, ("", 0, 0)),
    ],
)
def test_gpu_is_read_from_the_name(name: str, vcpus: int, count: int, gpu: tuple[str, int, float]) -> None:
    assert gpu_of(name, vcpus, count) == gpu


def test_names_agree_with_the_price_table() -> None:
    for offer in rows("azure"):
        gpu, _, memory_gib = gpu_of(offer.instance_type, offer.vcpus, max(offer.gpu_count, 1))
        assert gpu == offer.gpu, offer.instance_type
        if offer.vcpus and memory_gib:
            assert memory_gib == pytest.approx(offer.gpu_memory_gib, abs=0.1), offer.instance_type
        assert COMPUTE_CAPABILITIES.get(gpu, "") == offer.compute_capability


def test_the_shipped_configs_name_sizes_with_whole_gpus() -> None:
    shipped = [machine for machine in list_machines(folders=[asset_folder("configs")])[0] if machine.provider == "azure"]
    assert len(shipped) == 5
    for name in [name for machine in shipped for name in machine.instance_types if name.startswith("Standard_N")]:
        vcpus = int(re.findall(r"\d+", name)[0])
        assert gpu_of(name, vcpus, 1)[1] == 1
        assert not is_retired(name)


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("Standard_NC6", "NC"),
        ("Standard_NC24r", "NC"),
        ("Standard_NC6_Promo", "NC"),
        ("Standard_NC24rs_v2", "NCv2"),
        ("Standard_NC6s_v3", "NCv3"),
        ("Standard_NC24rs_v3", "NCv3"),
        ("Standard_ND6s", "ND"),
        ("Standard_ND24rs", "ND"),
        ("Standard_NV12", "NV"),
        ("Standard_NV24_Promo", "NV"),
        ("Standard_NV12s_v2", "NVv2"),
        ("Standard_NV48s_v3", "NVv3"),
        ("Standard_NV4as_v4", "NVv4"),
        ("Standard_NV32as_v4", "NVv4"),
    ],
)
def test_retired_series(name: str, series: str) -> None:
    assert is_retired(name)
    own = name.removeprefix("Standard_").removesuffix("_Promo")
    assert [known for known, names in RETIRED.items() if names.fullmatch(own)] == [series]


def test_no_series_is_for_rent_and_retired() -> None:
    for offer in rows("azure"):
        own = offer.instance_type.removeprefix("Standard_")
        for_rent = any(series.names.fullmatch(own) for series in SERIES)
        assert for_rent is not is_retired(offer.instance_type) or not offer.gpu, offer.instance_type


def test_a_size_as_azure_describes_it() -> None:
    size = read_size(sku("Standard_NC4as_T4_v3", 4, 28, T4_FAMILY, "3", "1", capabilities=GPU), "eastus")
    assert size is not None
    assert (size.family, size.zones, size.markets) == (T4_FAMILY, ("1", "3"), frozenset(Market))
    offer = size.offer(Market.SPOT, "3")
    assert (offer.provider, offer.region, offer.zone, offer.market) == ("azure", "eastus", "eastus-3", Market.SPOT)
    assert (offer.vcpus, offer.memory_gib, offer.gpu, offer.gpu_count, offer.gpu_memory_gib) == (4, 28, "T4", 1, 16)
    assert (offer.compute_capability, offer.usd_per_hour, offer.source) == ("7.5", None, "api")


@pytest.mark.parametrize("capabilities", [{"LowPriorityCapable": "False"}, {"LowPriorityCapable": None}])
def test_a_size_that_is_no_spot_machine(capabilities: dict) -> None:
    size = read_size(sku("Standard_B2s", 2, 4, "standardBSFamily", capabilities=capabilities), "eastus")
    assert size is not None
    assert size.markets == {Market.ON_DEMAND}
    assert size.zones == ()


@pytest.mark.parametrize(
    "capabilities",
    [
        {"CpuArchitectureType": "Arm64"},
        {"HyperVGenerations": "V1"},
        {"HyperVGenerations": None},
        {"ConfidentialComputingType": "SNP"},
    ],
)
def test_what_no_image_of_ours_runs_on_is_left_out(capabilities: dict) -> None:
    assert read_size(sku("Standard_D4s_v5", 4, 16, "f", capabilities=capabilities), "eastus") is None


def test_what_is_no_machine_or_has_somebody_else_s_gpu_is_left_out() -> None:
    assert read_size({"resourceType": "disks", "name": "StandardSSD_LRS", "locations": ["eastus"]}, "eastus") is None
    assert read_size(sku("Standard_ND96isr_MI300X_v5", 96, 1850, "f", capabilities={"GPUs": "8"}), "eastus") is None
    for capabilities in (GPU, {}):
        assert read_size(sku("Standard_NC6s_v3", 6, 112, "f", capabilities=capabilities), "eastus") is None


@pytest.mark.parametrize("why", ["NotAvailableForSubscription", "QuotaId"])
def test_a_size_that_is_closed_to_the_subscription_is_hidden(why: str) -> None:
    closed = sku("Standard_NC4as_T4_v3", 4, 28, T4_FAMILY, "1", capabilities=GPU, restrictions=[shut(why=why)])
    assert read_size(closed, "eastus") is None
    elsewhere = sku("Standard_NC4as_T4_v3", 4, 28, T4_FAMILY, "1", capabilities=GPU, restrictions=[shut(region="westus2")])
    assert read_size(elsewhere, "eastus") is not None


def test_vcpus_that_are_switched_off_are_not_counted() -> None:
    told = {"vCPUsAvailable": "2", "GPUs": "", "MemoryGB": "32"}
    size = read_size(sku("Standard_E4-2s_v5", 4, 32, "f", capabilities=told), "eastus")
    assert size is not None
    assert (size.vcpus, size.gpu_count, size.memory_gib) == (2, 0, 32)


def test_zones_that_are_closed_are_left_out() -> None:
    some = sku("Standard_NC4as_T4_v3", 4, 28, T4_FAMILY, "1", "2", "3", capabilities=GPU, restrictions=[shut("Zone", "1", "3")])
    size = read_size(some, "eastus")
    assert size is not None
    assert size.zones == ("2",)
    every = sku("Standard_NC4as_T4_v3", 4, 28, T4_FAMILY, "1", capabilities=GPU, restrictions=[shut("Zone", "1")])
    assert read_size(every, "eastus") is None


def test_a_region_is_known_by_either_of_its_names() -> None:
    written = sku("Standard_B2s", 2, 4, "f", "1", region="East US")
    size = read_size(written, "eastus")
    assert size is not None
    assert size.zones == ("1",)
    closed = sku("Standard_B2s", 2, 4, "f", "1", region="East US", restrictions=[shut(region="East US")])
    assert read_size(closed, "eastus") is None


def test_one_region_is_asked_for() -> None:
    arm = Answers({LIST: {"value": [sku("Standard_B2s", 2, 4, "f"), {"resourceType": "disks", "name": "x"}]}})
    assert list(sizes(arm, "eastus")) == ["Standard_B2s"]
    [(_, path, query)] = arm.asked
    assert path.endswith("/providers/Microsoft.Compute/skus")
    assert query == {"$filter": "location eq 'eastus'"}
