"""A log that is followed from another terminal outlives the line it comes over, and no byte of it is lost or told twice."""

import pytest

from cloudtrain import machines, watching, workflow
from cloudtrain.model.errors import HostUnreachableError
from cloudtrain.model.run import Run
from cloudtrain.reconnecting import PATIENCE_S
from cloudtrain.remote.guest import Guest
from cloudtrain.remote.memory import MemoryRemote

from .conftest import MACHINE, World

COUNT = "for i in $(seq 1 500); do echo line $i; done"
LINES = [f"line {number}" for number in range(1, 501)]


@pytest.fixture
def run(world: World) -> Run:
    run = workflow.train(world.job(COUNT), MACHINE, world.tools, detach=True)
    world.events.clear()
    return world.ledger.run(run.id)


def said(world: World) -> list[str]:
    """Return what the log says, without the moments before each line."""
    return [line.split(" ", 1)[1] for line in world.log.decode().splitlines()]


def end(world: World, run: Run) -> None:
    machines.terminate(MACHINE.name, world.tools)
    workflow.resume(world.ledger.run(run.id), world.tools)


def test_a_log_goes_on_at_the_next_byte_after_every_break(world: World, run: Run) -> None:
    lines: list[MemoryRemote] = []

    def cut(line: MemoryRemote) -> None:
        lines.append(line)
        line.cut_after_bytes(700)

    world.on_line.append(cut)
    world.listeners.append(
        lambda event: lines[0].cut_after_bytes(900) if "Reconnecting" in getattr(event, "text", "") else None
    )
    watching.show_log(run, world.tools, follow=True)
    assert said(world) == LINES
    assert world.notes.count("the job goes on. Reconnecting") >= 3
    world.listeners.clear()
    end(world, run)


def test_a_machine_that_does_not_answer_is_asked_again_for_ten_minutes(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, asked = Guest.state, []

    def silent(guest: Guest, home: object) -> object:
        asked.append(world.clock.monotonic())
        if len(asked) < 6:
            raise HostUnreachableError("silent")
        return state(guest, home)  # type: ignore[arg-type]

    monkeypatch.setattr(Guest, "state", silent)
    world.on_line.append(lambda line: line.cut_after_bytes(700))
    watching.show_log(run, world.tools, follow=True)
    assert said(world) == LINES
    assert len(asked) == 6
    world.events.clear()
    monkeypatch.setattr(Guest, "state", lambda *_: (_ for _ in ()).throw(HostUnreachableError("silent")))
    began = world.clock.monotonic()
    with pytest.raises(HostUnreachableError, match="silent"):
        watching.show_log(run, world.tools, follow=True)
    assert PATIENCE_S - 60 < world.clock.monotonic() - began <= PATIENCE_S + 60
    monkeypatch.undo()
    end(world, run)


def test_a_line_that_breaks_at_once_for_ever_is_given_up(world: World, run: Run) -> None:
    lines: list[MemoryRemote] = []
    world.on_line.append(lines.append)

    def cut(event: object) -> None:
        if lines:
            lines[0].fail_next("stream", HostUnreachableError("cut"))

    world.on_line.append(lambda line: line.fail_next("stream", HostUnreachableError("cut")))
    world.listeners.append(cut)
    began = world.clock.monotonic()
    with pytest.raises(HostUnreachableError, match="cut"):
        watching.show_log(run, world.tools, follow=True)
    assert PATIENCE_S - 60 < world.clock.monotonic() - began <= PATIENCE_S
    assert world.notes.count("Reconnecting") < 40  # it is not tried in a frenzy
    world.listeners.clear()
    end(world, run)


def test_the_rest_comes_from_here_when_the_run_has_ended_meanwhile(world: World, run: Run) -> None:
    tools = world.tools

    def end_it(event: object) -> None:
        if "Reconnecting" in getattr(event, "text", ""):
            world.listeners.clear()
            world.on_line.clear()
            told = list(world.events)
            workflow.resume(run, tools)
            world.events[:] = told

    world.on_line.append(lambda line: line.cut_after_bytes(700))
    world.listeners.append(end_it)
    watching.show_log(run, tools, follow=True)
    assert world.ledger.run(run.id).phase.is_over
    assert said(world) == LINES
