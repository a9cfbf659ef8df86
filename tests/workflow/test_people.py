"""What people do in the middle: stop, terminate, press Ctrl-C, delete folders. Found by trying; each was wrong once."""

import json
import shutil
from dataclasses import replace

import pytest

from cloudtrain import machines, watching, whereabouts, workflow
from cloudtrain.model.errors import ConfigError, RunFailedError, RunHeldError, TransferError
from cloudtrain.model.event import LogChunk, StageStarted
from cloudtrain.model.instance import Instance, InstanceState
from cloudtrain.model.run import Outcome, RunPhase
from cloudtrain.model.spec import Budget, OnFinish

from .conftest import MACHINE, World
from .test_train import TRAIN, nothing_bills


def states(world: World) -> list[InstanceState]:
    return [instance.state for instance in world.provider.list_owned()]


def root(world: World, instance: Instance) -> object:
    return world.folder / "cloud/memory-machines" / instance.ref.id


def test_ctrl_c_between_the_launch_and_its_note_ends_the_machine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(world.ledger, "settle", interrupted)
    run = workflow.train(world.job("true"), MACHINE, world.tools)
    assert run.outcome is Outcome.CANCELLED
    assert nothing_bills(world)


@pytest.mark.parametrize("method", ["settle", "save_machine"])
def test_ctrl_c_while_a_machine_is_started_leaves_none(world: World, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    real = getattr(world.ledger, method)
    whereabouts.remember_name(MACHINE, world.tools)

    def interrupted(*arguments: object) -> None:
        if world.provider.list_owned():
            monkeypatch.undo()
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(world.ledger, method, interrupted)
    with pytest.raises(KeyboardInterrupt):
        machines.start(MACHINE, world.tools)
    assert nothing_bills(world)
    assert not world.ledger.open_intents()


def test_a_machine_stopped_under_its_run_is_woken_for_the_results_and_stopped_again(world: World) -> None:
    job = world.job("mkdir results; echo 1 > results/n; echo ready; sleep 600")
    world.answer = world.answer.DETACH

    def leave(event: object) -> None:
        if isinstance(event, LogChunk) and b"ready" in event.content:
            world.listeners.clear()
            raise KeyboardInterrupt

    world.listeners.append(leave)
    run = workflow.train(job, MACHINE, world.tools)
    machines.stop(MACHINE.name, world.tools)
    after = workflow.resume(world.ledger.run(run.id), world.tools)
    assert (run.folder / "results/n").read_text() == "1\n"
    assert after.phase is RunPhase.KEPT
    assert states(world) == [InstanceState.STOPPED]


def test_a_machine_that_its_cloud_switched_off_at_its_deadline_is_ended_when_the_results_are_home(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.job("mkdir results; echo 1 > results/n; echo ready; sleep 600")
    world.answer = world.answer.DETACH

    def leave(event: object) -> None:
        if isinstance(event, LogChunk) and b"ready" in event.content:
            world.listeners.clear()
            raise KeyboardInterrupt

    world.listeners.append(leave)
    run = workflow.train(replace(job, budget=Budget(max_lifetime_s=3600)), MACHINE, world.tools)
    world.provider.stop(run.instances[-1])  # behind our back, as Azure's schedule does it
    world.clock.sleep(2 * 3600)
    after = workflow.resume(world.ledger.run(run.id), world.tools)
    assert (run.folder / "results/n").read_text() == "1\n"
    assert after.phase is RunPhase.CLOSED
    assert nothing_bills(world)


def test_a_stopped_machine_is_stopped_again_after_a_run(world: World) -> None:
    machines.start(MACHINE, world.tools)
    machines.stop(MACHINE.name, world.tools)
    run = workflow.train(world.job(TRAIN), MACHINE, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    assert states(world) == [InstanceState.STOPPED]


def test_keep_is_for_a_job_that_came_to_its_end(world: World) -> None:
    def interrupt(event: object) -> None:
        if isinstance(event, StageStarted) and event.stage == "prepare":
            raise KeyboardInterrupt

    world.listeners.append(interrupt)
    run = workflow.train(world.job("true", on_finish=OnFinish.KEEP), MACHINE, world.tools)
    assert (run.outcome, run.phase) == (Outcome.CANCELLED, RunPhase.CLOSED)
    assert nothing_bills(world)


def test_a_failure_on_a_machine_that_stays_says_that_it_stays(world: World) -> None:
    machines.start(MACHINE, world.tools)
    job = world.job("true")
    (job.folder / "file").write_text("x")
    world.on_line.append(lambda remote: remote.fail_next("push", TransferError("broke")))
    with pytest.raises(RunFailedError, match="is kept: cloudtrain terminate cloudy"):
        workflow.train(job, MACHINE, world.tools)
    assert states(world) == [InstanceState.RUNNING]


def test_a_budget_holds_on_a_machine_with_a_longer_lease(world: World) -> None:
    instance = machines.start(MACHINE, world.tools)
    run = workflow.train(world.job("true", budget=Budget(0.05)), MACHINE, world.tools)  # half an hour at $0.10/h
    order = json.loads((root(world, instance) / "runs" / run.id / "job.json").read_text())  # type: ignore[operator]
    assert order["deadline"] <= world.clock.now().timestamp() + 1800


def test_a_machine_terminated_under_a_followed_run_ends_it(world: World) -> None:
    def terminate(event: object) -> None:
        if isinstance(event, LogChunk) and b"ready" in event.content:
            world.listeners.clear()
            world.provider.terminate(world.ledger.runs()[0].instances[0])

    world.listeners.append(terminate)
    run = workflow.train(world.job("echo ready; sleep 600"), MACHINE, world.tools)
    assert (run.outcome, run.phase) == (Outcome.LOST, RunPhase.CLOSED)


def test_a_run_whose_folder_was_deleted_is_taken_up_and_closed(world: World) -> None:
    run = workflow.train(world.job(TRAIN), MACHINE, world.tools, detach=True)
    shutil.rmtree(run.folder)
    after = workflow.resume(world.ledger.run(run.id), world.tools)
    assert after.outcome is Outcome.SUCCEEDED
    assert (run.folder / "results/metrics.jsonl").exists()
    assert nothing_bills(world)


def test_a_runs_own_machine_is_not_started_by_name(world: World) -> None:
    run = workflow.train(world.job("sleep 600"), MACHINE, world.tools, detach=True)
    with pytest.raises(RunHeldError, match=run.id):
        machines.start(MACHINE, world.tools)


def test_one_output_that_cannot_come_keeps_none_of_the_others(world: World) -> None:
    job = world.job("mkdir a b; echo 1 > a/x; echo 2 > b/y", outputs=("a", "b"))
    world.on_line.append(lambda remote: remote.fail_next("pull", TransferError("refused")))
    run = workflow.train(job, MACHINE, world.tools)
    assert (run.folder / "b/y").read_text() == "2\n"
    assert run.outcome is Outcome.FAILED  # never a success with results left behind
    assert "a: refused" in json.loads((run.folder / "run.json").read_text())["not_collected"]
    assert nothing_bills(world)


def test_without_a_place_for_results_nothing_is_rented(world: World) -> None:
    job = world.job("true")
    (job.folder / "runs").write_text("a file")
    with pytest.raises(ConfigError, match="no place"):
        workflow.train(job, replace(MACHINE, name="other"), world.tools)
    assert not world.provider.list_owned()


def test_pulling_leaves_the_log_to_whoever_looks_after_the_run(world: World) -> None:
    run = workflow.train(world.job("mkdir results; echo begun; sleep 600"), MACHINE, world.tools, detach=True)
    (run.folder / "job.log").write_bytes(b"as far as we came\n")
    watching.pull(world.ledger.run(run.id), world.tools)
    assert (run.folder / "job.log").read_bytes() == b"as far as we came\n"
