import os
import subprocess
import sys

import pytest

from cloudtrain.guest import processes, state
from cloudtrain.guest.errors import GuestError
from cloudtrain.guest.state import State


@pytest.fixture
def other():
    """A living process that is nobody's supervisor."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        yield process
        if process.poll() is None:
            process.communicate(b"\n")


def of(process, mark: str | None = None, boot: str | None = None, phase: str = "running") -> State:
    mark = processes.start_mark(process.pid) if mark is None else mark
    return State(phase, process.pid, mark, processes.boot_id() if boot is None else boot)


@pytest.mark.parametrize("phase", ["starting", "running"])
def test_supervised_job_is_shown_as_recorded(tmp_path, other, phase) -> None:
    state.record(str(tmp_path), of(other, phase=phase))
    assert state.observe(str(tmp_path)).phase == phase


def test_job_of_a_dead_supervisor_is_lost(tmp_path, other) -> None:
    state.record(str(tmp_path), of(other))
    other.communicate(b"\n")
    assert state.observe(str(tmp_path)).phase == "lost"


def test_number_used_again_is_not_the_supervisor(tmp_path, other) -> None:
    state.record(str(tmp_path), of(other, mark="1"))
    assert state.observe(str(tmp_path)).phase == "lost"


def test_machine_that_rebooted_lost_the_job(tmp_path, other) -> None:
    state.record(str(tmp_path), of(other, boot="another boot"))
    assert state.observe(str(tmp_path)).phase == "lost"


def test_dead_and_unburied_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    assert process.stdout.read() == b""  # its end closed the pipe; nobody has waited for it yet
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert processes.start_mark(process.pid) == ""
    process.communicate()


def test_each_writing_but_the_last_lays_by_the_room_for_the_next(tmp_path, other) -> None:
    run = str(tmp_path)
    state.record(run, of(other))
    spare = (tmp_path / "state.json.next").stat()
    assert spare.st_size == 4096
    state.record(run, of(other, phase="ended"))
    assert (tmp_path / "state.json").stat().st_ino == spare.st_ino
    assert not (tmp_path / "state.json.next").exists()


def test_shown_has_the_protocol_s_names(tmp_path, other) -> None:
    (tmp_path / "job.log").write_bytes(b"12345")
    shown = of(other).shown(str(tmp_path))
    protocol = {"phase", "exit_code", "signal", "ended_by", "started_at", "ended_at", "log_bytes"}
    assert set(shown) == protocol | {"log_lost_bytes", "reclaim_at"}
    assert shown["log_bytes"] == 5


def test_damaged_state_is_said(tmp_path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(GuestError, match="damaged"):
        state.observe(str(tmp_path))


def test_state_of_a_job_never_started_is_an_error(guest, make_run) -> None:
    run = make_run("true")
    done = guest.call("state", run.path)
    assert done.returncode == 1
    assert b"never started" in done.stdout
