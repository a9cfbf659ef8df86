"""A machine is ready when its first boot is over; one whose first boot never ends is no broken line."""

from pathlib import Path

import pytest

from cloudtrain.model.errors import HostUnreachableError, SetupError
from cloudtrain.model.event import Event, Note
from cloudtrain.remote.base import Completed
from cloudtrain.remote.memory import MemoryRemote
from cloudtrain.stages.make_ready import BOOT_TIMEOUT_S, make_ready
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
