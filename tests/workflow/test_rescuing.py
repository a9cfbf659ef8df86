"""Results travel while the job runs: what was finished is here when the machine is gone, and the next one begins with it."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain import workflow
from cloudtrain.model.errors import HostUnreachableError, TransferError
from cloudtrain.model.event import Event, LogChunk
from cloudtrain.model.instance import MemoryEndpoint
from cloudtrain.model.run import Outcome
from cloudtrain.model.spec import Market
from cloudtrain.remote.memory import MemoryRemote
from cloudtrain.rescuing import FOLDER, LOOK_EVERY_S, drop

from .conftest import MACHINE, World

SPOT = replace(MACHINE, market=Market.SPOT)
PATIENCE_S = 60.0

WRITES = (
    "mkdir -p results/deep; if test -e results/deep/step1; then echo found $(cat results/deep/step1); else "
    "echo one > results/deep/step1; echo ready; exec sleep 1000; fi"
)


class Looks:
    """Lets the rescue look so many times once the job says "ready", and then whoever waits for it go on."""

    def __init__(self, world: World, count: int, then: Callable[[], object], before: Callable[[int], object] = bool) -> None:
        self._world = world
        self._left = count
        self._then: Callable[[], object] | None = then
        self._before = before
        self._is_ready, self._has_travelled = threading.Event(), threading.Event()
        self.pauses: list[float] = []
        world.wait = self.wait
        world.listeners.append(self.hear)

    def wait(self, over: threading.Event, seconds: float) -> bool:
        """Be the clock of the thread that looks."""
        self.pauses.append(seconds)
        if not self._left:
            self._has_travelled.set()
            return over.wait(PATIENCE_S)
        if not self._is_ready.wait(PATIENCE_S):
            return True
        self._before(self._left)
        self._left -= 1
        self._world.clock.advance(LOOK_EVERY_S)
        return False

    def hear(self, event: Event) -> None:
        """Be the person who watches the job."""
        if isinstance(event, LogChunk) and b"ready" in self._world.log and self._then is not None:
            then, self._then = self._then, None
            self._is_ready.set()
            assert self._has_travelled.wait(PATIENCE_S)
            then()


def machine_of(world: World) -> Path:
    endpoint = world.provider.list_owned()[0].endpoint
    assert isinstance(endpoint, MemoryEndpoint)
    return Path(endpoint.root)


def take_back(world: World) -> Callable[[], object]:
    return lambda: world.provider.reclaim(world.provider.list_owned()[0].ref)


def test_what_two_looks_found_unchanged_is_here_when_the_machine_is_taken_back_and_the_job_finds_it_elsewhere(
    world: World,
) -> None:
    looks = Looks(world, 2, take_back(world))
    run = workflow.train(world.job(WRITES, resume=True), SPOT, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    assert b"found one" in world.log
    lost = world.ledger.run(run.continues)
    assert lost.outcome is Outcome.RECLAIMED
    assert (lost.folder / "results/deep/step1").read_text() == "one\n"
    assert not (lost.folder / FOLDER).exists()
    assert not (run.folder / FOLDER).exists()
    assert (run.folder / "results/deep/step1").read_text() == "one\n"
    record = json.loads((lost.folder / "run.json").read_text())
    assert record["outputs"] == ["results"]
    assert "outputs_as_of" in record
    assert "outputs_as_of" not in json.loads((run.folder / "run.json").read_text())
    assert "What travelled while the job ran is kept: results as of" in world.notes
    assert set(looks.pauses) == {LOOK_EVERY_S}


def test_a_file_that_one_look_alone_has_seen_does_not_travel(world: World) -> None:
    Looks(world, 1, take_back(world))
    run = workflow.train(world.job(WRITES), SPOT, world.tools)
    assert run.outcome is Outcome.RECLAIMED
    assert not (run.folder / "results").exists()
    assert not (run.folder / FOLDER).exists()
    assert "What travelled" not in world.notes


def test_a_file_that_is_still_written_to_travels_as_it_was_when_it_last_rested(world: World) -> None:
    def write(left: int) -> None:
        work = next(machine_of(world).glob("runs/*/work"))
        if left <= 2:  # before the third and the fourth look
            (work / "results/deep/step1").write_text(f"half of the next one {left}")

    Looks(world, 4, take_back(world), write)
    run = workflow.train(world.job(WRITES), SPOT, world.tools)
    assert (run.folder / "results/deep/step1").read_text() == "one\n"


def test_a_run_that_is_collected_keeps_nothing_of_what_travelled(world: World) -> None:
    def go_on() -> None:
        folder = world.ledger.runs()[0].folder
        assert (folder / FOLDER / "outputs/results/deep/step1").read_text() == "one\n"
        assert not (folder / "results").exists()  # what is on its way is no result
        (next(machine_of(world).glob("runs/*/work")) / "go").touch()

    Looks(world, 2, go_on)
    command = WRITES.replace("exec sleep 1000", "until test -e go; do sleep 0.05; done; echo two > results/deep/step1")
    run = workflow.train(world.job(command), SPOT, world.tools)
    assert run.outcome is Outcome.SUCCEEDED
    assert (run.folder / "results/deep/step1").read_text() == "two\n"
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "job.log",
        "report.html",
        "results",
        "run.json",
        "samples.jsonl",
    ]


def test_a_broken_line_of_its_own_is_tried_again_and_the_log_does_not_notice(world: World) -> None:
    lines: list[MemoryRemote] = []

    def break_once(remote: MemoryRemote) -> None:
        lines.append(remote)
        if len(lines) == 2:  # the first is the story's own
            remote.fail_next("update", HostUnreachableError("cut"))

    world.on_line.append(break_once)
    Looks(world, 3, take_back(world))
    run = workflow.train(world.job(WRITES), SPOT, world.tools)
    assert (run.folder / "results/deep/step1").read_text() == "one\n"
    assert "cut" not in world.notes


def test_what_travelled_is_the_result_when_the_rest_cannot_be_collected(world: World) -> None:
    def go_on() -> None:
        (next(machine_of(world).glob("runs/*/work")) / "go").touch()

    world.on_line.append(lambda remote: remote.fail_next("pull", TransferError("damaged")))
    Looks(world, 2, go_on)
    command = WRITES.replace("exec sleep 1000", "until test -e go; do sleep 0.05; done")
    run = workflow.train(world.job(command), SPOT, world.tools)
    assert run.outcome is Outcome.FAILED
    assert (run.folder / "results/deep/step1").read_text() == "one\n"
    assert "What travelled while the job ran is kept: results as of" in world.notes


def test_a_pull_meanwhile_is_moved_aside_by_what_is_newer(world: World) -> None:
    def pull_and_lose() -> None:
        folder = world.ledger.runs()[0].folder
        (folder / "results").mkdir()
        (folder / "results/older").write_text("")
        take_back(world)()

    Looks(world, 2, pull_and_lose)
    run = workflow.train(world.job(WRITES), SPOT, world.tools)
    assert (run.folder / "results/deep/step1").exists()
    assert (run.folder / "results.1/older").exists()


def test_a_run_that_is_lost_before_anything_travelled_keeps_what_it_went_on_from(world: World) -> None:
    lost: list[str] = []

    def lose_again() -> None:
        def at_once(event: Event) -> None:
            if isinstance(event, LogChunk) and b"found one" in event.content and not lost:
                lost.append("again")
                (job.folder / "go").touch()  # the third machine gets it
                take_back(world)()

        world.listeners.append(at_once)
        take_back(world)()

    Looks(world, 2, lose_again)
    job = world.job(WRITES + "; until test -e go; do sleep 0.05; done", resume=True)
    run = workflow.train(job, SPOT, world.tools)
    assert lost == ["again"]
    assert (run.folder / "results/deep/step1").read_text() == "one\n"
    second = world.ledger.run(run.continues)
    assert world.ledger.run(second.continues).continues == ""
    assert (second.folder / "results/deep/step1").read_text() == "one\n"


def test_the_time_said_is_when_all_that_is_here_was_finished(world: World) -> None:
    began = []
    Looks(world, 3, take_back(world), lambda left: began.append(world.clock.now()))
    run = workflow.train(world.job(WRITES), SPOT, world.tools)
    second_look = began[1] + timedelta(seconds=LOOK_EVERY_S)
    assert f"results as of {second_look:%H:%M} UTC" in world.notes
    assert json.loads((run.folder / "run.json").read_text())["outputs_as_of"][:16] == f"{second_look:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize("name", ["results", "absent"])
def test_dropping_what_never_travelled_is_no_error(tmp_path: Path, name: str) -> None:
    (tmp_path / FOLDER / "outputs" / "results").mkdir(parents=True)
    drop(tmp_path, (name,))
    assert (tmp_path / FOLDER / "outputs" / "results").exists() is (name == "absent")
