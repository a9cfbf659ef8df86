"""Line charts as inline SVG: they need no script, no font and no network."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from .series import Points
from .words import number, safe

MOST_POINTS = 600
"""How many points of one line are drawn at most."""

_WIDTH, _HEIGHT = 520, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 508, 10, 192
_MOST_DOTS = 40
_X_TICKS, _Y_TICKS = 6, 4
_COLOURS = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart. Points are (x, y), x rising; `gist` stands in the legend in place of the last value."""

    name: str
    points: Points
    dashed: bool = False
    gist: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """What one direction of a chart shows.

    Attributes:
        label: what is counted, with its unit.
        low, high: a range that is shown even when no value reaches it, or None.
        write: how a value is written.
    """

    label: str
    low: float | None = None
    high: float | None = None
    write: Callable[[float], str] = number


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over one x axis. `note` is a sentence below them, or ""."""

    title: str
    lines: tuple[Line, ...]
    x: Axis
    y: Axis
    note: str = ""


def draw(chart: Chart, chart_id: str) -> str:
    """Return the chart as an HTML figure: drawing, legend, and a description for those who do not see it."""
    lines = [replace(line, points=thin(line.points)) for line in chart.lines if line.points]
    if not lines:
        return ""
    x_range = _range([x for line in lines for x, _ in line.points], chart.x)
    y_range = _widened(_range([y for line in lines for _, y in line.points], chart.y))
    note = f'<p class="note">{safe(chart.note)}</p>' if chart.note else ""
    return (
        f'<figure class="chart"><figcaption>{safe(chart.title)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{chart_id}-title {chart_id}-desc">'
        f'<title id="{chart_id}-title">{safe(chart.title)}</title>'
        f'<desc id="{chart_id}-desc">{safe(" ".join(_described(line, chart) for line in lines))}</desc>'
        f"{_y_grid(chart.y, y_range)}{_x_grid(chart.x, x_range)}"
        f"{''.join(_drawn(line, index, x_range, y_range, chart) for index, line in enumerate(lines))}"
        f"</svg>{_legend(lines, chart)}{note}</figure>"
    )


def thin(points: Points, most: int = MOST_POINTS) -> Points:
    """Return at most that many of the points: first, last, and the extremes of each stretch, so that no spike is lost."""
    if len(points) <= most:
        return points
    stretches = max(1, (most - 2) // 2)
    inner = points[1:-1]
    chosen = [points[0]]
    for index in range(stretches):
        stretch = inner[len(inner) * index // stretches : len(inner) * (index + 1) // stretches]
        extremes = {min(stretch, key=_height), max(stretch, key=_height)} if stretch else set()
        chosen.extend(sorted(extremes))
    return [*chosen, points[-1]]


def _height(point: tuple[float, float]) -> float:
    return point[1]


def _range(values: list[float], axis: Axis) -> tuple[float, float]:
    low = min(values if axis.low is None else [*values, axis.low])
    high = max(values if axis.high is None else [*values, axis.high])
    # Where all is equal, or as good as equal to what a float can tell apart, there is nothing to spread out.
    if high - low <= max(abs(low), abs(high), 1e-90) * 1e-9:
        margin = abs(high) * 0.1 or 1.0
        low, high = (low, high + margin) if low == 0 else (low - margin, high + margin)
    return low, high


def _widened(shown: tuple[float, float]) -> tuple[float, float]:
    """Let the range begin and end at a tick."""
    step = _step(shown, _Y_TICKS)
    return math.floor(shown[0] / step + 1e-9) * step, math.ceil(shown[1] / step - 1e-9) * step


def _ticks(shown: tuple[float, float], wanted: int) -> list[float]:
    step = _step(shown, wanted)
    first, last = math.ceil(shown[0] / step - 1e-9), math.floor(shown[1] / step + 1e-9)
    return [count * step for count in range(first, last + 1)]


def _step(shown: tuple[float, float], wanted: int) -> float:
    rough = (shown[1] - shown[0]) / wanted
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * 0.999)


def _place(value: float, shown: tuple[float, float], start: float, end: float) -> float:
    low, high = shown
    return start + (value - low) / (high - low) * (end - start)


def _across(x: float, shown: tuple[float, float]) -> float:
    return _place(x, shown, _LEFT, _RIGHT)


def _up(y: float, shown: tuple[float, float]) -> float:
    return _place(y, shown, _BOTTOM, _TOP)


def _y_grid(axis: Axis, shown: tuple[float, float]) -> str:
    parts = []
    for tick in _ticks(shown, _Y_TICKS):
        y = _up(tick, shown)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{safe(axis.write(tick))}</text>')
    return "".join(parts)


def _x_grid(axis: Axis, shown: tuple[float, float]) -> str:
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{_RIGHT}" y1="{_BOTTOM}" y2="{_BOTTOM}"/>']
    for tick in _ticks(shown, _X_TICKS):
        x = _across(tick, shown)
        anchor = "end" if x > _RIGHT - 12 else "middle"
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{_BOTTOM + 17}" text-anchor="{anchor}">{safe(axis.write(tick))}</text>'
        )
    middle = (_LEFT + _RIGHT) / 2
    parts.append(f'<text class="label" x="{middle:.0f}" y="{_HEIGHT - 4}" text-anchor="middle">{safe(axis.label)}</text>')
    return "".join(parts)


def _drawn(line: Line, index: int, x_range: tuple[float, float], y_range: tuple[float, float], chart: Chart) -> str:
    places = [(_across(x, x_range), _up(y, y_range)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    colour = f"c{index % _COLOURS}"
    dashed = " dashed" if line.dashed else ""
    drawn = f'<polyline class="line {colour}{dashed}" points="{path}"/>'
    if len(places) > _MOST_DOTS:
        return drawn
    dots = [
        f'<circle class="dot {colour}" cx="{across:.1f}" cy="{up:.1f}" r="2.6">'
        f"<title>{safe(f'{line.name}: {chart.y.write(y)} ({chart.x.label} {chart.x.write(x)})')}</title></circle>"
        for (across, up), (x, y) in zip(places, line.points, strict=True)
    ]
    return drawn + "".join(dots)


def _legend(lines: list[Line], chart: Chart) -> str:
    entries = [
        f'<li><svg class="swatch" viewBox="0 0 24 8" aria-hidden="true">'
        f'<line class="line c{index % _COLOURS}{" dashed" if line.dashed else ""}" x1="1" x2="23" y1="4" y2="4"/></svg>'
        f"{safe(line.name)} <b>{safe(line.gist or chart.y.write(line.points[-1][1]))}</b></li>"
        for index, line in enumerate(lines)
    ]
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _described(line: Line, chart: Chart) -> str:
    (first_x, first_y), (last_x, last_y) = line.points[0], line.points[-1]
    low_x, low_y = min(line.points, key=_height)
    high_x, high_y = max(line.points, key=_height)
    x, y = chart.x.write, chart.y.write
    return (
        f"{line.name}: {y(first_y)} at {x(first_x)}, {y(last_y)} at {x(last_x)}; "
        f"lowest {y(low_y)} at {x(low_x)}, highest {y(high_y)} at {x(high_x)} ({chart.x.label})."
    )
