"""The walk down the plan when a machine is not to be had, as a person sees it."""

import re

import pytest

from .faulted import FAULTED
from .person import Person
from .world import OPENED, World

WALK = """\
provider: {cloud.name}
regions: [{cloud.region}, {cloud.other_region}]
instance_types: [{types}]
market: on-demand
disk_gb: 100
"""
UNKNOWN = "BrandNewTrouble"

on_every_cloud = pytest.mark.parametrize("world", OPENED, indirect=True)


@pytest.fixture
def walker(world: World) -> Person:
    alice = world.person()
    (alice.folder / "configs").mkdir()
    types = ", ".join(world.pretend.gpu_types)
    (alice.folder / "configs" / "walk.yaml").write_text(WALK.format(cloud=world.pretend, types=types))
    world.pretend.cloud.forget_calls()
    return alice


@on_every_cloud
def test_no_capacity_walks_zones_then_types_then_regions_a_line_for_each(world: World, walker: Person) -> None:
    cloud = world.pretend
    world.fail(cloud.renting, code=world.faulted.no_room, times=None)
    typed = walker.type("start", "walk", "--no-wait", codes=(3,))
    tries = cloud.tried()
    assert set(tries) == {(region, name) for region in (cloud.region, cloud.other_region) for name in cloud.gpu_types}
    assert [name for _, name in tries] == sorted((name for _, name in tries), key=cloud.gpu_types.index)  # the preferred first
    said = list(dict.fromkeys(re.findall(r"No capacity: (\S+) in (\S+?):", typed.stderr)))
    assert len(said) == len(tries)
    assert all(name == what and zone.startswith(f"{where}") for (name, zone), (where, what) in zip(said, tries, strict=True))
    assert len({zone for name, zone in said if zone.startswith(cloud.region) and name == cloud.gpu_types[0]}) > 1
    assert typed.stderr.count("trying the next offer") == len(tries)
    assert "nothing was rented" in typed.stderr
    assert (world.remains(), walker.keys(), walker.open_orders()) == ({}, [], [])


@on_every_cloud
def test_the_offer_after_three_that_are_not_to_be_had_is_taken(world: World, walker: Person) -> None:
    world.fail(world.pretend.renting, code=world.faulted.no_room, times=3)
    typed = walker.type("start", "walk", "--no-wait")
    assert typed.stderr.count("trying the next offer") == 3
    assert len(world.pretend.tried()) == 4
    world.pretend.settle()
    assert len(world.alive()) == len(walker.keys()) == 1
    assert world.wrongs() == []
    walker.sweep()
    assert (world.remains(), walker.keys(), walker.open_orders()) == ({}, [], [])


@on_every_cloud
def test_a_quota_that_is_too_small_ends_the_region_and_not_the_walk(world: World, walker: Person) -> None:
    cloud = world.pretend
    cloud.cloud.set_quota(world.faulted.gpu_quota, 0, [cloud.region])
    typed = walker.type("start", "walk", "--no-wait")
    assert [region for region, _ in cloud.tried()] == [cloud.region, cloud.other_region]
    assert typed.stderr.count("Quota:") == 1
    assert len(world.alive()) == 1


FINALS = [(cloud, code) for cloud, faulted in FAULTED.items() for code in (*faulted.finals, UNKNOWN)]


@pytest.mark.parametrize(("world", "code"), FINALS, indirect=["world"])
def test_what_no_other_place_would_cure_stops_at_once(world: World, walker: Person, code: str) -> None:
    world.fail(world.pretend.renting, code=code, times=None)
    typed = walker.type("start", "walk", "--no-wait", codes=(3,))
    assert len(world.pretend.tried()) == 1
    assert code in typed.stderr
    assert (world.remains(), walker.keys(), walker.open_orders()) == ({}, [], [])
