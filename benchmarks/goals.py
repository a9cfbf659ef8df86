"""What the project promises of its transfers: measured row by row, each promise judged by the figures of one row.

python benchmarks/transfer.py --goals --folder /dev/shm --table table.md
"""

import datetime
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import bench
from link import CONGESTION_CONTROL, long_line
from measuring import OURS, Row, measure, tell

PAVZ, TUNED, BARE = "rsync -Pavz", "rsync tuned", "the bare line"
BOTH = (OURS, PAVZ, TUNED)

Verdict = tuple[str, bool]
"""What was promised, with the figure that came out, and whether that keeps it."""


Judge = Callable[[Row, float], list[Verdict]]
"""Told a row and the line's rate, Mbit/s."""


@dataclass(frozen=True, slots=True)
class Aim:
    """One row: a workload over a line, who competes, and what is promised of it.

    Attributes:
        rtt: milliseconds; 0 for this computer's loopback.
        rate: Mbit/s.
        once: methods that one round is enough for.
        about_s: what three rounds take, about.
    """

    title: str
    workload: str
    rtt: float
    rate: float
    only: tuple[str, ...]
    judge: Judge | None
    loss: float = 0.0
    size_mib: int = 0
    files: int = 0
    once: tuple[str, ...] = ()
    about_s: float = 60.0


def run_goals(numbers: Sequence[int], rounds: int, most_s: float, folder: Path, table: Path | None) -> None:
    """Measure the rows (all, or those numbered from 1), print each and write the table after each; most important first."""
    began = time.monotonic()
    chosen = [aim for number, aim in enumerate(AIMS, 1) if not numbers or number in numbers]
    lines = _head(rounds)
    verdicts: list[str] = []
    for index, aim in enumerate(chosen):
        left, ahead = most_s - (time.monotonic() - began), sum(later.about_s for later in chosen[index:])
        this = rounds if left >= ahead else max(1, min(rounds, int(rounds * left / ahead)))
        row = _measure(aim, this, folder / str(index))
        tell(f"{aim.title} ({this} round{'s' if this > 1 else ''})", row)
        lines.append(_table_row(aim, row, this))
        for promise, is_kept in aim.judge(row, aim.rate) if aim.judge else []:
            print(f"    {'kept' if is_kept else 'NOT KEPT'}: {promise}", flush=True)
            verdicts.append(f"| {aim.title} | {promise} | {'kept' if is_kept else '**not kept**'} |")
        if table is not None:
            goals = ["", "| row | goal, and what came out | |", "|---|---|---|", *verdicts, ""]
            table.write_text("\n".join([*lines, *goals]), encoding="utf-8")


def _measure(aim: Aim, rounds: int, folder: Path) -> Row:
    folder.mkdir()
    sizes = {"size_mib": aim.size_mib, "files": aim.files, "rounds": rounds, "only": aim.only, "once": aim.once}
    if not aim.rtt:
        with bench(folder, None) as found:
            return measure(found, aim.workload, **sizes)  # type: ignore[arg-type]
    with long_line(aim.rate, aim.rtt, aim.loss) as line, bench(folder, line) as found:
        return measure(found, aim.workload, **sizes)  # type: ignore[arg-type]


def _head(rounds: int) -> list[str]:
    model = next((line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    cores, system = os.cpu_count(), f"{platform.system()} {platform.release()}"
    today = datetime.datetime.now(datetime.UTC).date()
    columns = (OURS, PAVZ, TUNED, "others", "the bare line")
    return [
        f"{today}, {cores} cores ({model}), {system}, Python {platform.python_version()}, {CONGESTION_CONTROL} at both ends. "
        f"Medians of {rounds} rounds unless said. Wall seconds; in brackets CPU seconds here + there; × streams. Load when a "
        "row began; stolen: the share of the cores' time that others on the same host had.",
        "",
        f"| | {' | '.join(columns)} | load | stolen |",
        f"|---|{'---|' * (len(columns) + 2)}",
    ]


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def _table_row(aim: Aim, row: Row, rounds: int) -> str:
    cells = []
    for name in (OURS, PAVZ, TUNED):
        one = row.figures.get(name)
        streams = f" ×{one.streams}" if one and name == OURS else ""
        cells.append(f"{one.wall:.2f} ({one.near:.1f} + {one.far:.1f}){streams}" if one else "")
    others = [
        f"{name} {'~' if one.is_estimated else ''}{one.wall:,.1f}"
        for name, one in row.figures.items()
        if name not in (OURS, PAVZ, TUNED, BARE)
    ]
    bare = f"{row.figures[BARE].wall:.2f}" if BARE in row.figures else ""
    few = "" if rounds > 1 else ", one round"
    return f"| {aim.title}{few} | {' | '.join(cells)} | {', '.join(others)} | {bare} | {row.load:.1f} | {row.stolen:.0%} |"


def _times(row: Row, name: str, least: float) -> Verdict:
    ratio = row.figures[name].wall / row.figures[OURS].wall
    return f"≥ {least:g}× {name}: {ratio:.2f}×", ratio >= least


def _large(row: Row, rate: float) -> list[Verdict]:
    share = row.bytes * 8 / (rate * 1e6) / row.figures[OURS].wall
    possible = row.bytes * 8 / (rate * 1e6) / row.figures[BARE].wall
    return [(f"≥ 0.85 of the link: {share:.2f} (the bare line: {possible:.2f})", share >= 0.85), _times(row, PAVZ, 2.0)]


def _best(row: Row, _: float) -> list[Verdict]:
    best = min(one.wall for name, one in row.figures.items() if name not in (OURS, BARE))
    behind = row.figures[OURS].wall / best - 1
    return [(f"within 3 % of the best: {behind:+.1%}", behind <= 0.03)]


def _small(row: Row, _: float) -> list[Verdict]:
    return [_times(row, PAVZ, 1.8), _times(row, "paramiko put", 50)]


def _resync(row: Row, _: float) -> list[Verdict]:
    behind = row.figures[OURS].wall / row.figures[TUNED].wall - 1
    return [_times(row, PAVZ, 3.0), (f"within 10 % of {TUNED}: {behind:+.0%}", behind <= 0.1)]


def _far(row: Row, _: float) -> list[Verdict]:
    return [_times(row, name, 2.5) for name in (PAVZ, TUNED) if name in row.figures]


def _never_slower(row: Row, _: float) -> list[Verdict]:
    return [_times(row, TUNED, 1.0)]


AIMS = (
    Aim("1 GiB up, 1 Gbit/s, 40 ms", "large", 40, 1000, (*BOTH, BARE), _large, size_mib=1024, about_s=250),
    Aim(
        "50,000 files of 4-8 KiB, 1 Gbit/s, 40 ms", "small", 40, 1000, (*BOTH, "paramiko put", BARE), _small,
        files=50_000, once=("paramiko put",), about_s=150,
    ),
    Aim("re-sync of them, 10 changed and 10 new", "resync", 40, 1000, BOTH, _resync, files=50_000, about_s=110),
    Aim("256 MiB up, 200 Mbit/s, 40 ms", "large", 40, 200, (*BOTH, "scp", BARE), _best, size_mib=256, about_s=190),
    Aim("256 MiB up, 1 Gbit/s, 100 ms", "large", 100, 1000, (*BOTH, BARE), _far, size_mib=256, about_s=140),
    Aim("128 MiB up, 200 Mbit/s, 40 ms, 0.01 % loss", "large", 40, 200, BOTH, _far, loss=1e-4, size_mib=128, about_s=150),
    Aim("32 MiB up, 200 Mbit/s, 40 ms, 0.1 % loss", "large", 40, 200, (OURS, PAVZ), _far, loss=1e-3, size_mib=32, about_s=110),
    Aim("256 MiB down, 1 Gbit/s, 40 ms", "large-down", 40, 1000, BOTH, None, size_mib=256, about_s=60),
    Aim("20,000 small files down, 1 Gbit/s, 40 ms", "small-down", 40, 1000, BOTH, None, files=20_000, about_s=70),
    Aim("512 MiB of text, 1 Gbit/s, 40 ms", "text", 40, 1000, (*BOTH, BARE), _never_slower, size_mib=512, about_s=120),
    Aim("128 MiB of text, 200 Mbit/s, 40 ms", "text", 40, 200, (*BOTH, BARE), _never_slower, size_mib=128, about_s=90),
    Aim("512 MiB resumed at 50 %, 1 Gbit/s, 40 ms", "resume", 40, 1000, BOTH, None, size_mib=512, about_s=100),
    Aim("512 MiB up, loopback", "large", 0, 0, (*BOTH, BARE), None, size_mib=512, about_s=40),
)  # fmt: skip
