"""A folder that plays a machine, with tools that only tell, and the keepers that run on it."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.spoken import Spoken

HOUR = 3600
QUIET = {
    "stat": "cpu  100 0 100 5000 0 0 0 0 0 0\n",
    "diskstats": "   8       0 sda 10 0 80 0 10 0 80 0 0 0 0\n",
    "net/dev": "Inter-|\n face |\n    lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n  eth0: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n",
}


@dataclass
class Host:
    folder: Path
    guest: object
    keepers: list["subprocess.Popen[bytes]"]
    said: Spoken

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def kept(self) -> Path:
        return self.root / "var/lib/cloudtrain"

    def tool(self, name: str, body: str) -> None:
        path = self.folder / "tools" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def write(self, **files: str) -> None:
        for name, content in files.items():
            path = self.root / "proc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.with_name(path.name + ".next")).write_text(content)
            (path.with_name(path.name + ".next")).replace(path)

    def lease(self, in_s: float = HOUR, **more: object) -> None:
        self.kept.mkdir(parents=True, exist_ok=True)
        now = int(time.time())
        content = {"deadline": now + int(in_s), "issued_at": now, "end": "poweroff", **more}
        (self.kept / "lease.json").write_text(json.dumps(content) + "\n")
        # Whoever sets a lease looks at the clocks first, as the boot line does.
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        played = self.root / "proc/uptime"
        up = int(float((played if played.exists() else Path("/proc/uptime")).read_text().split()[0]))
        (self.kept / "clock").write_text(f"{content['issued_at']} {content['deadline']} {up + int(in_s)} {up} {boot}\n")

    def keep(self, *options: object) -> int:
        """Start a keeper that looks often; return the number of its working process."""
        place = self.root / "run/cloudtrain"
        place.mkdir(parents=True, exist_ok=True)
        if not (place / "keeper.pid").exists():
            os.mkfifo(place / "keeper.pid")
        argv = self.guest.argv("keeper", self.home, "--every", "0.02", "--pause", "0", *options)
        self.keepers.append(subprocess.Popen(argv, env=self.guest.env, stderr=subprocess.DEVNULL, start_new_session=True))
        return self.worker()

    def worker(self) -> int:
        """Return the number that the next working process writes down, and nobody else does."""
        written, file = b"", os.open(self.root / "run/cloudtrain/keeper.pid", os.O_RDONLY | os.O_NONBLOCK)
        try:
            while True:
                assert select.select([file], [], [], 30)[0], "no keeper works"
                part = os.read(file, 64)
                if not part:
                    return int(written)
                written += part
        finally:
            os.close(file)

    def hear(self) -> list[str]:
        return self.said.lines()

    def hear_until(self, wanted: str) -> None:
        while wanted not in self.hear():
            pass

    def job(self, run):
        """Put a run where the keeper finds it."""
        place = self.home / "runs" / run.path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(run.path)
        return run

    @property
    def log(self) -> str:
        return (self.kept / "keeper.log").read_text()

    def end(self) -> None:
        note = str(self.home).encode()
        for _ in range(50):
            alive = [number for number in _numbers() if note in _line(number) and b"keeper" in _line(number)]
            for number in alive:
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if not alive:
                break
        for keeper in self.keepers:
            keeper.wait(10)
        for number in _numbers():  # a program that wants to say what nobody hears any more
            if f"{self.folder}/tools/".encode() in _line(number):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)


def _numbers() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _line(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""
