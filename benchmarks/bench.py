"""Both ends of a line on this computer: an sshd at the far one, and what runs at the near one measured."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cpu import adopt_orphans, below, used_by
from link import Line
from peers import SINK

from cloudtrain.testing.ssh_server import find_sshd, free_port, make_key

LONGEST_S = 900

_FAREWELL_S = 0.2
"""How long what the far end began may take to end, once the near one has."""

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
from cloudtrain.remote.packed import Found
from cloudtrain.remote.ssh import SshRemote

class Half(Exception): pass
streams = [0]
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
            found = Found()
            remote.expect_push(PurePosixPath(what["there"]), found)
            remote.push(gather(Path(what["here"]), ["."], found), PurePosixPath(what["there"]), stop_half_way)
    except Half:
        pass
    wall = time.perf_counter() - start
print(json.dumps([wall, before.ru_utime + before.ru_stime, max(streams)]))
"""


@dataclass(frozen=True, slots=True)
class Took:
    """What carrying took: wall seconds, CPU seconds of this end and of the other, and how many streams it was."""

    wall: float
    near: float
    far: float
    streams: int = 1

    def of(self, share: float) -> "Took":
        """Return what all would have taken, of which this is a share."""
        return Took(self.wall / share, self.near / share, self.far / share, self.streams)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where everything is, and how to reach the other side. `line` is None without delay."""

    folder: Path
    address: str
    port: int
    sink_port: int
    line: Line | None
    servers: tuple[int, ...]

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

    def run(self, command: str) -> Took:
        """Run a shell command at our end."""
        near, far = self._used()
        start = time.perf_counter()
        subprocess.run(self.near(["sh", "-c", command]), check=True, stdout=subprocess.DEVNULL, timeout=LONGEST_S)
        wall = time.perf_counter() - start
        time.sleep(_FAREWELL_S)
        near_after, far_after = self._used()
        return Took(wall, near_after - near, far_after - far)

    def ours(self, here: Path, there: Path, *, down: bool = False, half: bool = False) -> Took:
        """Carry a tree with cloudtrain. The seconds its interpreter and modules take to load are not the transfer's."""
        what = {
            "address": self.address, "port": self.port, "host_key": (self.folder / "host_key.pub").read_text().strip(),
            "key": str(self.folder / "key"), "control": str(self.folder / "c"), "here": str(here), "there": str(there),
            "down": down, "half": half,
        }  # fmt: skip
        near, far = self._used()
        command = self.near([sys.executable, "-c", OURS, json.dumps(what)])
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=LONGEST_S).stdout
        time.sleep(_FAREWELL_S)
        near_after, far_after = self._used()
        wall, loading, streams = json.loads(said)
        return Took(wall, near_after - near - loading, far_after - far, streams)

    def _used(self) -> tuple[float, float]:
        carriers = self.line.pids if self.line else ()
        return used_by(os.getpid(), {*self.servers, *carriers}), sum(map(used_by, self.servers))


@contextlib.contextmanager
def bench(folder: Path, line: Line | None) -> Iterator[Bench]:
    """Run an sshd at the other end while the block runs, and a connection that the others share."""
    sshd = find_sshd()
    if sshd is None:
        raise SystemExit("no sshd here: install the package openssh-server")
    address, port, sink_port = (line.far_address if line else "127.0.0.1"), free_port(), free_port()
    (folder / "authorized_keys").write_text(make_key(folder / "key") + "\n")
    (folder / "known_hosts").write_text(f"[{address}]:{port} {make_key(folder / 'host_key')}\n")
    (folder / "home").mkdir()
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (folder / "config").write_text(_SSHD.format(address=address, port=port, folder=folder))
    programs = [[sshd, "-D", "-e", "-f", str(folder / "config")], [sys.executable, "-c", SINK, address, str(sink_port)]]
    far = line.far if line else ()
    servers = [
        # What a server leaves behind stays its own; else this process would adopt it, and count it for the near end.
        subprocess.Popen([*far, *program], stderr=subprocess.DEVNULL, preexec_fn=adopt_orphans)  # no threads here
        for program in programs
    ]
    found = Bench(folder, address, port, sink_port, line, tuple(server.pid for server in servers))
    (folder / "ssh").write_text(f'#!/bin/sh\nexec {found.ssh()} "$@"\n')
    (folder / "ssh").chmod(0o755)
    try:
        _connect(found)
        yield found
        subprocess.run(found.near(["sh", "-c", f"{found.ssh()} -O exit root@{address}"]), stderr=subprocess.DEVNULL)
    finally:
        for server in servers:
            left = below(server.pid)  # a connection whose line is gone would wait for it for hours
            server.terminate()
            server.wait()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)


def _connect(found: Bench) -> None:
    connect = found.near(["sh", "-c", f"{found.ssh()} -M -N -f root@{found.address}"])
    for _ in range(50):
        time.sleep(0.1)
        if not subprocess.run(connect, stderr=subprocess.DEVNULL, timeout=60).returncode:
            return
    raise SystemExit("the sshd here lets nobody in")
