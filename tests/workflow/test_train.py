"""The story, told on the memory cloud with a real guest: whatever happens, results come home and nothing is left that bills."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from cloudtrain import machines, overview, watching, workflow
from cloudtrain.journey import Interrupt
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.errors import (
    CloudtrainError,
    ExitCode,
    HostUnreachableError,
    LedgerError,
    NoCapacityError,
    NoOfferFitsError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RunFailedError,
    SetupError,
    ShutdownError,
    TransferError,
)
from cloudtrain.model.event import LogChunk, StageStarted
from cloudtrain.model.instance import InstanceState, LaunchOrder
from cloudtrain.model.run import Outcome, RunPhase
from cloudtrain.model.spec import Budget, Framework, OnFinish, Resources
from cloudtrain.overview import Standing
from cloudtrain.remote.guest import Environment, GpuCheck, Guest

from .conftest import MACHINE, World

TRAIN = 'echo hello; mkdir -p results; echo \'{"epoch": 1, "loss": 0.5}\' > results/metrics.jsonl'
STAGES = ["provision", "connect", "upload", "prepare", "check", "run", "collect", "shut down"]


def nothing_bills(world: World) -> bool:
    return not [i for i in world.provider.list_owned() if i.state.bills_compute]


def test_a_job_goes_from_its_folder_to_results_here(world: World) -> None:
    job = world.job("cat data.txt; " + TRAIN)
    (job.folder / "data.txt").write_text("real data\n")
    run = workflow.train(job, MACHINE, world.tools)

    assert run.outcome is Outcome.SUCCEEDED
    assert run.phase is RunPhase.CLOSED
    assert world.stages == STAGES
    assert b"real data" in world.log
    assert (run.folder / "job.log").read_bytes() == world.log
    assert json.loads((run.folder / "results/metrics.jsonl").read_text())["loss"] == 0.5
    assert (run.folder / "report.html").read_text().lstrip().lower().startswith("<!doctype html>")
    record = json.loads((run.folder / "run.json").read_text())
    assert record["outcome"] == "succeeded"
    assert record["outputs"] == ["results"]
    assert record["instance"]["instance_type"] == "mem.cpu"
    assert [stage["stage"] for stage in record["stages"]] == STAGES
    assert (run.folder / "samples.jsonl").read_text().count("\n") >= 1
    assert world.ledger.run(run.id) == run
    assert nothing_bills(world)
    assert not world.provider.list_owned()


def test_a_failing_job_is_an_answer_and_its_results_come_home(world: World) -> None:
    run = workflow.train(world.job(TRAIN + "; exit 7"), MACHINE, world.tools)
    assert (run.outcome, run.exit_code) == (Outcome.JOB_FAILED, 7)
    assert run.outcome.exit_code == ExitCode.JOB_FAILED
    assert (run.folder / "results/metrics.jsonl").exists()
    assert nothing_bills(world)


def test_a_job_killed_by_a_signal_says_which(world: World) -> None:
    run = workflow.train(world.job("kill -SEGV $$"), MACHINE, world.tools)
    assert run.outcome is Outcome.JOB_FAILED
    assert "SIGSEGV" in run.reason


def test_the_machine_is_paid_for_from_its_launch_to_its_end(world: World) -> None:
    def an_hour_passes(event: object) -> None:
        if isinstance(event, StageStarted) and event.stage == "collect":
            world.clock.advance(3600)

    world.listeners.append(an_hour_passes)
    run = workflow.train(world.job("true"), MACHINE, world.tools)
    assert run.usd == pytest.approx(0.10, abs=0.01)


def test_no_capacity_walks_to_the_next_offer(world: World) -> None:
    world.provider.fail_next("launch", NoCapacityError("full"))
    run = workflow.train(world.job("true"), MACHINE, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    assert "No capacity" in world.notes


def test_when_every_offer_is_refused_nothing_was_spent(world: World) -> None:
    for _ in range(10):
        world.provider.fail_next("launch", NoCapacityError("full"))
    with pytest.raises(NoOfferFitsError) as refusal:
        workflow.train(world.job("true"), MACHINE, world.tools)
    assert refusal.value.exit_code == ExitCode.NOTHING_SPENT
    assert world.ledger.runs()[0].phase is RunPhase.CLOSED
    assert not world.ledger.open_intents()


def test_quota_skips_the_region_and_not_the_cloud(world: World) -> None:
    world.provider.fail_next("launch", QuotaExceededError("0 vCPUs"))
    run = workflow.train(world.job("true"), MACHINE, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    assert "Quota: mem.cpu in mem-" in world.notes
    regions = {note.split(" in ")[1].split(":")[0] for note in world.notes.splitlines() if note.startswith("Quota")}
    assert run.offer is not None
    assert run.offer.region not in regions


def test_a_launch_whose_answer_was_lost_leaves_no_machine(world: World) -> None:
    world.provider.fail_next("launch", ProviderUnavailableError("reset"), after=True)
    with pytest.raises(CloudtrainError, match="A machine was made all the same; it was ended") as failed:
        workflow.train(world.job("true"), MACHINE, world.tools)
    assert failed.value.exit_code == 4
    assert nothing_bills(world)
    assert not world.ledger.open_intents()


def test_a_lost_launch_and_a_silent_cloud_are_exit_70_and_found_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = world.provider.launch

    def lost(order: LaunchOrder) -> None:
        launch(order)
        for _ in range(2):
            world.provider.fail_next("list_owned", ProviderUnavailableError("silent"))
        raise ProviderUnavailableError("reset")

    with monkeypatch.context() as patch:
        patch.setattr(world.provider, "launch", lost)
        with pytest.raises(ShutdownError, match="made a machine"):
            workflow.train(world.job(TRAIN), MACHINE, world.tools)
    assert len(world.ledger.open_intents()) == 1
    assert not nothing_bills(world)

    run = workflow.resume(world.ledger.runs()[0], world.tools)
    assert run.phase is RunPhase.CLOSED
    assert nothing_bills(world)
    assert not world.ledger.open_intents()


@pytest.mark.parametrize("stage", STAGES[:-2])
def test_ctrl_c_at_any_stage_ends_the_machine(world: World, stage: str) -> None:
    def interrupt(event: object) -> None:
        if isinstance(event, StageStarted) and event.stage == stage:
            world.listeners.clear()
            raise KeyboardInterrupt

    world.listeners.append(interrupt)
    run = workflow.train(world.job(TRAIN), MACHINE, world.tools)
    assert run.outcome is Outcome.CANCELLED
    assert run.phase is RunPhase.CLOSED
    assert nothing_bills(world)
    stages = [told["stage"] for told in json.loads((run.folder / "run.json").read_text()).get("stages", [])]
    assert stages.count("shut down") == (0 if stage == "provision" else 1)  # before that there is no machine


def test_a_job_that_runs_before_we_wrote_it_down_is_ended_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C falls between the start and its note, on a machine that stays: the job must not stay with it."""
    instance = machines.start(MACHINE, world.tools)
    start = Guest.start

    def start_and_interrupt(*arguments: object) -> None:
        start(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(Guest, "start", start_and_interrupt)
    run = workflow.train(world.job("sleep 600"), MACHINE, world.tools)
    assert run.outcome is Outcome.CANCELLED
    root = world.folder / "cloud/memory-machines" / instance.ref.id
    assert json.loads((root / "runs" / run.id / "state.json").read_text())["phase"] == "ended"


def test_ctrl_c_while_collecting_still_ends_the_machine_and_closes_the_run(world: World) -> None:
    def interrupt(event: object) -> None:
        if isinstance(event, StageStarted) and event.stage == "collect":
            world.listeners.clear()
            raise KeyboardInterrupt

    world.listeners.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        workflow.train(world.job(TRAIN), MACHINE, world.tools)
    assert world.ledger.runs()[0].phase is RunPhase.CLOSED
    assert nothing_bills(world)


def test_a_listener_that_fails_keeps_no_machine_alive(world: World) -> None:
    def broken_pipe(event: object) -> None:
        if "run" in world.stages:
            raise BrokenPipeError

    world.listeners.append(broken_pipe)
    with pytest.raises(BrokenPipeError):
        workflow.train(world.job(TRAIN), MACHINE, world.tools)
    assert world.ledger.runs()[0].phase is RunPhase.CLOSED
    assert nothing_bills(world)


def test_ctrl_c_while_the_job_runs_asks_and_collects(world: World) -> None:
    def interrupt(event: object) -> None:
        if isinstance(event, LogChunk) and b"ready" in event.content:
            world.listeners.clear()
            raise KeyboardInterrupt

    world.listeners.append(interrupt)
    job = world.job(
        "mkdir results; trap 'echo saved > results/checkpoint; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    )
    run = workflow.train(job, MACHINE, world.tools)
    assert run.outcome is Outcome.CANCELLED
    assert (run.folder / "results/checkpoint").read_text() == "saved\n"
    assert nothing_bills(world)


def test_detached_the_job_goes_on_and_is_taken_up_again(world: World) -> None:
    world.answer = Interrupt.DETACH

    def interrupt(event: object) -> None:
        if isinstance(event, LogChunk) and b"ready" in event.content:
            world.listeners.clear()
            raise KeyboardInterrupt

    world.listeners.append(interrupt)
    job = world.job("echo ready; while [ ! -e go ]; do sleep 0.05; done; mkdir results; echo done | tee results/out")
    run = workflow.train(job, MACHINE, world.tools)
    assert run.phase is RunPhase.RUNNING
    assert run.outcome is None
    assert "cloudtrain attach" in world.notes

    (instance,) = world.provider.list_owned()
    work = world.folder / "cloud/memory-machines" / instance.ref.id / "runs" / run.id / "work"
    (work / "go").touch()
    again = workflow.resume(world.ledger.run(run.id), world.tools)
    assert again.outcome is Outcome.SUCCEEDED
    assert (run.folder / "results/out").read_text() == "done\n"
    assert (run.folder / "job.log").read_bytes() == world.log  # no line missed, none repeated
    assert nothing_bills(world)


def test_a_broken_line_costs_a_reconnect_and_no_byte(world: World) -> None:
    broken: list[str] = []

    def break_once(remote: object) -> None:
        if not broken:
            broken.append("yes")
            remote.cut_after_bytes(2000)  # type: ignore[attr-defined]

    def arm(event: object) -> None:
        if isinstance(event, StageStarted) and event.stage == "check":
            for line in lines:
                break_once(line)

    lines: list[object] = []
    world.on_line.append(lines.append)
    world.listeners.append(arm)
    job = world.job("for i in $(seq 1 2000); do echo line $i; done")
    run = workflow.train(job, MACHINE, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    log = (run.folder / "job.log").read_bytes()
    assert log == world.log
    assert [line.split()[-1] for line in log.splitlines()] == [str(i).encode() for i in range(1, 2001)]
    assert "Reconnect" in world.notes


def test_results_that_cannot_come_home_keep_the_machine_under_its_lease(world: World) -> None:
    def fail_pull(remote: object) -> None:
        remote.fail_next("pull", HostUnreachableError("cut"))  # type: ignore[attr-defined]

    world.on_line.append(fail_pull)
    with pytest.raises(ShutdownError, match="may bill"):
        workflow.train(world.job(TRAIN), MACHINE, world.tools)
    run = world.ledger.runs()[0]
    assert run.phase is RunPhase.COLLECTING
    assert len(world.provider.list_owned()) == 1

    world.on_line.clear()
    again = workflow.resume(run, world.tools)
    assert again.outcome is Outcome.SUCCEEDED
    assert (run.folder / "results/metrics.jsonl").exists()
    assert nothing_bills(world)


@pytest.mark.parametrize("error", [TransferError("hostile"), OSError(28, "No space left on device")])
def test_a_full_disk_or_a_refused_archive_keeps_no_machine_alive(world: World, error: Exception) -> None:
    world.on_line.append(lambda remote: remote.fail_next("pull", error))
    run = workflow.train(world.job(TRAIN), MACHINE, world.tools)
    assert "results could not be collected" in world.notes
    assert (run.outcome, run.phase) == (Outcome.FAILED, RunPhase.CLOSED)
    assert nothing_bills(world)


def test_a_dead_ledger_keeps_no_machine_alive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(event: object) -> None:
        if isinstance(event, StageStarted) and event.stage == "collect":
            monkeypatch.setattr(world.ledger, "advance", broken)

    def broken(*_: object) -> None:
        raise LedgerError("the disk is gone")

    world.listeners.append(dies)
    run = workflow.train(world.job(TRAIN), MACHINE, world.tools)
    assert (run.folder / "results/metrics.jsonl").exists()
    assert "ledger could not be written" in world.notes
    assert nothing_bills(world)


def test_a_cloud_that_does_not_confirm_the_end_is_exit_70(world: World) -> None:
    for _ in range(5):
        world.provider.fail_next("terminate", ProviderError("internal error"))
    with pytest.raises(ShutdownError) as alarm:
        workflow.train(world.job("true"), MACHINE, world.tools)
    assert alarm.value.exit_code == ExitCode.MAY_STILL_BILL
    assert "cloudtrain terminate cloudy" in alarm.value.hint
    assert world.ledger.runs()[0].phase is RunPhase.SHUTTING_DOWN


def test_an_upload_that_breaks_ends_the_machine_with_exit_4(world: World) -> None:
    job = world.job("true")
    (job.folder / "file").write_text("x")
    world.on_line.append(lambda remote: remote.fail_next("push", TransferError("broke")))
    with pytest.raises(RunFailedError) as failure:
        workflow.train(job, MACHINE, world.tools)
    assert failure.value.exit_code == ExitCode.SPENT_NOTHING_BILLS
    assert world.ledger.runs()[0].outcome is Outcome.FAILED
    assert nothing_bills(world)


def test_a_rented_gpu_that_does_not_compute_ends_the_run_before_the_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guest, "prepare", lambda *_: Environment("python3", {}, cached=True, seconds=0.0))
    reason = "driver 470 is too old"
    check = GpuCheck(ok=False, device="", gpus=0, library="", driver="", compute_capability="", reason=reason)
    monkeypatch.setattr(Guest, "gpu_check", lambda *_: check)
    job = world.job("touch started", framework=Framework.TENSORFLOW)
    machine = replace(MACHINE, instance_types=("mem.gpu",))
    with pytest.raises(RunFailedError, match="driver 470 is too old"):
        workflow.train(job, machine, world.tools)
    assert "run" not in world.stages
    assert nothing_bills(world)


def test_without_a_gpu_wanted_the_cpu_will_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guest, "prepare", lambda *_: Environment("python3", {}, cached=True, seconds=0.0))
    monkeypatch.setattr(Guest, "facts", lambda *_: {"gpus": []})
    run = workflow.train(world.job("true", framework=Framework.TENSORFLOW), MACHINE, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    assert "no NVIDIA GPU" in world.notes


def test_the_deadline_ends_the_job_and_results_come_home(world: World) -> None:
    job = world.job("mkdir results; echo x > results/x; sleep 600", budget=Budget(max_lifetime_s=1.0))
    run = workflow.train(job, MACHINE, world.tools)
    assert run.outcome is Outcome.OUT_OF_TIME
    assert run.outcome.exit_code == ExitCode.MACHINE_ENDED_FIRST
    assert nothing_bills(world)


def test_a_cloud_that_ends_a_machine_before_its_deadline_ends_the_job_before_that(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = world.provider._shown

    def ends_soon(machine: object) -> object:
        instance = shown(machine)
        return replace(instance, cloud_ends_at=instance.launched_at + timedelta(seconds=1))

    monkeypatch.setattr(world.provider, "_shown", ends_soon)
    run = workflow.train(world.job("sleep 600", budget=Budget(max_lifetime_s=3600)), MACHINE, world.tools)
    assert run.outcome is Outcome.OUT_OF_TIME


def test_a_budget_too_small_is_refused_before_money(world: World) -> None:
    with pytest.raises(NoOfferFitsError):
        workflow.train(world.job("true", budget=Budget(0.001)), MACHINE, world.tools)
    assert not world.ledger.runs()


def test_a_secret_reaches_the_job_and_no_file(world: World) -> None:
    world.environ["TOKEN"] = "s3cr3t-value"
    job = world.job('mkdir results; printf %s "$TOKEN" | wc -c > results/length', secrets=("TOKEN",))
    run = workflow.train(job, MACHINE, world.tools)
    assert (run.folder / "results/length").read_text().strip() == "12"
    for path in world.folder.rglob("*"):
        if path.is_file():
            assert b"s3cr3t-value" not in path.read_bytes(), path


def test_an_absent_secret_is_found_before_money(world: World) -> None:
    with pytest.raises(SetupError, match="TOKEN"):
        workflow.train(world.job("true", secrets=("TOKEN",)), MACHINE, world.tools)
    assert not world.ledger.runs()


def test_a_machine_started_before_is_used_and_left(world: World) -> None:
    instance = machines.start(MACHINE, world.tools)
    run = workflow.train(world.job(TRAIN), MACHINE, world.tools)
    assert run.phase is RunPhase.KEPT
    assert run.instances == (instance.ref,)
    assert [i.ref for i in world.provider.list_owned()] == [instance.ref]
    assert (run.folder / "results/metrics.jsonl").exists()


def test_a_stopped_machine_is_woken_for_a_run(world: World) -> None:
    machines.start(MACHINE, world.tools)
    machines.stop(MACHINE.name, world.tools)
    run = workflow.train(world.job("true"), MACHINE, world.tools)
    assert run.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(("policy", "state"), [(OnFinish.STOP, InstanceState.STOPPED), (OnFinish.KEEP, InstanceState.RUNNING)])
def test_the_machine_is_stopped_or_kept_when_asked(world: World, policy: OnFinish, state: InstanceState) -> None:
    run = workflow.train(world.job("true", on_finish=policy), MACHINE, world.tools)
    assert run.phase is RunPhase.KEPT
    assert [i.state for i in world.provider.list_owned()] == [state]


def test_a_machine_that_vanishes_under_a_run_is_found_out(world: World) -> None:
    world.answer = Interrupt.DETACH
    run = workflow.train(world.job("sleep 600"), MACHINE, world.tools, detach=True)
    world.provider.terminate(run.instances[0])
    again = workflow.resume(world.ledger.run(run.id), world.tools)
    assert again.outcome is Outcome.LOST
    assert again.phase is RunPhase.CLOSED


def test_a_run_that_is_over_is_not_resumed(world: World) -> None:
    run = workflow.train(world.job("true"), MACHINE, world.tools)
    with pytest.raises(NotFoundError, match="is over"):
        workflow.resume(run, world.tools)


def test_two_runs_at_once_do_not_share_a_machine(world: World) -> None:
    first = workflow.train(world.job("sleep 600"), MACHINE, world.tools, detach=True)
    second = workflow.train(world.job("true"), MACHINE, world.tools)
    assert second.instances != first.instances
    assert [i.ref for i in world.provider.list_owned()] == list(first.instances)


def test_more_than_there_is_is_refused(world: World) -> None:
    with pytest.raises(NoOfferFitsError):
        workflow.train(world.job("true", resources=Resources(gpus=64)), MACHINE, world.tools)


def test_status_knows_mine_from_forgotten(world: World) -> None:
    instance = machines.start(MACHINE, world.tools)
    (seen,) = overview.status(world.tools).machines
    assert (seen.instance.ref, seen.standing) == (instance.ref, Standing.KNOWN)
    world.ledger.save_machine(MACHINE, None)
    (seen,) = overview.status(world.tools).machines
    assert seen.standing is Standing.FORGOTTEN
    (seen,) = overview.status(world.tools).machines
    assert seen.standing is Standing.KNOWN  # a look is enough to remember it


def test_a_wiped_ledger_finds_the_machines_again(world: World) -> None:
    instance = machines.start(MACHINE, world.tools)
    with Ledger.open(world.folder / "another home", world.clock) as empty:
        tools = replace(world.tools, ledger=empty, provider_names=("memory",))
        (seen,) = overview.status(tools).machines
        assert (seen.instance.ref, seen.standing) == (instance.ref, Standing.FORGOTTEN)
        machines.terminate(MACHINE.name, tools)
    assert nothing_bills(world)


def test_a_silent_provider_is_named_and_not_taken_for_empty(world: World) -> None:
    machines.start(MACHINE, world.tools)
    world.provider.fail_next("list_owned", ProviderUnavailableError("no answer"))
    status = overview.status(world.tools)
    assert [machine.instance.state for machine in status.machines] == [InstanceState.UNKNOWN]
    assert status.silent[0].subject == "memory"


def test_the_log_can_be_read_while_it_runs_and_after(world: World) -> None:
    run = workflow.train(world.job("echo one; echo two >&2; sleep 600"), MACHINE, world.tools, detach=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "events", [])

        def enough(event: object) -> None:
            if b"two" in world.log:
                raise KeyboardInterrupt

        world.listeners.append(enough)
        with pytest.raises(KeyboardInterrupt):
            watching.show_log(world.ledger.run(run.id), world.tools, follow=True)
        world.listeners.clear()
        assert b"one" in world.log
    machines.terminate(MACHINE.name, world.tools)
    workflow.resume(world.ledger.run(run.id), world.tools)


def test_pull_brings_what_there_is_and_moves_the_older_aside(world: World) -> None:
    run = workflow.train(world.job("mkdir results; echo 1 > results/n; echo ok; sleep 600"), MACHINE, world.tools, detach=True)

    def enough(event: object) -> None:
        if b"ok" in world.log:
            raise KeyboardInterrupt

    world.listeners.append(enough)
    with pytest.raises(KeyboardInterrupt):
        watching.show_log(world.ledger.run(run.id), world.tools, follow=True)
    world.listeners.clear()
    assert watching.pull(world.ledger.run(run.id), world.tools) == ["results"]
    assert watching.pull(world.ledger.run(run.id), world.tools) == ["results"]
    assert (run.folder / "results/n").read_text() == "1\n"
    assert (run.folder / "results.1/n").read_text() == "1\n"
    machines.terminate(MACHINE.name, world.tools)


def test_a_run_that_was_left_behind_is_spoken_of_before_another_machine_is_rented(world: World) -> None:
    left = workflow.train(world.job("sleep 100"), MACHINE, world.tools, detach=True)
    other = replace(MACHINE, name="other")
    run = workflow.train(world.job("true"), other, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    assert f"The run {left.id} is not over and nobody looks after it" in world.notes
    assert f"cloudtrain attach {left.id}" in world.notes
    assert run.id not in world.notes.partition("nobody looks after it")[2].splitlines()[0]
