"""Machines without namespaces: a folder each, commands run as this user, an SSH server in Python on 127.0.0.1."""

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..machine import Booted, MachineOrder
from . import image, user_data
from .directory import Directory
from .engine import Doors
from .loopback_ssh import Gate, SshThread

_INIT = Path(__file__).parent / "inside" / "init_loopback.py"
_FOLDERS = ("etc/ssh", "home", "root", "tmp", "var/log", "var/tmp", "usr/bin", "usr/sbin", "usr/local/bin", "dev")
_RUN_FOLDERS = ("run/playground", "run/systemd/shutdown", "run/cloud-init")
_SOCKETS = "cloudtrain-doors-"


_Process = subprocess.Popen[bytes]


class LoopbackEngine:
    """Starts machines in folders of this user's."""

    gateway = "127.0.0.1"

    def __init__(self, directory: Directory, folder: Path, consoles: Path) -> None:
        """Keep the machines' folders in `folder`/machines; sweep what killed hypervisors left in the temp folder."""
        self.root_uid = os.getuid()
        self._directory = directory
        self._machines = folder.absolute() / "machines"
        self._consoles = consoles
        _sweep(Path(tempfile.gettempdir()))
        # A socket's name may not be long, and `folder` may.
        self._sockets = Path(tempfile.mkdtemp(prefix=f"{_SOCKETS}{os.getpid()}-"))
        self._numbers = itertools.count(os.getpid() * 251)
        self._ssh = SshThread()

    def start(self, order: MachineOrder, address: str | None) -> "LoopbackMachine":
        """Start a machine; see `Engine.start`."""
        root = self._machines / order.id
        _furnish(root, order)
        number = next(self._numbers)
        doors = Doors(socket.create_server(("127.0.0.1", 0), backlog=64), socket.socket(socket.AF_UNIX))
        power = self._sockets / f"p{number}"
        doors.power.bind(str(power))
        doors.power.listen(64)
        env = _environment(root, doors.metadata.getsockname()[1], power)
        env |= {name: value.replace("{root}", str(root)) for name, value in order.environment.items()}
        address = address or f"127.88.{number // 254 % 256}.{number % 254 + 1}"
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        gate = Gate(order.user, root, env)
        control, process = self._start_init(order, root, env)
        gate.control = control
        self._directory.put(address, "127.0.0.1", listener.getsockname()[1])
        return LoopbackMachine(Booted(address), doors, root, gate, listener, process, self._ssh, self._directory, power)

    def fill_disk(self, id: str) -> None:
        """Refuse: the disk is this computer's."""
        raise RuntimeError(f"{id} is a loopback machine: its disk is this computer's, and stays as it is")

    def free_disk(self, id: str) -> None:
        """Do nothing: it was never filled."""

    def destroy(self, id: str) -> None:
        """Remove a machine's folder."""
        shutil.rmtree(self._machines / id, ignore_errors=True)

    def close(self) -> None:
        """Stop the SSH server and remove what it needed."""
        self._ssh.close()
        shutil.rmtree(self._sockets)

    def _start_init(self, order: MachineOrder, root: Path, env: Mapping[str, str]) -> tuple[socket.socket, _Process]:
        ours, its = socket.socketpair()
        python = [str(image.base_python()), "-E", "-s", "-S", "-B"]
        with its, (self._consoles / f"{order.id}.log").open("ab") as console:
            process = subprocess.Popen(
                [*python, str(_INIT), str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=[its.fileno()],
                env={**env, "HOME": f"{root}/root", "USER": "root", "LOGNAME": "root"},
                cwd=root,
                start_new_session=True,  # whoever interrupts the hypervisor at its terminal means the hypervisor
            )
        return ours, process


@dataclass(slots=True)
class LoopbackMachine:
    """A machine whose first process is `process`."""

    booted: Booted
    doors: Doors
    root: Path
    gate: Gate
    listener: socket.socket
    process: _Process
    ssh: SshThread
    directory: Directory
    power: Path
    waiting: threading.Thread = field(init=False)

    def open_for_logins(self) -> None:
        """Let the SSH server open when the keys are there."""
        self.waiting = threading.Thread(target=self._open, name=f"boot of {self.root.name}", daemon=True)
        self.waiting.start()

    def kill(self) -> None:
        """End every process that came of the machine's first one."""
        self.directory.remove(self.booted.address)
        assert self.gate.control is not None
        with contextlib.suppress(OSError):  # it ended by itself
            self.gate.control.shutdown(socket.SHUT_RDWR)
        self.process.wait()
        self.waiting.join()
        self.ssh.shut(self.gate)
        self.gate.control.close()
        self.listener.close()
        self.power.unlink()

    def run(self, argv: Sequence[str], stdin: bytes, timeout: float) -> "subprocess.CompletedProcess[bytes]":
        """Run a command as this user, with the machine's root as HOME."""
        env = {**self.gate.env, "HOME": f"{self.root}/root", "USER": "root", "LOGNAME": "root"}
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as cried:
            source.write(stdin)
            source.seek(0)
            streams = (source.fileno(), said.fileno(), cried.fileno())
            with self.gate.start([*argv], streams, env, str(self.root), is_terminal=False) as asked:
                asked.settimeout(timeout)
                try:
                    with asked.makefile("rb") as answer:
                        code = json.loads(answer.readline())["exit"]
                except TimeoutError as error:
                    raise subprocess.TimeoutExpired(argv, timeout) from error
            said.seek(0)
            cried.seek(0)
            return subprocess.CompletedProcess(argv, code, said.read(), cried.read())

    def cut(self) -> None:
        """Break what is open, and let who calls wait in vain."""
        self.directory.cut(self.booted.address, is_cut=True)
        self.ssh.break_lines(self.gate)

    def mend(self) -> None:
        """Let calls through again."""
        self.directory.cut(self.booted.address, is_cut=False)

    def _open(self) -> None:
        assert self.gate.control is not None
        with contextlib.suppress(OSError):  # it is being killed
            if self.gate.control.recv(1):
                trouble = self.ssh.open(self.gate, self.listener)
                if trouble:
                    (self.root / "var/log/sshd.log").write_text(trouble + "\n")


def _furnish(root: Path, order: MachineOrder) -> None:
    has_gpus = order.gpu_count > 0
    shutil.rmtree(root / "run", ignore_errors=True)
    for folder in (*_FOLDERS, *_RUN_FOLDERS):
        (root / folder).mkdir(parents=True, exist_ok=True)
    files = [*image.tools(str(root), has_gpus=has_gpus), image.sudo(is_for_real=False)]
    files.append(image.MachineFile(f"{image.RUN}/plan.json", json.dumps(user_data.read(order)), 0o600))
    files.append(image.MachineFile("/proc/sys/kernel/random/boot_id", f"{uuid.uuid4()}\n", 0o644))
    (root / "usr/bin/nvidia-smi").unlink(missing_ok=True)
    (root / "dev/nvidiactl").unlink(missing_ok=True)
    if has_gpus:
        files.append(image.gpus(order))
        (root / "dev/nvidiactl").touch()
    files += [image.MachineFile(path, text, 0o644) for path, text in order.files.items()]
    for file in files:
        path = root / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
        path.chmod(file.mode)


def _environment(root: Path, metadata: int, power: Path) -> dict[str, str]:
    ours = [f"{root}/usr/local/bin", f"{root}/usr/sbin", f"{root}/usr/bin"]
    return {
        "PATH": os.pathsep.join([*ours, image.PATH, *(["/opt/homebrew/bin"] if sys.platform == "darwin" else [])]),
        "TMPDIR": f"{root}/tmp",
        "LANG": "C.UTF-8",
        "SHELL": "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh",
        "CLOUDTRAIN_GUEST_ROOT": str(root),
        "CLOUDTRAIN_PLAYGROUND_POWER": str(power),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{metadata}/",
        "GCE_METADATA_HOST": f"127.0.0.1:{metadata}",
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://127.0.0.1:{metadata}",
    }


def _sweep(folder: Path) -> None:
    """Remove the sockets of hypervisors of ours that were killed."""
    for path in folder.glob(f"{_SOCKETS}*"):
        pid = path.name.removeprefix(_SOCKETS).partition("-")[0]
        if pid.isdigit() and not _lives(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
