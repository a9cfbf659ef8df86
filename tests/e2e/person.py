"""A person at a laptop of their own: real processes of `cloudtrain`, nothing of them patched.

What is typed and waited for is forked from a process that has everything imported; what is looked at while it runs is not.
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..clouds.killing import AS_IT_IS, Typed
from ..clouds.pretend import Seen

if TYPE_CHECKING:
    from .playground import Playground

TIMEOUT_S = 180
"""How long one command may take: ten times what the slowest takes on an idle computer."""

JOB = "name: small\nframework: {framework}\ncommand: python3 train.py\noutputs: [results/]\nbudget: 2\nresume: {resume}\n{more}"

GATE = """
def wait_at_gate():
    import os
    os.mkfifo("gate")
    print("gate", os.path.abspath("gate"), flush=True)
    open("gate").read()
"""
"""For a job that goes on when the test says so: it says where its gate is, and waits there."""


class Person:
    """Somebody at a laptop: a job's folder, a state of their own, their `cloudtrain`, and the machines of their name."""

    def __init__(self, playground: "Playground", name: str, folder: Path) -> None:
        self.playground, self.name, self.job = playground, name, folder / "job"
        (self.job / "configs").mkdir(parents=True)
        (folder / "home").mkdir()
        self._errors = folder / "stderr"
        tools = {str(Path(found).parent) for found in map(shutil.which, ("ssh", "git")) if found}
        self.environ = {
            "HOME": str(folder / "home"),
            "LOGNAME": name,
            "CLOUDTRAIN_HOME": str(folder / "home/cloudtrain"),
            "PATH": os.pathsep.join([*tools, "/usr/bin", "/bin"]),
            "NO_COLOR": "1",
            **playground.exports(),
        }

    def has_job(
        self, script: str, *, resume: bool = False, framework: str = "none", settings: str = "", **files: str | bytes
    ) -> None:
        """Write a job into the folder: `train.py`, and what else it needs; `settings` are more lines of its description."""
        (self.job / "cloudtrain.yaml").write_text(JOB.format(framework=framework, resume=str(resume).lower(), more=settings))
        (self.job / "train.py").write_text(GATE + "import pathlib\nout = pathlib.Path('results')\n" + script)
        for name, content in files.items():
            (self.job / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def type(self, *words: str, exit_code: int = 0, ahead_s: float = AS_IT_IS) -> Typed:
        """Type a command and see it end; with `ahead_s` by a clock that is so many seconds ahead."""
        done = self.playground.helper.begin(words, self.environ, self.job, ahead_s=ahead_s).wait()
        assert done.status == exit_code, f"{words}: {done.status}\n{done.stdout}\n{done.stderr}"
        return done

    @contextmanager
    def typing(self, *words: str) -> Iterator["Typing"]:
        """Type a command that tells with --json what happens, and act meanwhile."""
        with self._errors.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "cloudtrain", *words, "--json"],
                cwd=self.job,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        with process:
            try:
                yield Typing(process, self._errors)
            finally:
                process.kill()

    def machine(self) -> str:
        """Return the machine that was rented last."""
        return self.playground.machines(self.name)[-1]

    def sees(self) -> Seen:
        """Return what the machine that was rented last is."""
        return self.playground.pretend.seen(self.machine())

    def left_nothing(self, *, machines: int = 1) -> None:
        """See that so many machines of this name were ever made, and that all are gone with all that was made beside them."""
        made, pretend = self.playground.machines(self.name), self.playground.pretend
        assert len(made) == machines
        assert {pretend.seen(id).state for id in made} == {"gone"}
        pretend.settle()  # what the cloud was asked for and nobody waits for
        left = pretend.left_of(self.name)
        assert left == [], left

    def runs(self) -> list[Path]:
        """Return the folders of the runs, oldest first."""
        return sorted((self.job / "runs").iterdir(), key=lambda folder: json.loads(record(folder))["created_at"])

    def outcome(self) -> dict[str, Any]:
        """Return what is written down of the last run."""
        return dict(json.loads(record(self.runs()[-1])))


class Typing:
    """A command that runs: its events, read as they come."""

    def __init__(self, process: "subprocess.Popen[str]", errors: Path) -> None:
        self._process, self._errors = process, errors
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.seen: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Return the next event that is wanted."""
        while True:
            event = self._events.get(timeout=TIMEOUT_S)
            assert event is not None, f"it ended\n{self.seen}\n{self._errors.read_text()}"
            self.seen.append(event)
            if wanted(event):
                return event

    def until_gate(self) -> str:
        """Return where the job's gate is, when the job waits there."""
        event = self.until(lambda event: event["event"] == "log" and " gate " in event["text"])
        return str(event["text"].split(" gate ")[1].split("\n")[0])

    def kill(self) -> None:
        """Let the laptop's battery be empty."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(TIMEOUT_S)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self, exit_code: int = 0, *or_code: int) -> list[dict[str, Any]]:
        """Wait for its end with one of these codes; return every event."""
        self._process.wait(TIMEOUT_S)
        while (event := self._events.get(timeout=TIMEOUT_S)) is not None:
            self.seen.append(event)
        errors = self._errors.read_text()
        assert self._process.returncode in (exit_code, *or_code), f"{self._process.returncode}\n{self.seen}\n{errors}"
        assert "Traceback" not in errors
        return self.seen

    @property
    def errors(self) -> str:
        """Return what it said on standard error."""
        return self._errors.read_text()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._events.put(json.loads(line))
        self._events.put(None)


def record(folder: Path) -> str:
    """Return a run's `run.json`."""
    return (folder / "run.json").read_text()
