"""`cloudtrain` on a pretend AWS with real SSH hosts: from the command line to results at home, and nothing left behind.

Each story has a person of its own, with a laptop and a machine of a name of its own. Stories that wait for the most part are
told together; what goes wrong in one of them names it.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cloudtrain import workflow
from cloudtrain.clock import SystemClock
from cloudtrain.config.job import load_job
from cloudtrain.config.machine import load_machine
from cloudtrain.model.errors import RunFailedError
from cloudtrain.model.event import Event, StageStarted
from cloudtrain.wiring import open_tools

from ..clouds.killing import Helper
from .aws_playground import Playground, open_playground, together, wheel_of

DONE = "out.mkdir(exist_ok=True)\n(out / 'metrics.jsonl').write_text('{\"epoch\": 0, \"loss\": 1}\\n')\nprint('epoch 0')\n"
FAILED = DONE + "raise SystemExit(9)\n"
WAITS = "out.mkdir(exist_ok=True)\nwait_at_gate()\n" + DONE


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory, helper: Helper) -> Iterator[Playground]:
    kind = os.environ.get("CLOUDTRAIN_PLAYGROUND_HOSTS", "auto")
    with open_playground(tmp_path_factory.mktemp("aws"), helper, kind) as playground:
        yield playground


def test_jobs_from_the_command_line_to_their_end(playground: Playground) -> None:
    together(playground, a_machine_by_its_name, a_job_is_trained, a_job_fails, the_setup_fails, the_gpu_does_not_compute)


def test_lines_that_break_and_laptops_that_die(playground: Playground) -> None:
    together(
        playground,
        spot_goes_on,
        the_upload_breaks,
        the_laptop_dies_and_another_goes_on,
        the_line_is_lost_and_comes_back,
        somebody_gives_up_while_the_upload_reconnects,
    )


def test_the_machine_ends_by_its_own_deadline_when_the_laptop_never_comes_back(playground: Playground) -> None:
    person = playground.person("abandoned")
    person.has_job(WAITS)
    with person.typing("train", person.name, "--max-lifetime", "10m") as typing:
        typing.until_gate()
        typing.kill()
    playground.cloud.advance(7 * 60)
    assert person.machine().state == "running"
    for _ in range(2):  # the deadline, and the time that the cloud takes
        playground.cloud.advance(2 * 60)
    assert person.machine().state == "terminated"
    group = playground.remains(person.name)
    assert [id.partition("-")[0] for id in group] == ["sg"]
    assert group[0] in person.type("sweep", "--yes").stdout
    person.left_nothing()
    assert "The machine ended before the job did" in person.type("attach", exit_code=6).stderr


def test_a_driver_that_does_not_answer_ends_the_machine(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, for nobody waits here the five minutes that a driver has."""
    person = playground.person("driverless")
    person.has_job(DONE)
    for name, value in person.environ.items():
        monkeypatch.setenv(name, value)
    clock = HurriedClock()

    def tell(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "connect":
            id = person.machine().id
            playground.hypervisor.run_in(id, ["cloud-init", "status", "--wait"])
            playground.hypervisor.set_gpu_load(id, "fail")
            clock.is_hurried = True

    machine = load_machine(person.name, folders=[person.job / "configs"])
    with (
        open_tools(tell) as tools,
        pytest.raises(RunFailedError, match="1 GPUs are paid for and the machine shows 0") as failed,
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


def test_an_old_gpu_is_refused_before_money(playground: Playground) -> None:
    person = playground.person("old")
    person.has_job(DONE)
    for words in (["plan", "aws-p2"], ["train", "aws-p2"]):
        refused = person.type(*words, "--framework", "tensorflow", exit_code=3)
        assert "compute capability 3.7 is too old for current tensorflow" in refused.stderr
        assert "The cheapest that will do is g4dn.xlarge (T4)" in refused.stderr
    planned = person.type("train", "aws-p2", "--framework", "tensorflow", "--allow-unsupported-gpu", "--dry-run")
    assert "p2.xlarge" in planned.stdout
    assert "RunInstances" not in {call.action for call in playground.cloud.calls() if "p2.xlarge" in str(call.parameters)}


def a_job_is_trained(playground: Playground) -> None:
    person = playground.person("trained")
    person.has_job(DONE)
    person.type("setup", "aws", "--yes")
    done = person.type("train", person.name)
    assert "epoch 0" in done.stdout
    assert "nothing of it bills" in done.stderr
    (run,) = person.runs()
    assert (run / "results" / "metrics.jsonl").read_text().count("\n") == 1
    assert "<svg" in (run / "report.html").read_text()
    assert person.outcome()["outcome"] == "succeeded"
    token = person.machine().tags["cloudtrain:token"]
    armed = [call for call in playground.cloud.calls() if call.name == "scheduler:CreateSchedule"]
    assert token in {call.parameters["Name"] for call in armed}
    person.left_nothing()
    status = json.loads(person.type("status", "--json").stdout)
    assert person.name not in {machine["name"] for machine in status["machines"]}
    assert (status["leftovers"], status["silent"]) == ([], [])


def a_job_fails(playground: Playground) -> None:
    person = playground.person("failing")
    person.has_job(FAILED)
    with person.typing("train", person.name) as typing:
        events = typing.end(exit_code=5)
    ended = [event["stage"] for event in events if event["event"] == "stage-ended"]
    assert stages(events) == ended == ["provision", "connect", "upload", "prepare", "check", "run", "collect", "shut down"]
    assert any(event["event"] == "log" and "epoch 0" in event["text"] for event in events)
    assert events[-1]["run"]["outcome"] == "job-failed"
    assert (events[-1]["run"]["exit_code"], events[-1]["run"]["phase"]) == (9, "closed")
    assert (person.runs()[0] / "results" / "metrics.jsonl").is_file()
    person.left_nothing()


def the_setup_fails(playground: Playground) -> None:
    person = playground.person("unmade")
    person.has_job(DONE, requirements="requirements.txt", **{"requirements.txt": "--no-index\nno-such-package==1.0\n"})
    with person.typing("train", person.name) as typing:
        events = typing.end(4)
    assert stages(events) == ["provision", "connect", "upload", "prepare", "collect", "shut down"]
    error = typing.errors
    assert "The environment could not be made: " in error
    assert "requirements.txt (exit code 1) (The machine was ended.)" in error
    assert "No matching distribution found for no-such-package==1.0" in error
    written = person.outcome()
    assert (written["outcome"], written["phase"], written["exit_code"]) == ("failed", "closed", None)
    assert written["reason"] in error
    person.left_nothing()


def the_gpu_does_not_compute(playground: Playground) -> None:
    """A framework that installs, imports and sees no GPU, on a machine whose driver shows one that is paid for."""
    person = playground.person("fallback")
    wheel = {"torch-9.9-py3-none-any.whl": wheel_of("torch", "9.9", TORCH_WITHOUT_GPU)}
    person.has_job(
        DONE,
        framework="pytorch",
        requirements="requirements.txt",
        **{"requirements.txt": f"--no-index\n./{next(iter(wheel))}\n"},
        **wheel,
    )
    with person.typing("train", person.name) as typing:
        events = typing.end(4)
    assert stages(events) == ["provision", "connect", "upload", "prepare", "check", "collect", "shut down"]
    error = typing.errors
    reason = "no GPU is visible to torch 9.9 (nvidia-smi shows 1, Tesla T4"
    assert f"pytorch does not compute on the GPU: {reason}" in error
    assert "(The machine was ended.)" in error
    assert "The job was not started. Choose a machine whose driver and GPU the framework supports: cloudtrain offers" in error
    written = person.outcome()
    assert (written["outcome"], written["phase"], written["gpu_check"]["ok"]) == ("failed", "closed", False)
    assert written["gpu_check"]["reason"].startswith(reason)
    assert written["environment"]["packages"]["torch"] == "9.9"
    assert not (person.runs()[-1] / "results").exists()
    person.left_nothing()


TORCH_WITHOUT_GPU = """
__version__ = "9.9"
class version:
    cuda = "12.9"
class cuda:
    is_available = staticmethod(lambda: False)
"""


def stages(events: list[dict[str, Any]]) -> list[str]:
    return [event["stage"] for event in events if event["event"] == "stage-started"]


def a_machine_by_its_name(playground: Playground) -> None:
    person = playground.person("named", types="t3.medium")
    name = person.name
    assert "There is no machine named now" in person.type("get", name).stdout
    assert "pending" in person.type("start", name, "--budget", "2", "--no-wait").stdout
    person.type("start", name)
    address = person.type("ip", name).stdout.strip()
    assert address == person.machine().booted.address
    person.type("ssh", name, "--", "sh", "-c", "exit 7", exit_code=7)
    person.type("ssh", name, "--", "sh", "-c", "echo kept >$HOME/kept")
    assert "now costs $8.00 per month" in person.type("stop", name).stderr
    assert person.machine().state == "stopped"
    person.type("resize", name, "t3.large")
    person.type("start", name, "--max-lifetime", "1h")
    assert (person.machine().state, person.machine().instance.instance_type) == ("running", "t3.large")
    assert person.type("ssh", name, "--", "sh", "-c", "cat $HOME/kept").stdout == "kept\n"
    assert len(playground.machines(name)) == 1
    person.type("terminate", name, "--yes")
    person.left_nothing()


def the_line_is_lost_and_comes_back(playground: Playground) -> None:
    person = playground.person("cut")
    person.has_job(WAITS)
    with person.typing("train", person.name) as typing:
        gate = typing.until_gate()
        id = person.machine().id
        playground.break_line(id)
        typing.until(lambda event: event["event"] == "note" and "The line broke" in event["text"])
        typing.until(lambda event: event["event"] == "note" and "Reconnected" in event["text"])
        playground.open_gate(id, gate)
        events = typing.end()
    assert events[-1]["run"]["outcome"] == "succeeded"
    logged = "".join(event["text"] for event in events if event["event"] == "log")
    assert (logged.count(" gate "), logged.count("epoch 0")) == (1, 1)
    assert len(playground.machines(person.name)) == 1
    person.left_nothing()


def the_upload_breaks(playground: Playground) -> None:
    person = playground.person("broken")
    for size in LARGE:
        person.has_job("print('arrived', pathlib.Path('data.bin').stat().st_size)\n" + DONE, **{"data.bin": os.urandom(size)})
        with person.typing("train", person.name, "--yes") as typing:
            typing.until(travels)
            playground.break_line(person.machine().id)
            events = typing.end()
        assert f"arrived {size}" in "".join(event["text"] for event in events if event["event"] == "log")
        assert events[-1]["run"]["outcome"] == "succeeded"
        person.left_nothing()
        if stages(events).count("upload") == 2:
            break  # else this computer was busy, and all had arrived when the line broke
    notes = [event["text"] for event in events if event["event"] == "note"]
    if playground.hypervisor.kind == "namespace":  # on loopback another connection of the same upload may go on
        assert [note for note in notes if "what has arrived stays there" in note and "the machine has cost $" in note]
        assert [note for note in notes if note.startswith("Reconnected after")]
        assert stages(events).count("upload") == 2


def somebody_gives_up_while_the_upload_reconnects(playground: Playground) -> None:
    person = playground.person("hasty")
    for size in LARGE:
        person.has_job(WAITS, **{"data.bin": os.urandom(size)})
        with person.typing("train", person.name, "--yes", "--on-interrupt", "shut-down") as typing:
            typing.until(travels)
            playground.cut_line(person.machine().id)
            typing.until(lambda event: event["event"] == "note" and "Reconnecting" in event["text"])
            typing.interrupt()
            events = typing.end(130)
        assert (events[-1]["run"]["outcome"], events[-1]["run"]["phase"]) == ("cancelled", "closed")
        person.left_nothing()
        if "run" not in stages(events):
            return  # else this computer was busy, and the job had started when the line broke
    assert "run" not in stages(events)


def travels(event: dict[str, Any]) -> bool:
    return event["event"] == "progress" and event["stage"] == "upload"


LARGE = (64 << 20, 512 << 20)
"""Bytes that take a moment on this computer's own line, and so many that they take it when it is busy."""


def the_laptop_dies_and_another_goes_on(playground: Playground) -> None:
    person = playground.person("orphaned")
    person.has_job(WAITS)
    with person.typing("train", person.name) as typing:
        gate = typing.until_gate()
        typing.kill()
    assert person.machine().state == "running"
    with person.typing("attach") as typing:
        typing.until(lambda event: event["event"] == "stage-started" and event["stage"] == "run")
        playground.open_gate(person.machine().id, gate)
        events = typing.end()
    assert events[-1]["run"]["outcome"] == "succeeded"
    assert (person.runs()[0] / "results" / "metrics.jsonl").is_file()
    person.left_nothing()


CHECKPOINTS = """
import json, os, signal, sys, time
out.mkdir(exist_ok=True)
checkpoint = out / "checkpoint.json"
def save(*_):
    checkpoint.write_text(json.dumps({"step": 3, "at": time.time()}))
    sys.exit(0)
if checkpoint.exists():
    print("goes on at step", json.loads(checkpoint.read_text())["step"])
else:
    signal.signal(signal.SIGTERM, save)
    wait_at_gate()
"""


def spot_goes_on(playground: Playground) -> None:
    person = playground.person("reclaimed", market="spot")
    person.has_job(CHECKPOINTS, resume=True)
    with person.typing("train", person.name) as typing:
        typing.until_gate()
        first = person.machine().id
        playground.cloud.reclaim(first)
        reclaimed_at = playground.cloud.account.timeline.now().timestamp()
        events = typing.end()
    before, after = person.runs()
    saved = json.loads((before / "results" / "checkpoint.json").read_text())
    assert saved["at"] - reclaimed_at < 60
    assert json.loads((before / "run.json").read_text())["outcome"] == "reclaimed"
    assert "goes on at step 3" in (after / "job.log").read_text()
    assert json.loads((after / "run.json").read_text())["continues"] == before.name
    assert events[-1]["run"]["outcome"] == "succeeded"
    assert len(playground.machines(person.name)) == 2
    person.left_nothing()
