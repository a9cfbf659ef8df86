"""The command line is killed with SIGKILL before and after every call of the API, and whoever comes next puts it right.

Each case is a real process, killed for real by the pretend cloud while its nth call is on the line. Afterwards a person looks,
types the same verb again or not, and sweeps. There must never have been two machines, nor one without a deadline, and at the
end nothing is left: no machine, group, disk, schedule or role in the cloud, no keys on this computer, no order in the ledger
whose outcome nobody will ever know.

By default the calls that change something are killed; CLOUDTRAIN_KILL_MATRIX=all kills every call at both moments.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from cloudtrain import machines
from cloudtrain.model.errors import NotFoundError
from cloudtrain.testing.playground.faults import When

from .conftest import DAY_S, LATER_S, Person, World
from .killing import Typed

WHOLE = os.environ.get("CLOUDTRAIN_KILL_MATRIX") == "all"
READS = ("Describe", "Get", "List")


@dataclass(frozen=True)
class Verb:
    """A verb that is killed.

    Attributes:
        prepare: brings about what it needs.
        words: what is typed.
        again: the same, done here.
    """

    prepare: Callable[[Person, World], object]
    words: tuple[str, ...]
    again: Callable[[Person], object]


def nothing(person: Person, world: World) -> None:
    """Prepare nothing."""


def started(person: Person, world: World) -> None:
    person.start()
    assert len(world.alive()) == 1


def stopped(person: Person, world: World) -> None:
    started(person, world)
    stop(person)


def littered(person: Person, world: World) -> None:
    """Have a machine, and what a launch left that was killed."""
    world.kill_at(14, When.AFTER, lambda: person.begin("start", "aws-g4dn", "--no-wait"))
    started(person, world)
    assert len(world.remains()["groups"]) == 2


def stop(person: Person) -> None:
    with person.tools(LATER_S) as tools:
        machines.stop("aws-t3", tools)


def resize(person: Person) -> None:
    with person.tools(LATER_S) as tools:
        machines.resize("aws-t3", "t3.xlarge", tools)


def terminate(person: Person) -> None:
    with person.tools(LATER_S) as tools:
        machines.terminate("aws-t3", tools)


VERBS = {
    "start": Verb(nothing, ("start", "aws-t3", "--no-wait"), lambda person: person.start(ahead_s=LATER_S)),
    "start again": Verb(stopped, ("start", "aws-t3", "--no-wait"), lambda person: person.start(ahead_s=LATER_S)),
    "stop": Verb(started, ("stop", "aws-t3"), stop),
    "resize": Verb(started, ("resize", "aws-t3", "t3.xlarge", "--yes"), resize),
    "terminate": Verb(started, ("terminate", "aws-t3", "--yes"), terminate),
    "sweep": Verb(littered, ("sweep", "--yes"), lambda person: person.sweep()),
}


@dataclass
class Matrix:
    """The cases of one verb."""

    name: str
    verb: Verb
    world: World
    calls: list[str] = field(default_factory=list)
    cases: int = 0
    survivors: list[str] = field(default_factory=list)

    def person(self) -> Person:
        self.cases += 1
        person = self.world.person("alice", f"{self.name.replace(' ', '-')}-{self.cases}")
        self.verb.prepare(person, self.world)
        return person

    def count(self) -> None:
        """Let the verb run to its end, and note its calls."""
        person = self.person()
        self.world.aws.forget_calls()
        person.type(*self.verb.words)
        self.calls = [call.name for call in self.world.aws.calls()]
        self.look_after(person, "not killed")

    def points(self) -> Iterator[tuple[int, When, bool]]:
        """Return what to kill: the number of the call, the moment, and whether the verb is typed again afterwards.

        A call that changes nothing is the same before and after it; one that does is tried in every way. By default what was
        killed before a change is left out where it is what was killed after the change before it.
        """
        for nth, call in enumerate(self.calls, 1):
            writes = not call.partition(":")[2].startswith(READS)
            for when in When:
                if writes and (WHOLE or self.name == "start" or when is When.AFTER):
                    yield nth, when, True
                if writes and (WHOLE or self.name == "start"):
                    yield nth, when, False
                if WHOLE and not writes:
                    yield nth, when, when is When.AFTER

    def kill(self, nth: int, when: When, *, again: bool) -> None:
        """Kill the verb once and see that it is put right."""
        person = self.person()
        victim = self.world.kill_at(nth, when, lambda: person.begin(*self.verb.words))
        asked = self.world.aws.calls()
        case = f"{self.name}, killed {when.value} call {nth} ({asked[nth - 1].name if len(asked) >= nth else 'none'})"
        if victim.status != -signal.SIGKILL:
            self.survivors.append(f"{case}: it was not killed, it ended with {victim.status}: {victim.stderr[-500:]}")
        self.look_after(person, case, again=again)

    def look_after(self, person: Person, case: str, *, again: bool = False) -> None:
        """Do what a person does after that, and write down what is left all the same."""
        try:
            if again:
                self._again(person)
            person.status()
            person.sweep()
            if person.open_orders():
                person.status(DAY_S)
        except Exception as error:
            self.survivors.append(f"{case}: {type(error).__name__}: {error}")
        wrong = self.world.wrongs()
        left = {**self.world.remains(), "keys": person.keys(), "orders": person.open_orders()}
        if any(left.values()) or wrong:
            self.survivors.append(f"{case}: { ({kind: names for kind, names in left.items() if names}) } {wrong}")
            self._start_afresh()

    def _again(self, person: Person) -> None:
        with suppress(NotFoundError):  # a machine that is gone has nothing to stop
            self.verb.again(person)
        if len(self.world.alive()) > 1:
            self.survivors.append(f"{self.name}: two machines: {self.world.alive()}")

    def _start_afresh(self) -> None:
        """Let one failure not look like many."""
        for machine in self.world.aws.machines():
            self.world.clients.ec2(machine.region).terminate_instances(InstanceIds=[machine.id])
        self.world.aws.advance(10)
        self.world.hypervisor.unarmed.clear()


@pytest.mark.parametrize("name", VERBS)
def test_killed_there_the_next_command_puts_it_right(world: World, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    matrix, began = Matrix(name, VERBS[name], world), time.monotonic()
    matrix.count()
    for nth, when, again in list(matrix.points()):
        matrix.kill(nth, when, again=again)
    changes = sum(not call.partition(":")[2].startswith(READS) for call in matrix.calls)
    with capsys.disabled():
        print(
            f"\n{name}: {len(matrix.calls)} calls, {changes} of them change something; {matrix.cases - 1} cases in "
            f"{time.monotonic() - began:.0f} s, {len(matrix.survivors)} survivors"
        )
    assert not matrix.survivors, "\n".join(matrix.survivors)


JOB = "name: thing\ncommand: mkdir -p results && echo done > results/out\nframework: none\noutputs: [results/]\n"
REAL_TIME = -1.0
MONEY = ("ec2:RunInstances", "ec2:TerminateInstances")
"""Where the meter starts and stops."""


@dataclass
class Training:
    """A run that is killed, on a real host."""

    world: World
    cases: int = 0

    def person(self) -> Person:
        self.cases += 1
        person = self.world.person("alice", f"train-{self.cases}")
        (person.folder / "cloudtrain.yaml").write_text(JOB)
        return person

    def train(self, person: Person) -> Typed:
        return person.begin("train", "aws-t3", "--yes", ahead_s=REAL_TIME)

    def kill(self, nth: int, when: When) -> str:
        """Kill a run at a call, take it up again, sweep; return what is wrong then, "" for nothing."""
        person = self.person()
        victim = self.world.kill_at(nth, when, lambda: self.train(person))
        asked = self.world.aws.calls()
        case = f"killed {when.value} call {nth} ({asked[nth - 1].name if len(asked) >= nth else 'none'})"
        killed = victim.status == -signal.SIGKILL
        person.status(0.0)
        with person.tools() as tools:
            runs = tools.ledger.open_runs()
        taken_up = "no run"
        if runs:
            again = person.begin("attach", "--yes", ahead_s=REAL_TIME).wait()
            taken_up = f"attach {again.status}: {again.stderr[-300:]}"
        seen = [machine.id for machine in self.world.aws.machines()]
        person.sweep()
        if person.open_orders():
            person.status(DAY_S)
        left = {**self.world.remains(), "keys": person.keys(), "orders": person.open_orders(), "wrong": self.world.wrongs()}
        with person.tools() as tools:
            machines_of_runs = [len(run.instances) for run in tools.ledger.runs()]
            still_open = [run.id for run in tools.ledger.open_runs()]
        self.world.aws.advance(3700)  # EC2 forgets the machines of this case
        is_right = killed and not any(left.values()) and max(machines_of_runs, default=0) <= 1 and not still_open
        return "" if is_right else f"{case}, killed={killed}, {taken_up}, {seen}, {left}, open: {still_open}"


def test_a_run_that_is_killed_is_taken_up_and_leaves_nothing(world_of_hosts: World, capsys: pytest.CaptureFixture[str]) -> None:
    world, training, began = world_of_hosts, Training(world_of_hosts), time.monotonic()
    person = training.person()
    world.aws.forget_calls()
    clean = training.train(person).wait()
    assert clean.status == 0, clean.stderr
    calls = [call.name for call in world.aws.calls()]
    person.sweep()
    survivors = []
    for nth, call in enumerate(calls, 1):
        for when in When:
            if WHOLE or (call in MONEY and when is When.AFTER):
                survivors.append(training.kill(nth, when))
    survivors = [survivor for survivor in survivors if survivor]
    with capsys.disabled():
        print(
            f"\ntrain: {len(calls)} calls; {training.cases - 1} cases in {time.monotonic() - began:.0f} s, "
            f"{len(survivors)} survivors"
        )
    assert not survivors, "\n".join(survivors)


def test_an_extension_that_is_killed_leaves_a_deadline_and_is_done_the_next_time(
    world_of_hosts: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world, person, began = world_of_hosts, world_of_hosts.person(), time.monotonic()
    begun = person.begin("start", "aws-t3", ahead_s=REAL_TIME).wait()
    assert begun.status == 0, begun.stderr

    def extend() -> Typed:
        return person.begin("extend", "aws-t3", "--for", "10m", ahead_s=REAL_TIME)

    def deadline() -> datetime:
        (machine,) = person.status(0.0).machines
        assert machine.instance.deadline is not None
        return machine.instance.deadline

    world.aws.forget_calls()
    clean = extend().wait()
    assert clean.status == 0, clean.stderr
    calls = [call.name for call in world.aws.calls()]
    points = [
        (n, when) for n, call in enumerate(calls, 1) for when in When if WHOLE or not call.split(":")[1].startswith(READS)
    ]
    for nth, when in points:
        before = deadline()
        assert world.kill_at(nth, when, extend).status == -signal.SIGKILL
        killed = deadline()
        assert before <= killed <= before + timedelta(minutes=10)
        again = extend().wait()
        assert again.status == 0, again.stderr
        assert deadline() == killed + timedelta(minutes=10)
        assert world.wrongs() == []
    person.sweep()
    assert (world.remains(), person.keys(), person.open_orders()) == ({}, [], [])
    with capsys.disabled():
        print(f"\nextend: {len(calls)} calls; {len(points)} cases in {time.monotonic() - began:.0f} s, 0 survivors")
