"""Metrics and samples: what a machine wrote is read in bounded time and memory and never breaks the reader."""

import json
import math
import os
import tracemalloc
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtrain.report.json_lines import WHOLE_BYTES, read_json_lines
from cloudtrain.report.series import metrics, read_metrics, samples


def write_metrics(folder: Path, content: str | bytes, name: str = "results/metrics.jsonl") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))


def test_every_number_becomes_a_series_over_epochs(tmp_path: Path) -> None:
    write_metrics(tmp_path, '{"epoch": 1, "loss": 2, "phase": "head"}\n{"epoch": 2, "loss": 1.5, "done": true}\n')
    found = read_metrics(tmp_path)
    assert found.series == {"loss": [(1.0, 2.0), (2.0, 1.5)]}
    assert found.x_names == {"loss": "epoch"}
    assert found.bad_lines == 0


@pytest.mark.parametrize(
    ("lines", "x_name", "expected"),
    [
        ('{"step": 10, "loss": 1}\n{"step": 20, "loss": 2}\n', "step", [(10.0, 1.0), (20.0, 2.0)]),
        ('{"epoch": 0.5, "step": 9, "loss": 1}\n', "epoch", [(0.5, 1.0)]),
        ('{"loss": 1}\n\n{"loss": 2}\n', "line", [(1.0, 1.0), (3.0, 2.0)]),
        ('{"loss": 7}\n{"epoch": 1, "loss": 1}\n{"epoch": 2, "loss": 2}\n', "epoch", [(1.0, 1.0), (2.0, 2.0)]),
    ],
)
def test_x_is_the_epoch_else_the_step_else_the_line(
    tmp_path: Path, lines: str, x_name: str, expected: list[tuple[float, float]]
) -> None:
    write_metrics(tmp_path, lines)
    found = read_metrics(tmp_path)
    assert (found.x_names["loss"], found.series["loss"]) == (x_name, expected)


def test_an_epoch_trained_again_replaces_what_was_said_of_it(tmp_path: Path) -> None:
    write_metrics(tmp_path, "".join(f'{{"epoch": {epoch}, "loss": {y}}}\n' for epoch, y in [(1, 9), (2, 8), (3, 7), (2, 4)]))
    assert metrics(tmp_path) == {"loss": [(1.0, 9.0), (2.0, 4.0), (3.0, 7.0)]}


def test_several_files_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    line = '{"epoch": 1, "loss": 1}\n'
    for name in ("results/metrics.jsonl", "results/fold-1/metrics.jsonl", "results/fold-1/head/metrics.jsonl"):
        write_metrics(tmp_path, line, name)
    assert set(metrics(tmp_path)) == {"loss", "fold-1/loss", "fold-1/head/loss"}


def test_a_folder_without_metrics_has_none(tmp_path: Path) -> None:
    assert metrics(tmp_path) == {}
    assert metrics(tmp_path / "absent") == {}
    assert samples(tmp_path) == []


def test_values_that_cannot_be_drawn_are_kept_out(tmp_path: Path) -> None:
    huge = "9" * 400
    write_metrics(
        tmp_path,
        f'{{"epoch": 1, "a": NaN, "b": Infinity, "c": {huge}, "d": 1e400, "e": null, "f": "1", "g": [1], "h": true, "ok": 1}}\n'
        f'{{"epoch": {huge}, "ok": 2}}\n{{"epoch": NaN, "ok": 3}}\n',
    )
    assert metrics(tmp_path) == {"ok": [(2.0, 2.0), (3.0, 3.0)]}


def test_bad_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    deep = "[" * 200_000
    write_metrics(tmp_path, f'{{"epoch": 1, "loss": 1}}\n{{"epo\n[1, 2]\n"text"\n{deep}\n{{"epoch": 2, "loss": 2}}\n')
    found = read_metrics(tmp_path)
    assert found.series == {"loss": [(1.0, 1.0), (2.0, 2.0)]}
    assert found.bad_lines == 4


def test_neither_links_nor_pipes_are_opened(tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere.jsonl"
    secret.write_text('{"epoch": 1, "secret": 42}\n')
    folder = tmp_path / "run"
    (folder / "results/pipe").mkdir(parents=True)
    (folder / "results/metrics.jsonl").symlink_to(secret)
    (folder / "samples.jsonl").symlink_to(secret)
    os.mkfifo(folder / "results/pipe/metrics.jsonl")
    assert metrics(folder) == {}
    assert samples(folder) == []


def test_names_are_bounded_in_length_and_number(tmp_path: Path) -> None:
    many = {f"{number:05d}" + "x" * 500: number for number in range(1000)}
    write_metrics(tmp_path, json.dumps(many) + "\n")
    found = metrics(tmp_path)
    assert len(found) == 200
    assert max(map(len, found)) == 80


def test_many_lines_are_thinned_in_bounded_memory(tmp_path: Path) -> None:
    lines = 300_000
    write_metrics(tmp_path, "".join(f'{{"step": {step}, "loss": 0.125}}\n' for step in range(lines)))
    tracemalloc.start()
    try:
        found = metrics(tmp_path)["loss"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * 1024 * 1024
    assert 1000 < len(found) <= 40_000
    assert found[0] == (0.0, 0.125)
    assert found[-1] == (lines - 1, 0.125)


def test_points_are_bounded_where_the_file_is_read_whole(tmp_path: Path) -> None:
    write_metrics(tmp_path, b'{"a":1}\n' * 100_000)
    found = metrics(tmp_path)["a"]
    assert 20_000 <= len(found) <= 40_000
    assert (found[0], found[-1]) == ((1.0, 1.0), (100_000.0, 1.0))


def test_of_a_large_file_whole_lines_at_even_distances_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    count = WHOLE_BYTES // 16
    path.write_bytes(b"".join(b'{"n": %12d}\n' % number for number in range(1, count + 1)))
    found = list(read_json_lines(path))
    assert all(line.content is not None for line in found)
    seen = [line.content["n"] for line in found if line.content is not None]
    assert seen[0] == 1
    assert seen[-1] == count
    assert seen == sorted(set(seen))
    assert len(seen) < 21_000
    assert max(b - a for a, b in pairwise(seen)) < 3 * count / len(seen)
    assert all(abs(line.number - n) <= 1 for line, n in zip(found, seen, strict=True))


@pytest.mark.parametrize("filler", [b"x", b"\n", b"\x00"])
def test_a_large_file_without_lines_ends(tmp_path: Path, filler: bytes) -> None:
    path = tmp_path / "large.jsonl"
    path.write_bytes(filler * (WHOLE_BYTES + 4096))
    assert all(line.content is None for line in read_json_lines(path))


def test_samples_come_in_the_order_of_time(tmp_path: Path) -> None:
    gpu = {"index": 1, "name": "T4", "util_percent": 50, "memory_used_mib": 1, "memory_total_mib": 2, "power_w": 70}
    (tmp_path / "samples.jsonl").write_text(
        json.dumps(
            {"t": "2026-11-21T14:05:10Z", "cpu_percent": 10, "memory_used_bytes": 5, "memory_total_bytes": 9, "gpus": [gpu]}
        )
        + '\n{"t": "2026-11-21T16:05:00+02:00", "cpu_percent": null}\n{"t": "yesterday"}\n{"cpu_percent": 3}\n'
    )
    first, second = samples(tmp_path)
    assert (first.t, first.cpu_percent, first.gpus) == (datetime(2026, 11, 21, 14, 5, tzinfo=UTC), None, ())
    assert (second.cpu_percent, second.memory_used_bytes, second.memory_total_bytes) == (10.0, 5.0, 9.0)
    assert (second.gpus[0].index, second.gpus[0].name, second.gpus[0].power_w) == (1, "T4", 70.0)
    assert second.gpus[0].temperature_c is None


def test_very_many_samples_are_thinned_evenly(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text("".join(f'{{"t":"{2000 + n // 8000}-01-01T00:00:00Z"}}\n' for n in range(90_000)))
    assert 10_000 <= len(samples(tmp_path)) <= 40_000


HOSTILE_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**320)
    | st.text()
    | st.sampled_from(["2026-11-21T14:05:03Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
HOSTILE_LINES = st.binary(max_size=80) | st.dictionaries(
    st.sampled_from(["epoch", "step", "loss", "t", "gpus", "cpu_percent", "index"]) | st.text(), HOSTILE_VALUES, max_size=6
).map(lambda line: json.dumps(line).encode())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(HOSTILE_LINES, max_size=12))
def test_whatever_stands_in_the_lines_the_result_can_be_drawn(tmp_path: Path, lines: list[bytes]) -> None:
    write_metrics(tmp_path, b"\n".join(lines))
    (tmp_path / "samples.jsonl").write_bytes(b"\n".join(lines))
    for points in metrics(tmp_path).values():
        assert points == sorted(points)
        assert all(math.isfinite(x) and math.isfinite(y) for x, y in points)
    taken = samples(tmp_path)
    assert [sample.t for sample in taken] == sorted(sample.t for sample in taken)
