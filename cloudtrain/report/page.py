"""report.html: one page about one run, complete in itself: no script, no network, nothing beside it is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..model.errors import CloudtrainError
from .chart import Chart, draw
from .collected import CollectedFile, collected_files
from .cost import cost_panel
from .facts import mapping_in, text_in
from .log_tail import log_tail
from .panels import cost_chart, machine_charts, metric_charts
from .run_file import RUN_FILE, read_run_file
from .series import read_metrics, samples
from .style import STYLE
from .summary import heading, job_name, particulars, terms, tiles
from .timeline import timeline
from .whole_file import write_whole
from .words import safe, size

REPORT_FILE = "report.html"

# Even if something foreign slipped through, the browser would neither run nor fetch it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_MOST_FILES = 200


def write_report(folder: Path) -> Path:
    """Write the folder's report.html from what lies in it, whole or not at all, and return the file's path.

    Whatever is missing or damaged is left out or said so; a run that never got anywhere has a page too.

    Raises:
        OSError: the folder cannot be written to.
    """
    path = folder / REPORT_FILE
    write_whole(path, _page(folder).encode("utf-8", "replace"))
    return path


def _page(folder: Path) -> str:
    try:
        record, problem = read_run_file(folder), ""
    except CloudtrainError:
        record, problem = {}, f'<p class="note">The run\'s own record, {RUN_FILE}, is missing or damaged.</p>'
    taken = samples(folder)
    parts = (
        heading(record) + problem + tiles(record, taken),
        _section("The run", particulars(record)),
        _section("What it learned", _learning(folder)),
        _section("How the machine was used", _figures(machine_charts(taken), "machine")),
        _section("What it cost, and where the time went", _cost_and_time(record)),
        _section("What ran", _what_ran(record)),
        _section("What came back", _files(folder)),
        _section("The end of the log", _log(folder)),
    )
    written_by = text_in(record, "cloudtrain")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{safe(job_name(record))} · cloudtrain</title><style>{STYLE}</style></head>\n<body><main>"
        + "\n".join(part for part in parts if part)
        + f"<footer>cloudtrain {safe(written_by or '')}</footer></main></body></html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{safe(title)}</h2>{content}</section>" if content else ""


def _figures(charts: list[Chart], kind: str) -> str:
    drawn = "".join(draw(chart, f"{kind}-{number}") for number, chart in enumerate(charts, start=1))
    return f'<div class="charts">{drawn}</div>' if drawn else ""


def _learning(folder: Path) -> str:
    metrics = read_metrics(folder)
    note = f'<p class="note">{metrics.bad_lines:,} unreadable lines of metrics were left out.</p>' if metrics.bad_lines else ""
    return _figures(metric_charts(metrics), "metric") + note


def _cost_and_time(record: Mapping[str, Any]) -> str:
    cost = cost_chart(record)
    parts = (draw(cost, "cost") if cost else "", timeline(record))
    return cost_panel(record) + (f'<div class="charts">{"".join(parts)}</div>' if any(parts) else "")


def _what_ran(record: Mapping[str, Any]) -> str:
    command = text_in(record, "command")
    packages = {
        name: text_in({"": value}, "") for name, value in list(mapping_in(record, "environment", "packages").items())[:500]
    }
    rows = {
        "Framework": text_in(record, "framework"),
        "Python": text_in(record, "environment", "python"),
        "Git commit": _commit(record),
    }
    if not command and not packages and not any(rows.values()):
        return ""
    listed = terms(packages) if packages else ""
    return (
        '<div class="card">'
        + (f"<p><code>{safe(command)}</code></p>" if command else "")
        + (terms(rows) if any(rows.values()) else "")
        + (f"<details><summary>{len(packages)} packages</summary>{listed}</details>" if listed else "")
        + "</div>"
    )


def _commit(record: Mapping[str, Any]) -> str | None:
    commit = text_in(record, "git", "commit")
    dirty = mapping_in(record, "git").get("dirty") is True
    return f"{commit} with changes not committed" if commit and dirty else commit


def _files(folder: Path) -> str:
    files = collected_files(folder)
    if not files:
        return ""
    rows = "".join(_file_row(file) for file in files[:_MOST_FILES])
    rest = files[_MOST_FILES:]
    more = (
        f"<tr><td>and {len(rest):,} more</td><td class='count'>{size(sum(file.size for file in rest))}</td></tr>"
        if rest
        else ""
    )
    return f'<div class="card"><table>{rows}{more}</table></div>'


def _file_row(file: CollectedFile) -> str:
    # Relative to this page and quoted whole: a name can be neither an address nor a script.
    address = "./" + quote(file.name.encode("utf-8", "surrogateescape"))
    return f'<tr><td><a href="{address}">{safe(file.name)}</a></td><td class="count">{size(file.size)}</td></tr>'


def _log(folder: Path) -> str:
    text = log_tail(folder / "job.log")
    # A line break right after <pre> is not shown, so one is given away.
    return f'<div class="card"><pre>\n{safe(text)}</pre></div>' if text else ""
