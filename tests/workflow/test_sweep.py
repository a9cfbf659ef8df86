"""Sweep: what no live run needs is ended, and nothing else."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from cloudtrain import machines, overview, sweeping, workflow
from cloudtrain.journey import Tools
from cloudtrain.ledger.holder import this_process
from cloudtrain.model.errors import NotSetUpError, ProviderError, ProviderUnavailableError, ShutdownError
from cloudtrain.model.instance import LaunchOrder, Leftover
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import Budget
from cloudtrain.providers.memory import MemoryProvider

from .conftest import MACHINE, World


def sweep_all(world: World) -> list[str]:
    found = sweeping.unneeded(overview.status(world.tools))
    return [instance.name for instance in sweeping.sweep([machine.instance.ref for machine in found], world.tools).ended]


def test_a_machine_without_a_run_is_ended_and_a_live_runs_is_not(world: World) -> None:
    run = workflow.train(world.job("sleep 600"), MACHINE, world.tools, detach=True)
    machines.start(replace(MACHINE, name="idle"), world.tools)
    assert sweep_all(world) == ["idle"]
    assert [i.ref for i in world.provider.list_owned()] == list(run.instances)
    assert world.ledger.machine("idle").instance is None


def test_another_persons_machine_is_left_alone(world: World) -> None:
    theirs = machines.start(MACHINE, replace(world.tools, owner="somebody-else"))
    assert sweep_all(world) == []
    assert [i.ref for i in world.provider.list_owned()] == [theirs.ref]


def test_what_was_not_agreed_on_stays(world: World) -> None:
    machines.start(MACHINE, world.tools)
    assert sweeping.sweep([], world.tools) == sweeping.Swept((), ())
    assert len(world.provider.list_owned()) == 1


def test_one_that_does_not_end_stops_none_of_the_others(world: World) -> None:
    machines.start(MACHINE, world.tools)
    machines.start(replace(MACHINE, name="second"), world.tools)
    for _ in range(5):
        world.provider.fail_next("terminate", ProviderError("internal error"))
    with pytest.raises(ShutdownError, match="did not confirm"):
        sweep_all(world)
    assert len(world.provider.list_owned()) == 1


def test_a_provider_that_does_not_answer_is_no_success(world: World) -> None:
    instance = machines.start(MACHINE, world.tools)
    world.provider.fail_next("list_owned", ProviderUnavailableError("silent"))
    with pytest.raises(ShutdownError, match="does not answer"):
        sweeping.sweep([instance.ref], world.tools)
    assert len(world.provider.list_owned()) == 1


def tools(world: World) -> Tools:
    """A computer that knows of the provider and may never have used it."""
    return replace(world.tools, provider_names=("memory",))


HOLDER = "from cloudtrain.ledger.holder import this_process; print(this_process())"


class Littered(MemoryProvider):
    """A cloud in which machines that are gone have left something behind."""

    left: list[Leftover]

    def leftovers(self) -> Sequence[Leftover]:
        return tuple(self.left)

    def remove(self, leftover: Leftover) -> None:
        if leftover.id == "stuck":
            raise ProviderError("it is in use")
        self.left.remove(leftover)


@pytest.fixture
def littered(world: World) -> Littered:
    world.provider.__class__ = Littered
    assert isinstance(world.provider, Littered)
    world.provider.left = [
        Leftover("memory", "disk", "mine", usd_per_month=8.0, owner="me-here"),
        Leftover("memory", "group", "nobodys"),
        Leftover("memory", "disk", "theirs", owner="somebody-else"),
    ]
    return world.provider


def test_what_is_left_of_machines_that_are_gone_is_shown_and_removed(world: World, littered: Littered) -> None:
    status = overview.status(tools(world))
    assert [leftover.id for leftover in status.leftovers] == ["mine", "nobodys"]
    swept = sweeping.sweep(list(status.leftovers), tools(world))
    assert [leftover.id for leftover in swept.removed] == ["mine", "nobodys"]
    assert [leftover.id for leftover in littered.left] == ["theirs"]


def test_what_a_launch_that_is_under_way_has_made_is_not_left_over(world: World, littered: Littered) -> None:
    littered.left = [Leftover("memory", "group", "fresh", owner="me-here", token="ct-1")]
    offer = littered.offers(MACHINE.resources)[0]
    order = LaunchOrder("ct-1", MACHINE, offer, Lease.grant(Budget(), 1.0, world.clock.now()), "me-here", holder=this_process())
    world.ledger.intend(order)
    assert overview.status(tools(world)).leftovers == ()


def test_what_a_launch_that_was_killed_has_made_is_left_over(world: World, littered: Littered) -> None:
    littered.left = [Leftover("memory", "group", "fresh", owner="me-here", token="ct-1")]
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as dead:
        holder = dead.communicate(timeout=30)[0].strip()
    offer = littered.offers(MACHINE.resources)[0]
    lease = Lease.grant(Budget(), 1.0, world.clock.now())
    world.ledger.intend(LaunchOrder("ct-1", MACHINE, offer, lease, "me-here", holder=holder))
    assert [leftover.id for leftover in overview.status(tools(world)).leftovers] == ["fresh"]


def test_a_leftover_that_stays_is_named(world: World, littered: Littered) -> None:
    littered.left = [Leftover("memory", "group", "stuck")]
    with pytest.raises(ShutdownError, match="it is in use"):
        sweeping.sweep(list(littered.left), tools(world))


def test_a_cloud_that_this_computer_never_used_and_cannot_ask_is_no_news(world: World) -> None:
    world.provider.fail_next("list_owned", NotSetUpError("no credentials"))
    assert overview.status(tools(world)).silent == ()
    machines.start(MACHINE, tools(world))
    world.provider.fail_next("list_owned", NotSetUpError("no credentials"))
    assert [finding.subject for finding in overview.status(tools(world)).silent] == ["memory"]
