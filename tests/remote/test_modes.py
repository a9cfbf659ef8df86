"""A file gets the mode it is meant to have, whatever the system takes from new ones, and half of it is nobody's business."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtrain.remote.landing_there import Landing

WHEN = 1_600_000_000_123_456_789


@pytest.fixture(params=[0o022, 0o077, 0o000, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_every_file_has_its_mode_and_time(tmp_path: Path) -> None:
    landing = Landing(str(tmp_path / "there"))
    modes = [0o644, 0o644, 0o755, 0o600, 0o777, 0o444, 0o000, 0o644, 0o666, 0o4755]
    for number, mode in enumerate(modes):
        for folder in ("a", "b/c"):
            landing.file(f"{folder}/{number}", mode, WHEN, [b"con", b"tent"])
    for number, mode in enumerate(modes):
        for folder in ("a", "b/c"):
            info = (tmp_path / "there" / folder / str(number)).stat()
            assert (info.st_mode & 0o7777, info.st_size, info.st_mtime_ns) == (mode & 0o777, 7, WHEN)


def test_the_mode_is_looked_at_once_for_each_folder_and_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    fstat = os.fstat
    landing = Landing(str(tmp_path / "there"))
    landing.file("first", 0o600, WHEN, [])
    monkeypatch.setattr("cloudtrain.remote.landing_there.os.fstat", lambda file: (looked.append(file), fstat(file))[1])
    for number in range(20):
        landing.file(f"{number % 2}/{number}", 0o600, WHEN, [b"x"])
    assert len(looked) == 2
