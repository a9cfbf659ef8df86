"""The files that a transfer is measured with, and the state the other side is in before."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

MIB = 1 << 20
WORKLOADS = ("large", "small", "resync", "unchanged", "text", "resume", "large-down", "small-down")


def plant(folder: Path, workload: str, size_mib: int, files: int) -> Path:
    """Make a workload's files."""
    chance = random.Random(workload.split("-")[0])
    root = folder / workload
    root.mkdir(parents=True)
    if workload.startswith(("large", "resume")):
        _write(root / "one", (chance.randbytes(MIB) for _ in range(size_mib)))
    elif workload == "text":
        # Every byte is drawn: figures with commas and line ends, as a table of measurements has them.
        figures = bytes(b"0123456789012345678901234567890123456789,\n."[value % 43] for value in range(256))
        _write(root / "table.csv", (chance.randbytes(MIB).translate(figures) for _ in range(size_mib)))
    else:
        for number in range(files):
            place = root / f"{number % 200:03d}"
            place.mkdir(exist_ok=True)
            (place / f"sample-{number:06d}.bin").write_bytes(chance.randbytes(chance.randrange(4096, 8192)))
    return root


def prepare(workload: str, here: Path, there: Path, number: int, begin: Callable[[], object] | None) -> None:
    """Bring the other side into the state that a workload begins with; `begin` carries half of it, as whoever resumes would."""
    shutil.rmtree(there, ignore_errors=True)
    if workload in ("resync", "unchanged"):
        shutil.copytree(here, there)
        copy_times(here, there)
    if workload == "resync":
        found = sorted(path for path in here.rglob("*.bin"))
        for index, path in enumerate(found[:: max(1, len(found) // 10)][:10]):
            path.write_bytes(os.urandom(6000))
            path.with_name(f"new-{number}-{index}").write_bytes(os.urandom(6000))
    elif workload == "resume" and begin is not None:
        begin()
    elif workload == "resume":
        there.mkdir()
        half = (here / "one").stat().st_size // 2
        with (here / "one").open("rb") as source, (there / "one").open("wb") as out:
            for start in range(0, half, MIB):
                out.write(source.read(min(MIB, half - start)))


def copy_times(here: Path, there: Path) -> None:
    """Give copies the times of what they were copied from, to the nanosecond."""
    for path in here.rglob("*"):
        os.utime(there / path.relative_to(here), ns=(path.stat().st_mtime_ns,) * 2)


def weight(here: Path) -> int:
    """Return the files' sizes together, bytes."""
    return sum(path.stat().st_size for path in here.rglob("*") if path.is_file())


def _write(path: Path, parts: Iterator[bytes]) -> None:
    with path.open("wb") as out:
        out.writelines(parts)
