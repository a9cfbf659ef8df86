"""A computer whose clock is off rents nothing and switches nothing on: the lease would end at another moment than promised."""

import pytest

from .world import OPENED, World

HOUR_S = 3600.0


@pytest.mark.parametrize("world", list(OPENED), indirect=True)
@pytest.mark.parametrize(("ahead_s", "said"), [(5 * HOUR_S, "5 hours ahead of"), (-5 * HOUR_S, "5 hours behind")])
def test_nothing_is_rented_by_a_clock_that_is_off(world: World, ahead_s: float, said: str) -> None:
    alice, machine = world.person(), world.pretend.machine
    world.pretend.cloud.faults.set_caller_ahead(ahead_s)
    refused = alice.type("start", machine, "--no-wait", codes=(3,))
    assert said in refused.stderr
    assert "timedatectl" in refused.stderr
    assert world.pretend.alive() == []
    assert (alice.open_orders(), alice.keys()) == ([], [])
    assert world.pretend.left_of(machine) == []
    checked = alice.type("check", world.pretend.name, codes=(3,))
    assert [line.split()[:4] for line in checked.stdout.splitlines() if said in line] == [["✗", "not", "ok", "clock"]]


@pytest.mark.parametrize("world", list(OPENED), indirect=True)
def test_a_stopped_machine_stays_off_as_long_as_the_clock_is_off(world: World) -> None:
    alice, machine = world.person(), world.pretend.machine
    alice.type("start", machine, "--no-wait")
    world.pretend.settle()
    alice.type("stop", machine)
    world.pretend.cloud.faults.set_caller_ahead(5 * HOUR_S)
    assert "5 hours ahead of" in alice.type("start", machine, "--no-wait", codes=(3,)).stderr
    assert world.pretend.state() == "off"
    world.pretend.cloud.faults.set_caller_ahead(0)
    alice.type("start", machine, "--no-wait")
    world.pretend.settle()
    assert world.pretend.state() == "on"
