"""The configs that come with cloudtrain: each loads, is described, and names what exists."""

from pathlib import Path

import pytest

from cloudtrain.config.assets import asset_folder
from cloudtrain.config.machine import list_machines, load_machine
from cloudtrain.model.spec import MachineSpec, Market, Resources
from cloudtrain.prices.table import rows
from cloudtrain.providers.gcp.tpu_types import ends_itself, tpu_offers
from cloudtrain.providers.registry import provider_names

TPU = ("TPU", 0, 0)
"""The price table has no TPUs: the adapter knows them."""

# name: (GPU, how many, GiB each) as the price table writes them; None where there is none to look up.
GPUS = {
    "aws-p2": ("K80", 1, 12),
    "aws-p3": ("V100", 1, 16),
    "aws-p4d": ("A100", 8, 40),
    "aws-p5": ("H100", 1, 80),
    "aws-g4dn": ("T4", 1, 16),
    "aws-g5": ("A10G", 1, 24),
    "aws-g6": ("L4", 1, 24),
    "aws-t3": None,
    "azure-t4": ("T4", 1, 16),
    "azure-a10": ("A10", 1, 24),
    "azure-a100": ("A100", 1, 80),
    "azure-h100": ("H100NVL", 1, 94),
    "azure-b2s": None,
    "gcp-t4": ("T4", 1, 16),
    "gcp-l4": ("L4", 1, 24),
    "gcp-a100": ("A100", 1, 40),
    "gcp-h100": ("H100", 8, 80),
    "gcp-e2": None,
    "gcp-tpu-v5e": TPU,
    "gcp-tpu-v6e": TPU,
    "local": None,
    "memory": None,
}


@pytest.fixture(params=GPUS)
def machine(request: pytest.FixtureRequest) -> MachineSpec:
    return load_machine(request.param, folders=[asset_folder("configs")])


def test_all_of_them_and_no_others() -> None:
    machines, errors = list_machines(folders=[asset_folder("configs")])
    assert errors == []
    assert sorted(machine.name for machine in machines) == sorted(GPUS)
    assert {path.suffix for path in asset_folder("configs").iterdir()} == {".yaml"}


def test_each_says_first_what_it_is(machine: MachineSpec) -> None:
    lines = Path(machine.origin).read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"description: {machine.description}"
    assert len(machine.description) > 10
    assert lines[1].startswith("# ")


def test_each_buys_on_demand_from_a_provider_there_is(machine: MachineSpec) -> None:
    assert machine.market is Market.ON_DEMAND
    assert machine.provider in provider_names()
    assert machine.name.partition("-")[0] == machine.provider


def test_each_type_has_a_price_in_each_region_and_the_gpus_it_promises(machine: MachineSpec) -> None:
    wanted = GPUS[machine.name]
    if wanted in (None, TPU):
        return
    table = {(offer.instance_type, offer.region): offer for offer in rows(machine.provider) if offer.market is machine.market}
    for instance_type in machine.instance_types:
        for region in machine.regions:
            offer = table[instance_type, region]
            assert offer.usd_per_hour
            assert (offer.gpu, offer.gpu_count, offer.gpu_memory_gib) == wanted
    assert machine.regions
    assert f"{wanted[2]} GiB" in machine.description
    assert machine.description.startswith("Eight " if wanted[1] == 8 else "One ")


def test_those_with_a_tpu_name_what_ends_itself_and_has_a_price(machine: MachineSpec) -> None:
    if GPUS[machine.name] is not TPU:
        return
    assert machine.market is Market.ON_DEMAND
    offers = [offer for offer in tpu_offers(machine, Resources()) if offer.named_by(machine)]
    renting_itself_out = [each for each in offers if ends_itself(each.instance_type, each.zone, each.market)]
    assert {each.region for each in renting_itself_out} == set(machine.regions)
    assert all(each.usd_per_hour for each in renting_itself_out)
    assert f"one chip ({offers[0].gpu_memory_gib:g} GiB)" in machine.description


def test_those_without_a_gpu_say_so(machine: MachineSpec) -> None:
    if GPUS[machine.name] is None and machine.instance_types:
        assert "without a GPU" in machine.description
        assert machine.regions
