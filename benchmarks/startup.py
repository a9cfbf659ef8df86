"""How much CPU the shell's answer costs: `cloudtrain --help` and `cloudtrain ip NAME` against an empty two-command Typer app.

Both are run the same way, in turns, by this Python; user + system time of each process comes from the kernel (wait4). Exits 1
when a ratio of medians is above the limit.

    python benchmarks/startup.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

LIMIT = 1.3
"""The most CPU time ours may take, as a multiple of the empty app's."""

ROUNDS = 15

EMPTY_APP = '''
import typer

app = typer.Typer()


@app.command()
def one(name: str) -> None:
    """Do one thing."""


@app.command()
def two(name: str) -> None:
    """Do another."""


if __name__ == "__main__":
    app()
'''


def main() -> int:
    """Measure, print the table, return the exit code."""
    with tempfile.TemporaryDirectory(prefix="cloudtrain-startup-") as folder:
        empty = Path(folder) / "empty_app.py"
        empty.write_text(EMPTY_APP)
        home = Path(folder) / "home"
        remember_machine(home)
        environ = os.environ | {"CLOUDTRAIN_HOME": str(home)}
        rows = [
            compare("--help", [str(empty), "--help"], ["-m", "cloudtrain", "--help"], environ),
            compare("ip NAME", [str(empty), "one", "bench"], ["-m", "cloudtrain", "ip", "bench"], environ),
        ]
    print(f"{'verb':<10}{'empty app':>12}{'cloudtrain':>12}{'ratio':>8}   CPU seconds, medians of {ROUNDS}; at most {LIMIT}")
    for name, empty_s, ours_s in rows:
        print(f"{name:<10}{empty_s:>12.3f}{ours_s:>12.3f}{ours_s / empty_s:>8.2f}")
    return int(any(ours_s / empty_s > LIMIT for _, empty_s, ours_s in rows))


def remember_machine(home: Path) -> None:
    """Write a running machine named "bench" into a ledger, so that `ip` has something to say."""
    from cloudtrain.clock import SystemClock
    from cloudtrain.ledger.ledger import Ledger
    from cloudtrain.model.instance import Instance, InstanceRef, InstanceState
    from cloudtrain.model.spec import MachineSpec

    now = datetime.now(UTC)
    instance = Instance(
        InstanceRef("memory", "bench"), "bench", InstanceState.RUNNING, address="192.0.2.1", deadline=now + timedelta(hours=1)
    )
    with Ledger.open(home, SystemClock()) as ledger:
        ledger.save_machine(MachineSpec("bench", "memory"), instance)


def compare(name: str, empty: Sequence[str], ours: Sequence[str], environ: Mapping[str, str]) -> tuple[str, float, float]:
    """Return the name and the median CPU seconds of both, measured in turns so that a busy moment meets both."""
    empty_s: list[float] = []
    ours_s: list[float] = []
    for _ in range(ROUNDS):
        empty_s.append(cpu_s(empty, environ))
        ours_s.append(cpu_s(ours, environ))
    return name, statistics.median(empty_s), statistics.median(ours_s)


def cpu_s(arguments: Sequence[str], environ: Mapping[str, str]) -> float:
    """Run this Python with the arguments and return the CPU seconds it took, user and system.

    Raises:
        RuntimeError: it failed, so that there is nothing to compare.
    """
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
