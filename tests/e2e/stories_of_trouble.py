"""Lines that break, laptops that die and machines that are taken, whichever cloud they are on."""

import json
import os
import time
from typing import Any

from .playground import Playground
from .stories_of_jobs import DONE, WAITS, stages


def the_line_is_lost_and_comes_back(playground: Playground) -> None:
    person = playground.person("cut")
    person.has_job(WAITS)
    with person.typing("train", person.name) as typing:
        gate = typing.until_gate()
        id = person.machine()
        playground.break_line(id)
        typing.until(lambda event: event["event"] == "note" and "The line broke" in event["text"])
        typing.until(lambda event: event["event"] == "note" and "Reconnected" in event["text"])
        playground.open_gate(id, gate)
        events = typing.end()
    assert events[-1]["run"]["outcome"] == "succeeded"
    logged = "".join(event["text"] for event in events if event["event"] == "log")
    assert (logged.count(" gate "), logged.count("epoch 0")) == (1, 1)
    person.left_nothing()


def the_upload_breaks(playground: Playground) -> None:
    person = playground.person("broken")
    for tries, size in enumerate(LARGE, 1):
        person.has_job("print('arrived', pathlib.Path('data.bin').stat().st_size)\n" + DONE, **{"data.bin": os.urandom(size)})
        with person.typing("train", person.name, "--yes") as typing:
            typing.until(travels)
            playground.break_line(person.machine())
            events = typing.end()
        assert f"arrived {size}" in "".join(event["text"] for event in events if event["event"] == "log")
        assert events[-1]["run"]["outcome"] == "succeeded"
        person.left_nothing(machines=tries)
        if stages(events).count("upload") == 2:
            break  # else this computer was busy, and all had arrived when the line broke
    notes = [event["text"] for event in events if event["event"] == "note"]
    if playground.hypervisor.kind == "namespace":  # on loopback another connection of the same upload may go on
        assert [note for note in notes if "what has arrived stays there" in note and "the machine has cost $" in note]
        assert [note for note in notes if note.startswith("Reconnected after")]
        assert stages(events).count("upload") == 2


def somebody_gives_up_while_the_upload_reconnects(playground: Playground) -> None:
    person = playground.person("hasty")
    for tries, size in enumerate(LARGE, 1):
        person.has_job(WAITS, **{"data.bin": os.urandom(size)})
        with person.typing("train", person.name, "--yes", "--on-interrupt", "shut-down") as typing:
            typing.until(travels)
            playground.cut_line(person.machine())
            typing.until(lambda event: event["event"] == "note" and "Reconnecting" in event["text"])
            typing.interrupt()
            events = typing.end(130)
        assert (events[-1]["run"]["outcome"], events[-1]["run"]["phase"]) == ("cancelled", "closed")
        person.left_nothing(machines=tries)
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
    assert person.sees().state == "on"
    with person.typing("attach") as typing:
        typing.until(lambda event: event["event"] == "stage-started" and event["stage"] == "run")
        playground.open_gate(person.machine(), gate)
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
        reclaimed_at = time.time()
        playground.cloud.reclaim(person.machine())
        events = typing.end()
    before, after = person.runs()
    saved = json.loads((before / "results" / "checkpoint.json").read_text())
    assert saved["at"] - reclaimed_at < 60
    assert json.loads((before / "run.json").read_text())["outcome"] == "reclaimed"
    assert "goes on at step 3" in (after / "job.log").read_text()
    assert json.loads((after / "run.json").read_text())["continues"] == before.name
    assert events[-1]["run"]["outcome"] == "succeeded"
    person.left_nothing(machines=2)
