"""Carry the same files with cloudtrain, rsync, scp, sftp, paramiko and tar over the same line, and print who took how long.

An sshd of its own runs on this computer; with --rtt the line to it is a long one (benchmarks/link.py: needs root). Every method
gets a warm multiplexed connection. Every tree that arrives is compared, byte by byte. CPU seconds are those of all processes at
our end and at the other one, each with its ssh; the line itself, which shares this computer's cores, counts for nobody.
Where each file costs round trips, 200 of the small ones stand for all (marked ~). --names measures memory and asks for no sshd.
--goals runs what the project promises, row by row, and says of each promise whether it is kept.

    python benchmarks/transfer.py --size 64 --files 5000
    python benchmarks/transfer.py --size 1024 --files 50000 --rtt 40 --rate 1000 --rounds 3
    python benchmarks/transfer.py --goals --folder /dev/shm --table table.md
"""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench import bench
from cpu import adopt_orphans
from goals import run_goals
from link import CONGESTION_CONTROL, long_line
from measuring import measure, tell
from names import measure_names
from workloads import WORKLOADS


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
    parser.add_argument("--goals", nargs="*", metavar="ROW", help="the rows that the goals are about, or those named (1 2 …)")
    parser.add_argument(
        "--minutes", type=float, default=25.0, help="with --goals: a row is begun with fewer rounds rather than late"
    )
    parser.add_argument("--table", type=Path, help="with --goals: where the table is written, in Markdown")
    args = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="cloudtrain-transfer-", dir=args.folder) as folder:
        if args.names:
            measure_names(args.names, Path(folder))
        elif args.goals is not None:
            run_goals([int(number) for number in args.goals], args.rounds, args.minutes * 60, Path(folder), args.table)
        else:
            _run(args, Path(folder))
    return 0


def _run(args: argparse.Namespace, folder: Path) -> None:
    rate = f"{args.rtt:g} ms, {args.rate:g} Mbit/s, loss {args.loss:g}, {CONGESTION_CONTROL}" if args.rtt else "loopback"
    print(f"{os.cpu_count()} cores, {args.rounds} rounds, {rate}", flush=True)
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(long_line(args.rate, args.rtt, args.loss)) if args.rtt else None
        found = stack.enter_context(bench(folder, line))
        for workload in args.only:
            tell(
                workload, measure(found, workload, size_mib=args.size, files=args.files, rounds=args.rounds, only=args.methods)
            )


if __name__ == "__main__":
    sys.exit(main())
