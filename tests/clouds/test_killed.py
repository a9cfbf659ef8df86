"""The command line is killed with SIGKILL before and after every call of the API, and whoever comes next puts it right.

Each case is a real process, killed for real by the pretend cloud while its nth call is on the line. Afterwards a person looks,
types the same verb again or not, and sweeps. There must never have been two machines, nor one without a deadline, and at the
end nothing is left: no machine, group, disk, schedule or role in the cloud, no keys on this computer, no order in the ledger
whose outcome nobody will ever know.

By default the calls that change something are killed; CLOUDTRAIN_KILL_MATRIX=all kills every call at both moments.
"""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from cloudtrain import machines
from cloudtrain.model.errors import NotFoundError
from cloudtrain.testing.playground.faults import When

from .person import LATER_S, Person
from .world import DAY_S, OF_TPUS, OPENED, World

WHOLE = os.environ.get("CLOUDTRAIN_KILL_MATRIX") == "all"


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
    words = ("start", world.pretend.gpu_machine, "--no-wait")
    world.kill_at(world.nth_of(words, world.pretend.renting), When.BEFORE, lambda: person.begin(*words))
    started(person, world)
    assert len(person.keys()) == 2


def stop(person: Person) -> None:
    with person.tools(LATER_S) as tools:
        machines.stop(person.pretend.machine, tools)


def resize(person: Person) -> None:
    with person.tools(LATER_S) as tools:
        machines.resize(person.pretend.machine, person.pretend.other_type, tools)


def terminate(person: Person) -> None:
    with person.tools(LATER_S) as tools:
        machines.terminate(person.pretend.machine, tools)


VERBS = {
    "start": Verb(nothing, ("start", "MACHINE", "--no-wait"), lambda person: person.start(ahead_s=LATER_S)),
    "start again": Verb(stopped, ("start", "MACHINE", "--no-wait"), lambda person: person.start(ahead_s=LATER_S)),
    "stop": Verb(started, ("stop", "MACHINE"), stop),
    "resize": Verb(started, ("resize", "MACHINE", "TYPE", "--yes"), resize),
    "terminate": Verb(started, ("terminate", "MACHINE", "--yes"), terminate),
    "sweep": Verb(littered, ("sweep", "--yes"), lambda person: person.sweep()),
}
"""MACHINE and TYPE stand for the cloud's cheap machine, and for another type."""


@dataclass
class Matrix:
    """The cases of one verb."""

    name: str
    verb: Verb
    world: World
    calls: list[str] = field(default_factory=list)
    cases: int = 0
    survivors: list[str] = field(default_factory=list)

    @property
    def words(self) -> tuple[str, ...]:
        """Return what is typed."""
        stands_for = {"MACHINE": self.world.pretend.machine, "TYPE": self.world.pretend.other_type}
        return tuple(stands_for.get(word, word) for word in self.verb.words)

    def person(self) -> Person:
        self.cases += 1
        person = self.world.person("alice", f"{self.name.replace(' ', '-')}-{self.cases}")
        self.verb.prepare(person, self.world)
        return person

    def count(self) -> None:
        """Let the verb run to its end, and note its calls."""
        person = self.person()
        self.world.pretend.cloud.forget_calls()
        person.type(*self.words)
        self.calls = [call.name for call in self.world.pretend.cloud.calls()]
        self.look_after(person, "not killed")

    def points(self) -> Iterator[tuple[int, When, bool]]:
        """Return what to kill: the number of the call, the moment, and whether the verb is typed again afterwards.

        A call that changes nothing is the same before and after it; one that does is tried in every way. By default what was
        killed before a change is left out where it is what was killed after the change before it.
        """
        for nth, call in enumerate(self.calls, 1):
            writes = not self.world.pretend.is_read(call)
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
        victim = self.world.kill_at(nth, when, lambda: person.begin(*self.words))
        asked = self.world.pretend.cloud.calls()
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
        self.world.pretend.end_everything()
        self.world.pretend.cloud.advance(10)
        self.world.hypervisor.unarmed.clear()


CASES = [*itertools.product(OPENED, VERBS), *itertools.product([OF_TPUS], ["start", "terminate"])]


@pytest.mark.parametrize(("world", "name"), CASES, indirect=["world"])
def test_killed_there_the_next_command_puts_it_right(world: World, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    matrix, began = Matrix(name, VERBS[name], world), time.monotonic()
    matrix.count()
    for nth, when, again in list(matrix.points()):
        matrix.kill(nth, when, again=again)
    changes = sum(not world.pretend.is_read(call) for call in matrix.calls)
    with capsys.disabled():
        print(
            f"\n{world.pretend.machine}, {name}: {len(matrix.calls)} calls, {changes} of them change something; "
            f"{matrix.cases - 1} cases in {time.monotonic() - began:.0f} s, {len(matrix.survivors)} survivors"
        )
    assert not matrix.survivors, "\n".join(matrix.survivors)
