import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cloudtrain.guest import processes


def lose_supervisor(run) -> None:
    os.kill(run.recorded["supervisor_pid"], signal.SIGKILL)
    assert run.guest.call("follow", run.path).returncode == 0, "the stream of a lost job ends"


def test_asking_ends_the_job(make_run) -> None:
    run = make_run("exec sleep 1000")
    run.start()
    state = run.guest.ask("signal", run.path, "TERM")
    assert (state["phase"], state["exit_code"], state["signal"], state["ended_by"]) == ("ended", None, "SIGTERM", "request")


def test_job_may_end_in_its_own_way_when_asked(make_run) -> None:
    run = make_run("trap 'echo saving; exit 5' INT; echo ready > gate; while :; do read x < gate; done")
    gate = run.fifo("gate")
    run.start()
    assert gate.read_text() == "ready\n"
    state = run.guest.ask("signal", run.path, "SIGINT")
    assert (state["exit_code"], state["signal"], state["ended_by"]) == (5, "", "request")
    assert b"saving" in run.log


def test_stubborn_job_is_killed_after_the_grace(make_run) -> None:
    run = make_run("trap '' TERM; echo ready > gate; while :; do read x < gate; done")
    gate = run.fifo("gate")
    run.start()
    assert gate.read_text() == "ready\n"
    state = run.guest.ask("signal", run.path, "TERM", "--grace", "0.1")
    assert (state["signal"], state["ended_by"]) == ("SIGKILL", "request")


def test_second_request_shortens_the_first_one_s_grace(make_run) -> None:
    run = make_run("trap 'echo heard > gate' TERM; echo ready > gate; while :; do read x < never; done")
    gate = run.fifo("gate")
    run.fifo("never")
    run.start()
    assert gate.read_text() == "ready\n"
    patient = run.guest.popen("signal", run.path, "TERM", "--grace", "1000")
    assert gate.read_text() == "heard\n"
    state = run.guest.ask("signal", run.path, "TERM", "--grace", "0")
    assert json.loads(patient.communicate()[0]) == state
    assert (state["signal"], state["ended_by"]) == ("SIGKILL", "request")


def test_job_that_has_ended_is_a_success(make_run) -> None:
    run = make_run("exit 3")
    run.start()
    ended = run.wait()
    assert run.guest.ask("signal", run.path, "TERM") == ended
    assert ended["ended_by"] == "job"


def test_signal_that_does_not_exist(make_run) -> None:
    run = make_run("true")
    done = run.guest.call("signal", run.path, "NONSENSE")
    assert done.returncode == 1
    assert "NONSENSE" in json.loads(done.stdout)["error"]


def test_deadline_ends_the_job(make_run) -> None:
    run = make_run("exec sleep 1000", deadline=1.0)
    run.start()
    state = run.wait()
    assert (state["phase"], state["signal"], state["ended_by"]) == ("ended", "SIGTERM", "deadline")


def test_deadline_ends_the_job_that_an_earlier_request_did_not(make_run) -> None:
    run = make_run("exec sleep 1000", deadline=1.0)
    harmless = {"signal": signal.SIGCONT, "grace_s": 1000.0}
    (run.path / "requests.jsonl").write_text(json.dumps(harmless) + "\n")  # read before the clock is
    run.start()
    state = run.wait()
    assert (state["signal"], state["ended_by"]) == ("SIGTERM", "request")
    said = (run.path / "supervisor.log").read_text()
    assert said.count("SIGTERM to the job, KILL 5 s later (asked by: deadline)") == 1


@pytest.mark.parametrize("grace", ["inf", "nan", "-1"])
def test_grace_that_never_ends_is_refused(make_run, grace) -> None:
    run = make_run("true")
    done = run.guest.call("signal", run.path, "TERM", f"--grace={grace}")
    assert done.returncode == 1
    assert "--grace" in json.loads(done.stdout)["error"]


def test_request_is_heard_though_the_asker_s_own_signals_were_blocked(make_run) -> None:
    run = make_run("exec sleep 1000")
    blocked = {signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD}
    subprocess.run(
        run.guest.argv("start", run.path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, blocked),
    )
    assert run.guest.ask("signal", run.path, "TERM", "--grace", "50")["signal"] == "SIGTERM"


def test_supervisor_that_is_asked_to_go_takes_the_job_along(make_run) -> None:
    run = make_run("exec sleep 1000")
    run.start()
    os.kill(run.recorded["supervisor_pid"], signal.SIGTERM)
    state = run.wait()
    assert (state["phase"], state["signal"], state["ended_by"]) == ("ended", "SIGTERM", "request")


def test_job_of_a_killed_supervisor_is_lost_and_can_be_ended(make_run) -> None:
    run = make_run("exec sleep 1000")
    run.start()
    lose_supervisor(run)
    assert run.guest.ask("state", run.path)["phase"] == "lost"
    assert processes.group_exists(run.recorded["job_pid"])
    assert run.guest.ask("signal", run.path, "TERM", "--grace", "5")["phase"] == "lost"
    assert not processes.group_exists(run.recorded["job_pid"])
    assert run.start()["phase"] == "lost", "a job that was started is not started again"


def test_what_a_lost_job_s_dead_command_left_can_be_ended(make_run) -> None:
    run = make_run("sleep 1000 & echo up > gate; read x < gate")
    gate = run.fifo("gate")
    run.start()
    assert gate.read_text() == "up\n"
    lose_supervisor(run)
    leader = run.recorded["job_pid"]
    os.kill(leader, signal.SIGKILL)
    assert processes.group_exists(leader)
    run.guest.ask("signal", run.path, "TERM", "--grace", "5")
    assert not processes.group_exists(leader)


def test_process_that_got_a_lost_job_s_number_is_left_alone(make_run) -> None:
    run = make_run("true")
    run.start()
    run.wait()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as stranger:
        lost = {**run.recorded, "phase": "running", "supervisor_mark": "1", "job_pid": stranger.pid, "job_mark": "1"}
        (run.path / "state.json").write_text(json.dumps(lost))
        assert run.guest.ask("signal", run.path, "KILL", "--grace", "0")["phase"] == "lost"
        assert stranger.poll() is None
        stranger.communicate(b"\n")
        assert stranger.returncode == 0


def test_supervisor_that_does_not_answer_does_not_make_the_job_unkillable(make_run, monkeypatch) -> None:
    from cloudtrain.guest import request

    run = make_run("exec sleep 1000")
    run.start()
    supervisor = run.recorded["supervisor_pid"]
    os.kill(supervisor, signal.SIGSTOP)
    monkeypatch.setattr(request, "_PATIENCE_S", 0.05)
    request.ask_to_end(str(run.path), signal.SIGKILL, 0.0)
    assert not processes.group_exists(run.recorded["job_pid"])
    os.kill(supervisor, signal.SIGCONT)
    assert run.wait()["signal"] == "SIGKILL"


def test_deadline_that_is_moved_nearer_ends_the_job(make_run) -> None:
    run = make_run("exec sleep 1000", deadline=time.time() + 5000)
    run.start()
    assert run.guest.ask("deadline", run.path, time.time() - 1)["phase"] == "running"
    assert run.wait()["ended_by"] == "deadline"


def test_deadline_that_is_moved_away_lets_the_job_live(make_run) -> None:
    run = make_run("read x < gate; exit 4", deadline=1.0)
    gate = run.fifo("gate")
    (run.path / "requests.jsonl").write_text(json.dumps({"deadline": time.time() + 5000}) + "\n")  # read before the clock is
    run.start()
    gate.write_text("go\n")
    state = run.wait()
    assert (state["exit_code"], state["ended_by"]) == (4, "job")


def test_the_log_says_once_that_the_time_is_nearly_up(make_run) -> None:
    run = make_run("exec sleep 1000", deadline=1.0)
    run.start()
    run.wait()
    assert (run.path / "job.log").read_text().count("80% of the time is used: the job is asked to end at ") == 1


def test_deadline_of_a_job_that_has_ended_stays(make_run) -> None:
    run = make_run("exit 3")
    run.start()
    ended = run.wait()
    assert run.guest.ask("deadline", run.path, 5) == ended
    assert not (run.path / "requests.jsonl").exists()


def test_deadline_of_a_lost_job_cannot_be_moved(make_run) -> None:
    run = make_run("exec sleep 1000")
    run.start()
    lose_supervisor(run)
    assert b"lost its supervisor" in run.guest.call("deadline", run.path, 5).stdout


def test_lines_nobody_understands_cost_nothing(make_run) -> None:
    run = make_run("exit 3")
    (run.path / "requests.jsonl").write_bytes(b'{"sig{"signal": 15}\n[]\n{"signal": "x", "grace_s": 1}\n\xff\n{"later": 1}\n')
    run.start()
    assert run.wait()["exit_code"] == 3


def test_full_disk_does_not_keep_the_job_alive(make_run) -> None:
    run = make_run("exec sleep 1000")
    run.start()
    (run.path / "requests.jsonl").mkdir()
    assert run.guest.ask("signal", run.path, "TERM")["signal"] == "SIGTERM"
