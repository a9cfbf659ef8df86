"""What a run measured: the job's own figures and the machine's use, as series that can be drawn.

Everything here was written on a machine: it is read as data that may be wrong in any way, and never fails.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from os.path import commonpath
from pathlib import Path, PurePosixPath
from typing import Any

from .collected import collected_files
from .facts import list_in, number_in, text_in, time_in
from .json_lines import read_json_lines

METRICS_FILE = "metrics.jsonl"
SAMPLES_FILE = "samples.jsonl"

Points = list[tuple[float, float]]

_X_NAMES = ("epoch", "step")
_MOST_FILES = 20
_MOST_NAMES = 200
_MOST_POINTS = 20_000
_MOST_GPUS = 16
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Metrics:
    """The job's own figures.

    Attributes:
        series: points (x, y) by metric name, x rising; x is the epoch, else the step, else the line's number.
        x_names: what x counts, by metric name: "epoch", "step" or "line".
        bad_lines: how many lines did not hold one JSON object.
    """

    series: dict[str, Points]
    x_names: dict[str, str]
    bad_lines: int


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU at one moment; None is what nobody knows. Memory in MiB."""

    index: int
    name: str
    util_percent: float | None
    memory_used_mib: float | None
    memory_total_mib: float | None
    power_w: float | None
    temperature_c: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """The machine at one moment. `t` is aware, UTC."""

    t: datetime
    cpu_percent: float | None
    memory_used_bytes: float | None
    memory_total_bytes: float | None
    gpus: tuple[GpuSample, ...]


def metrics(folder: Path) -> dict[str, Points]:
    """Return the points of every metric of the run in that folder, by name."""
    return read_metrics(folder).series


def read_metrics(folder: Path) -> Metrics:
    """Read every metrics.jsonl that came back. Where there are several, a name begins with what tells their folders apart."""
    collected = _Collected()
    for prefix, path in _metrics_files(folder):
        for line in read_json_lines(path):
            if line.content is None:
                collected.bad_lines += 1
            else:
                collected.add(prefix, line.content, line.number)
    return collected.result()


def samples(folder: Path) -> list[Sample]:
    """Return the run's machine samples in the order of time; of very many, an even choice."""
    found: list[Sample] = []
    for line in read_json_lines(folder / SAMPLES_FILE):
        sample = _sample(line.content) if line.content is not None else None
        if sample is not None:
            found.append(sample)
        if len(found) > 2 * _MOST_POINTS:
            del found[1::2]
    return sorted(found, key=lambda sample: sample.t)


def _metrics_files(folder: Path) -> list[tuple[str, Path]]:
    names = [PurePosixPath(file.name) for file in collected_files(folder)]
    found = [name for name in names if name.name == METRICS_FILE][:_MOST_FILES]
    shared = PurePosixPath(commonpath([f"./{name.parent}" for name in found])) if found else PurePosixPath()
    prefixes = [name.parent.relative_to(shared).as_posix() for name in found]
    return [("" if prefix == "." else f"{prefix}/", folder / name) for prefix, name in zip(prefixes, found, strict=True)]


class _Collected:
    """Points as they come, by name and by what x counts; a later line about the same x replaces the earlier one."""

    def __init__(self) -> None:
        self.bad_lines = 0
        self._points: dict[str, dict[str, dict[float, float]]] = {}

    def add(self, prefix: str, content: Mapping[str, Any], line_number: int) -> None:
        x_name, x = _position(content, line_number)
        for key in islice(content, _MOST_NAMES):
            y = number_in(content, key)
            if y is not None and key not in _X_NAMES:
                self._add_point(f"{prefix}{key}"[:_LONGEST_NAME], x_name, x, y)

    def _add_point(self, name: str, x_name: str, x: float, y: float) -> None:
        if name not in self._points:
            if len(self._points) >= _MOST_NAMES:
                return
            self._points[name] = defaultdict(dict)
        points = self._points[name][x_name]
        points[x] = y
        if len(points) > 2 * _MOST_POINTS:
            for every_other in list(points)[1::2]:
                del points[every_other]

    def result(self) -> Metrics:
        # A metric that is counted in epochs here and in steps there is drawn over what most of its points have.
        chosen = {name: max(kinds.items(), key=lambda kind: len(kind[1])) for name, kinds in self._points.items()}
        return Metrics(
            series={name: sorted(points.items()) for name, (_, points) in chosen.items()},
            x_names={name: x_name for name, (x_name, _) in chosen.items()},
            bad_lines=self.bad_lines,
        )


def _position(content: Mapping[str, Any], line_number: int) -> tuple[str, float]:
    for name in _X_NAMES:
        x = number_in(content, name)
        if x is not None:
            return name, x
    return "line", float(line_number)


def _sample(content: Mapping[str, Any]) -> Sample | None:
    t = time_in(content, "t")
    if t is None:
        return None
    return Sample(
        t,
        number_in(content, "cpu_percent"),
        number_in(content, "memory_used_bytes"),
        number_in(content, "memory_total_bytes"),
        tuple(_gpu(gpu, position) for position, gpu in enumerate(list_in(content, "gpus")[:_MOST_GPUS])),
    )


def _gpu(gpu: object, position: int) -> GpuSample:
    index = number_in(gpu, "index")
    return GpuSample(
        position if index is None else int(index),
        (text_in(gpu, "name") or "")[:_LONGEST_NAME],
        number_in(gpu, "util_percent"),
        number_in(gpu, "memory_used_mib"),
        number_in(gpu, "memory_total_mib"),
        number_in(gpu, "power_w"),
        number_in(gpu, "temperature_c"),
    )
