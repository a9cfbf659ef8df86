"""run.json: written whole, read back, and clear about what is wrong with it."""

import json
import math
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudtrain.model.errors import CloudtrainError, NotFoundError
from cloudtrain.model.run import Outcome
from cloudtrain.report.run_file import RECORD_KEYS, read_run_file, write_run_file


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    record = {"format": 1, "id": "r-1", "price": {"usd_per_hour": 1.006, "priced_on": None}, "stages": [{"stage": "plan"}]}
    path = write_run_file(tmp_path, record)
    assert path == tmp_path / "run.json"
    assert read_run_file(tmp_path) == record


def test_the_order_of_the_fields_does_not_depend_on_the_writer(tmp_path: Path) -> None:
    write_run_file(tmp_path, {"later_field": 1} | {key: None for key in reversed(RECORD_KEYS)})
    assert list(read_run_file(tmp_path)) == [*RECORD_KEYS, "later_field"]


def test_values_of_ours_are_written_as_plain_data(tmp_path: Path) -> None:
    write_run_file(tmp_path, {"outcome": Outcome.RECLAIMED, "ended_at": datetime(2026, 11, 21, 14, 5, tzinfo=UTC)})
    assert read_run_file(tmp_path) == {"outcome": "reclaimed", "ended_at": "2026-11-21T14:05:00+00:00"}


def test_numbers_json_cannot_express_become_null(tmp_path: Path) -> None:
    path = write_run_file(tmp_path, {"usd": math.nan, "stages": [{"seconds": math.inf}]})
    content = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in the file"))
    assert content == {"usd": None, "stages": [{"seconds": None}]}


def test_text_that_utf8_cannot_hold_does_not_cost_the_record(tmp_path: Path) -> None:
    write_run_file(tmp_path, {"command": "cat \udcff.txt"})
    assert read_run_file(tmp_path) == {"command": "cat \udcff.txt"}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run_file(tmp_path, {"id": "old"})

    def full_disk(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_run_file(tmp_path, {"id": "new"})
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert read_run_file(tmp_path) == {"id": "old"}


def test_others_may_read_it(tmp_path: Path) -> None:
    assert stat.S_IMODE(write_run_file(tmp_path, {}).stat().st_mode) == 0o644


def test_an_absent_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"holds no run\.json") as caught:
        read_run_file(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\xfa", b"[" * 100_000, b"9" * 5000])
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(CloudtrainError, match="damaged") as caught:
        read_run_file(tmp_path)
    assert caught.value.hint


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "run.json").open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(CloudtrainError, match="too large"):
        read_run_file(tmp_path)


def test_the_umask_says_who_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        written = write_run_file(tmp_path, {"id": "x"})
    finally:
        os.umask(before)
    assert written.stat().st_mode & 0o777 == 0o600
