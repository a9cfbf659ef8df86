"""How much time of our own a run costs: `cloudtrain train local` of a job that does nothing, from command to results.

Run: python benchmarks/overhead.py [--rounds 7]

The environment is warm (the job needs none). Each round is a fresh process. Printed: the median wall time, the CPU time of
the command itself, and the time each stage took by the run's own record. The goal is at most 1 s of wall time.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL_S = 1.0


def main() -> None:
    """Measure and print; exit 1 with --check when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--check", action="store_true", help="exit 1 when the goal is missed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        walls, cpus, stages = measure(Path(folder), arguments.rounds)
    wall = statistics.median(walls)
    print(f"cloudtrain train local -- true, {arguments.rounds} rounds")
    print(f"  wall {wall:.3f} s (median; {min(walls):.3f} to {max(walls):.3f}), goal {GOAL_S:.1f} s")
    print(f"  CPU  {statistics.median(cpus):.3f} s (median)")
    for name, times in stages.items():
        print(f"  {name:10} {statistics.median(times):.3f} s")
    if arguments.check and wall > GOAL_S:
        sys.exit(f"{wall:.3f} s is more than {GOAL_S} s")


def measure(folder: Path, rounds: int) -> tuple[list[float], list[float], dict[str, list[float]]]:
    """Return wall times, CPU times, and times by stage, all in seconds. The first, cold round is left out."""
    environ = os.environ | {"CLOUDTRAIN_HOME": str(folder / "home")}
    # As on a person's computer, where the first command leaves compiled modules for the second.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    job = folder / "job"
    job.mkdir()
    (job / "train.py").write_text("print('nothing')\n")
    command = [sys.executable, "-m", "cloudtrain", "train", "local", "--json", "--", "true"]
    walls: list[float] = []
    cpus: list[float] = []
    stages: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        cpu_before = _children_cpu()
        began = time.perf_counter()
        done = subprocess.run(command, cwd=job, env=environ, capture_output=True, text=True, check=True)
        wall = time.perf_counter() - began
        if number == 0:
            continue
        walls.append(wall)
        cpus.append(_children_cpu() - cpu_before)
        folder_of_run = Path(json.loads(done.stdout.splitlines()[-1])["run"]["folder"])
        for stage in json.loads((folder_of_run / "run.json").read_text())["stages"]:
            stages.setdefault(stage["stage"], []).append(stage["seconds"])
    return walls, cpus, stages


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
