"""Whether this computer's cores have time to spare: told twice a second, and nowhere but on Linux."""

from pathlib import Path

import pytest

from cloudtrain.remote.cores import Cores


def test_the_share_of_the_last_moment_is_told(tmp_path: Path) -> None:
    source, now = tmp_path / "stat", [0.0]
    source.write_text("cpu  100 0 100 800 0 0 0 0 0 0\n")
    cores = Cores(source, lambda: now[0])
    assert cores.idle() is None
    now[0] = 0.6
    source.write_text("cpu  150 0 125 820 5 0 0 0 0 0\n")
    assert cores.idle() == pytest.approx(0.25)
    source.write_text("cpu  150 0 125 920 5 0 0 0 0 0\n")
    assert cores.idle() == pytest.approx(0.25)
    now[0] = 1.2
    assert cores.idle() == 1.0


@pytest.mark.parametrize("said", [None, "", "cpu  1 2\n", "cpu  a b c d e f g h\n"])
def test_where_nobody_tells_nothing_is_known(said: str | None, tmp_path: Path) -> None:
    source, now = tmp_path / "stat", [0.0]
    if said is not None:
        source.write_text(said)
    cores = Cores(source, lambda: now[0])
    now[0] = 1.0
    assert cores.idle() is None
