"""train, attach, logs, pull, status: real runs on this machine and on the pretend cloud, as a person starts them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli, config
from .terminal import Terminal

STAGES = ["provision", "connect", "upload", "prepare", "check", "run"]


class Gate:
    """A job that begins, says so, and goes on when it is let go on."""

    def __init__(self, desk: Path) -> None:
        self._fifo = desk.parent / "gate"
        os.mkfifo(self._fifo)
        # Held open here, so that opening never waits for the other side.
        self._fd = os.open(self._fifo, os.O_RDWR)
        # What it prints does not stand in the command, which is shown too.
        steps = ("mkdir results", "echo 1 > results/made", 'echo be"g"un', f"head -c 1 {self._fifo} > gone", "echo ended")
        job = f"command: '{'; '.join(steps)}'\n"
        (desk / "cloudtrain.yaml").write_text(job + "inputs: [cloudtrain.yaml]\n")

    def let_go_on(self) -> None:
        os.write(self._fd, b"x")

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def gate(desk: Path) -> Iterator[Gate]:
    config("here", "provider: local")
    config("pretend", "provider: memory", "instance_types: [mem.cpu]")
    gate = Gate(desk)
    yield gate
    gate.close()


@pytest.fixture
def job(desk: Path) -> Path:
    """A folder with a quick job and a machine config."""
    config("here", "provider: local")
    config("pretend", "provider: memory", "instance_types: [mem.cpu]")
    (desk / "cloudtrain.yaml").write_text(
        "command: 'mkdir results; echo $WHAT | tee results/said'\ninputs: [cloudtrain.yaml]\n"
    )
    return desk


def started(*words: str, **streams: Any) -> subprocess.Popen[bytes]:
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.Popen([sys.executable, "-m", "cloudtrain", *words], **streams)


def ran(*words: str) -> int:
    """Run to the end and return the exit code."""
    process = started(*words)
    process.communicate()
    return process.returncode


def wait_for(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} never came")


def machines(cli: Cli) -> list[str]:
    return [machine["instance"]["state"] for machine in cli("status", "--json").json["machines"]]


def last_run(cli: Cli) -> dict[str, Any]:
    run: dict[str, Any] = cli("status", "--json").json["runs"][0]
    return run


def test_train_takes_a_folder_to_results_here(job: Path, cli: Cli) -> None:
    process = started("train", "here", "--env", "WHAT=hello")
    out, err = process.communicate()
    assert process.returncode == 0
    (folder,) = (job / "runs").iterdir()
    assert out == (folder / "job.log").read_bytes()
    assert out.endswith(b"Z hello\n")
    lines = err.decode().splitlines()
    assert [line.split()[0] for line in lines if "…" in line][:6] == STAGES
    assert lines[-1].startswith("succeeded: ")
    assert lines[-1].endswith(
        f" · free · results: {folder.relative_to(job)} · report: {folder.relative_to(job) / 'report.html'}"
    )
    assert (folder / "results" / "said").read_text() == "hello\n"
    assert machines(cli) == []


def test_train_in_json_is_one_event_per_line_and_the_run_last(job: Path, cli: Cli) -> None:
    process = started("train", "pretend", "--json", "--sample", "0.5", "--", "echo $CLOUDTRAIN_SAMPLE")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    events = [json.loads(line) for line in out.splitlines()]
    assert {event["event"] for event in events} >= {"stage-started", "stage-ended", "log", "note", "run"}
    assert "".join(event["text"] for event in events if event["event"] == "log").endswith("Z 0.5\n")
    assert events[-1]["run"]["outcome"] == "succeeded"
    assert events[-1]["run"]["machine"] == "pretend"


def test_the_name_left_out_is_the_last_machine(job: Path, cli: Cli) -> None:
    assert cli("get", "here").code == 0
    process = started("train", "--", "true")
    _, err = process.communicate()
    assert process.returncode == 0
    assert err.decode().startswith("here (the last one used)\n")


def test_a_failing_job_is_exit_code_five(job: Path) -> None:
    process = started("train", "here", "--", "exit 7")
    _, err = process.communicate()
    assert process.returncode == 5
    assert "job-failed: The job ended with exit code 7. · " in err.decode()


def test_no_command_is_bad_input(desk: Path, cli: Cli) -> None:
    config("here", "provider: local")
    said = cli("train", "here")
    assert (said.code, said.out) == (2, "")
    assert not (desk / "runs").exists()


def test_a_budget_too_small_spends_nothing(job: Path, cli: Cli) -> None:
    said = cli("train", "pretend", "--budget", "0.001")
    assert said.code == 3
    assert "buys less than 5 minutes" in said.err
    assert not (job / "runs").exists()


def test_a_reader_that_goes_away_does_not_end_the_run(gate: Gate, cli: Cli) -> None:
    process = started("train", "pretend")
    wait_for(process, b"begun")
    assert process.stdout is not None
    process.stdout.close()
    gate.let_go_on()
    assert process.stderr is not None
    assert "succeeded: " in process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 0


def test_attended_and_detached_contradict_each_other(job: Path, cli: Cli) -> None:
    said = cli("train", "pretend", "--attended", "--detach")
    assert said.code == 2
    assert "--attended means that this command stays" in said.err
    assert machines(cli) == []


def test_detached_returns_at_once_and_attach_ends_it(gate: Gate, cli: Cli) -> None:
    process = started("train", "pretend", "--detach")
    _, err = process.communicate()
    assert process.returncode == 0
    assert "Follow it and collect: cloudtrain attach" in err.decode()
    run = last_run(cli)
    assert run["phase"] == "running"
    part = run["id"][-4:]
    gate.let_go_on()
    out, err = (attached := started("attach", part)).communicate()
    assert attached.returncode == 0
    assert out.endswith(b"Z ended\n")
    assert err.decode().splitlines()[-1].startswith("succeeded: ")
    assert machines(cli) == []
    assert cli("attach").code == 2


def test_logs_pull_and_attach_from_another_terminal_disturb_nothing(gate: Gate, cli: Cli) -> None:
    train = started("train", "pretend")
    wait_for(train, b"begun")
    assert cli("logs").out.endswith("Z begun\n")
    events = [json.loads(line) for line in cli("logs", "--json").out.splitlines()]
    assert {event["event"] for event in events} == {"log"}
    assert "".join(event["text"] for event in events) == cli("logs").out
    pulled = cli("pull", "--json").json
    assert pulled["outputs"] == ["results"]
    assert (Path(pulled["folder"]) / "results" / "made").read_text() == "1\n"
    second = started("attach")
    wait_for(second, b"begun")
    gate.let_go_on()
    out, err = second.communicate()
    assert out.endswith(b"Z ended\n")
    assert "Another cloudtrain process looks after " in err.decode()
    assert "; following its log.\n" in err.decode()
    assert second.returncode == 0
    train.communicate()
    assert train.returncode == 0
    assert cli("logs", "-f").out.endswith("Z ended\n")


def test_ctrl_c_and_d_lets_the_job_go_on(gate: Gate, desk: Path, cli: Cli) -> None:
    with Terminal(["-m", "cloudtrain", "train", "pretend"]) as terminal:
        terminal.read_until("begun")
        terminal.press("\x03")
        asked = terminal.read_until("[d/s]")
        terminal.press("d\n")
        terminal.read_until("cloudtrain attach", after=asked)
        assert terminal.end() == 130
    assert machines(cli) == ["running"]
    gate.let_go_on()
    assert ran("attach") == 0
    assert machines(cli) == []


def test_ctrl_c_and_s_brings_results_and_ends_the_machine(gate: Gate, desk: Path, cli: Cli) -> None:
    with Terminal(["-m", "cloudtrain", "train", "pretend"]) as terminal:
        terminal.read_until("begun")
        terminal.press("\x03")
        terminal.read_until("[d/s]")
        terminal.press("s\n")
        terminal.read_until("Interrupted. · ")
        assert terminal.end() == 130
    assert machines(cli) == []
    assert (Path(last_run(cli)["folder"]) / "results" / "made").exists()


@pytest.mark.parametrize(("number", "after"), [(signal.SIGTERM, []), (signal.SIGINT, []), (signal.SIGHUP, ["running"])])
def test_a_signal_without_a_terminal(number: signal.Signals, after: list[str], gate: Gate, cli: Cli) -> None:
    process = started("train", "pretend")
    wait_for(process, b"begun")
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 130
    assert machines(cli) == after
    if after:
        assert cli("terminate", "--yes").code == 0


def test_yes_answers_ctrl_c_without_asking(gate: Gate, cli: Cli) -> None:
    with Terminal(["-m", "cloudtrain", "train", "pretend", "--yes"]) as terminal:
        terminal.read_until("begun")
        terminal.press("\x03")
        terminal.read_until("Interrupted. · ")
        assert terminal.end() == 130
        assert "[d/s]" not in terminal.text
    assert machines(cli) == []


def test_status_shows_a_run_by_part_of_its_id(job: Path, cli: Cli) -> None:
    assert ran("train", "here", "--", "true") == 0
    assert ran("train", "here", "--", "false") == 5
    runs = cli("status", "--json").json["runs"]
    assert [run["outcome"] for run in runs] == ["job-failed", "succeeded"]
    said = cli("status", runs[1]["id"][-4:])
    assert said.out.startswith("No machine exists; nothing bills.\n")
    assert runs[1]["id"] in said.out
    assert runs[0]["id"] not in said.out
    assert cli("status", "nonsense").code == 2


@pytest.mark.parametrize("verb", ["logs", "attach", "pull"])
def test_without_any_run_it_says_what_to_type(verb: str, cli: Cli) -> None:
    said = cli(verb)
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: There is no run yet.\n  Begin one: cloudtrain train local\n"


def test_logs_into_a_pipe_that_nobody_reads_are_no_error(job: Path) -> None:
    assert ran("train", "here", "--", "seq 100000") == 0
    process = started("logs")
    assert process.stdout is not None
    assert process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read().decode().endswith(" (the last one)\n")
    assert process.wait() == 0
