"""Runs that are killed with SIGKILL before and after every call of the API, on real hosts, are taken up and end well.

Beside what `test_killed.py` asks for: whoever takes the run up brings its results home, and no run has ever had two machines.

By default death comes where the meter starts and stops; CLOUDTRAIN_KILL_MATRIX=all kills at every call, at both moments.
"""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

import pytest

from cloudtrain.model.errors import CloudtrainError
from cloudtrain.model.run import Run
from cloudtrain.testing.playground.faults import When

from .killing import HURRIED, Typed
from .person import Person
from .test_killed import WHOLE
from .world import DAY_S, OPENED, World

JOB = "name: thing\ncommand: mkdir -p results && echo done > results/out\nframework: none\noutputs: [results/]\n"
Begin = Callable[[Person], Typed]


def train(person: Person) -> Typed:
    return person.begin("train", person.pretend.machine, "--yes", ahead_s=HURRIED)


def attach(person: Person) -> Typed:
    return person.begin("attach", "--yes", ahead_s=HURRIED)


def detached(person: Person) -> None:
    """Have a job that runs, and nobody who looks after it."""
    typed = person.begin("train", person.pretend.machine, "--yes", "--detach", ahead_s=HURRIED).wait()
    assert typed.status == 0, typed.stderr


@dataclass
class Runs:
    """The runs of one verb, each of somebody who has never rented anything, each killed once.

    Attributes:
        killed: the calls it was killed at.
    """

    name: str
    world: World
    prepare: Callable[[Person], None]
    begin: Begin
    cases: int = 0
    killed: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)

    @property
    def money(self) -> set[str]:
        """Return the calls where the meter starts and stops."""
        return {self.world.pretend.renting, self.world.pretend.ending}

    def person(self) -> Person:
        self.cases += 1
        person = self.world.person("alice", f"{self.name}-{self.cases}")
        (person.folder / "cloudtrain.yaml").write_text(JOB)
        self.prepare(person)
        return person

    def calls(self) -> list[str]:
        """Let the verb run to its end; return its calls."""
        person = self.person()
        self.world.pretend.cloud.forget_calls()
        clean = self.begin(person).wait()
        assert clean.status == 0, clean.stderr
        return [call.name for call in self.world.pretend.cloud.calls()]

    def points(self, calls: list[str]) -> Iterator[tuple[int, When]]:
        """Return where to kill. A machine is not always looked at as often, so the whole ends where the verb does."""
        if not WHOLE:
            yield from ((nth, When.AFTER) for nth, call in enumerate(calls, 1) if call in self.money)
            return
        for nth in count(1):
            for when in When:
                deaths = len(self.killed)
                yield nth, when
                if len(self.killed) == deaths:
                    return

    def kill_at(self, call: str, calls: list[str]) -> None:
        """Kill at a call that came at no number's turn: what is asked side by side is not always asked in the same order."""
        at = calls.index(call) + 1
        for nth in sorted(range(max(1, at - 3), at + 4), key=lambda nth: abs(nth - at)):
            if call not in self.killed:
                self.kill(nth, When.AFTER)

    def kill(self, nth: int, when: When) -> None:
        """Kill the verb at a call, take the run up, sweep, and write down what is wrong then."""
        person = self.person()
        victim = self.world.kill_at(nth, when, lambda: self.begin(person))
        asked = [call.name for call in self.world.pretend.cloud.calls()]
        case = f"{self.name}, killed {when.value} call {nth} of {asked}"
        if victim.status == -signal.SIGKILL:
            self.killed.append(asked[nth - 1])
        elif victim.status:
            self.survivors.append(f"{case}: not killed, it ended with {victim.status}: {victim.stderr[-500:]}")
        try:
            wrong = self._taken_up(person)
        except (AssertionError, CloudtrainError) as error:
            wrong = [f"{type(error).__name__}: {error}"]
        self.survivors.extend(f"{case}: {what}" for what in wrong)

    def _taken_up(self, person: Person) -> list[str]:
        """Do what a person does who finds a command killed; return what is wrong all the same."""
        person.status(0.0)
        wrong = []
        if any(not run.phase.is_over for run in self._runs(person)):
            again = attach(person).wait()
            if again.status:
                wrong.append(f"attach ended with {again.status}: {again.stderr[-500:]}")
        person.sweep()
        if person.open_orders():
            person.status(DAY_S)
        for run in self._runs(person):
            if not run.phase.is_over or run.outcome != "succeeded" or not (run.folder / "results" / "out").is_file():
                wrong.append(f"{run.id} is {run.phase}, {run.outcome}: {run.reason}")
            if len(run.instances) != 1:
                wrong.append(f"{run.id} had the machines {run.instances}")
        left = {**self.world.remains(), "keys": person.keys(), "orders": person.open_orders(), "wrong": self.world.wrongs()}
        self.world.pretend.cloud.advance(10)  # whatever was ending has ended
        return [*wrong, *(f"{kind}: {what}" for kind, what in left.items() if what)]

    def _runs(self, person: Person) -> list[Run]:
        with person.tools() as tools:
            return list(tools.ledger.runs())


@pytest.mark.parametrize("name", ["train", "attach"])
@pytest.mark.parametrize("world_of_hosts", OPENED, indirect=True)
def test_a_run_that_is_killed_is_taken_up_and_leaves_nothing(
    world_of_hosts: World, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare, begin = VERBS[name]
    runs, began = Runs(name, world_of_hosts, prepare, begin), time.monotonic()
    calls = runs.calls()
    for nth, when in runs.points(calls):
        runs.kill(nth, when)
    changes = {call for call in calls if not world_of_hosts.pretend.is_read(call)}
    for call in changes - set(runs.killed) if WHOLE else ():
        runs.kill_at(call, calls)
    with capsys.disabled():
        print(
            f"\n{world_of_hosts.pretend.name}, {name}: {len(calls)} calls; killed {len(runs.killed)} times in "
            f"{time.monotonic() - began:.0f} s, {len(runs.survivors)} survivors"
        )
    assert not runs.survivors, "\n".join(runs.survivors)
    assert set(runs.killed) >= (changes if WHOLE else changes & runs.money)


VERBS: dict[str, tuple[Callable[[Person], None], Begin]] = {
    "train": (lambda person: None, train),
    "attach": (detached, attach),
}


@dataclass
class Extension:
    """A machine that runs, and a deadline that is to be moved by ten minutes."""

    world: World
    person: Person

    @property
    def is_kept(self) -> bool:
        """Say whether the cloud lets no machine that runs live longer."""
        return self.world.faulted.moved_by < timedelta()

    def extend(self) -> Typed:
        return self.person.begin("extend", self.person.pretend.machine, "--for", "10m", ahead_s=HURRIED)

    def seen_through(self) -> None:
        """Extend, and see that it is done, or refused in words that say what to do instead."""
        before, typed = self.deadline(), self.extend().wait()
        if self.is_kept:
            assert typed.status == 3, typed.stderr
            assert f"cloudtrain start {self.person.pretend.machine} --max-lifetime" in typed.stderr
            assert self.deadline() == before
        else:
            assert typed.status == 0, typed.stderr
            assert self.deadline() == before + timedelta(minutes=10)
        assert self.world.wrongs() == []

    def kill(self, nth: int, when: When) -> None:
        """Extend and kill that at a call: there is a deadline all the same, and it is no later than was asked for."""
        before = self.deadline()
        assert self.world.kill_at(nth, when, self.extend).status == -signal.SIGKILL
        assert before <= self.deadline() <= before + (timedelta() if self.is_kept else timedelta(minutes=10))

    def deadline(self) -> datetime:
        (machine,) = self.person.status(0.0).machines
        assert machine.instance.deadline is not None
        return machine.instance.deadline


@pytest.mark.parametrize("world_of_hosts", OPENED, indirect=True)
def test_an_extension_that_is_killed_leaves_a_deadline_and_is_done_the_next_time(
    world_of_hosts: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world, person, began = world_of_hosts, world_of_hosts.person("alice", "extend"), time.monotonic()
    begun = person.begin("start", person.pretend.machine, ahead_s=HURRIED).wait()
    assert begun.status == 0, begun.stderr
    extension = Extension(world, person)
    extension.seen_through()
    world.pretend.cloud.forget_calls()
    extension.extend().wait()
    calls = [call.name for call in world.pretend.cloud.calls()]
    points = [
        (n, when)
        for n, call in enumerate(calls, 1)
        for when in When
        if WHOLE or (when is When.AFTER and not world.pretend.is_read(call))
    ]
    assert points
    for nth, when in points:
        extension.kill(nth, when)
        extension.seen_through()
    person.sweep()
    assert (world.remains(), person.keys(), person.open_orders()) == ({}, [], [])
    with capsys.disabled():
        print(f"\n{world.pretend.name}, extend: {len(calls)} calls; {len(points)} cases in {time.monotonic() - began:.0f} s")
