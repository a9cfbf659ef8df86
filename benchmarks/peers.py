"""Who else carries files over SSH, each as one shell command at our end of the line; and what the bare line could do."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

SAMPLE = 200
"""So many files stand for all where each one costs several round trips: what they take is multiplied."""

PUT = """\
import os, sys
import paramiko
address, port, key, here, there = sys.argv[1:]
transport = paramiko.Transport((address, int(port)))
transport.start_client()
transport.auth_publickey("root", paramiko.PKey.from_path(key))
sftp = paramiko.SFTPClient.from_transport(transport)
sftp.mkdir(there)
for folder, folders, names in os.walk(here):
    beside = os.path.normpath(os.path.join(there, os.path.relpath(folder, here)))
    for name in folders:
        sftp.mkdir(os.path.join(beside, name))
    for name in names:
        sftp.put(os.path.join(folder, name), os.path.join(beside, name))
transport.close()
"""

SINK = """\
import socket, sys, threading
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
def drain(line):
    while line.recv(1 << 20): pass
    line.sendall(b"."); line.close()
while True:
    threading.Thread(target=drain, args=(listener.accept()[0],), daemon=True).start()
"""

FLOOD = """\
import socket, sys, threading
address, port, total = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def flood(count):
    line, block = socket.create_connection((address, port)), bytes(1 << 18)
    while count > 0:
        line.sendall(block[:count]); count -= len(block)
    line.shutdown(1); line.recv(1)
threads = [threading.Thread(target=flood, args=(total // 8,)) for _ in range(8)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
"""


class Bench(Protocol):
    """What a method needs of the bench."""

    folder: Path
    address: str
    port: int
    sink_port: int

    def ssh(self) -> str: ...
    def run(self, command: str) -> object: ...


@dataclass(frozen=True, slots=True)
class Method:
    """One way to carry files.

    Attributes:
        run: carries them once; returns what it took, as the bench measured it.
        source: what must be at the other end afterwards, or None when nothing is.
        share: which share of the files it carried; its times are divided by that.
    """

    run: Callable[[], Any]
    source: Path | None
    share: float = 1.0


def peers(found: Bench, workload: str, here: Path, there: Path, is_long: bool) -> dict[str, Method]:
    """Return the others that compete in a workload."""
    if workload.endswith("-down"):
        far = f"root@{found.address}:{here}/ {there}/"
        return {
            "rsync -Pavz": _method(found, f"rsync -Pavz -e '{found.ssh()}' {far}", here),
            "rsync tuned": _method(found, f"rsync -a --no-inc-recursive -e '{found.ssh()}' {far}", here),
        }
    rsync = f"-e '{found.ssh()}' {here}/ root@{found.address}:{there}/"
    resuming = "--append-verify" if workload == "resume" else ""
    chosen = {
        "rsync -Pavz": _method(found, f"rsync -Pavz {rsync}", here),
        "rsync tuned": _method(found, f"rsync -a --no-inc-recursive {resuming} {rsync}", here),
    }
    if workload in ("resync", "resume", "unchanged"):
        return chosen
    tar = f"mkdir -p {there}; tar -C {here} -cf - . | {found.ssh()} root@{found.address} tar -C {there} -xf -"
    chosen["tar | ssh"] = _method(found, tar, here)
    part, share = _sample(here) if workload == "small" and is_long else (here, 1.0)
    chosen |= _file_by_file(found, part, there, share)
    amount = sum(path.stat().st_size for path in here.rglob("*") if path.is_file())
    flood = shlex.join([sys.executable, "-c", FLOOD, found.address, str(found.sink_port), str(amount)])
    return chosen | {"the bare line": Method(lambda: found.run(flood), None)}


def _file_by_file(found: Bench, here: Path, there: Path, share: float) -> dict[str, Method]:
    wrapper, far = f"{found.folder}/ssh", f"root@{found.address}"
    sftp = f"printf 'put -r {here} {there}\\n' | sftp -q -S {wrapper} -b - {far}"
    arguments = [found.address, str(found.port), f"{found.folder}/key", str(here), str(there)]
    return {
        "scp": _method(found, f"scp -qr -S {wrapper} {here} {far}:{there}", here, share),
        "sftp": _method(found, sftp, here, share),
        "paramiko put": _method(found, shlex.join([sys.executable, "-c", PUT, *arguments]), here, share),
    }


def _method(found: Bench, command: str, source: Path, share: float = 1.0) -> Method:
    return Method(lambda: found.run(command), source, share)


def _sample(here: Path) -> tuple[Path, float]:
    files = sorted(path for path in here.rglob("*") if path.is_file())
    place = here.parent / f"{here.name}-sample"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    chosen = files[:: max(1, len(files) // SAMPLE)][:SAMPLE]
    for path in chosen:
        subprocess.run(["cp", "-p", str(path), str(place)], check=True)
    return place, len(chosen) / len(files)
