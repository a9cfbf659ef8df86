import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtrain.guest import job, processes
from cloudtrain.guest.errors import GuestError


def text_of(run) -> list[str]:
    """The job's lines without their stamps."""
    return [line.partition(b"Z ")[2].decode() for line in run.log.splitlines()]


def test_job_runs_in_work_and_its_code_is_recorded(make_run) -> None:
    run = make_run("pwd; echo to stderr >&2; exit 7")
    begun = run.start()
    assert begun["phase"] in ("running", "ended")
    run.wait()
    state = run.guest.ask("state", run.path)
    assert (state["phase"], state["exit_code"], state["signal"], state["ended_by"]) == ("ended", 7, "", "job")
    assert state["started_at"] <= state["ended_at"]
    assert state["started_at"].endswith("+00:00")
    assert state["log_bytes"] == len(run.log)
    assert text_of(run) == [str(run.work.resolve()), "to stderr"]


def test_job_survives_the_death_of_all_who_asked_for_it(make_run) -> None:
    run = make_run("read word < gate; echo got $word; exit 4")
    gate = run.fifo("gate")
    script = 'echo "{}" | "$@"; echo started; cat'
    argv = ["/bin/sh", "-c", script, "sh", *run.guest.argv("start", run.path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as asker:
        assert b"running" in asker.stdout.readline()
        assert asker.stdout.readline() == b"started\n"
        os.killpg(asker.pid, signal.SIGHUP)
        os.killpg(asker.pid, signal.SIGKILL)
        assert asker.stdout.read() == b"", "the job or its supervisor still holds the asker's output"
    os.kill(run.recorded["supervisor_pid"], signal.SIGHUP)
    gate.write_text("word\n")
    assert run.wait()["exit_code"] == 4
    assert text_of(run) == ["got word"]


def test_nothing_of_the_asker_s_is_kept_open(make_run) -> None:
    run = make_run("read x < gate")
    run.fifo("gate")
    reader, writer = os.pipe()
    settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "pass_fds": (writer,)}
    subprocess.run(run.guest.argv("start", run.path), check=True, **settings)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b""
    assert run.guest.ask("state", run.path)["phase"] == "running"


def test_starting_again_starts_nothing(make_run) -> None:
    run = make_run("echo once")
    run.start()
    first = run.wait()
    assert run.start() == first
    assert text_of(run) == ["once"]


def test_two_who_start_at_once_make_one_job(make_run) -> None:
    run = make_run("echo $$; read word < gate")
    gate = run.fifo("gate")
    askers = [run.guest.popen("start", run.path, stdin=subprocess.DEVNULL) for _ in range(4)]
    answers = [json.loads(asker.communicate()[0]) for asker in askers]
    assert len({answer["started_at"] for answer in answers}) == 1
    gate.write_text("go\n")
    run.wait()
    assert len(text_of(run)) == 1


def test_secrets_are_in_the_job_s_environment_and_nowhere_else(make_run) -> None:
    secret = "tr0ub4dor-and-3"
    run = make_run('printf %s "$TOKEN" | sha256sum; read word < gate', env={"TOKEN": "overridden"})
    gate = run.fifo("gate")
    run.start({"TOKEN": secret})
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if is_readable(path)]
    assert any(str(run.path).encode() in line for line in lines), "the supervisor's command line was not looked at"
    assert not any(secret.encode() in line for line in lines)
    gate.write_text("go\n")
    run.wait()
    assert text_of(run)[0].split()[0] == hashlib.sha256(secret.encode()).hexdigest()
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert len(files) >= 5
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


def is_readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_environment_of_the_job(make_run) -> None:
    run = make_run(
        'echo "$A|$PYTHONUNBUFFERED|$CLOUDTRAIN_RUN_DIR|${VIRTUAL_ENV-none}"; read x || echo no input', env={"A": "b c"}
    )
    run.guest.env.pop("VIRTUAL_ENV", None)
    run.start()
    run.wait()
    assert text_of(run) == [f"b c|1|{run.path}|none", "no input"]


def test_python_means_the_environment_s(make_run, tmp_path) -> None:
    bin_folder = tmp_path / "env" / "bin"
    bin_folder.mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (bin_folder / "python").write_text('#!/bin/sh\necho mine "$@"\n')
    (bin_folder / "python").chmod(0o755)
    run = make_run('python train.py; echo "$VIRTUAL_ENV"', python=str(bin_folder / "python"))
    run.start()
    run.wait()
    assert text_of(run) == ["mine train.py", str(tmp_path / "env")]


def test_python_without_that_name_gets_it(make_run, tmp_path) -> None:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    run = make_run("python -c 'import sys; print(sys.version_info[:2])'; echo ${VIRTUAL_ENV-none}", python=str(python))
    run.guest.env.pop("VIRTUAL_ENV", None)
    run.start()
    run.wait()
    assert text_of(run) == [str(sys.version_info[:2]), "none"]


def test_command_that_is_not_there(make_run) -> None:
    run = make_run("no-such-command-here")
    run.start()
    assert run.wait()["exit_code"] == 127


def test_job_that_cannot_be_started_is_an_ended_one(make_run) -> None:
    run = make_run("true")
    run.work.rmdir()
    state = run.start()
    assert (state["phase"], state["exit_code"], state["ended_by"]) == ("ended", 127, "job")
    assert text_of(run)[0].startswith("cloudtrain: the command could not be started: ")


def test_job_too_long_for_the_system_is_an_ended_one(make_run) -> None:
    run = make_run("true " + "x" * 3_000_000)
    assert run.start()["exit_code"] == 126


def test_bytes_that_are_no_text_and_lines_without_end_survive(make_run) -> None:
    run = make_run(r"printf '\377\376\000x\n 1%%\r 2%%\r 3%%'")
    run.start()
    run.wait()
    first, second = run.log.split(b"\n")
    assert first.endswith(b"Z \xff\xfe\x00x")
    assert second.endswith(b"Z  1%\r 2%\r 3%")


def test_what_the_command_left_running_is_ended(make_run) -> None:
    run = make_run(
        "sleep 1000 & echo $!; (trap '' TERM; echo up > gate; while :; do sleep 1000; done) & read x < gate", grace_s=0.1
    )
    run.fifo("gate")
    run.start()
    state = run.wait()
    assert (state["exit_code"], state["ended_by"]) == (0, "job")
    assert not processes.group_exists(run.recorded["job_pid"])


def test_daemon_that_holds_the_log_open_holds_neither_the_end_nor_what_was_written_before(make_run) -> None:
    daemon = "setsid sh -c 'echo $$ > gate; exec sleep 1000'"
    run = make_run(f"{daemon} & read pid < gate; echo $pid; head -c 60000 /dev/zero")
    run.fifo("gate")
    run.start()
    state = run.wait()
    os.kill(int(text_of(run)[0]), signal.SIGKILL)  # it lived: it had left the group
    assert (state["phase"], state["exit_code"]) == ("ended", 0)
    assert run.log.count(b"\0") == 60_000


@pytest.mark.parametrize("secrets", [b"[]", b'{"A": 1}', b'{"A=B": "x"}', b"sesame"])
def test_secrets_that_are_none_are_refused_and_not_repeated(make_run, secrets) -> None:
    run = make_run("true")
    done = subprocess.run(run.guest.argv("start", run.path), input=secrets, capture_output=True, check=False)
    assert done.returncode == 1
    assert set(json.loads(done.stdout)) == {"error"}
    assert b"sesame" not in done.stdout + done.stderr
    assert not (run.path / "state.json").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"command": 3}', "names no command"),
        ("[]", "names no command"),
        ("{", "is not JSON"),
        ('{"command": "true", "deadline": true}', "deadline is no number of seconds"),
        ('{"command": "true", "grace_s": NaN}', "grace_s is no number of seconds"),
        ('{"command": "true", "grace_s": Infinity}', "grace_s is no number of seconds"),
        ('{"command": "true", "env": {"A": 1}}', "the value of A is not text"),
    ],
)
def test_job_that_makes_no_sense_is_refused(make_run, content, words) -> None:
    run = make_run("true")
    (run.path / "job.json").write_text(content)
    with pytest.raises(GuestError, match=words):
        job.read(str(run.path))


def test_run_that_is_not_there(guest, tmp_path) -> None:
    done = guest.call("start", tmp_path / "nowhere")
    assert done.returncode == 1
    assert "there is no run" in json.loads(done.stdout)["error"]
