"""The charts of a run: what the job measured, how the machine was used, what it cost, and where the time went."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from .chart import Axis, Chart, Line
from .facts import number_in, time_in
from .series import Metrics, Sample
from .summary import price_in_words
from .words import money

_FIRST = ("loss", "accuracy")
_VALIDATION = "val_"
_MOST_CHARTS = 40


def metric_charts(metrics: Metrics) -> list[Chart]:
    """Return one chart per metric, with its validation twin on it; loss first, then accuracy, then as they came."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in metrics.series:
        groups[_base(name)].append(name)
    ordered = sorted(groups, key=_rank)
    return [_metric_chart(base, sorted(groups[base], key=len), metrics) for base in ordered[:_MOST_CHARTS]]


def machine_charts(samples: list[Sample]) -> list[Chart]:
    """Return how busy processor and GPUs were, and how full their memory."""
    if not samples:
        return []
    start = samples[0].t
    span = (samples[-1].t - start).total_seconds()
    unit, divisor = _time_unit(span)
    times = [(sample.t - start).total_seconds() / divisor for sample in samples]
    gpus = _gpus(samples)
    busy = [_use("CPU", times, (sample.cpu_percent for sample in samples))]
    busy += [_use(name, times, (_util(sample, index) for sample in samples)) for index, name in gpus.items()]
    full = [_use("main memory", times, (_memory_percent(sample) for sample in samples))]
    full += [_use(name, times, (_gpu_percent(sample, index) for sample in samples)) for index, name in gpus.items()]
    x = Axis(f"{unit} since the first sample")
    percent = Axis("percent", 0, 100, _percent)
    charts = [
        Chart("CPU and GPU use" if gpus else "CPU use", _drawable(busy), x, percent, _gpu_note(samples)),
        Chart("Memory use", _drawable(full), x, percent, _memory_note(samples)),
    ]
    return [chart for chart in charts if chart.lines]


def cost_chart(record: Mapping[str, Any]) -> Chart | None:
    """Return what the machine had cost by when, from its price; None when price or times are not known."""
    rate = number_in(record, "price", "usd_per_hour")
    start = time_in(record, "machine_started_at") or time_in(record, "started_at")
    end = time_in(record, "machine_ended_at") or time_in(record, "ended_at")
    if rate is None or start is None or end is None or end <= start:
        return None
    seconds = (end - start).total_seconds()
    unit, divisor = _time_unit(seconds)
    line = Line("cost", [(0.0, 0.0), (seconds / divisor, rate * seconds / 3600)])
    note = f"{price_in_words(record)}." if rate else "No meter runs on this machine: it cost nothing."
    return Chart("Cost", (line,), Axis(f"{unit} since the machine started"), Axis("dollars", 0, write=money), note)


def _base(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.removeprefix(_VALIDATION)}"


def _rank(base: str) -> tuple[int, int]:
    last = base.rpartition("/")[2]
    return base.count("/"), _FIRST.index(last) if last in _FIRST else len(_FIRST)


def _metric_chart(base: str, names: list[str], metrics: Metrics) -> Chart:
    lines = tuple(Line(name, metrics.series[name], dashed=_base(name) != name) for name in names)
    return Chart(base, lines, Axis(metrics.x_names[names[0]]), Axis(base))


def _time_unit(span_seconds: float) -> tuple[str, float]:
    if span_seconds < 180:
        return "seconds", 1
    return ("minutes", 60) if span_seconds < 3 * 3600 else ("hours", 3600)


def _gpus(samples: list[Sample]) -> dict[int, str]:
    indexes = sorted({gpu.index for sample in samples for gpu in sample.gpus})
    return {index: "GPU" if len(indexes) == 1 else f"GPU {index}" for index in indexes[:16]}


def _use(name: str, times: list[float], values: Iterable[float | None]) -> Line:
    points = [(time, value) for time, value in zip(times, values, strict=True) if value is not None]
    mean = sum(value for _, value in points) / len(points) if points else 0.0
    return Line(name, points, gist=f"{_percent(mean)} on average")


def _drawable(lines: list[Line]) -> tuple[Line, ...]:
    return tuple(line for line in lines if line.points)


def _util(sample: Sample, index: int) -> float | None:
    return next((gpu.util_percent for gpu in sample.gpus if gpu.index == index), None)


def _memory_percent(sample: Sample) -> float | None:
    return _part(sample.memory_used_bytes, sample.memory_total_bytes)


def _gpu_percent(sample: Sample, index: int) -> float | None:
    return next((_part(gpu.memory_used_mib, gpu.memory_total_mib) for gpu in sample.gpus if gpu.index == index), None)


def _part(used: float | None, total: float | None) -> float | None:
    return None if used is None or not total or total < 0 else used / total * 100


def _percent(value: float) -> str:
    return f"{value:.0f} %"


def _memory_note(samples: list[Sample]) -> str:
    parts = []
    used = [sample.memory_used_bytes for sample in samples if sample.memory_used_bytes is not None]
    total = max((sample.memory_total_bytes or 0 for sample in samples), default=0)
    if used and total:
        parts.append(f"main memory at most {max(used) / 2**30:.1f} of {total / 2**30:.1f} GiB")
    gpus = [gpu for sample in samples for gpu in sample.gpus if gpu.memory_used_mib is not None and gpu.memory_total_mib]
    if gpus:
        fullest = max(gpus, key=lambda gpu: gpu.memory_used_mib or 0)
        parts.append(
            f"GPU at most {(fullest.memory_used_mib or 0) / 1024:.1f} of {(fullest.memory_total_mib or 0) / 1024:.1f} GiB"
        )
    return _sentence(parts)


def _gpu_note(samples: list[Sample]) -> str:
    gpus = [gpu for sample in samples for gpu in sample.gpus]
    names = sorted({gpu.name for gpu in gpus if gpu.name})
    watts = [gpu.power_w for gpu in gpus if gpu.power_w is not None]
    degrees = [gpu.temperature_c for gpu in gpus if gpu.temperature_c is not None]
    parts = [", ".join(names)] if names else []
    parts += [f"at most {max(watts):.0f} W"] if watts else []
    parts += [f"{max(degrees):.0f} °C"] if degrees else []
    return _sentence(parts)


def _sentence(parts: list[str]) -> str:
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
