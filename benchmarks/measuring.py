"""Every method of a workload in turns, what arrives compared byte by byte, and the medians of what it took."""

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import Bench, Took
from cpu import stolen_s
from peers import Method, peers
from workloads import MIB, plant, prepare, weight

OURS = "cloudtrain"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one method took: medians of all rounds, and the spread of the wall seconds.

    Attributes:
        is_estimated: a share was carried, and multiplied.
    """

    wall: float
    fastest: float
    slowest: float
    near: float
    far: float
    streams: int
    is_estimated: bool


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a workload: bytes carried, and each method's figures.

    Attributes:
        load: the computer's when it began.
        stolen: the share of its cores' time that went to others on the same host meanwhile.
    """

    bytes: int
    load: float
    stolen: float
    figures: dict[str, Figures]


def measure(
    found: Bench,
    workload: str,
    *,
    size_mib: int,
    files: int,
    rounds: int,
    only: Collection[str] = (),
    once: Collection[str] = (),
) -> Row:
    """Run the methods of a workload in turns; `only` those named, some of them `once`."""
    load, began, stolen_before = os.getloadavg()[0], time.perf_counter(), stolen_s()
    here = plant(found.folder / "here", workload, size_mib, files)
    amount = weight(here)
    took: dict[str, list[Took]] = {}
    estimated: set[str] = set()
    for number in range(rounds):
        there = found.there / f"{workload}-{number}"
        there.parent.mkdir(exist_ok=True)
        for name, method in _methods(found, workload, here, there).items():
            if (only and name not in only) or (number and name in once):
                continue
            begin = partial(found.ours, here, there, half=True) if name == OURS else None
            prepare(workload, here, there, number, begin)
            took.setdefault(name, []).append(method.run().of(method.share))
            if method.share < 1:
                estimated.add(name)
            if method.source is not None:
                subprocess.run(["diff", "-r", str(method.source), str(there)], check=True)
            shutil.rmtree(there, ignore_errors=True)
    shutil.rmtree(here)
    stolen = (stolen_s() - stolen_before) / (time.perf_counter() - began) / (os.cpu_count() or 1)
    return Row(amount, load, stolen, {name: _figures(rounds, name in estimated) for name, rounds in took.items()})


def tell(title: str, row: Row) -> None:
    """Print a workload's table."""
    print(f"\n{title}: {row.bytes / MIB:.0f} MiB, load {row.load:.1f} when it began, {row.stolen:.0%} stolen")
    for name, one in row.figures.items():
        spread = f"({one.fastest:.2f}-{one.slowest:.2f})"
        speed, cpu = row.bytes / MIB / one.wall, f"CPU {one.near:>6.2f} + {one.far:>5.2f} s"
        figures = f"{one.wall:>8.2f} s  {spread:<16}{speed:>7.1f} MiB/s  {cpu}"
        print(f"  {name:<14}{'~' if one.is_estimated else ' '}{figures}  streams {one.streams}", flush=True)


def _methods(found: Bench, workload: str, here: Path, there: Path) -> dict[str, Method]:
    if workload.endswith("-down"):
        ours = Method(lambda: found.ours(there, here, down=True), here)
    else:
        ours = Method(lambda: found.ours(here, there), here)
    return {OURS: ours} | peers(found, workload, here, there, is_long=found.line is not None)


def _figures(rounds: Sequence[Took], is_estimated: bool) -> Figures:
    walls = [one.wall for one in rounds]
    near, far = (statistics.median(values) for values in ([one.near for one in rounds], [one.far for one in rounds]))
    return Figures(
        statistics.median(walls), min(walls), max(walls), near, far, max(one.streams for one in rounds), is_estimated
    )
