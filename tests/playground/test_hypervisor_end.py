"""Nothing of a hypervisor outlives it, however it ends."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cloudtrain.testing.playground.hypervisor import open_hypervisor

from .hypervisor_fixtures import NO_NAMESPACES, Lab, descendants, idle, new_mark, processes_with, wait_for_end

KINDS = [
    pytest.param("namespace", marks=pytest.mark.skipif(bool(NO_NAMESPACES), reason=f"namespaces: {NO_NAMESPACES}")),
    "loopback",
]
KEEP_RUNNING = """
import signal, sys
from pathlib import Path
from cloudtrain.testing.playground.hypervisor import open_hypervisor
from cloudtrain.testing.playground.machine import MachineOrder
hypervisor = open_hypervisor(Path(sys.argv[1]), print, kind=sys.argv[2])
print(hypervisor.boot(MachineOrder("i-1", b"")).address, flush=True)
hypervisor.run_in("i-1", ["sh", "-c", sys.argv[3]])
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_when_it_was_closed(kind: str, tmp_path: Path) -> None:
    threads, mark = set(threading.enumerate()), new_mark()
    others = set(descendants(os.getpid()))  # of tests before this one, which live as long as the session
    lab = Lab(tmp_path, kind)
    for number in range(3):
        lab.boot(lab.order(f"i-{number}"))
        lab.ssh(f"i-{number}", idle(mark))
    assert len(processes_with(mark)) == 3
    assert len({booted.address for booted in lab.booted.values()}) == 3
    lab.hypervisor.close()
    lab.hypervisor.close()
    assert not processes_with(mark)
    assert set(descendants(os.getpid())) <= others
    if kind == "namespace":
        network = lab.booted["i-1"].address.rpartition(".")[0]
        assert network not in subprocess.run(["ip", "route"], capture_output=True, text=True).stdout
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert {thread for thread in set(threading.enumerate()) - threads if not thread.name.startswith("hypervisor door")} == set()
    assert (tmp_path / "h" / "machines.json").read_text().strip() == "{}"
    with pytest.raises(RuntimeError, match="closed"):
        lab.hypervisor.boot(lab.order("i-9"))
    assert lab.told.empty()


@pytest.mark.parametrize("kind", KINDS)
def test_machines_die_with_a_hypervisor_that_is_killed(kind: str, tmp_path: Path) -> None:
    mark = new_mark()
    command = [sys.executable, "-c", KEEP_RUNNING, str(tmp_path), kind, idle(mark)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert process.stdout.readline() == b"ready\n"
        mine = descendants(process.pid)
        assert len(set(processes_with(mark)) & set(mine)) == 1
    finally:
        process.kill()
        process.communicate()
    for pid in mine:
        wait_for_end(pid)
    again = open_hypervisor(tmp_path, print, kind=kind)
    links = subprocess.run(["ip", "addr"], capture_output=True, text=True).stdout
    assert address not in links
    again.close()


def test_a_kind_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no hypervisor of kind 'docker'"):
        open_hypervisor(tmp_path, print, kind="docker")
    monkeypatch.setattr("cloudtrain.testing.playground.hypervisor.namespace.missing", lambda: "needs root rights")
    with pytest.raises(RuntimeError, match="needs root rights"):
        open_hypervisor(tmp_path, print, kind="namespace")
    hypervisor = open_hypervisor(tmp_path, print)
    assert hypervisor.kind == "loopback"
    hypervisor.close()


def test_a_loopback_machines_disk_is_not_filled(tmp_path: Path) -> None:
    hypervisor = open_hypervisor(tmp_path, print, kind="loopback")
    with pytest.raises(RuntimeError, match="this computer's"):
        hypervisor.fill_disk("i-1")
    hypervisor.close()
