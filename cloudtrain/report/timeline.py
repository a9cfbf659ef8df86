"""Where the time of a run went: its stages along one bar, each as long as it took."""

from collections.abc import Mapping
from typing import Any

from .facts import list_in, number_in, text_in
from .words import duration, safe

_WIDTH = 520
_MOST_STAGES = 20
_COLOURS = 8


def timeline(record: Mapping[str, Any]) -> str:
    """Return the record's stages as an HTML figure, "" when none is known to have taken time."""
    stages = _stages(record)
    if not stages:
        return ""
    per_second = _WIDTH / sum(seconds for _, seconds in stages)
    bars, rows, start = [], [], 0.0
    for index, (name, seconds) in enumerate(stages):
        end = start + seconds * per_second
        bars.append(_bar(f"{name}: {duration(seconds)}", index, start, end))
        rows.append(f'<tr><td>{_swatch(index)}{safe(name)}</td><td class="count">{duration(seconds)}</td></tr>')
        start = end
    return (
        '<figure class="chart"><figcaption>Time by stage</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} 20" role="img" aria-labelledby="stages-title stages-desc">'
        '<title id="stages-title">Time by stage</title>'
        '<desc id="stages-desc">The stages one after another; their times are in the table below.</desc>'
        f"{''.join(bars)}</svg><table>{''.join(rows)}</table></figure>"
    )


def _stages(record: Mapping[str, Any]) -> list[tuple[str, float]]:
    found = [(text_in(stage, "stage"), number_in(stage, "seconds")) for stage in list_in(record, "stages")[:_MOST_STAGES]]
    return [(name.replace("_", " "), seconds) for name, seconds in found if name and seconds is not None and seconds > 0]


def _bar(shown: str, index: int, start: float, end: float) -> str:
    colour = f"c{index % _COLOURS}"
    return f'<line class="bar {colour}" x1="{start:.1f}" x2="{end:.1f}" y1="10" y2="10"><title>{safe(shown)}</title></line>'


def _swatch(index: int) -> str:
    line = f'<line class="bar c{index % _COLOURS}" x1="0" x2="24" y1="4" y2="4"/>'
    return f'<svg class="swatch" viewBox="0 0 24 8" aria-hidden="true">{line}</svg>'
