"""Machines with Linux namespaces: real OpenSSH, a root, processes, network and disk of their own. Needs root rights."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...ssh_server import find_sshd
from ..machine import Booted, MachineOrder
from . import image, user_data
from .directory import Directory
from .engine import Doors
from .keeper import Keeper
from .network import Network

_TOOLS = ("ip", "unshare", "nsenter", "mount", "umount", "setpriv", "ssh-keygen")
_INIT = Path(__file__).parent / "inside" / "init_namespace.py"
_BOOT_TIMEOUT_S = 30.0


def missing() -> str:
    """Return why machines with namespaces cannot run here, "" when they can."""
    if sys.platform != "linux":
        return "namespaces are Linux's"
    if os.geteuid() != 0:
        return "needs root rights"
    if find_sshd() is None:
        return "needs sshd: install the package openssh-server"
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if absent:
        return f"needs {', '.join(absent)}: install the packages util-linux, iproute2 and openssh-client"
    trial = ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "sh", "-c", "mount -t tmpfs none /mnt"]
    return "" if subprocess.run(trial, capture_output=True).returncode == 0 else "this computer refuses namespaces"


class NamespaceEngine:
    """Starts machines in namespaces. Their disks are in memory, limited in size, and end with the engine."""

    root_uid = 0

    def __init__(self, directory: Directory, folder: Path, consoles: Path, disk_bytes: int) -> None:
        """Claim a network and start the keeper.

        Raises:
            OSError: this computer refuses namespaces.
        """
        self._directory = directory
        self._consoles = consoles
        self._network = Network()
        self._keeper = Keeper(folder.absolute() / "disks", disk_bytes)
        self._lock = threading.Lock()

    @property
    def gateway(self) -> str:
        """This computer's address; see `Engine.gateway`."""
        return self._network.gateway

    def start(self, order: MachineOrder, address: str | None) -> "NamespaceMachine":
        """Start a machine; see `Engine.start`."""
        with self._lock:
            disk = self._keeper.disk(order.id)
        address = address or self._network.take_address()
        ours, its = socket.socketpair()
        with its, (self._consoles / f"{order.id}.log").open("ab") as console:
            process = subprocess.Popen(
                [*self._keeper.enter(with_processes=True), *_unshare(), str(image.base_python()), *_python(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=[its.fileno()],
                env={"PATH": image.PATH},
            )
        ours.settimeout(_BOOT_TIMEOUT_S)
        try:
            return self._raise(order, disk, address, _Line(ours, process))
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            process.kill()
            process.wait()
            ours.close()
            said = (self._consoles / f"{order.id}.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{order.id} does not boot: {error}\n{said}") from error

    def fill_disk(self, id: str) -> None:
        """Leave no free byte on a machine's disk."""
        self._keeper.fill(id)

    def free_disk(self, id: str) -> None:
        """Undo `fill_disk`."""
        self._keeper.free(id)

    def destroy(self, id: str) -> None:
        """Remove a machine's disk."""
        with self._lock:
            self._keeper.remove(id)

    def close(self) -> None:
        """Remove all disks and free the network."""
        self._keeper.close()
        self._network.close()

    def _raise(self, order: MachineOrder, disk: Path, address: str, line: "_Line") -> "NamespaceMachine":
        pid = int(line.socket.recv(32))
        handle = os.pidfd_open(pid)
        link = self._network.plug_in(address, pid)
        config = self._config(order, disk, address)
        line.socket.sendall(json.dumps(config).encode() + b"\n")
        wanted = 2 + len(order.reaches)
        _, given, _, _ = socket.recv_fds(line.socket, 1, wanted)
        if len(given) != wanted:
            raise ValueError("its first process ended")
        self._directory.put(address, address, 22)
        metadata, power, *others = (socket.socket(fileno=door) for door in given)
        doors = Doors(metadata, power, dict(zip(order.reaches, others, strict=True)))
        environment = config["environment"]
        return NamespaceMachine(Booted(address), doors, pid, handle, link, line, self._network, self._directory, environment)

    def _config(self, order: MachineOrder, disk: Path, address: str) -> dict[str, Any]:
        has_gpus = order.gpu_count > 0
        plan = image.MachineFile(f"{image.RUN}/plan.json", json.dumps(user_data.read(order)), 0o600)
        environment = {name: value.replace("{root}", "") for name, value in order.environment.items()}
        return {
            "disk": str(disk),
            "disks": str(self._keeper.disks),
            "hostname": order.id,
            "address": address,
            "gateway": self._network.gateway,
            "reaches": list(order.reaches),
            "environment": environment,
            "system_files": [asdict(file) for file in (*image.system_files(order.id, environment), *_files(order))],
            "tools": [asdict(file) for file in image.tools("", has_gpus=has_gpus)],
            "run_files": [asdict(plan), *([asdict(image.gpus(order))] if has_gpus else [])],
            "has_gpus": has_gpus,
            "python_home": str(image.base_python().parent.parent),
            "setpriv": shutil.which("setpriv"),
            "sshd": find_sshd(),
        }


@dataclass(frozen=True, slots=True)
class _Line:
    socket: socket.socket
    process: "subprocess.Popen[bytes]"


@dataclass(frozen=True, slots=True)
class NamespaceMachine:
    """A machine whose first process is `pid`, held by `handle` so that no other is taken for it."""

    booted: Booted
    doors: Doors
    pid: int
    handle: int
    link: str
    line: _Line
    network: Network
    directory: Directory
    environment: Mapping[str, str]

    @property
    def root(self) -> Path:
        """The machine's `/`."""
        return Path(f"/proc/{self.pid}/root")

    def open_for_logins(self) -> None:
        """Let the boot go on."""
        self.line.socket.sendall(b"\n")

    def kill(self) -> None:
        """End process 1, and with it all the others."""
        self.directory.remove(self.booted.address)
        with contextlib.suppress(ProcessLookupError):  # it ended by itself
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        self.line.process.wait()
        os.close(self.handle)
        self.line.socket.close()
        self.network.unplug(self.link)

    def run(self, argv: Sequence[str], stdin: bytes, timeout: float) -> "subprocess.CompletedProcess[bytes]":
        """Run a command as root on the machine."""
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", *(["--time"] if _has_clocks() else [])]
        env = {"PATH": image.PATH, "HOME": "/root", "USER": "root", "LOGNAME": "root", "LANG": "C.UTF-8", **self.environment}
        command = ["nsenter", f"--target={self.pid}", *namespaces, "--root", "--", *argv]
        return subprocess.run(command, input=stdin, capture_output=True, env=env, timeout=timeout)

    def cut(self) -> None:
        """Take the machine's link down: who calls it hears nothing."""
        self._ip("link", "set", "eth0", "down")
        self.directory.cut(self.booted.address, is_cut=True)

    def mend(self) -> None:
        """Take it up again."""
        self._ip("link", "set", "eth0", "up")
        self.directory.cut(self.booted.address, is_cut=False)

    def _ip(self, *words: str) -> None:
        subprocess.run(["nsenter", f"--target={self.pid}", "--net", "--", "ip", *words], check=True, capture_output=True)


def _files(order: MachineOrder) -> list[image.MachineFile]:
    return [image.MachineFile(path, text, 0o644) for path, text in order.files.items()]


def _python(control: int) -> list[str]:
    return ["-E", "-s", "-S", "-B", str(_INIT), str(control)]


def _unshare() -> list[str]:
    """Return the words that give a command namespaces of its own; its uptime begins anew where the kernel lets it."""
    words = ["unshare", "--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child"]
    if _has_clocks():
        words += [
            "--time",
            f"--boottime=-{int(time.clock_gettime(time.CLOCK_BOOTTIME))}",
            f"--monotonic=-{int(time.monotonic())}",
        ]
    return [*words, "--"]


def _has_clocks() -> bool:
    return Path("/proc/self/ns/time").exists()
