"""Prices: the catalogue's entries by the part, and whole machines made of them."""

import pytest

from cloudtrain.model.spec import Market
from cloudtrain.prices.table import rows
from cloudtrain.providers.gcp.billing import (
    Part,
    beside_usd_per_hour,
    catalogue,
    disk_usd_per_month,
    machine_usd_per_hour,
    read_skus,
)
from cloudtrain.providers.gcp.machine_types import MachineType, read_machine_type

from .answers import SKUS, Answers, machine_type, sku

IOWA = "us-central1"
ON_DEMAND, SPOT = Market.ON_DEMAND, Market.SPOT


def machine(name: str, vcpus: int, memory_gib: float, region: str = IOWA, **more: object) -> MachineType:
    read = read_machine_type(machine_type(name, f"{region}-a", vcpus, round(memory_gib * 1024), **more))
    assert read is not None
    return read


def usd(machine: MachineType, market: Market = ON_DEMAND) -> float | None:
    return machine_usd_per_hour(machine, market, read_skus(SKUS))


def table_usd(name: str, region: str = IOWA) -> float | None:
    found = [o for o in rows("gcp") if (o.instance_type, o.region, o.market) == (name, region, ON_DEMAND)]
    return found[0].usd_per_hour


@pytest.mark.parametrize(
    ("name", "vcpus", "memory_gib", "gpu"),
    [
        ("g2-standard-4", 4, 16, ("nvidia-l4", 1)),
        ("g2-standard-96", 96, 384, ("nvidia-l4", 8)),
        ("a2-highgpu-1g", 12, 85, ("nvidia-tesla-a100", 1)),
        ("a2-highgpu-8g", 96, 680, ("nvidia-tesla-a100", 8)),
        ("a2-ultragpu-2g", 24, 340, ("nvidia-a100-80gb", 2)),
    ],
)
def test_a_machine_costs_what_its_parts_cost(name: str, vcpus: int, memory_gib: float, gpu: tuple[str, int]) -> None:
    # The table's figures come from elsewhere: two ways lead to one price.
    assert usd(machine(name, vcpus, memory_gib, gpu=gpu)) == pytest.approx(table_usd(name), rel=1e-4)


def test_gpus_that_are_attached_are_paid_beside_their_machine() -> None:
    t4 = MachineType("n1-standard-8+2xnvidia-tesla-t4", "us-central1-a", 8, 30.0, "nvidia-tesla-t4", 2)
    assert usd(t4) == pytest.approx(8 * 0.031611 + 30 * 0.004237 + 2 * 0.35)


def test_an_e2_costs_what_everybody_says() -> None:
    assert usd(machine("e2-standard-4", 4, 16)) == pytest.approx(0.13402284, abs=1e-6)
    assert usd(machine("e2-medium", 2, 4, isSharedCpu=True)) == pytest.approx(0.03350571, abs=1e-6)


def test_spot_has_prices_of_its_own() -> None:
    assert usd(machine("g2-standard-4", 4, 16, gpu=("nvidia-l4", 1)), SPOT) == pytest.approx(4 * 0.01 + 16 * 0.001 + 0.2)


@pytest.mark.parametrize(
    "unpriced",
    [
        machine("g2-standard-4", 4, 16, "europe-west4", gpu=("nvidia-l4", 1)),
        machine("a3-highgpu-8g", 208, 1872, gpu=("nvidia-h100-80gb", 8)),
        machine("a4-highgpu-8g", 224, 3968, gpu=("nvidia-b200", 8)),
        machine("f1-micro", 1, 0.6, isSharedCpu=True),
        machine("n2-standard-8-lssd", 8, 32),
        machine("g2-standard-4", 4, 16, "us-east1", gpu=("nvidia-l4", 1)),
    ],
)
def test_a_part_without_a_price_makes_none(unpriced: MachineType) -> None:
    assert usd(unpriced) is None


def test_a_spot_machine_whose_ssd_has_no_spot_price_has_none() -> None:
    spot = [
        sku("Spot Preemptible A2 Instance Core running in Americas", 0.01, IOWA, usage="Preemptible"),
        sku("Spot Preemptible A2 Instance Ram running in Americas", 0.01, IOWA, usage="Preemptible"),
        sku("Nvidia Tesla A100 80GB GPU attached to Spot Preemptible VMs running in Americas", 1, IOWA, usage="Preemptible"),
    ]
    ultra = machine("a2-ultragpu-1g", 12, 170, gpu=("nvidia-a100-80gb", 1))
    assert machine_usd_per_hour(ultra, SPOT, read_skus([*SKUS, *spot])) is None
    ssd = sku("SSD backed Local Storage attached to Spot Preemptible VMs", 0.0365, IOWA, usage="Preemptible", unit="GiBy.mo")
    found = machine_usd_per_hour(ultra, SPOT, read_skus([*SKUS, *spot, ssd]))
    assert found == pytest.approx(12 * 0.01 + 170 * 0.01 + 1 + 375 * 0.0365 / 730, abs=1e-6)


@pytest.mark.parametrize(
    "description",
    [
        "G2 Custom Instance Core running in Iowa",
        "G2 Sole Tenancy Instance Core running in Iowa",
        "Reserved G2 Instance Core in Iowa",
        "Commitment v1: G2 Instance Core running in Iowa for 1 Year",
        "Memory-optimized Instance Core running in Iowa",
        "DWS Defined Duration Nvidia L4 GPU running in Iowa",
        "Nvidia L4 GPU Virtual Workstation running in Iowa",
        "Reserved Nvidia L4 GPU in Iowa in Calendar Mode",
        "A4 Nvidia B200 (1 gpu slice) running in Netherlands",
        "Reserved SSD backed Local Storage",
        "SSD backed Local Storage Snapshot",
        "",
    ],
)
def test_what_is_sold_otherwise_is_no_price(description: str) -> None:
    assert read_skus([sku(description, 9.0, IOWA)]) == {}


def test_zero_and_commitments_are_no_price() -> None:
    name = "G2 Instance Core running in Iowa"
    assert read_skus([sku(name, 0.0, IOWA), sku(name, 1.0, IOWA, usage="Commit1Yr"), {"description": name}]) == {}


def test_of_two_prices_the_higher_counts_and_of_two_dates_the_last() -> None:
    name = "G2 Instance Core running in Iowa"
    part = Part("g2 core", IOWA, ON_DEMAND)
    assert read_skus([sku(name, 1.0, IOWA), sku(name, 3.0, IOWA), sku(name, 2.0, IOWA)]) == {part: 3.0}
    changed = sku(name, 5.0, IOWA)
    changed["pricingInfo"].append(sku(name, 4.0, IOWA)["pricingInfo"][0])
    assert read_skus([changed]) == {part: 4.0}


def test_a_price_by_the_gigabyte_is_made_one_by_the_gibibyte() -> None:
    found = read_skus([sku("G2 Instance Ram running in Iowa", 1.0, IOWA, unit="GBy.h")])
    assert found == {Part("g2 ram", IOWA, ON_DEMAND): pytest.approx(1.073741824)}


def test_the_catalogue_is_read_in_dollars_and_large_pages() -> None:
    rest = Answers({"cloudbilling.services.skus.list": {"skus": SKUS}})
    assert catalogue(rest) == read_skus(SKUS)
    [(_, path, query)] = rest.asked
    assert path == "services/6F81-5844-456A/skus"
    assert (query["currencyCode"], query["pageSize"]) == ("USD", "5000")


def test_disk_and_address_are_paid_beside() -> None:
    assert disk_usd_per_month(100) == pytest.approx(10.0)
    assert beside_usd_per_hour(100) == round(10 / 730 + 0.005, 6)
