"""A hypervisor, machines on it, and the system's own ssh client: own key, own host key, pinned."""

import contextlib
import os
import queue
import select
import shlex
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import yaml

from cloudtrain.testing.playground.hypervisor import DISK_BYTES, LocalHypervisor, open_hypervisor
from cloudtrain.testing.playground.hypervisor.namespace import missing
from cloudtrain.testing.playground.machine import Booted, MachineOrder
from cloudtrain.testing.ssh_server import make_key

PATIENCE_S = 30.0
NO_NAMESPACES = missing()


class Lab:
    """A hypervisor of one kind, with what a test says to its machines."""

    def __init__(self, folder: Path, kind: str, *, disk_bytes: int = DISK_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.told: queue.Queue[str] = queue.Queue()
        self.hypervisor: LocalHypervisor = open_hypervisor(folder / "h", self.told.put, kind=kind, disk_bytes=disk_bytes)
        self.key = make_key(folder / "key")
        self.host_key = make_key(folder / "host_key")
        self.booted: dict[str, Booted] = {}

    def order(self, id: str, config: dict[str, Any] | None = None, **more: Any) -> MachineOrder:
        """Return an order whose user data lets us in."""
        keys = {"ed25519_private": (self.folder / "host_key").read_text(), "ed25519_public": self.host_key}
        whole = {"ssh_authorized_keys": [self.key], "ssh_deletekeys": True, "ssh_keys": keys, **(config or {})}
        return MachineOrder(id, b"#cloud-config\n" + yaml.safe_dump(whole).encode(), **more)

    def boot(self, order: MachineOrder) -> str:
        """Boot, and return the id when the SSH server answers."""
        self.booted[order.id] = self.hypervisor.boot(order)
        self.wait_for_ssh(order.id)
        return order.id

    def wait_for_ssh(self, id: str) -> None:
        """Return when the SSH server says its first word."""
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at:
            command = [*self._connect(), self.booted[id].address, "22"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as line:
                assert line.stdout is not None
                said = line.stdout.read(4)
                line.kill()
            if said == b"SSH-":
                return
        raise AssertionError(f"{id} does not answer: {self.hypervisor.console(id)}")

    def ssh_command(self, id: str, *words: str, key: Path | None = None, host_key: str | None = None) -> list[str]:
        """Return the client's command line."""
        known = self.folder / f"known_{abs(hash(host_key))}"
        known.write_text(f"machine {host_key or self.host_key}\n")
        options = {
            "HostKeyAlias": "machine",
            "UserKnownHostsFile": f'"{known}"',
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        if self.hypervisor.kind == "loopback":
            options["ProxyCommand"] = f"{shlex.join(self._connect())} %h %p"
        flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        login = ["-l", "ubuntu", "-i", str(key or self.folder / "key")]
        return ["ssh", "-F", "none", *flags, *login, self.booted[id].address, *words]

    def ssh(self, id: str, *words: str, stdin: bytes = b"", **more: Any) -> "subprocess.CompletedProcess[bytes]":
        """Run a command on a machine as its login user."""
        return subprocess.run(self.ssh_command(id, *words, **more), input=stdin, capture_output=True, timeout=PATIENCE_S)

    def say(self, id: str, command: str) -> str:
        """Run a command that must succeed; return what it said."""
        done = self.ssh(id, command)
        assert done.returncode == 0, done
        return done.stdout.decode()

    def run_in(self, id: str, command: str) -> "subprocess.CompletedProcess[bytes]":
        """Run a shell command on a machine as its root, without its network."""
        return self.hypervisor.run_in(id, ["sh", "-c", command], timeout=PATIENCE_S)

    def _connect(self) -> list[str]:
        return [sys.executable, "-m", "cloudtrain.testing.playground.connect", str(self.folder / "h")]


# The child has the word on its command line from its first moment, and the command ends only when it has its session.
# One started by `&` would be in the middle of an exec when it is looked for: without any command line.
_LEAVE_BEHIND = """
import os, signal
reading, writing = os.pipe()
if os.fork():
    os.close(writing)
    os.read(reading, 1)
    os._exit(0)
os.setsid()
os.write(writing, b".")
signal.pause()
"""


def idle(mark: str) -> str:
    """Return a shell command that leaves a process behind, in a session of its own, that does nothing."""
    return f"python3 -c {shlex.quote(_LEAVE_BEHIND)} {mark} </dev/null >/dev/null 2>&1"


def new_mark() -> str:
    """Return a word that no other process has."""
    return f"mark-{uuid.uuid4().hex}"


def descendants(pid: int) -> list[int]:
    """Return the processes that came of a process."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            parents[int(stat.parent.name)] = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found[1:]


def processes_with(mark: str) -> list[int]:
    """Return the processes of this computer with a word on their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in words and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def wait_for_end(pid: int) -> None:
    """Return when a process of somebody else has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], PATIENCE_S)[0], f"process {pid} lives on"
    finally:
        os.close(handle)
