"""Every answer that a cloud may give instead of the one hoped for, on every call of the verbs that end, change or show what
exists.

A verb that fails while its machine is on the meter, and was not before or was to be off it, says so (exit code 70); none says
that it succeeded when it did not; the next time it is done. A look that is refused is never an empty one.

By default a moment's trouble and one refusal meet each call; CLOUDTRAIN_FAULT_MATRIX=all lets each code of the table and each
trouble meet each call.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cloudtrain import machines
from cloudtrain.config.machine import load_machine
from cloudtrain.journey import Tools
from cloudtrain.model.errors import CloudtrainError, ExitCode, InstanceNotFoundError, NotFoundError, PermissionDeniedError
from cloudtrain.model.instance import InstanceState
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import Budget
from cloudtrain.whereabouts import existing

from .faulted import FAULTED
from .person import LATER_S, Person
from .test_faults import UNKNOWN, WHOLE, alice, put_right
from .world import World

__all__ = ["alice"]  # a fixture


def codes(world: World) -> tuple[str, ...]:
    return (*world.faulted.meanings, UNKNOWN) if WHOLE else (world.faulted.busy,)


def troubles(world: World) -> tuple[str, ...]:
    return tuple(world.faulted.moments) if WHOLE else ("reset after",)


def start_again(person: Person, tools: Tools) -> None:
    machines.start(load_machine(person.pretend.machine), tools, budget=Budget(), wait=False)


def extend(person: Person, tools: Tools) -> None:
    """Move the machine's deadline in the cloud: the machine is only written down, and cannot be told."""
    _, instance, provider = existing(person.pretend.machine, tools)
    assert instance.deadline is not None
    lease = Lease(instance.deadline + FAULTED[person.pretend.name].moved_by, 0.1)
    provider.extend(instance.ref, lease)
    assert provider.get(instance.ref).deadline == lease.deadline


@dataclass(frozen=True)
class Verb:
    """A verb on a machine that exists; its calls are in the cloud's `Faulted`.

    Attributes:
        goal: what the machine is when the verb has done what it says.
        begins_off: whether the machine is switched off at first.
    """

    act: Callable[[Person, Tools], object]
    goal: str
    begins_off: bool = False


VERBS = {
    "stop": Verb(lambda person, tools: machines.stop(person.pretend.machine, tools), "off"),
    "terminate": Verb(lambda person, tools: machines.terminate(person.pretend.machine, tools), "gone"),
    "extend": Verb(extend, "on"),
    "resize": Verb(lambda person, tools: machines.resize(person.pretend.machine, person.pretend.other_type, tools), "off"),
    "start again": Verb(start_again, "on", begins_off=True),
}
of_every_call = pytest.mark.parametrize(
    ("world", "name", "call"),
    [(cloud, name, call) for cloud, faulted in FAULTED.items() for name in VERBS for call in faulted.verbs[name]],
    indirect=["world"],
)
of_every_look = pytest.mark.parametrize(
    ("world", "call"), [(cloud, call) for cloud, faulted in FAULTED.items() for call in faulted.looks], indirect=["world"]
)


def ready(person: Person, verb: Verb) -> None:
    """Have a machine as the verb finds it."""
    person.start()
    person.status()
    if verb.begins_off:
        with person.tools(LATER_S) as tools:
            machines.stop(person.pretend.machine, tools)


def tried(person: Person, verb: Verb) -> CloudtrainError | None:
    with person.tools(2 * LATER_S) as tools:
        try:
            verb.act(person, tools)
        except CloudtrainError as error:
            return error
    return None


def the_state(world: World) -> str:
    world.pretend.settle()
    return world.pretend.state()


def done_and_put_right(world: World, person: Person, verb: Verb, case: str) -> None:
    """See that the verb is done now, and that a sweep ends the rest."""
    world.pretend.cloud.faults.clear()
    assert isinstance(tried(person, verb), NotFoundError | None), case
    assert the_state(world) == verb.goal, case
    put_right(world, person, case, None if world.alive() else InstanceNotFoundError("gone"))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("world", FAULTED, indirect=True)
def test_the_calls_of_a_verb_are_those_that_are_tried(world: World, alice: Person, verb: str) -> None:
    ready(alice, VERBS[verb])
    world.pretend.cloud.forget_calls()
    assert tried(alice, VERBS[verb]) is None
    assert {call.name for call in world.pretend.cloud.calls()} == set(world.faulted.verbs[verb])


@of_every_call
def test_a_verb_gets_over_trouble_of_the_moment(world: World, alice: Person, name: str, call: str) -> None:
    verb = VERBS[name]
    for trouble in troubles(world):
        case = f"{name}, {call} {trouble}"
        ready(alice, verb)
        world.fail(call, **world.faulted.moments[trouble])
        assert tried(alice, verb) is None, case
        assert the_state(world) == verb.goal, case
        done_and_put_right(world, alice, verb, case)


@of_every_call
def test_a_verb_that_is_refused_for_good_says_so_and_is_done_the_next_time(
    world: World, alice: Person, name: str, call: str
) -> None:
    verb = VERBS[name]
    begun = "off" if verb.begins_off else "on"
    for fault in [*({"code": code} for code in codes(world)), {"reset": True}, {"reset": True, "after": True}]:
        case = f"{name}, {call} {fault}"
        if not world.alive():
            ready(alice, verb)
        world.fail(call, times=None, **fault)
        error, state = tried(alice, verb), the_state(world)
        world.pretend.cloud.faults.clear()
        says_what_is_so(error, state, name, case, is_look=call in world.faulted.found_by)
        if state != begun:  # else the next fault meets the same machine
            done_and_put_right(world, alice, verb, case)
    if world.alive():
        done_and_put_right(world, alice, verb, f"{name}, {call}")


def says_what_is_so(error: CloudtrainError | None, state: str, name: str, case: str, *, is_look: bool) -> None:
    if error is None:
        assert state == VERBS[name].goal, case
        return
    assert error.message, case
    assert error.exit_code in (ExitCode.BAD_INPUT, ExitCode.NOTHING_SPENT, ExitCode.MAY_STILL_BILL), (case, error)
    if state == "on" and name in ("stop", "terminate", "start again") and not is_look:
        assert error.exit_code is ExitCode.MAY_STILL_BILL, (case, error)
        assert "cloudtrain " in error.hint, (case, error)


@pytest.mark.parametrize("world", FAULTED, indirect=True)
def test_one_answer_that_knows_no_such_machine_is_not_believed(world: World, alice: Person) -> None:
    ready(alice, VERBS["terminate"])
    with alice.tools(LATER_S) as tools:
        _, instance, provider = existing(world.pretend.machine, tools)
        world.fail(world.faulted.found_by[0], code=world.faulted.gone)
        assert provider.get(instance.ref).state is InstanceState.RUNNING
        world.fail(world.faulted.found_by[0], code=world.faulted.gone)
        machines.terminate(world.pretend.machine, tools)
    assert the_state(world) == "gone"


@of_every_look
def test_a_look_that_is_refused_is_never_an_empty_one(world: World, alice: Person, call: str) -> None:
    ready(alice, VERBS["stop"])
    for fault in [*({"code": code} for code in (*codes(world), UNKNOWN)), {"reset": True}]:
        world.fail(call, times=None, **fault)
        status = alice.status()
        world.pretend.cloud.faults.clear()
        # Who may not list roles has none made, and the rest of the look counts.
        may_pass = call == "iam:ListRoles" and "code" in fault and is_denial(world, str(fault["code"]))
        assert [finding.subject for finding in status.silent] == ([] if may_pass else [world.pretend.name]), fault
        assert [machine.name for machine in status.machines] == [world.pretend.machine], fault
        assert len(alice.status().machines) == 1, fault
    assert [finding.subject for finding in alice.status().silent] == []


def is_denial(world: World, code: str) -> bool:
    meanings = world.faulted.meanings
    return code in meanings and meanings[code].kind is PermissionDeniedError


@of_every_look
def test_a_look_gets_over_trouble_of_the_moment(world: World, alice: Person, call: str) -> None:
    ready(alice, VERBS["stop"])
    for trouble in troubles(world):
        world.fail(call, **world.faulted.moments[trouble])
        status = alice.status()
        assert (len(status.machines), status.silent) == (1, ()), trouble
