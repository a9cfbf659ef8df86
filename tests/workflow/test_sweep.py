"""Sweep: what no live run needs is ended, and nothing else."""

from dataclasses import replace

import pytest

from cloudtrain import machines, overview, sweeping, workflow
from cloudtrain.model.errors import ProviderError, ProviderUnavailableError, ShutdownError

from .conftest import MACHINE, World


def sweep_all(world: World) -> list[str]:
    found = sweeping.unneeded(overview.status(world.tools))
    return [instance.name for instance in sweeping.sweep([machine.instance.ref for machine in found], world.tools)]


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
    assert sweeping.sweep([], world.tools) == []
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
