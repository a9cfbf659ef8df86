"""Jobs from the command line to their end, whichever cloud they are on."""

import io
import json
import re
import zipfile
from typing import Any

from .playground import Playground

WANTS = "requirements: requirements.txt\n"
DONE = "out.mkdir(exist_ok=True)\n(out / 'metrics.jsonl').write_text('{\"epoch\": 0, \"loss\": 1}\\n')\nprint('epoch 0')\n"
FAILED = DONE + "raise SystemExit(9)\n"
WAITS = "out.mkdir(exist_ok=True)\nwait_at_gate()\n" + DONE


def a_job_is_trained(playground: Playground) -> None:
    person = playground.person("trained")
    person.has_job(DONE)
    pretend = playground.pretend
    person.type("setup", pretend.name, "--yes", exit_code=0 if pretend.needs_setup else 2)
    done = person.type("train", person.name)
    assert "epoch 0" in done.stdout
    assert "nothing of it bills" in done.stderr
    (run,) = person.runs()
    assert (run / "results" / "metrics.jsonl").read_text().count("\n") == 1
    assert "<svg" in (run / "report.html").read_text()
    assert person.outcome()["outcome"] == "succeeded"
    assert pretend.was_armed(person.machine())
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
    person.has_job(DONE, settings=WANTS, **{"requirements.txt": "--no-index\nno-such-package==1.0\n"})
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
        settings=WANTS,
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


def stages(events: list[dict[str, Any]]) -> list[str]:
    return [event["stage"] for event in events if event["event"] == "stage-started"]


def a_machine_by_its_name(playground: Playground) -> None:
    pretend = playground.pretend
    person = playground.person("named", types=(pretend.cheap_type,))
    name = person.name
    assert "There is no machine named now" in person.type("get", name).stdout
    assert re.search("pending|running", person.type("start", name, "--budget", "2", "--no-wait").stdout)
    person.type("start", name)
    address = person.type("ip", name).stdout.strip()
    assert address == person.sees().address
    person.type("ssh", name, "--", "sh", "-c", "exit 7", exit_code=7)
    person.type("ssh", name, "--", "sh", "-c", "echo kept >$HOME/kept")
    assert re.search(r"now costs \$[1-9][0-9.]+ per month", person.type("stop", name).stderr)
    assert person.sees().state == "off"
    person.type("resize", name, pretend.other_type)
    person.type("start", name, "--max-lifetime", "1h")
    assert (person.sees().state, person.sees().instance_type) == ("on", pretend.other_type)
    assert person.type("ssh", name, "--", "sh", "-c", "cat $HOME/kept").stdout == "kept\n"
    person.type("terminate", name, "--yes")
    person.left_nothing()


TORCH_WITHOUT_GPU = """
__version__ = "9.9"
class version:
    cuda = "12.9"
class cuda:
    is_available = staticmethod(lambda: False)
"""


def wheel_of(name: str, version: str, source: str) -> bytes:
    """Return a package of one module, as pip installs it."""
    about = f"{name}-{version}.dist-info"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr(f"{name}.py", source)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return packed.getvalue()
