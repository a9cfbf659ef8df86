"""`cloudtrain` on each pretend cloud with real SSH hosts: from the command line to results at home, and nothing left behind.

Each story has a person of its own, with a laptop and a machine of a name of its own. Stories that wait for the most part are
told together; what goes wrong in one of them names it.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from cloudtrain import workflow
from cloudtrain.clock import SystemClock
from cloudtrain.config.job import load_job
from cloudtrain.config.machine import load_machine
from cloudtrain.model.errors import RunFailedError
from cloudtrain.model.event import Event, StageStarted
from cloudtrain.wiring import open_tools

from ..clouds.person import LATER_S
from ..clouds.world import OPENED
from .person import TIMEOUT_S
from .playground import Playground, together
from .stories_of_jobs import (
    DONE,
    WAITS,
    a_job_fails,
    a_job_is_trained,
    a_machine_by_its_name,
    the_gpu_does_not_compute,
    the_setup_fails,
)
from .stories_of_trouble import (
    CHECKPOINTS,
    somebody_gives_up_while_the_upload_reconnects,
    spot_goes_on,
    the_laptop_dies_and_another_goes_on,
    the_line_is_lost_and_comes_back,
    the_upload_breaks,
)

on_every_cloud = pytest.mark.parametrize("playground", OPENED, indirect=True)


@on_every_cloud
def test_jobs_from_the_command_line_to_their_end(playground: Playground) -> None:
    together(playground, a_machine_by_its_name, a_job_is_trained, a_job_fails, the_setup_fails, the_gpu_does_not_compute)


@on_every_cloud
def test_lines_that_break_and_laptops_that_die(playground: Playground) -> None:
    together(
        playground,
        spot_goes_on,
        the_upload_breaks,
        the_laptop_dies_and_another_goes_on,
        the_line_is_lost_and_comes_back,
        somebody_gives_up_while_the_upload_reconnects,
    )


@on_every_cloud
def test_the_machine_ends_by_its_own_deadline_when_the_laptop_never_comes_back(playground: Playground) -> None:
    person, pretend = playground.person("abandoned"), playground.pretend
    person.has_job(WAITS)
    with person.typing("train", person.name, "--max-lifetime", "10m") as typing:
        typing.until_gate()
        typing.kill()
    playground.cloud.advance(7 * 60)
    assert person.sees().state == "on"
    # The deadline, the time that the cloud takes, and two minutes more: the laptop's clock stays behind, so what `attach` arms
    # lies in the cloud's past, and a daily schedule of this very minute would end the machine while it looks.
    for _ in range(3):
        playground.cloud.advance(2 * 60)
    assert person.sees().state == pretend.at_deadline
    assert pretend.left_of(person.name)
    person.type("attach", exit_code=6)
    assert (person.sees().state, person.outcome()["outcome"]) == (pretend.at_deadline, "lost")
    person.type("sweep", "--yes", ahead_s=LATER_S)
    person.left_nothing()


@on_every_cloud
def test_what_lies_in_the_clouds_storage_is_gone_on_from_when_the_laptop_was_closed_and_the_machine_taken(
    playground: Playground,
) -> None:
    person, pretend = playground.person("closed", market="spot"), playground.pretend
    person.has_job(CHECKPOINTS, resume=True, settings=f"checkpoints: {pretend.make_folder()}\n")
    with person.typing("train", person.name) as typing:
        typing.until_gate()
        typing.kill()
    playground.cloud.reclaim(person.machine())
    until(lambda: any(name.endswith("/results/checkpoint.json") for name in pretend.stored()))
    playground.cloud.advance(180)
    assert person.sees().state == "gone"
    person.type("attach", "--json")
    before, after = person.runs()
    assert not (before / "results").exists()
    assert json.loads((before / "run.json").read_text())["outcome"] == "reclaimed"
    assert json.loads((after / "run.json").read_text())["continues"] == before.name
    assert "goes on at step 3" in (after / "job.log").read_text()
    person.left_nothing(machines=2)
    assert not {"roles", "service accounts", "rights"} & pretend.beside().keys()


def until(holds: Callable[[], bool]) -> None:
    """Look again and again until something holds; fail when it never does."""
    give_up_at = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.2)


@on_every_cloud
def test_a_driver_that_does_not_answer_ends_the_machine(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, for nobody waits here the five minutes that a driver has."""
    person = playground.person("driverless")
    person.has_job(DONE)
    for name, value in person.environ.items():
        monkeypatch.setenv(name, value)
    clock = HurriedClock()

    def tell(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "connect":
            id = person.machine()
            playground.hypervisor.run_in(id, ["cloud-init", "status", "--wait"])
            playground.hypervisor.set_gpu_load(id, "fail")
            clock.is_hurried = True

    machine = load_machine(person.name, folders=[person.job / "configs"])
    with (
        open_tools(tell) as tools,
        pytest.raises(RunFailedError, match="1 GPU is paid for and the machine shows 0") as failed,
    ):
        workflow.train(load_job(person.job), machine, replace(tools, clock=clock))
    assert failed.value.exit_code == 4
    assert "NVIDIA-SMI has failed" in failed.value.message
    person.left_nothing()


class HurriedClock(SystemClock):
    """This computer's time, which leaps over pauses once it is told to."""

    def __init__(self) -> None:
        self.is_hurried, self._leapt_s = False, 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._leapt_s

    def sleep(self, seconds: float) -> None:
        if self.is_hurried:
            self._leapt_s += seconds
        else:
            super().sleep(seconds)
