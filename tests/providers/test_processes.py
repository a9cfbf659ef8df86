import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtrain.providers import processes
from cloudtrain.providers.folders import end_folder, remove_folder
from cloudtrain.providers.processes import end_processes

KILLED = -signal.SIGKILL


@pytest.mark.parametrize("key", ["job_pid", "supervisor_pid"])
def test_a_process_that_works_in_the_folder_is_ended(tmp_path: Path, job, key: str) -> None:
    process = job(tmp_path / "machine", key=key)
    end_processes(tmp_path / "machine")
    assert process.wait(timeout=30) == KILLED


def test_a_process_with_the_folder_in_its_environment_is_ended(tmp_path: Path, job) -> None:
    root = tmp_path / "machine"
    process = job(root, cwd=tmp_path, env={"RUN": f"{root}/runs/run-0"})
    end_processes(root)
    assert process.wait(timeout=30) == KILLED


def test_the_whole_group_of_a_job_is_ended_also_when_its_leader_is_gone(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "r"
    run.mkdir(parents=True)
    # The leader starts a child that inherits both pipes, says its number and leaves.
    child = f"import subprocess, sys; print(subprocess.Popen([{sys.executable!r}, '-c', 'import sys; sys.stdin.read()']).pid)"
    leader = subprocess.Popen(
        [sys.executable, "-c", child], cwd=run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert leader.stdout is not None
    orphan = int(leader.stdout.readline())
    leader.wait()
    (run / "state.json").write_text(json.dumps({"job_pid": leader.pid}))
    os.kill(orphan, 0)
    end_processes(tmp_path)
    # Its standard output closes when the last process of the group is dead.
    assert select.select([leader.stdout], [], [], 30)[0]
    assert leader.stdout.read() == b""
    leader.communicate()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system does not show other processes' environment")
def test_a_process_that_left_its_group_is_known_by_the_guests_mark(tmp_path: Path, job) -> None:
    root, elsewhere = tmp_path / "machine", tmp_path / "elsewhere"
    stray = job(elsewhere, env={"CLOUDTRAIN_RUN_DIR": f"{root}/runs/run-9"})
    other = job(elsewhere, env={"CLOUDTRAIN_RUN_DIR": f"{root}-2/runs/run-9"})
    root.mkdir()
    end_processes(root)
    assert stray.wait(timeout=30) == KILLED
    assert other.poll() is None


def test_a_process_that_only_has_the_number_is_left_alone(tmp_path: Path, job) -> None:
    root = tmp_path / "machine"
    stranger = job(root, cwd=tmp_path)
    end_processes(root)
    assert stranger.poll() is None
    assert stranger.communicate() == (b"", None)
    assert stranger.returncode == 0


def test_a_folder_whose_name_merely_begins_alike_is_another_one(tmp_path: Path, job) -> None:
    (tmp_path / "machine-2").mkdir()
    neighbour = job(tmp_path / "machine", cwd=tmp_path / "machine-2")
    end_processes(tmp_path / "machine")
    assert neighbour.poll() is None


def test_this_process_survives_a_state_that_names_it_and_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, pid in enumerate([os.getpid(), os.getpgrp(), 0, 1, -1, True, "7", None, 2**70]):
        run = tmp_path / "runs" / str(number)
        run.mkdir(parents=True)
        (run / "state.json").write_text(json.dumps({"supervisor_pid": pid, "job_pid": pid}))
    end_processes(tmp_path)
    assert Path.cwd() == tmp_path.resolve()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'"x"'])
def test_a_state_that_cannot_be_read_ends_nothing_and_hides_no_other(tmp_path: Path, job, content: bytes) -> None:
    process = job(tmp_path)
    broken = tmp_path / "runs" / "a-broken-one"
    broken.mkdir()
    (broken / "state.json").write_bytes(content)
    end_processes(tmp_path)
    assert process.wait(timeout=30) == KILLED


def test_without_proc_processes_are_found_by_ps_and_lsof(tmp_path: Path, job, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = (processes._members_by_ps, processes._traces_by_ps)
    if not processes._traces_by_ps(os.getpid()):
        pytest.skip("neither ps nor lsof here")
    monkeypatch.setattr(processes, "_ways_to_look", lambda: ways)
    monkeypatch.setattr(processes, "_groups_in_proc", lambda: iter(()))
    root = tmp_path / "machine"
    ours, stranger = job(root), job(root, cwd=tmp_path)
    end_processes(root)
    assert ours.wait(timeout=30) == KILLED
    assert stranger.poll() is None


def test_a_folder_is_removed_with_what_a_job_made_read_only(tmp_path: Path) -> None:
    root, outside = tmp_path / "machine", tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "kept").write_text("kept")
    deep = root / "cache" / "deep"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (root / "link").symlink_to(outside)
    deep.chmod(0o500)
    deep.parent.chmod(0o400)
    remove_folder(root)
    assert not root.exists()
    assert (outside / "kept").read_text() == "kept"
    assert outside.stat().st_mode & 0o777 == 0o755


def test_an_absent_folder_is_removed_already(tmp_path: Path) -> None:
    end_folder(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []
