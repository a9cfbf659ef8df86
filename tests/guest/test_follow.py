import json
import subprocess

import pytest


def test_any_offset_gives_the_rest_exactly(make_run) -> None:
    run = make_run("head -c 100000 /dev/urandom; printf 'no end'")
    run.start()
    run.wait()
    content = run.log
    assert len(content) > 100_000
    for offset in (0, 1, 25, 70_000, len(content) - 1, len(content), len(content) + 10):
        done = run.guest.call("follow", run.path, "--offset", offset)
        assert (done.returncode, done.stdout, done.stderr) == (0, content[offset:], b"")


def test_follower_who_came_before_the_job_sees_all_of_it(make_run) -> None:
    run = make_run("echo first; read word < gate; echo $word")
    gate = run.fifo("gate")
    follower = run.guest.popen("follow", run.path)
    run.start()
    first = follower.stdout.readline()
    assert first.endswith(b"Z first\n")
    gate.write_text("second\n")
    rest, _ = follower.communicate()
    assert first + rest == run.log
    assert follower.returncode == 0


def test_broken_follower_s_work_is_continued_where_it_broke(make_run) -> None:
    run = make_run("echo one; read x < gate-1; echo two; read x < gate-2; echo three")
    # One gate each: at one that is opened twice, the second reader may meet the first writer and be let through.
    gates = [run.fifo("gate-1"), run.fifo("gate-2")]
    run.start()
    got = b""
    for gate in gates:
        with run.guest.popen("follow", run.path, "--offset", len(got)) as follower:
            got += follower.stdout.readline()
            follower.kill()
        gate.write_text("go\n")
    got += run.guest.call("follow", run.path, "--offset", len(got)).stdout
    assert got == run.log
    assert got.count(b"\n") == 3


def test_progress_bar_is_seen_before_its_line_ends(make_run) -> None:
    run = make_run("printf ' 10%%'; read x < gate; printf '\\r100%%\\n'")
    gate = run.fifo("gate")
    run.start()
    with run.guest.popen("follow", run.path) as follower:
        seen = b""
        while not seen.endswith(b" 10%"):
            seen += follower.stdout.read(1)
        gate.write_text("go\n")
        assert follower.stdout.read() == b"\r100%\n"


def test_follower_whose_reader_went_away_ends_though_the_job_is_silent(make_run) -> None:
    run = make_run("read x < gate")
    run.fifo("gate")
    run.start()
    follower = run.guest.popen("follow", run.path, stderr=subprocess.PIPE)
    follower.stdout.close()
    assert follower.wait(timeout=30) == 0
    assert follower.stderr.read() == b""
    follower.stderr.close()
    assert run.guest.ask("state", run.path)["phase"] == "running"


def test_run_that_is_not_there(guest, tmp_path) -> None:
    done = guest.call("follow", tmp_path / "nowhere")
    assert (done.returncode, done.stdout) == (1, b"")
    assert "there is no run" in json.loads(done.stderr)["error"]


@pytest.mark.parametrize("offset", ["-1", "x"])
def test_offset_that_is_none(guest, tmp_path, offset) -> None:
    done = guest.call("follow", tmp_path, f"--offset={offset}")
    assert done.returncode == 1
    assert "offset" in json.loads(done.stdout or done.stderr)["error"]
