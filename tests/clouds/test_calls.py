"""How often each cloud is asked: no verb makes more calls than it does, none looks faster than the cloud advises."""

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise

import pytest

from cloudtrain import machines
from cloudtrain.config.machine import load_machine
from cloudtrain.model.instance import InstanceState
from cloudtrain.model.spec import Budget
from cloudtrain.providers.waiting import wait_until

from .person import CloudClock, Person
from .world import OPENED, World

on_every_cloud = pytest.mark.parametrize("world", OPENED, indirect=True)

VERBS = {
    "get": ("get", "MACHINE"),
    "start": ("start", "MACHINE", "--no-wait"),
    "status": ("status",),
    "stop": ("stop", "MACHINE"),
    "resize": ("resize", "MACHINE", "TYPE", "--yes"),
    "start again": ("start", "MACHINE", "--no-wait"),
    "terminate": ("terminate", "MACHINE", "--yes"),
    "sweep": ("sweep", "--yes"),
}
"""One after the other: MACHINE and TYPE stand for the cloud's cheap machine, and for another type."""

MOST: Mapping[str, Mapping[str, int]] = {
    "aws": {"get": 12, "start": 17, "status": 19, "stop": 6, "resize": 8, "start again": 8, "terminate": 10, "sweep": 18},
    "gcp": {"get": 7, "start": 13, "status": 8, "stop": 6, "resize": 8, "start again": 10, "terminate": 12, "sweep": 6},
    "azure": {"get": 11, "start": 29, "status": 9, "stop": 15, "resize": 18, "start again": 21, "terminate": 15, "sweep": 5},
}
"""The calls of each verb, tokens for a login included. A machine is believed gone after two looks."""


@on_every_cloud
def test_no_verb_makes_more_calls_than_it_needs(world: World) -> None:
    alice, cloud = world.person(), world.pretend
    made = {}
    for verb, words in VERBS.items():
        cloud.settle()
        cloud.cloud.forget_calls()
        alice.type(*({"MACHINE": cloud.machine, "TYPE": cloud.other_type}.get(word, word) for word in words))
        made[verb] = len(cloud.cloud.calls())
    more = {verb: calls for verb, calls in made.items() if calls > MOST[cloud.name][verb]}
    assert more == {}


A_MACHINE_MORE = {"aws": 0, "gcp": 0, "azure": 0}
"""What a machine more costs a look, in calls: everything is listed, and nothing asked for by itself."""


@on_every_cloud
def test_a_look_at_more_machines_takes_no_more_calls_than_each_of_them_needs(world: World) -> None:
    alice = world.person()
    alice.start()
    assert len(alice.status().machines) == 1  # which may arm a second line of its deadline
    few = looks(alice)
    for name in ("bob", "carol", "dave"):
        world.person(name).start()
    assert len(alice.status().machines) == 4
    assert looks(alice) == few + 3 * A_MACHINE_MORE[world.pretend.name]


def looks(person: Person) -> int:
    person.pretend.cloud.forget_calls()
    person.status()
    return len(person.pretend.cloud.calls())


LASTS_S = 60.0
LOOKS_S = 2.0
"""Between two looks at a machine lie that many seconds, so that one which takes a minute is looked at thirty times at most."""

ADVISED_S = 15.0
"""What Azure's answers say here: Retry-After."""

CALLS_OF_A_LOOK = {"aws": 1, "gcp": 1, "azure": 3}


@on_every_cloud
def test_what_takes_long_is_asked_about_no_faster_than_the_cloud_advises(world: World) -> None:
    at_once, _ = journey(world)
    for name in ("pending", "stopping", "shutting_down", "provisioning", "create", "deallocate", "delete"):
        if hasattr(world.pretend.cloud.durations, name):
            setattr(world.pretend.cloud.durations, name, LASTS_S)
    if world.pretend.name == "azure":
        world.pretend.cloud.durations.retry_after = ADVISED_S
    slowly, waited_s = journey(world)
    assert waited_s >= 2 * LASTS_S
    assert slowly - at_once <= CALLS_OF_A_LOOK[world.pretend.name] * waited_s / LOOKS_S
    assert all(gap >= ADVISED_S for gap in gaps_between_looks_at_operations(world))


def gaps_between_looks_at_operations(world: World) -> list[float]:
    """Return the seconds between two looks at one operation, of a cloud that says in each answer when the next is due."""
    looks: dict[str, list[datetime]] = {}
    for call in world.pretend.cloud.calls():
        if call.name == "Microsoft.Resources:locations/operations/GET":
            looks.setdefault(str(call.parameters), []).append(call.at)
    gaps = [(later - earlier).total_seconds() for at in looks.values() for earlier, later in pairwise(at)]
    assert bool(gaps) == (world.pretend.name == "azure")
    return gaps


def journey(world: World) -> tuple[int, float]:
    """Start, stop and end a machine by the cloud's own clock; return the calls that took, and the seconds that were slept."""
    clock, alice = CloudClock(world.pretend.cloud), world.person()
    world.pretend.cloud.forget_calls()
    with alice.tools(clock=clock) as tools:
        machine = load_machine(world.pretend.machine)
        started = machines.start(machine, tools, budget=Budget(), wait=False)
        wait_until(tools.open_provider(machine), started.ref, (InstanceState.RUNNING,), clock, 2 * LASTS_S)
        machines.stop(machine.name, tools)
        machines.terminate(machine.name, tools)
    return len(world.pretend.cloud.calls()), sum(clock.slept)
