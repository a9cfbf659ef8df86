"""The first process of a machine with namespaces: builds its root, raises its network, boots it, keeps its SSH server alive.

It is process 1, so that all that runs on the machine ends with it. It is born where the keeper's disks are mounted, reads what
it needs from a socket, and sends the machine's doors back as descriptors.
"""

import contextlib
import ctypes
import json
import os
import socket
import stat
import subprocess
import sys
import time
from typing import Any

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND, _MS_MOVE = 1, 2, 4, 8, 32, 4096, 8192
_MNT_DETACH = 2
_OF_THE_SYSTEM = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "opt", "var"}
_EMPTY_AT_FIRST = {
    "/boot": 0o755, "/dev": 0o755, "/home": 0o755, "/media": 0o755, "/mnt": 0o755, "/proc": 0o555, "/root": 0o700,
    "/run": 0o755, "/srv": 0o755, "/sys": 0o555, "/tmp": 0o1777, "/etc/ssh": 0o755, "/var/log": 0o755, "/var/mail": 0o755,
    "/var/spool": 0o755, "/var/tmp": 0o1777,
}  # fmt: skip
_NOT_THERE = ("/var/lib/cloud", "/var/lib/cloudtrain", "/usr/bin/nvidia-smi")
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_METADATA = "169.254.169.254"
_SSHD_PAUSE_S = 1.0
_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}

_libc = ctypes.CDLL(None, use_errno=True)


def main(control: socket.socket) -> None:
    """Boot, and look after the machine until it is killed."""
    os.umask(0o022)
    # This /proc is still the hypervisor's, so this is our number as it sees it.
    control.sendall(os.readlink("/proc/self").encode() + b"\n")
    with control.makefile("rb") as lines:
        config = json.loads(lines.readline())
        _enter_root(config)
        _raise_network(config)
        _open_doors(control, config["reaches"])
        lines.readline()  # the doors are answered now
    os.environ.clear()
    os.environ.update(_ENV, **config["environment"])
    sshd = _boot(config)
    _look_after(sshd, config["sshd"])


def _enter_root(config: dict[str, Any]) -> None:
    disk = config["disk"]
    root, upper = f"{config['disks']}/.root", f"{disk}/upper"
    if not os.path.isdir(upper):
        _make_disk(disk, upper)
        for file in config["system_files"]:
            _write(upper, file)
    for file in config["tools"]:
        _write(upper, file)
    os.chdir(disk)  # whose name may have characters that mean something to mount
    _mount("overlay", root, "overlay", 0, "lowerdir=/,upperdir=upper,workdir=work")
    _bring_python(root, config["python_home"])
    _mount("proc", f"{root}/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _mount("sysfs", f"{root}/sys", "sysfs", _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _mount("tmpfs", f"{root}/run", "tmpfs", _MS_NODEV, "mode=755")
    _make_devices(f"{root}/dev")
    _make_run(root, config)
    _forget_disks(config["disks"])
    os.chdir(root)
    _mount(".", "/", None, _MS_MOVE)
    os.chroot(".")
    os.chdir("/")
    if not config["has_gpus"]:
        with contextlib.suppress(FileNotFoundError):  # left from a boot with GPUs
            os.unlink("/usr/bin/nvidia-smi")
    socket.sethostname(config["hostname"])


def _make_disk(disk: str, upper: str) -> None:
    """Make an empty disk: of this computer's files only the system's show through."""
    for folder in (upper, f"{disk}/work"):
        os.mkdir(folder, 0o755)
    people = [f"/{name}" for name in os.listdir("/") if name not in _OF_THE_SYSTEM and f"/{name}" not in _EMPTY_AT_FIRST]
    for path in [*people, *filter(os.path.lexists, _NOT_THERE)]:
        os.makedirs(os.path.dirname(upper + path), exist_ok=True)
        os.mknod(upper + path, stat.S_IFCHR, 0)  # how overlayfs says: there is no such thing
    for path, mode in _EMPTY_AT_FIRST.items():
        if os.path.islink(path):
            continue
        os.makedirs(upper + path, exist_ok=True)
        os.chmod(upper + path, mode)
        os.setxattr(upper + path, "trusted.overlay.opaque", b"y")


def _write(root: str, file: dict[str, Any]) -> None:
    path = root + file["path"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.lstat(path).st_mode) and _read(path) == file["text"]:
            return  # a full disk loses nothing that was there
        os.unlink(path)
    with contextlib.suppress(OSError), open(path, "w") as stream:  # a full disk ends no boot
        stream.write(file["text"])
        os.fchmod(stream.fileno(), file["mode"])


def _read(path: str) -> str:
    with open(path, errors="replace") as stream:
        return stream.read()


def _bring_python(root: str, home: str) -> None:
    """Show this computer's Python where it lies, when that is in none of the system's folders."""
    top = home.split("/")[1]
    if top not in _OF_THE_SYSTEM:
        os.makedirs(root + home, exist_ok=True)
        parts = home.split("/")
        for end in range(2, len(parts)):  # the login user has to get there
            path = root + "/".join(parts[:end])
            os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | 0o111)
        _mount(home, root + home, None, _MS_BIND)
        _mount(None, root + home, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY)
    link = f"{root}/usr/local/bin/python3"
    if not os.path.lexists(link):
        # A script and not a link: what is started by another name looks for its library where that name lies.
        with open(link, "w", encoding="utf-8") as script:
            script.write(f'#!/bin/sh\nexec {home}/bin/{os.path.basename(sys.executable)} "$@"\n')
        os.chmod(link, 0o755)


def _make_devices(dev: str) -> None:
    _mount("tmpfs", dev, "tmpfs", _MS_NOSUID, "mode=755")
    for name, numbers in _DEVICES.items():
        os.mknod(f"{dev}/{name}", stat.S_IFCHR | 0o666, os.makedev(*numbers))
        os.chmod(f"{dev}/{name}", 0o666)
    for name, target in {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        os.symlink(f"/proc/self/{target}", f"{dev}/{name}")
    os.symlink("pts/ptmx", f"{dev}/ptmx")
    for name, kind, data in (("pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5"), ("shm", "tmpfs", "mode=1777")):
        os.mkdir(f"{dev}/{name}")
        _mount(kind, f"{dev}/{name}", kind, _MS_NOSUID, data)


def _make_run(root: str, config: dict[str, Any]) -> None:
    run = f"{root}/run/playground"
    for folder in (run, f"{root}/run/sshd", f"{root}/run/lock", f"{root}/run/systemd/shutdown", f"{root}/run/cloud-init"):
        os.makedirs(folder, 0o755)
    open(f"{root}/run/utmp", "w").close()  # so that sshd tells `who` who is there
    for file in config["run_files"]:
        _write(root, file)
    with open(config["setpriv"], "rb") as theirs, open(f"{run}/become", "wb") as ours:
        ours.write(theirs.read())
    os.chown(f"{run}/become", 0, 27)
    os.chmod(f"{run}/become", 0o4750)
    # Each boot has an id of its own on a real machine, and this computer does not boot again.
    boot_id = _read("/proc/sys/kernel/random/uuid")
    _write(root, {"path": "/run/playground/boot_id", "text": boot_id, "mode": 0o444})
    _mount(f"{run}/boot_id", f"{root}/proc/sys/kernel/random/boot_id", None, _MS_BIND)
    if config["has_gpus"]:
        open(f"{root}/dev/nvidiactl", "w").close()


def _forget_disks(disks: str) -> None:
    """Let go of every machine's disk here, ours is held by our root: a disk that is removed must be gone."""
    for id in os.listdir(disks):
        if os.path.ismount(f"{disks}/{id}") and id != ".root":
            _libc.umount2(f"{disks}/{id}".encode(), _MNT_DETACH)


def _raise_network(config: dict[str, Any]) -> None:
    lines = [
        "link set lo up",
        f"addr add {_METADATA}/32 dev lo",
        f"addr add {config['address']}/32 peer {config['gateway']}/32 dev eth0",
        "link set eth0 up",
    ]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines).encode(), check=True)


def _open_doors(control: socket.socket, ports: list[int]) -> None:
    metadata = socket.create_server((_METADATA, 80), backlog=64)
    power = socket.socket(socket.AF_UNIX)
    power.bind("/run/playground/power")
    os.chmod("/run/playground/power", 0o666)
    power.listen(64)
    doors = [metadata, power, *(socket.create_server(("127.0.0.1", port), backlog=64) for port in ports)]
    socket.send_fds(control, [b"d"], [door.fileno() for door in doors])
    for door in doors:
        door.close()


def _boot(config: dict[str, Any]) -> int:
    program = [sys.executable, "-E", "-s", "-S", "-B", "/usr/lib/playground/first_boot.py"]
    subprocess.run([*program, "early"], stdin=subprocess.DEVNULL)
    sshd = _start_sshd(config["sshd"])
    _spawn([*program, "late"])
    return sshd


def _look_after(sshd: int, program: str) -> None:
    """Bury the dead, as a first process must, and start the SSH server again when it was killed."""
    started = time.monotonic()
    while True:
        dead = _bury_one()
        if dead in (sshd, 0):
            if time.monotonic() - started < _SSHD_PAUSE_S:
                time.sleep(_SSHD_PAUSE_S)
            started = time.monotonic()
            sshd = _start_sshd(program)


def _bury_one() -> int:
    """Wait for a process to end; return its number, 0 when there is none at all."""
    try:
        return os.wait()[0]
    except ChildProcessError:
        return 0


def _start_sshd(program: str) -> int:
    """Start the SSH server; return its number, 0 when that is not possible now: this process must not fail."""
    try:
        return _spawn([program, "-D", "-e", "-f", "/etc/ssh/sshd_config"])
    except OSError as error:
        print(f"sshd: {error}", flush=True)
        return 0


def _spawn(command: list[str]) -> int:
    """Start a process of its own session; return its number. `subprocess` would bury it unseen."""
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    return os.posix_spawn(command[0], command, os.environ, file_actions=[nothing], setsid=True)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    arguments = [word.encode() if word is not None else None for word in (source, target, kind)]
    if _libc.mount(*arguments, ctypes.c_ulong(flags), data.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: mount {kind or ''} {data}", target)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
