"""Every answer that a cloud may give instead of the one hoped for, on every call: the verb gets there, or says what it means.

A verb that fails says whether something may bill (exit code 70), a machine was made and ended again (4) or nothing was spent
(3). Unless it is 70 no machine lives; whatever else is left is listed by the next look, and gone after the next sweep.

The product's own pauses move a clock instead of waiting (`AheadClock`), and botocore's are patched away by the fixture `world`.
By default one code of each meaning meets the call that rents, and three codes every other one; CLOUDTRAIN_FAULT_MATRIX=all lets
each code of the table meet each call. What the calls and the codes are, each cloud's `Faulted` says.
"""

import os
from typing import Any

import pytest

from cloudtrain.config.machine import load_machine
from cloudtrain.journey import Tools
from cloudtrain.model.errors import CloudtrainError, ExitCode
from cloudtrain.model.instance import InstanceState
from cloudtrain.model.plan import Plan
from cloudtrain.providers.aws import translate as aws
from cloudtrain.providers.azure import translate as azure
from cloudtrain.providers.gcp import translate as gcp
from cloudtrain.stages.plan import make_plan
from cloudtrain.stages.provision import Buyer, launch_first, provision

from .faulted import FAULTED
from .person import Person
from .world import DAY_S, World

WHOLE = os.environ.get("CLOUDTRAIN_FAULT_MATRIX") == "all"
UNKNOWN = "BrandNewTrouble"
LAUNCH_CODES = (ExitCode.NOTHING_SPENT, ExitCode.SPENT_NOTHING_BILLS, ExitCode.MAY_STILL_BILL)
CASES = [(cloud, call) for cloud, faulted in FAULTED.items() for call in faulted.launch]
of_every_launch = pytest.mark.parametrize(("world", "call"), CASES, indirect=["world"])


def codes_for(world: World, call: str) -> tuple[str, ...]:
    """Return the codes that a call meets."""
    meanings = world.faulted.meanings
    if WHOLE:
        return (*meanings, UNKNOWN)
    if call != world.pretend.renting:
        return (world.faulted.denial, world.faulted.busy, UNKNOWN)
    return (*{meaning: code for code, meaning in reversed(meanings.items())}.values(), UNKNOWN)


@pytest.fixture
def alice(world: World, monkeypatch: pytest.MonkeyPatch) -> Person:
    # Here whoever ordered and whoever looks are one process; in life the command that failed has ended by then.
    monkeypatch.setattr("cloudtrain.overview.is_alive", lambda holder: False)
    return world.person()


@pytest.fixture
def the_plan(alice: Person) -> Plan:
    """Return a plan of one offer, so that no other one hides what became of it."""
    with alice.tools() as tools:
        machine = load_machine(alice.pretend.machine)
        whole = make_plan(machine, tools.open_provider(machine), tools.clock.now())
    return Plan(machine, whole.attempts[:1])


def buyer(tools: Tools) -> Buyer:
    return Buyer(tools.ledger, tools.clock, tools.tell, tools.owner, "", tools.vet, lambda instance, offer: None)


def launched(person: Person, plan: Plan) -> CloudtrainError | None:
    """Launch; return how it failed, or None."""
    with person.tools() as tools:
        try:
            launch_first(plan, tools.open_provider(plan.machine), buyer(tools))  # type: ignore[arg-type]
        except CloudtrainError as error:
            return error
    return None


def put_right(world: World, person: Person, case: str, error: CloudtrainError | None) -> None:
    """See that a failed launch left no machine that was not spoken of, that a look lists the rest, and that a sweep ends it."""
    world.pretend.cloud.faults.clear()
    world.pretend.settle()
    if error is None:
        assert len(world.alive()) == 1, case
    else:
        assert error.exit_code in LAUNCH_CODES, (case, error)
        assert error.message, case
        assert world.pretend.state() != "on" or error.exit_code is ExitCode.MAY_STILL_BILL, (case, error)
    status = person.status()
    listed = {machine.instance.ref.id for machine in status.machines} | {leftover.id for leftover in status.leftovers}
    left = world.remains()
    assert not (set(left) - {"machines"} or person.keys()) or listed, (case, left)
    person.sweep()
    if person.open_orders():
        person.status(DAY_S)
    assert (world.remains(), person.keys(), person.open_orders(), world.wrongs()) == ({}, [], [], []), case


@of_every_launch
def test_a_launch_that_is_refused_for_good(world: World, alice: Person, the_plan: Plan, call: str) -> None:
    for code in codes_for(world, call):
        world.fail(call, code=code, times=None)
        error = launched(alice, the_plan)
        is_good_enough = call in world.faulted.spare or code in world.faulted.done.get(call, ())
        assert is_good_enough or error is not None, code
        put_right(world, alice, f"{call} {code}", error)


@of_every_launch
def test_a_launch_gets_over_trouble_of_the_moment(world: World, alice: Person, the_plan: Plan, call: str) -> None:
    for number, (fault, what) in enumerate(world.faulted.moments.items(), 1):
        world.fail(call, **what)
        error = launched(alice, the_plan)
        assert error is None, (fault, error)
        world.pretend.settle()
        # One for each. AWS still shows those before it, and boots when it is looked at; the others show what lives alone.
        assert max(len(world.hypervisor.orders), len(world.pretend.cloud.machines())) == number, fault
        put_right(world, alice, f"{call} {fault}", error)


@of_every_launch
def test_a_launch_whose_line_stays_broken(world: World, alice: Person, the_plan: Plan, call: str) -> None:
    for after in (False, True):
        world.fail(call, reset=True, after=after, times=None)
        put_right(world, alice, f"{call} reset after={after}", launched(alice, the_plan))


def test_a_launch_whose_machine_nobody_can_look_for_says_that_it_may_bill(world: World, alice: Person, the_plan: Plan) -> None:
    world.aws.faults.add("ec2", "RunInstances", reset=True, after=True, times=None)
    world.aws.faults.add("ec2", "DescribeRegions", reset=True, times=None)
    world.clients._enabled = ()
    error = launched(alice, the_plan)
    assert error is not None
    assert error.exit_code is ExitCode.MAY_STILL_BILL
    assert "a machine may have been made" in error.message.lower()
    assert len(world.alive()) == 1
    put_right(world, alice, "nobody can look", error)


def test_a_machine_that_is_not_known_everywhere_yet_is_waited_for(world: World, alice: Person, the_plan: Plan) -> None:
    world.aws.faults.stale_reads = 4
    with alice.tools() as tools:
        ready = provision(the_plan, tools.open_provider(the_plan.machine), buyer(tools))  # type: ignore[arg-type]
    assert ready.instance.state is InstanceState.RUNNING
    assert ready.instance.deadline == ready.lease.deadline.replace(microsecond=0)
    put_right(world, alice, "stale", None)


@pytest.mark.parametrize("table", [aws, azure, gcp])
def test_every_code_of_a_table_says_what_may_help(table: Any) -> None:
    assert len(table.MEANINGS) > 60
    assert {*(meaning.retry for meaning in table.MEANINGS.values()), *SAID_BY_WORDS} == {*table.Retry, *SAID_BY_WORDS}


SAID_BY_WORDS = {gcp.Retry.OTHER_CLOUD}
"""What no code alone says."""
