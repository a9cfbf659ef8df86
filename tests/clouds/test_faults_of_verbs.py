"""Every answer that AWS may give instead of the one hoped for, on every call of the verbs that end, change or show what exists.

A verb that fails while its machine is on the meter, and was not before or was to be off it, says so (exit code 70); none says
that it succeeded when it did not; the next time it is done. A look that is refused is never an empty one.

By default a moment's trouble and one refusal meet each call; CLOUDTRAIN_FAULT_MATRIX=all lets each code of the table and each
trouble meet each call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from cloudtrain import machines
from cloudtrain.config.machine import load_machine
from cloudtrain.journey import Tools
from cloudtrain.model.errors import CloudtrainError, ExitCode, InstanceNotFoundError, NotFoundError, PermissionDeniedError
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import Budget
from cloudtrain.providers.aws.translate import MEANINGS
from cloudtrain.whereabouts import existing

from .conftest import LATER_S, Person, World
from .test_faults import MOMENTS, UNKNOWN, WHOLE, alice, put_right

__all__ = ["alice"]  # a fixture

CODES = (*MEANINGS, UNKNOWN) if WHOLE else ("Unavailable",)
TROUBLES = tuple(MOMENTS) if WHOLE else ("reset after",)


def start_again(tools: Tools) -> None:
    machines.start(load_machine("aws-t3"), tools, budget=Budget(), wait=False)


def extend(tools: Tools) -> None:
    """Move the machine's deadline in the cloud by an hour: the machine is only written down, and cannot be told."""
    _, instance, provider = existing("aws-t3", tools)
    assert instance.deadline is not None
    lease = Lease(instance.deadline + timedelta(hours=1), 0.1)
    provider.extend(instance.ref, lease)
    assert provider.get(instance.ref).deadline == lease.deadline


@dataclass(frozen=True)
class Verb:
    """A verb on a machine that exists.

    Attributes:
        calls: all that it calls, each once.
        goal: what the machine is when the verb has done what it says.
        begins_off: whether the machine is switched off at first.
    """

    act: Callable[[Tools], object]
    calls: tuple[str, ...]
    goal: tuple[str, ...]
    begins_off: bool = False


LOOK = "ec2:DescribeInstances"
VERBS = {
    "stop": Verb(
        lambda tools: machines.stop("aws-t3", tools), (LOOK, "scheduler:DeleteSchedule", "ec2:StopInstances"), ("stopped",)
    ),
    "terminate": Verb(
        lambda tools: machines.terminate("aws-t3", tools),
        (LOOK, "ec2:TerminateInstances", "scheduler:DeleteSchedule", "ec2:DescribeSecurityGroups", "ec2:DeleteSecurityGroup"),
        ("terminated",),
    ),
    "extend": Verb(
        extend,
        (LOOK, "scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:GetSchedule", "ec2:CreateTags"),
        ("running",),
    ),
    "resize": Verb(
        lambda tools: machines.resize("aws-t3", "t3.xlarge", tools),
        (
            LOOK,
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInstanceTypeOfferings",
            "pricing:GetProducts",
            "scheduler:DeleteSchedule",
            "ec2:StopInstances",
            "ec2:ModifyInstanceAttribute",
            "ec2:CreateTags",
        ),
        ("stopped",),
    ),
    "start again": Verb(
        start_again,
        (
            LOOK,
            "ec2:DescribeSecurityGroups",
            "ec2:ModifyInstanceAttribute",
            "scheduler:CreateSchedule",
            "scheduler:GetSchedule",
            "ec2:CreateTags",
            "ec2:StartInstances",
        ),
        ("pending", "running"),
        begins_off=True,
    ),
}
CASES = [(verb, call) for verb, each in VERBS.items() for call in each.calls]
LOOKS = (LOOK, "ec2:DescribeVolumes", "ec2:DescribeSecurityGroups", "scheduler:ListSchedules", "iam:ListRoles")


def ready(person: Person, verb: Verb) -> None:
    """Have a machine as the verb finds it."""
    person.start()
    person.status()
    if verb.begins_off:
        with person.tools(LATER_S) as tools:
            machines.stop("aws-t3", tools)


def tried(person: Person, verb: Verb) -> CloudtrainError | None:
    with person.tools(2 * LATER_S) as tools:
        try:
            verb.act(tools)
        except CloudtrainError as error:
            return error
    return None


def the_state(world: World) -> str:
    return world.aws.machines()[-1].state


def done_and_put_right(world: World, person: Person, verb: Verb, case: str) -> None:
    """See that the verb is done now, and that a sweep ends the rest."""
    world.aws.faults.clear()
    assert isinstance(tried(person, verb), NotFoundError | None), case
    assert the_state(world) in verb.goal, case
    put_right(world, person, case, None if world.alive() else InstanceNotFoundError("gone"))


@pytest.mark.parametrize("verb", VERBS)
def test_the_calls_of_a_verb_are_those_that_are_tried(world: World, alice: Person, verb: str) -> None:
    ready(alice, VERBS[verb])
    world.aws.forget_calls()
    assert tried(alice, VERBS[verb]) is None
    assert {call.name for call in world.aws.calls()} == set(VERBS[verb].calls)


@pytest.mark.parametrize(("name", "call"), CASES)
def test_a_verb_gets_over_trouble_of_the_moment(world: World, alice: Person, name: str, call: str) -> None:
    verb, (service, _, action) = VERBS[name], call.partition(":")
    for trouble in TROUBLES:
        case = f"{name}, {call} {trouble}"
        ready(alice, verb)
        world.aws.faults.add(service, action, **MOMENTS[trouble])
        assert tried(alice, verb) is None, case
        assert the_state(world) in verb.goal, case
        done_and_put_right(world, alice, verb, case)


@pytest.mark.parametrize(("name", "call"), CASES)
def test_a_verb_that_is_refused_for_good_says_so_and_is_done_the_next_time(
    world: World, alice: Person, name: str, call: str
) -> None:
    verb, (service, _, action) = VERBS[name], call.partition(":")
    begun = ("stopped",) if verb.begins_off else ("running",)
    for fault in [*({"code": code} for code in CODES), {"reset": True}, {"reset": True, "after": True}]:
        case = f"{name}, {call} {fault}"
        if not world.alive():
            ready(alice, verb)
        world.aws.faults.add(service, action, times=None, **fault)
        error, state = tried(alice, verb), the_state(world)
        world.aws.faults.clear()
        says_what_is_so(error, state, name, call, case)
        if state not in begun:  # else the next fault meets the same machine
            done_and_put_right(world, alice, verb, case)
    if world.alive():
        done_and_put_right(world, alice, verb, f"{name}, {call}")


def says_what_is_so(error: CloudtrainError | None, state: str, name: str, call: str, case: str) -> None:
    if error is None:
        assert state in VERBS[name].goal, case
        return
    assert error.message, case
    assert error.exit_code in (ExitCode.BAD_INPUT, ExitCode.NOTHING_SPENT, ExitCode.MAY_STILL_BILL), (case, error)
    if state in ("pending", "running") and name in ("stop", "terminate", "start again") and call != LOOK:
        assert error.exit_code is ExitCode.MAY_STILL_BILL, (case, error)
        assert "cloudtrain " in error.hint, (case, error)


@pytest.mark.parametrize("call", LOOKS)
def test_a_look_that_is_refused_is_never_an_empty_one(world: World, alice: Person, call: str) -> None:
    ready(alice, VERBS["stop"])
    service, _, action = call.partition(":")
    for fault in [*({"code": code} for code in (*CODES, UNKNOWN)), {"reset": True}]:
        world.aws.faults.add(service, action, times=None, **fault)
        status = alice.status()
        world.aws.faults.clear()
        # Who may not list roles has none made, and the rest of the look counts.
        may_pass = call == "iam:ListRoles" and "code" in fault and is_denial(str(fault["code"]))
        assert [finding.subject for finding in status.silent] == ([] if may_pass else ["aws"]), fault
        assert [machine.name for machine in status.machines] == ["aws-t3"], fault
        assert len(alice.status().machines) == 1, fault
    assert [finding.subject for finding in alice.status().silent] == []


def is_denial(code: str) -> bool:
    return code in MEANINGS and MEANINGS[code].kind is PermissionDeniedError


@pytest.mark.parametrize("call", LOOKS)
def test_a_look_gets_over_trouble_of_the_moment(world: World, alice: Person, call: str) -> None:
    ready(alice, VERBS["stop"])
    service, _, action = call.partition(":")
    for trouble in TROUBLES:
        world.aws.faults.add(service, action, **MOMENTS[trouble])
        status = alice.status()
        assert (len(status.machines), status.silent) == (1, ()), trouble
