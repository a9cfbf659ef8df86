import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.guest import state
from cloudtrain.remote import guest_archive
from tests.spoken import Spoken

from .host import QUIET, Host


@dataclass
class Guest:
    """The real zipapp, run by a Python of choice in an environment of choice."""

    archive: Path
    python: str = sys.executable
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def argv(self, *arguments: object) -> list[str]:
        return [self.python, str(self.archive), *map(str, arguments)]

    def popen(self, *arguments: object, **settings: Any) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self.argv(*arguments), env=self.env, stdout=subprocess.PIPE, **settings)

    def call(self, *arguments: object, stdin: object = None) -> "subprocess.CompletedProcess[bytes]":
        content = b"" if stdin is None else json.dumps(stdin).encode()
        return subprocess.run(self.argv(*arguments), env=self.env, input=content, capture_output=True, timeout=60, check=False)

    def ask(self, *arguments: object, stdin: object = None) -> dict[str, Any]:
        """Run a command that must succeed and return its one object."""
        done = self.call(*arguments, stdin=stdin)
        assert done.returncode == 0, done
        return json.loads(done.stdout)


@dataclass
class RunFolder:
    """One run's folder and the shortest ways to what the tests look at."""

    path: Path
    guest: Guest

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def log(self) -> bytes:
        return (self.path / "job.log").read_bytes()

    @property
    def recorded(self) -> dict[str, Any]:
        return json.loads((self.path / "state.json").read_bytes())

    def fifo(self, name: str) -> Path:
        os.mkfifo(self.work / name)
        return self.work / name

    def start(self, secrets: dict[str, str] | None = None) -> dict[str, Any]:
        return self.guest.ask("start", self.path, stdin=secrets or {})

    def wait(self) -> dict[str, Any]:
        """Block until the job's log ends and return the state."""
        assert self.guest.call("follow", self.path).returncode == 0
        return state.require(str(self.path)).shown(str(self.path))


@pytest.fixture(scope="session")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    archive = tmp_path_factory.mktemp("guest") / guest_archive.file_name()
    archive.write_bytes(guest_archive.build())
    return Guest(archive)


@pytest.fixture
def make_run(tmp_path: Path, guest: Guest) -> Iterator[Callable[..., RunFolder]]:
    """Make a run's folder with a job in it; whatever still runs of it is ended when the test is over."""
    made: list[RunFolder] = []

    def make(command: str, guest: Guest = guest, **job: Any) -> RunFolder:
        run = RunFolder(tmp_path / f"run-{len(made)}", guest)
        run.work.mkdir(parents=True)
        job = {"command": command, "python": None, "env": {}, "deadline": None, "grace_s": 5, "sample_every_s": 60, **job}
        (run.path / "job.json").write_text(json.dumps(job))
        made.append(run)
        return run

    yield make
    for run in made:
        if (run.path / "state.json").exists() and run.recorded["phase"] != "ended":
            guest.call("signal", run.path, "KILL", "--grace", "0")


@pytest.fixture
def host(tmp_path: Path, guest: Guest) -> Iterator[Host]:
    for name in ("tools", "root/proc", "home"):
        (tmp_path / name).mkdir(parents=True)
    env = {**os.environ, "PATH": f"{tmp_path}/tools:/usr/bin:/bin", "CLOUDTRAIN_GUEST_ROOT": f"{tmp_path}/root"}
    made = Host(tmp_path, replace(guest, env=env), [], Spoken(tmp_path / "said"))
    for name in ("shutdown", "systemctl", "poweroff"):
        made.tool(name, f'echo "{name} $*" > {tmp_path}/said')
    made.write(**QUIET)
    yield made
    made.end()
    made.said.close()
