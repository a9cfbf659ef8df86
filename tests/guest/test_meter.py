import json
import os
import signal
from dataclasses import replace
from datetime import datetime

import pytest

from cloudtrain.guest import gpus, machine, processes
from cloudtrain.guest.meter import Meter

SMI = """#!/bin/sh
case "$1" in
*utilization*)
    echo '0, NVIDIA L4, 37, 1024, 23034, 71.35, 54'
    echo '1, NVIDIA L4, [N/A], [N/A], 23034, [Not Supported], N/A';;
*compute_cap*)
    [ -z "$OLD_DRIVER" ] || { echo 'Field "compute_cap" is not a valid field to query.'; exit 2; }
    echo 'NVIDIA L4, 23034, 550.54.15, 8.9';;
*)
    echo 'NVIDIA L4, 23034, 450.80.02';;
esac
"""


@pytest.fixture
def with_smi(guest, tmp_path):
    """The guest on a machine with an nvidia-smi made for it."""

    def make(script: str):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "nvidia-smi").write_text(script)
        (folder / "nvidia-smi").chmod(0o755)
        return replace(guest, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})

    return make


def samples_of(run) -> list[dict]:
    return [json.loads(line) for line in (run.path / "samples.jsonl").read_text().splitlines()]


def test_first_sample_at_once_and_one_last_at_the_end(make_run, with_smi) -> None:
    run = make_run("read x < gate", guest=with_smi(SMI), sample_every_s=3600)
    gate = run.fifo("gate")
    run.start()
    gate.write_text("go\n")
    state = run.wait()
    first, last = samples_of(run)
    assert {first["t"] <= last["t"], state["started_at"] <= first["t"]} == {True}
    assert datetime.fromisoformat(first["t"]).utcoffset().total_seconds() == 0
    assert first["gpus"] == [
        {
            "index": 0,
            "name": "NVIDIA L4",
            "util_percent": 37,
            "memory_used_mib": 1024,
            "memory_total_mib": 23034,
            "power_w": 71.35,
            "temperature_c": 54,
        },
        {
            "index": 1,
            "name": "NVIDIA L4",
            "util_percent": None,
            "memory_used_mib": None,
            "memory_total_mib": 23034,
            "power_w": None,
            "temperature_c": None,
        },
    ]
    assert 0 < first["memory_used_bytes"] < first["memory_total_bytes"]


def test_samples_come_while_the_job_runs(make_run) -> None:
    run = make_run("while [ $(cat ../samples.jsonl 2>&1 | wc -l) -lt 4 ]; do :; done", sample_every_s=0.1)
    run.start()
    assert run.wait()["exit_code"] == 0
    samples = samples_of(run)
    assert len(samples) >= 5
    assert all(0 <= sample["cpu_percent"] <= 100 for sample in samples[1:-1])
    assert samples[1]["job_rss_bytes"] > 100_000
    assert samples[1]["gpus"] == []


def test_tool_that_hangs_does_not_hold_the_job_s_end(make_run, with_smi, tmp_path) -> None:
    run = make_run(": > gate; echo done", guest=with_smi(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n"))
    gate = run.fifo("gate")
    run.start()
    gate.read_text()
    state = run.wait()
    if (tmp_path / "pid").exists():
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert (state["phase"], state["exit_code"]) == ("ended", 0)


def test_tool_that_hung_makes_the_gpus_unknown_not_absent(tmp_path, monkeypatch) -> None:
    measured = {"util_percent": 5, "memory_used_mib": 1, "power_w": 3, "temperature_c": 4}
    gpu = {"index": 0, "name": "T4", "memory_total_mib": 9, **measured}
    answers = [[gpu], gpus.GpuToolError("hung")]

    def measure(timeout_s: float):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(gpus, "measure", measure)
    meter = Meter(str(tmp_path), os.getpid(), 1)
    assert meter.sample()["gpus"] == [gpu]
    nothing = dict.fromkeys(measured)
    assert meter.sample()["gpus"] == [{**gpu, **nothing}]
    assert meter.sample()["gpus"] == [{**gpu, **nothing}], "a tool that hung is not asked again at once"


def test_tool_s_time_is_bounded(with_smi, monkeypatch) -> None:
    monkeypatch.setenv("PATH", with_smi("#!/bin/sh\nexec sleep 1000\n").env["PATH"])
    with pytest.raises(gpus.GpuToolError):
        gpus.measure(0.05)


def test_facts(guest) -> None:
    facts = replace(guest, env={"PATH": "/nowhere"}).ask("facts")
    assert set(facts) == {"hostname", "system", "machine", "python", "cpus", "memory_bytes", "disk_free_bytes", "gpus"}
    assert facts["gpus"] == []
    assert facts["cpus"] >= 1
    assert facts["memory_bytes"] > 1 << 20
    assert facts["disk_free_bytes"] > 0


def test_facts_of_a_gpu(with_smi) -> None:
    known = {"name": "NVIDIA L4", "memory_mib": 23034}
    new = with_smi(SMI)
    assert new.ask("facts")["gpus"] == [{**known, "driver": "550.54.15", "compute_capability": "8.9"}]
    old = replace(new, env={**new.env, "OLD_DRIVER": "yes"})
    assert old.ask("facts")["gpus"] == [{**known, "driver": "450.80.02", "compute_capability": None}]


def test_driver_that_is_loaded_is_seen(tmp_path) -> None:
    assert not gpus.has_driver(str(tmp_path))
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()
    assert gpus.has_driver(str(tmp_path))


def test_machine_s_numbers_are_of_this_machine() -> None:
    used, total = machine.memory()
    assert used is None or 0 < used < total
    assert processes.resident_bytes(os.getsid(0)) is None or processes.resident_bytes(os.getsid(0)) > 1 << 20
