"""A machine is ready when its first boot is over; one whose first boot never ends is no broken line."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from cloudtrain.model.errors import HostUnreachableError, SetupError
from cloudtrain.model.event import Event, Note
from cloudtrain.remote.base import Completed
from cloudtrain.remote.local import LocalRemote
from cloudtrain.remote.memory import MemoryRemote
from cloudtrain.stages.make_ready import (
    _IS_BEING_INSTALLED,
    _LIST_GPUS,
    BOOT_TIMEOUT_S,
    DRIVER_TIMEOUT_S,
    INSTALL_TIMEOUT_S,
    make_ready,
)
from cloudtrain.testing.clock import FakeClock


class Booting(MemoryRemote):
    """A machine whose first boot takes so long, and then says this."""

    def __init__(self, root: Path, clock: FakeClock, seconds: float, exit_code: int = 0) -> None:
        super().__init__(root)
        self._clock, self._seconds, self._exit_code = clock, seconds, exit_code

    def run(self, argv: object, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        assert timeout is not None
        self._clock.sleep(min(self._seconds, timeout))
        if self._seconds >= timeout:
            raise HostUnreachableError("no answer within 900 s")
        return Completed(self._exit_code, b"", b"")


def nobody(event: Event) -> None:
    """Listen to nothing."""


def test_a_first_boot_that_never_ends_is_said_to_be_that(tmp_path: Path) -> None:
    clock = FakeClock()
    with pytest.raises(SetupError, match="has not come to its end after 15 minutes") as failed:
        make_ready(Booting(tmp_path, clock, 1e9), 0, clock, nobody)
    assert "cloudtrain configs" in failed.value.hint
    assert clock.monotonic() == BOOT_TIMEOUT_S


def test_a_line_that_breaks_meanwhile_is_a_broken_line(tmp_path: Path) -> None:
    clock = FakeClock()
    remote = MemoryRemote(tmp_path)
    remote.fail_next("run", HostUnreachableError("cut"))
    with pytest.raises(HostUnreachableError, match="cut"):
        make_ready(remote, 0, clock, nobody)


@pytest.mark.parametrize(("exit_code", "is_told"), [(0, False), (1, True), (2, True)])
def test_trouble_at_the_first_boot_is_told(tmp_path: Path, exit_code: int, is_told: bool) -> None:
    clock, said = FakeClock(), []
    make_ready(Booting(tmp_path, clock, 60, exit_code), 0, clock, said.append)
    assert [note.level for note in said if isinstance(note, Note)] == (["warning"] if is_told else [])


class Installing(MemoryRemote):
    """A machine whose GPU answers after so long; until `installed_s` somebody installs its driver."""

    def __init__(self, root: Path, clock: FakeClock, answers_s: float, installed_s: float) -> None:
        super().__init__(root)
        self._clock, self._answers_s, self._installed_s = clock, answers_s, installed_s

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        if "cloud-init" in argv[-1]:
            return Completed(0, b"", b"")
        if self._clock.monotonic() >= self._answers_s:
            return Completed(0, b"GPU 0: NVIDIA A10-24Q\n", b"")
        # As the shell there would say: 75 while an installer runs, else that there is no such command.
        return Completed(75 if self._clock.monotonic() < self._installed_s else 1, b"nvidia-smi: not found\n", b"")


@pytest.mark.parametrize(("answers_s", "installed_s"), [(200, 0), (900, 880), (1000, 705)])
def test_a_driver_that_is_being_installed_is_waited_for(tmp_path: Path, answers_s: float, installed_s: float) -> None:
    clock = FakeClock()
    make_ready(Installing(tmp_path, clock, answers_s, installed_s), 1, clock, nobody)
    assert answers_s <= clock.monotonic() < answers_s + 10


@pytest.mark.parametrize(
    ("installed_s", "given_up_s"), [(0, DRIVER_TIMEOUT_S), (600, 600 + DRIVER_TIMEOUT_S), (1e9, INSTALL_TIMEOUT_S)]
)
def test_a_driver_that_never_answers_is_given_up(tmp_path: Path, installed_s: float, given_up_s: float) -> None:
    clock = FakeClock()
    with pytest.raises(SetupError, match="1 GPU is paid for and the machine shows 0: nvidia-smi: not found"):
        make_ready(Installing(tmp_path, clock, 1e9, installed_s), 1, clock, nobody)
    assert given_up_s - 10 <= clock.monotonic() <= given_up_s + 10


def test_several_gpus_that_are_missing_are_told_as_several(tmp_path: Path) -> None:
    clock = FakeClock()
    with pytest.raises(SetupError, match=r"^8 GPUs are paid for and the machine shows 1: GPU 0: NVIDIA A10-24Q"):
        make_ready(Installing(tmp_path, clock, 0, 0), 8, clock, nobody)


def test_who_looks_for_an_installer_does_not_find_itself(tmp_path: Path) -> None:
    remote = LocalRemote(tmp_path / "home", tmp_path / "cache")
    looked = remote.run(("sh", "-c", _LIST_GPUS.replace("nvidia-smi -L", "false")))
    assert looked.exit_code == 1
    installer = tmp_path / "NvidiaGpuDriverLinux-1.11"
    installer.write_text("#!/bin/sh\nread line\n")
    with subprocess.Popen(["sh", str(installer)], stdin=subprocess.PIPE) as running:
        assert remote.run(("sh", "-c", _LIST_GPUS.replace("nvidia-smi -L", "false"))).exit_code == _IS_BEING_INSTALLED
        assert running.stdin is not None
        running.stdin.close()
