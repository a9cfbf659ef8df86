"""A line that breaks before the job has started costs a reconnect, as long as something comes over it, and no longer."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cloudtrain import workflow
from cloudtrain.journey import Journey
from cloudtrain.model.errors import (
    ExitCode,
    HostUnreachableError,
    ProviderUnavailableError,
    RunFailedError,
    SetupError,
    ShutdownError,
)
from cloudtrain.model.event import Event, LogChunk, Note, Progress
from cloudtrain.model.instance import Endpoint, Instance, InstanceRef
from cloudtrain.model.run import Outcome, RunPhase
from cloudtrain.model.spec import JobSpec, Market
from cloudtrain.remote.base import Remote
from cloudtrain.remote.guest import Guest
from cloudtrain.remote.memory import MemoryRemote
from cloudtrain.stages.collect import collect_log
from cloudtrain.steadying import RECONNECT_FOR_S

from .conftest import MACHINE, World

LONG = 300_000
"""Bytes of a file that takes several breaks to arrive."""


def cut() -> HostUnreachableError:
    return HostUnreachableError("cut", "Look whether the machine runs: cloudtrain status")


def copying_job(world: World, **changes: object) -> JobSpec:
    job = world.job("mkdir -p results && cp input results/", outputs=("results/",), **changes)
    (job.folder / "input").write_bytes(b"x" * LONG)
    return job


def nothing_bills(world: World) -> bool:
    return not [instance for instance in world.provider.list_owned() if instance.state.bills_compute]


def break_next(world: World, operation: str, times: int) -> None:
    """Let this break the next so many lines on which it is asked for."""
    left = [cut() for _ in range(times)]

    def prepare(line: MemoryRemote) -> None:
        if left:
            line.fail_next(operation, left.pop())

    world.on_line.append(prepare)


@pytest.mark.parametrize("operation", ["push", "stream"])
def test_a_line_that_breaks_on_the_way_there_costs_a_reconnect(world: World, operation: str) -> None:
    break_next(world, operation, 3)
    run = workflow.train(copying_job(world), MACHINE, world.tools)
    assert (run.outcome, run.phase) == (Outcome.SUCCEEDED, RunPhase.CLOSED)
    assert (run.folder / "results" / "input").stat().st_size == LONG
    assert world.notes.count("The line broke") == 3
    assert world.notes.count("Reconnected") == 3
    assert "the machine has cost $0.0" in world.notes
    assert nothing_bills(world)


def test_a_line_that_breaks_while_the_first_boot_goes_on_costs_a_reconnect(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def make_ready(*arguments: object) -> None:
        asked.append(arguments)
        if len(asked) < 3:
            raise cut()

    monkeypatch.setattr("cloudtrain.boarding.make_ready", make_ready)
    monkeypatch.setattr("cloudtrain.boarding.GuestEnd", type("Nobody", (), {"NONE": None}))  # here machines end themselves
    monkeypatch.setattr("cloudtrain.boarding.arm_guest", lambda *_: True)
    run = workflow.train(copying_job(world), MACHINE, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    assert len(asked) == 3
    assert world.notes.count("Reconnected") == 2


def test_a_line_that_breaks_while_the_job_is_started_starts_it_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    start, asked = Guest.start, []

    def start_and_break(*arguments: object) -> object:
        asked.append(start(*arguments))  # type: ignore[arg-type]
        if len(asked) == 1:
            raise cut()
        return asked[-1]

    monkeypatch.setattr(Guest, "start", start_and_break)
    job = world.job("echo once >> started; mkdir -p results; cp started results/", outputs=("results/",))
    run = workflow.train(job, MACHINE, world.tools)
    assert (run.outcome, len(asked)) == (Outcome.SUCCEEDED, 2)
    assert (run.folder / "results" / "started").read_text() == "once\n"


def test_a_line_that_brings_nothing_is_given_up_and_the_machine_ended(world: World) -> None:
    break_next(world, "push", 1000)
    began = world.clock.monotonic()
    with pytest.raises(RunFailedError, match="brought nothing any further for 120 s") as failed:
        workflow.train(copying_job(world), MACHINE, world.tools)
    assert RECONNECT_FOR_S <= world.clock.monotonic() - began < RECONNECT_FOR_S + 30
    assert "The machine was ended." in failed.value.message
    assert "cloudtrain train cloudy" in failed.value.hint
    assert failed.value.exit_code is ExitCode.SPENT_NOTHING_BILLS
    assert 8 < world.notes.count("Reconnecting") < 20  # it is not tried in a frenzy
    assert nothing_bills(world)


def test_a_machine_that_is_silent_before_the_job_has_started_is_given_up_and_ended(world: World) -> None:
    tools = world.tools

    def open_remote(endpoint: Endpoint) -> Remote:
        if "The line broke" in world.notes:
            raise cut()
        return tools.open_remote(endpoint)

    break_next(world, "push", 1)
    began = world.clock.monotonic()
    with pytest.raises(RunFailedError, match="before the job had started"):
        workflow.train(copying_job(world), MACHINE, replace(tools, open_remote=open_remote))
    assert world.clock.monotonic() - began < RECONNECT_FOR_S + 30
    assert "while collecting" not in world.notes  # there is nothing to wait for
    assert nothing_bills(world)


def test_a_line_that_dies_when_the_set_up_has_failed_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = world.tools

    def fail(*_: object) -> None:
        dead.append("yes")
        raise SetupError("the requirements do not install")

    def open_remote(endpoint: Endpoint) -> Remote:
        if dead:
            raise cut()
        return tools.open_remote(endpoint)

    dead: list[str] = []
    monkeypatch.setattr("cloudtrain.boarding.prepare", fail)
    world.on_line.append(lambda line: line.fail_next("pull", cut()))
    began = world.clock.monotonic()
    with pytest.raises(RunFailedError, match="the requirements do not install"):
        workflow.train(copying_job(world), MACHINE, replace(tools, open_remote=open_remote))
    assert "nothing of it is lost" in world.notes
    assert world.clock.monotonic() - began < 30
    assert nothing_bills(world)


def test_of_a_run_that_somebody_else_was_boarding_nobody_knows_whether_its_job_runs(world: World) -> None:
    break_next(world, "push", 1000)
    with pytest.raises(RunFailedError):
        workflow.train(copying_job(world), MACHINE, world.tools)
    (run,) = world.ledger.runs()
    boarding, booting = replace(run, phase=RunPhase.UPLOADING), replace(run, phase=RunPhase.CONNECTING)
    assert Journey.again(boarding, MACHINE, world.tools).job_may_run
    assert not Journey.again(booting, MACHINE, world.tools).job_may_run


def test_what_gets_further_each_time_is_never_given_up(world: World) -> None:
    job = copying_job(world)
    for number in range(20):
        (job.folder / f"part-{number}").write_bytes(b"x" * (LONG // 10))
    lines: list[MemoryRemote] = []

    def carry_a_little_more(line: MemoryRemote) -> None:
        lines.append(line)
        line.cut_after_bytes(len(lines) * LONG // 2)

    def let_time_pass(event: Event) -> None:
        if isinstance(event, Note) and "Reconnected" in event.text:
            world.clock.advance(RECONNECT_FOR_S * 0.9)

    world.on_line.append(carry_a_little_more)
    world.listeners.append(let_time_pass)
    run = workflow.train(job, MACHINE, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    assert len(lines) > 4
    assert world.clock.monotonic() > 3 * RECONNECT_FOR_S


def test_the_speed_of_an_upload_that_broke_is_not_the_lines(world: World) -> None:
    job = copying_job(world)
    (job.folder / "input").write_bytes(b"x" * 2_000_000)
    world.listeners.append(lambda event: world.clock.advance(1) if isinstance(event, Progress) else None)
    break_next(world, "push", 1)
    workflow.train(job, MACHINE, world.tools)
    assert world.ledger.past.speed("cloudy") is None
    workflow.train(job, MACHINE, world.tools)
    assert world.ledger.past.speed("cloudy") is not None


def test_a_spot_machine_taken_back_under_the_upload_lets_the_job_go_on_elsewhere(world: World) -> None:
    tools, dead = world.tools, []

    def reclaim(event: Event) -> None:
        if isinstance(event, Note) and "Reconnecting" in event.text:
            world.listeners.clear()
            (machine,) = world.provider.list_owned()
            world.provider.reclaim(machine.ref)
            dead.append(machine.endpoint)

    def open_remote(endpoint: Endpoint) -> Remote:
        if endpoint in dead:
            raise cut()
        return tools.open_remote(endpoint)

    break_next(world, "push", 1)
    world.listeners.append(reclaim)
    machine = replace(MACHINE, market=Market.SPOT)
    run = workflow.train(copying_job(world, resume=True), machine, replace(tools, open_remote=open_remote))
    assert [run.outcome for run in world.ledger.runs()] == [Outcome.SUCCEEDED, Outcome.RECLAIMED]
    assert (run.folder / "results" / "input").is_file()
    assert nothing_bills(world)


def _at_note(world: World, words: str, act: Callable[[], None]) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, Note) and words in event.text:
            world.listeners.clear()
            act()

    world.listeners.append(listen)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("words", ["The line broke", "Reconnected"])
def test_ctrl_c_around_a_broken_upload_ends_the_machine_at_once(world: World, words: str) -> None:
    break_next(world, "push", 1000)
    _at_note(world, words, interrupt)
    began = world.clock.monotonic()
    run = workflow.train(copying_job(world), MACHINE, world.tools)
    assert (run.outcome, run.phase) == (Outcome.CANCELLED, RunPhase.CLOSED)
    assert world.clock.monotonic() - began < 60
    assert nothing_bills(world)


def test_ctrl_c_in_the_pause_before_a_new_line_ends_the_machine_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_next(world, "push", 1000)
    _at_note(world, "Reconnecting", lambda: monkeypatch.setattr(world.clock, "sleep", sleep))
    sleep_on = world.clock.sleep

    def sleep(seconds: float) -> None:
        monkeypatch.setattr(world.clock, "sleep", sleep_on)
        raise KeyboardInterrupt

    run = workflow.train(copying_job(world), MACHINE, world.tools)
    assert (run.outcome, run.phase) == (Outcome.CANCELLED, RunPhase.CLOSED)
    assert nothing_bills(world)


def test_the_results_of_a_cancelled_run_are_waited_for_a_minute_over_a_dead_line(world: World) -> None:
    tools = world.tools
    lines: list[MemoryRemote] = []

    def interrupt_and_cut(event: Event) -> None:
        if isinstance(event, LogChunk):
            lines[-1].fail_next("run", cut())
            lines.clear()
            raise KeyboardInterrupt

    def open_remote(endpoint: Endpoint) -> Remote:
        if world.log:
            raise cut()
        return tools.open_remote(endpoint)

    world.on_line.append(lines.append)
    world.listeners.append(interrupt_and_cut)
    began = world.clock.monotonic()
    run = workflow.train(world.job("echo ready; sleep 600"), MACHINE, replace(tools, open_remote=open_remote))
    assert run.outcome is Outcome.CANCELLED
    assert 30 < world.clock.monotonic() - began < 90
    assert nothing_bills(world)


def test_a_cloud_that_is_silent_for_a_moment_does_not_hide_why_the_run_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, silent = world.provider.get, [ProviderUnavailableError("away")]

    def get_or_not(ref: InstanceRef) -> Instance:
        if silent and "Reconnecting" in world.notes:
            raise silent.pop()
        return get(ref)

    monkeypatch.setattr(world.provider, "get", get_or_not)
    break_next(world, "push", 1000)
    with pytest.raises(RunFailedError, match="before the job had started"):
        workflow.train(copying_job(world), MACHINE, world.tools)
    assert silent == []
    assert nothing_bills(world)


def test_results_come_home_over_as_many_lines_as_it_takes_and_each_of_them_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.job("mkdir -p a b; seq 1 2000 > a/n; seq 1 3000 > b/n", outputs=("a", "b"))
    tries: list[object] = []

    def cut_three_times(*arguments: object) -> None:
        tries.append(arguments)
        if len(tries) < 4:
            raise cut()  # the outputs are here, the log is not
        collect_log(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("cloudtrain.homecoming.collect_log", cut_three_times)
    break_next(world, "pull", 2)
    run = workflow.train(job, MACHINE, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    assert len(tries) == 4
    assert "The line broke while collecting" in world.notes
    assert (run.folder / "b" / "n").read_text().split()[-1] == "3000"
    assert not list(run.folder.glob("*.1"))  # none came twice
    assert nothing_bills(world)


def test_results_that_never_come_home_are_given_up_after_ten_minutes(world: World) -> None:
    world.on_line.append(lambda line: line.fail_next("pull", cut()))
    began = world.clock.monotonic()
    with pytest.raises(ShutdownError, match="may bill"):
        workflow.train(copying_job(world), MACHINE, world.tools)
    assert 540 < world.clock.monotonic() - began < 700
    assert 10 < world.notes.count("Trying again") < 60
