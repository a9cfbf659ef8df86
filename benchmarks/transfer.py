"""Carry the same files with cloudtrain, rsync, scp, sftp, paramiko and tar over the same line, and print who took how long.

An sshd of its own runs on this computer; with --rtt the line to it is a long one (benchmarks/link.py: needs root). Every method
gets a warm multiplexed connection. Every tree that arrives is compared, byte by byte. Wall and CPU seconds are the client's:
the process and its ssh, not the server's nor the line's, which share this computer's cores.
Where each file costs round trips, 200 of the small ones stand for all (marked ~). --names measures memory and asks for no sshd.

    python benchmarks/transfer.py --size 64 --files 5000
    python benchmarks/transfer.py --size 1024 --files 50000 --rtt 40 --rate 1000 --rounds 3
"""

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from link import CONGESTION_CONTROL, Line, long_line
from names import measure_names
from peers import SINK, Method, peers

from cloudtrain.testing.ssh_server import find_sshd, free_port, make_key

MIB = 1 << 20
WORKLOADS = ("large", "small", "resync", "unchanged", "text", "resume", "large-down", "small-down")

_SSHD = """\
ListenAddress {address}:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
SetEnv HOME={folder}/home
Subsystem sftp internal-sftp
"""

OURS = """\
import json, resource, sys, time
from pathlib import Path, PurePosixPath
from cloudtrain.model.instance import SshEndpoint
from cloudtrain.remote import crew
from cloudtrain.remote.fileset import gather
from cloudtrain.remote.ssh import SshRemote

class Half(Exception): pass
streams = []
leave = crew.Crew.__exit__
crew.Crew.__exit__ = lambda self, *rest: (streams.append(self.streams), leave(self, *rest))[1]
what = json.loads(sys.argv[1])
endpoint = SshEndpoint(what["address"], (what["host_key"],), what["port"], None, Path(what["key"]))

def stop_half_way(done, total):
    if what["half"] and done >= total / 2:
        raise Half

with SshRemote(endpoint, control_folder=Path(what["control"])) as remote:
    remote.home
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    try:
        if what["down"]:
            remote.pull(PurePosixPath(what["there"]), Path(what["here"]))
        else:
            remote.push(gather(Path(what["here"]), ["."]), PurePosixPath(what["there"]), stop_half_way)
    except Half:
        pass
    wall = time.perf_counter() - start
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used) - before.ru_utime - before.ru_stime
print(json.dumps([wall, cpu, max(streams)]))
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where everything is, and how to reach the other side. `line` is None without delay."""

    folder: Path
    address: str
    port: int
    sink_port: int
    line: Line | None

    @property
    def there(self) -> Path:
        """The folder that stands for the machine's."""
        return self.folder / "home" / "there"

    def near(self, command: Sequence[str]) -> list[str]:
        """Return a command as it runs at our end of the line."""
        return [*(self.line.near if self.line else ()), *command]

    def ssh(self) -> str:
        """Return the ssh command the others use, over one warm connection."""
        options = f"-i {self.folder}/key -p {self.port} -o UserKnownHostsFile={self.folder}/known_hosts -o BatchMode=yes"
        return f"ssh {options} -o ControlPath={self.folder}/master"

    def run(self, command: str) -> list[float]:
        """Run a shell command at our end; return its wall and CPU seconds."""
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(self.near(["sh", "-c", command]), check=True, stdout=subprocess.DEVNULL, timeout=900)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return [time.perf_counter() - start, cpu, 1]

    def ours(self, here: Path, there: Path, *, down: bool = False, half: bool = False) -> list[float]:
        """Carry a tree with cloudtrain; return wall and CPU seconds, and the streams it chose."""
        what = {
            "address": self.address, "port": self.port, "host_key": (self.folder / "host_key.pub").read_text().strip(),
            "key": str(self.folder / "key"), "control": str(self.folder / "c"), "here": str(here), "there": str(there),
            "down": down, "half": half,
        }  # fmt: skip
        command = self.near([sys.executable, "-c", OURS, json.dumps(what)])
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=900).stdout
        return list(json.loads(said))


@contextlib.contextmanager
def bench(folder: Path, line: Line | None) -> Iterator[Bench]:
    """Run an sshd at the other end while the block runs, and a connection that the others share."""
    sshd = find_sshd()
    if sshd is None:
        raise SystemExit("no sshd here: install the package openssh-server")
    address, port = (line.far_address if line else "127.0.0.1"), free_port()
    (folder / "authorized_keys").write_text(make_key(folder / "key") + "\n")
    (folder / "known_hosts").write_text(f"[{address}]:{port} {make_key(folder / 'host_key')}\n")
    (folder / "home").mkdir()
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (folder / "config").write_text(_SSHD.format(address=address, port=port, folder=folder))
    found = Bench(folder, address, port, free_port(), line)
    programs = [[sshd, "-D", "-e", "-f", str(folder / "config")], [sys.executable, "-c", SINK, address, str(found.sink_port)]]
    servers = [subprocess.Popen([*(line.far if line else ()), *program], stderr=subprocess.DEVNULL) for program in programs]
    try:
        for _ in range(50):
            time.sleep(0.1)
            if not subprocess.run(
                found.near(["sh", "-c", f"{found.ssh()} -M -N -f root@{address}"]), stderr=subprocess.DEVNULL
            ).returncode:
                break
        yield found
        subprocess.run(found.near(["sh", "-c", f"{found.ssh()} -O exit root@{address}"]), stderr=subprocess.DEVNULL)
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def methods(found: Bench, workload: str, here: Path, there: Path) -> dict[str, Method]:
    """Return who competes in a workload."""
    if workload.endswith("-down"):
        ours = Method(lambda: found.ours(there, here, down=True), here)
    else:
        ours = Method(lambda: found.ours(here, there), here)
    return {"cloudtrain": ours} | peers(found, workload, here, there, is_long=found.line is not None)


def plant(folder: Path, workload: str, size_mib: int, files: int) -> Path:
    """Make a workload's files."""
    chance = random.Random(workload.split("-")[0])
    root = folder / workload
    root.mkdir(parents=True)
    if workload.startswith(("large", "resume")):
        write(root / "one", (chance.randbytes(MIB) for _ in range(size_mib)))
    elif workload == "text":
        # Every byte is drawn: figures with commas and line ends, as a table of measurements has them.
        figures = bytes(b"0123456789012345678901234567890123456789,\n."[value % 43] for value in range(256))
        write(root / "table.csv", (chance.randbytes(MIB).translate(figures) for _ in range(size_mib)))
    else:
        for number in range(files):
            place = root / f"{number % 200:03d}"
            place.mkdir(exist_ok=True)
            (place / f"sample-{number:06d}.bin").write_bytes(chance.randbytes(chance.randrange(4096, 8192)))
    return root


def write(path: Path, parts: Iterator[bytes]) -> None:
    """Write a file part by part."""
    with path.open("wb") as out:
        out.writelines(parts)


def prepare(found: Bench, workload: str, method: str, here: Path, there: Path, number: int) -> None:
    """Bring the other side into the state that a workload begins with."""
    shutil.rmtree(there, ignore_errors=True)
    if workload in ("resync", "unchanged"):
        shutil.copytree(here, there)
        copy_times(here, there)
    if workload == "resync":
        chosen = sorted(path for path in here.rglob("*.bin"))[:: max(1, len(list(here.rglob("*.bin"))) // 10)][:10]
        for index, path in enumerate(chosen):
            path.write_bytes(os.urandom(6000))
            path.with_name(f"new-{number}-{index}").write_bytes(os.urandom(6000))
    elif workload == "resume" and method == "cloudtrain":
        found.ours(here, there, half=True)
    elif workload == "resume":
        there.mkdir()
        with (here / "one").open("rb") as source, (there / "one").open("wb") as out:
            shutil.copyfileobj(_Half(source, (here / "one").stat().st_size // 2), out, MIB)


class _Half:
    def __init__(self, file: object, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int) -> bytes:
        content: bytes = self._file.read(min(size, self._left))  # type: ignore[attr-defined]
        self._left -= len(content)
        return content


def copy_times(here: Path, there: Path) -> None:
    """Give copies the times of what they were copied from, to the nanosecond."""
    for path in here.rglob("*"):
        os.utime(there / path.relative_to(here), ns=(path.stat().st_mtime_ns,) * 2)


def measure(found: Bench, workload: str, args: argparse.Namespace) -> None:
    """Run every method of a workload in turns, and print the table."""
    here = plant(found.folder / "here", workload, args.size, args.files)
    amount = sum(path.stat().st_size for path in here.rglob("*") if path.is_file())
    results: dict[str, list[list[float]]] = {}
    estimated: set[str] = set()
    for number in range(args.rounds):
        there = found.there / f"{workload}-{number}"
        there.parent.mkdir(exist_ok=True)
        for name, method in methods(found, workload, here, there).items():
            if args.methods and name not in args.methods:
                continue
            prepare(found, workload, name, here, there, number)
            wall, cpu, streams = method.run()
            results.setdefault(name, []).append([wall / method.share, cpu / method.share, streams])
            if method.share < 1:
                estimated.add(name)
            if method.source is not None:
                subprocess.run(["diff", "-r", str(method.source), str(there)], check=True)
            shutil.rmtree(there, ignore_errors=True)
    shutil.rmtree(here)
    print(f"\n{workload}: {amount / MIB:.0f} MiB, load {os.getloadavg()[0]:.1f}")
    for name, rows in results.items():
        walls = [row[0] for row in rows]
        wall, cpu = statistics.median(walls), statistics.median(row[1] for row in rows)
        spread = f"({min(walls):.2f}-{max(walls):.2f})"
        figures = f"{wall:>8.2f} s  {spread:<16}{amount / MIB / wall:>7.1f} MiB/s  CPU {cpu:>6.2f} s"
        mark = "~" if name in estimated else " "
        print(f"  {name:<14}{mark}{figures}  streams {max(row[2] for row in rows):.0f}", flush=True)


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="MiB of the large file and of the text")
    parser.add_argument("--files", type=int, default=5000, help="how many small files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rtt", type=float, default=0.0, help="milliseconds; 0 is this computer's own loopback")
    parser.add_argument("--rate", type=float, default=1000.0, help="Mbit/s, with --rtt")
    parser.add_argument("--loss", type=float, default=0.0, help="share of packets, with --rtt")
    parser.add_argument("--folder", type=Path, help="where the files are made (a memory disk, to measure no disk)")
    parser.add_argument("--only", nargs="*", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--methods", nargs="*", default=(), help="those named alone: cloudtrain, 'rsync -Pavz', …")
    parser.add_argument("--names", type=int, default=0, help="so many empty files instead, and what they cost in memory")
    args = parser.parse_args()
    rate = f"{args.rtt:g} ms, {args.rate:g} Mbit/s, loss {args.loss:g}, {CONGESTION_CONTROL}" if args.rtt else "loopback"
    print(f"{os.cpu_count()} cores, {args.rounds} rounds, {rate}", flush=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cloudtrain-transfer-", dir=args.folder)))
        if args.names:
            measure_names(args.names, folder)
            return 0
        line = stack.enter_context(long_line(args.rate, args.rtt, args.loss)) if args.rtt else None
        found = stack.enter_context(bench(folder, line))
        (folder / "ssh").write_text(f'#!/bin/sh\nexec {found.ssh()} "$@"\n')
        (folder / "ssh").chmod(0o755)
        for workload in args.only:
            measure(found, workload, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
