"""Two people in one account, two terminals of one person: nobody ends another's machine, and one name is one machine."""

import threading
from typing import Any

import pytest

from cloudtrain.clock import SystemClock
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.overview import Standing
from cloudtrain.testing.playground.faults import When

from .killing import PATIENCE_S, Typed
from .person import LATER_S
from .world import OPENED, World, parts_of

HELD = 2

pytestmark = pytest.mark.parametrize("world", OPENED, indirect=True)


def start(world: World) -> tuple[str, ...]:
    """Return what is typed."""
    return ("start", world.pretend.machine, "--no-wait")


class Gate:
    """Holds calls of one kind until it is opened; says when the first has come."""

    def __init__(self, world: World, call: str, *, hold: int) -> None:
        """`hold` is how many calls are held; the rest go through."""
        self.came, self.opened = threading.Semaphore(0), threading.Event()
        self._held, self._hold, self._lock = parts_of(call), hold, threading.Lock()
        self._take = world.pretend.cloud.faults.take
        world.pretend.cloud.faults.take = self._pass

    def _pass(self, service: str, action: str, body: str) -> Any:
        with self._lock:
            held = (service, action) == self._held and self._hold > 0
            self._hold -= held
        if held:
            self.came.release()
            assert self.opened.wait(PATIENCE_S)
        return self._take(service, action, body)

    def wait(self) -> None:
        """Return when a call is held."""
        assert self.came.acquire(timeout=PATIENCE_S)


def one_machine(world: World, *typed: Typed) -> None:
    """See that these starts made one machine, and that whoever did not make it was told so."""
    assert len(world.alive()) == 1
    assert {each.status for each in typed} <= {0, HELD}, [each.stderr for each in typed]
    assert all("another cloudtrain" in each.stderr for each in typed if each.status == HELD)
    assert 0 in {each.status for each in typed}
    assert world.wrongs() == []


def test_two_terminals_start_one_name_at_once_and_get_one_machine(world: World) -> None:
    alice = world.person()
    for _ in range(3):
        typed = [alice.begin(*start(world)) for _ in range(3)]
        one_machine(world, *(each.wait() for each in typed))
        assert alice.open_orders() == []
        alice.sweep()
        assert (world.remains(), alice.keys()) == ({}, [])


def test_a_second_terminal_that_comes_while_the_machine_is_made_is_told_so(world: World) -> None:
    alice = world.person()
    gate = Gate(world, world.pretend.renting, hold=1)
    first = alice.begin(*start(world))
    gate.wait()
    second = alice.type(*start(world), codes=(HELD,))
    gate.opened.set()
    one_machine(world, first.wait(), second)


def test_a_second_terminal_that_looked_before_the_machine_was_there_makes_no_other_one(world: World) -> None:
    alice = world.person()
    gate = Gate(world, world.pretend.planning, hold=1)
    second = alice.begin(*start(world))
    gate.wait()  # it has seen that there is none, and plans
    first = alice.type(*start(world))
    gate.opened.set()
    one_machine(world, first, second.wait())
    assert second.status == HELD


def test_a_second_terminal_that_fails_ends_nothing_of_the_first(world: World) -> None:
    alice = world.person()
    gate = Gate(world, world.pretend.renting, hold=1)
    first = alice.begin(*start(world))
    gate.wait()
    for _ in range(2):
        alice.type(*start(world), codes=(HELD,))
    swept = alice.sweep()  # the group of a launch that is under way is no leftover
    assert (swept.ended, swept.removed) == ((), ())
    gate.opened.set()
    one_machine(world, first.wait())
    assert len(alice.keys()) == 1


def test_a_machine_that_is_pending_keeps_the_lease_it_was_started_with(world: World) -> None:
    alice = world.person()
    before = alice.start().deadline
    alice.type(*start(world), "--max-lifetime", "1h")
    (machine,) = alice.status().machines
    assert machine.instance.deadline == before


def test_what_another_person_rents_is_shown_and_never_ended(world: World) -> None:
    alice, bob = world.person("alice"), world.person("bob")
    alice.type(*start(world))
    bob.type(*start(world))  # the same name, in the same account
    assert len(world.alive()) == 2
    assert {machine.standing for machine in alice.status().machines} == {Standing.KNOWN, Standing.ANOTHERS}
    mine = bob.status().machines
    ended = alice.sweep().ended
    assert [instance.owner for instance in ended] == [alice.owner]
    alice.type("terminate", world.pretend.machine, "--yes", codes=(2,))
    alice.type("sweep", "--yes", ahead_s=LATER_S)
    assert world.alive() == [machine.instance.ref.id for machine in mine if machine.standing is Standing.KNOWN]
    assert len(bob.keys()) == 1
    bob.sweep()
    assert (world.remains(), alice.keys(), bob.keys()) == ({}, [], [])


def test_what_is_left_of_another_persons_launch_stays(world: World) -> None:
    alice, bob = world.person("alice"), world.person("bob")
    nth = world.nth_of(start(world), world.pretend.renting)
    world.kill_at(nth, When.BEFORE, lambda: bob.begin(*start(world)))
    left = world.remains()
    assert left
    assert "machines" not in left
    assert alice.sweep().removed == ()
    assert world.remains() == left
    assert {leftover.owner for leftover in bob.sweep().removed} == {bob.owner}
    assert (world.remains(), bob.keys()) == ({}, [])


def test_a_sweep_on_one_computer_leaves_the_keys_of_a_machine_rented_there(world: World) -> None:
    alice = world.person()
    alice.start()
    for _ in range(2):
        assert [machine.standing for machine in alice.status(LATER_S).machines] == [Standing.KNOWN]
    assert alice.status(LATER_S).leftovers == ()
    assert len(alice.keys()) == 1


def test_a_machine_forgotten_by_the_ledger_is_found_and_ended_once(world: World) -> None:
    alice, elsewhere = world.person("alice"), world.person("alice", "another-computer")
    alice.start()
    assert [machine.standing for machine in elsewhere.status().machines] == [Standing.FORGOTTEN]
    typed = [person.begin("sweep", "--yes", ahead_s=LATER_S) for person in (alice, elsewhere)]
    assert {each.wait().status for each in typed} == {0}
    alice.type("get", world.pretend.machine)  # it was ended there, perhaps, and here it is still known
    alice.sweep()
    assert (world.remains(), alice.keys()) == ({}, [])


TWO_VERBS = {"stop and terminate": (("stop",), ("terminate", "--yes")), "start and stop": (("start", "--no-wait"), ("stop",))}


@pytest.mark.parametrize("verbs", TWO_VERBS)
def test_two_terminals_lose_no_line_of_the_ledger(world: World, verbs: str) -> None:
    alice = world.person()
    alice.start()
    typed = [alice.begin(verb, world.pretend.machine, *options) for verb, *options in TWO_VERBS[verbs]]
    for each in typed:
        assert each.wait().status in (0, 2, 3, 70), each.stderr
    alice.status()
    alice.status()
    with Ledger.open(alice.home, SystemClock()) as ledger:
        open_entries = ledger.spend.open_entries()
        assert {charge.ref.id for charge in open_entries} <= set(world.alive())
        assert len({(charge.ref.id, charge.kind) for charge in open_entries}) == len(open_entries)
        assert bool(open_entries) == bool(world.alive())
    alice.sweep()
    assert (world.remains(), alice.keys()) == ({}, [])
