"""What holds the machines' lives and disks together: a process whose end is the end of them all.

The keeper is the first process of a PID namespace in which every machine is born, and it has a mount namespace in which every
disk is mounted. It does nothing but read a pipe that only this process writes to. So whatever ends this process, SIGKILL too,
ends the keeper; the kernel then ends every machine, and with their namespaces go mounts, disks, links and addresses.
Nothing is left for a later run to sweep but empty folders.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

_KEEP = "read -r pid rest </proc/self/stat && echo $pid && exec cat >/dev/null"
_FRAME = 4096


class Keeper:
    """Disks in memory, limited in size, and the namespaces around them."""

    def __init__(self, disks: Path, disk_bytes: int) -> None:
        """Start the keeper; the disks are mounted below `disks`, for the machines alone.

        Raises:
            OSError: there are no namespaces for us here.
        """
        self._disk_bytes = disk_bytes
        self._disks = disks
        (disks / ".root").mkdir(parents=True, exist_ok=True)
        self._mounted: set[str] = set()
        unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        self._process = subprocess.Popen([*unshare, "sh", "-c", _KEEP], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        with self._process.stdout as said:
            pid = said.readline()
        if not pid.strip():
            self._process.wait()
            raise OSError("unshare was refused: no namespaces here")
        self._pid = int(pid)

    @property
    def disks(self) -> Path:
        """The folder that holds the disks' mount points."""
        return self._disks

    def enter(self, *, with_processes: bool) -> list[str]:
        """Return the words before a command that is to run where the disks are, and among the keeper's processes."""
        return ["nsenter", f"--target={self._pid}", "--mount", *(["--pid"] if with_processes else []), "--"]

    def disk(self, id: str) -> Path:
        """Return the mount point of a machine's disk, an empty one when it had none."""
        point = self._disks / id
        if id not in self._mounted:
            point.mkdir(exist_ok=True)
            self._mount(f"size={self._disk_bytes},mode=755", point)
            self._mounted.add(id)
        return point

    def fill(self, id: str) -> None:
        """Shrink a disk to what lies on it."""
        usage = os.statvfs(f"/proc/{self._pid}/root{self._disks / id}")
        used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
        # A writer may have been quicker; the kernel refuses a disk that is smaller than its content.
        for more in (0, _FRAME, 16 * _FRAME, 256 * _FRAME):
            with contextlib.suppress(subprocess.CalledProcessError):
                self._mount(f"remount,size={used + more}", self._disks / id)
                return
        raise RuntimeError(f"the disk of {id} does not stand still")

    def free(self, id: str) -> None:
        """Give a disk its size back."""
        self._mount(f"remount,size={self._disk_bytes}", self._disks / id)

    def remove(self, id: str) -> None:
        """Throw a disk away. No machine runs on it."""
        if id in self._mounted:
            self._mounted.remove(id)
            subprocess.run([*self.enter(with_processes=False), "umount", "-l", str(self._disks / id)], check=True)
            (self._disks / id).rmdir()

    def close(self) -> None:
        """End every machine and all disks."""
        self._process.communicate()
        shutil.rmtree(self._disks)

    def _mount(self, options: str, point: Path) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)]
        subprocess.run([*self.enter(with_processes=False), *command], check=True, capture_output=True)
