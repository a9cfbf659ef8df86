"""What a great many names cost at both ends: memory at its highest, and CPU seconds. The agent is a child of this process.

python benchmarks/transfer.py --names 1000000
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

CARRY = """\
import json, resource, sys
from pathlib import Path
from cloudtrain.remote import agent_source, transfer
from cloudtrain.remote.crew import Line
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.program import ClientProcess
from cloudtrain.remote.wire import Client

def agent(order):
    return Client(ClientProcess([sys.executable, "-I", "-S", "-X", "utf8", "-c", agent_source.start()[0]]), order)

def used(who):
    seen = resource.getrusage(who)
    return [seen.ru_maxrss / 1024, seen.ru_utime + seen.ru_stime]

what, here, there = sys.argv[1:]
line = Line(agent, agent, RuntimeError)
begin = used(resource.RUSAGE_SELF)[1]
scan = 0.0
if what == "pull":
    transfer.pull(line, here, Path(there))
else:
    files = gather(Path(here), ["."])
    scan = used(resource.RUSAGE_SELF)[1] - begin
    if what == "push":
        transfer.push(line, files, there)
ours, theirs = used(resource.RUSAGE_SELF), used(resource.RUSAGE_CHILDREN)
print(json.dumps([scan, ours[0], ours[1] - begin, *theirs]))
"""


def measure_names(count: int, folder: Path) -> None:
    """Push, push again and pull so many empty files, and print what that took."""
    here, there, back = (folder / name for name in ("here", "there", "back"))
    for number in range(count):
        place = here / f"class-{number // 1000:04d}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        (place / f"sample-of-training-{number:07d}.bin").touch()
    print(f"\n{count} names: highest memory in MB, CPU in seconds")
    _tell("scan alone", ["scan", here, there])
    _tell("push", ["push", here, there])
    _tell("push again, nothing new", ["push", here, there])
    shutil.rmtree(here)
    _tell("pull", ["pull", there, back])
    shutil.rmtree(there)


def _tell(title: str, words: list[object]) -> None:
    command = [sys.executable, "-c", CARRY, *map(str, words)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=1800).stdout
    scan, ours, cpu, theirs, their_cpu = json.loads(said)
    part = f", of that the scan {scan:.2f}" if scan else ""
    print(f"  {title:<26} client {ours:>5.0f} MB {cpu:>7.2f} s{part}; guest {theirs:>5.0f} MB {their_cpu:>7.2f} s", flush=True)
