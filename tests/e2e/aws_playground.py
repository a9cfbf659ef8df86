"""People at their laptops, and a pretend AWS with real SSH hosts: real processes, the real SDK over HTTP, nothing patched.

What is typed and waited for is forked from a process that has everything imported; what is looked at while it runs is not.
"""

import io
import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.aws.account import Machine
from cloudtrain.testing.playground.control import PREFIX
from cloudtrain.testing.playground.hypervisor import open_hypervisor

from ..clouds.killing import AS_IT_IS, Helper, Typed

TIMEOUT_S = 180
"""How long one command may take: ten times what the slowest takes on an idle computer."""

AT_ONCE = 4

JOB = "name: small\nframework: {framework}\ncommand: python3 train.py\noutputs: [results/]\nbudget: 2\nresume: {resume}\n"

MACHINE = "provider: aws\nregions: [us-east-1]\ninstance_types: [{types}]\nmarket: {market}\ndisk_gb: 100\n"

GATE = """
def wait_at_gate():
    import os
    os.mkfifo("gate")
    print("gate", os.path.abspath("gate"), flush=True)
    open("gate").read()
"""
"""For a job that goes on when the test says so: it says where its gate is, and waits there."""


class Playground:
    """The pretend cloud and what its machines run on."""

    def __init__(self, folder: Path, helper: Helper, kind: str) -> None:
        self.folder, self.helper = folder, helper
        # The path of a control socket may not be long.
        self.short = Path(tempfile.mkdtemp(prefix="ct-"))
        self.hypervisor = open_hypervisor(folder / "hosts", lambda id: self.cloud.power_off(id), kind=kind)
        self.cloud = AwsCloud(self.hypervisor)

    def person(self, name: str, *, types: str = "g4dn.xlarge, g4dn.2xlarge", market: str = "on-demand") -> "Person":
        """Return somebody with a laptop of their own, who calls their machine by this name."""
        person = Person(self, name, self.folder / name)
        (person.job / "configs" / f"{name}.yaml").write_text(MACHINE.format(types=types, market=market))
        return person

    def exports(self) -> dict[str, str]:
        """Return what the playground prints for a person's shell."""
        exports = {
            "AWS_ENDPOINT_URL": self.cloud.url,
            "AWS_ACCESS_KEY_ID": "playground",
            "AWS_SECRET_ACCESS_KEY": "playground",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "CLOUDTRAIN_ADDRESS_SERVICE": f"{self.cloud.url}{PREFIX}address",
        }
        if self.hypervisor.kind == "loopback":
            connect = [sys.executable, "-m", "cloudtrain.testing.playground.connect", str(self.folder / "hosts")]
            exports["CLOUDTRAIN_SSH_PROXY_COMMAND"] = f"{shlex.join(connect)} %h %p"
        return exports

    def machines(self, name: str) -> list[Machine]:
        """Return the machines of a name, oldest first, ended ones included."""
        return [machine for machine in self.cloud.machines() if machine.tags.get("cloudtrain:name") == name]

    def remains(self, name: str) -> list[str]:
        """Return everything that machines of a name may leave: themselves, groups, disks, schedules, spot requests."""
        moto, ours = self.cloud.account.moto, {machine.tags["cloudtrain:token"] for machine in self.machines(name)}
        ec2 = moto.ec2("us-east-1")
        groups = [group for of_network in ec2.groups.values() for group in of_network.values()]
        requests = self.cloud.account.spot_requests.values()
        of_ours = {machine.id for machine in self.machines(name)}
        return [
            *(machine.id for machine in self.machines(name) if machine.state != "terminated"),
            *(group.id for group in groups if ec2.tags.get(group.id, {}).get("cloudtrain:name") == name),
            *(disk.id for disk in ec2.volumes.values() if ec2.tags.get(disk.id, {}).get("cloudtrain:name") == name),
            *(token for token in self.schedules() if token in ours),
            *(request.id for request in requests if request.instance_id in of_ours and request.state == "active"),
            *ec2.key_pairs,
        ]

    def schedules(self) -> list[str]:
        """Return the names of the cloud-side deadlines that are armed."""
        from moto.scheduler.models import scheduler_backends

        backend = scheduler_backends["123456789012"]["us-east-1"]
        return [schedule.name for group in backend.schedule_groups.values() for schedule in group.schedules.values()]

    def open_gate(self, id: str, gate: str) -> None:
        """Let a job go on."""
        self.hypervisor.run_in(id, ["sh", "-c", f"echo go >{shlex.quote(gate)}"])

    def break_line(self, id: str) -> None:
        """Cut a machine's line, end what was open on it, and mend it."""
        self.cut_line(id)
        self.hypervisor.mend_network(id)

    def cut_line(self, id: str) -> None:
        """End what is open on a machine's line, so that whoever is at the other end knows, and let nobody in any more."""
        if self.hypervisor.kind == "namespace":
            sessions = f'[ "$(hostname)" = {id} ] && pkill -KILL -f "^sshd: ubuntu"'
            self.hypervisor.run_in(id, ["sh", "-c", sessions])
        self.hypervisor.cut_network(id)


class Person:
    """A laptop: its job's folder, its state, and its `cloudtrain`."""

    def __init__(self, playground: Playground, name: str, folder: Path) -> None:
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
            "TMPDIR": str(playground.short),
            "NO_COLOR": "1",
            **playground.exports(),
        }

    def has_job(
        self, script: str, *, resume: bool = False, framework: str = "none", requirements: str = "", **files: str | bytes
    ) -> None:
        """Write a job into the folder: `train.py`, and what else it needs."""
        wants = f"requirements: {requirements}\n" if requirements else ""
        (self.job / "cloudtrain.yaml").write_text(JOB.format(framework=framework, resume=str(resume).lower()) + wants)
        (self.job / "train.py").write_text(GATE + "import pathlib\nout = pathlib.Path('results')\n" + script)
        for name, content in files.items():
            (self.job / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def type(self, *words: str, exit_code: int = 0) -> Typed:
        """Type a command and see it end."""
        done = self.playground.helper.begin(words, self.environ, self.job, ahead_s=AS_IT_IS).wait()
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

    def machine(self) -> Machine:
        """Return the machine that was rented last."""
        return self.playground.machines(self.name)[-1]

    def runs(self) -> list[Path]:
        """Return the folders of the runs, oldest first."""
        return sorted((self.job / "runs").iterdir(), key=lambda folder: json.loads(record(folder))["created_at"])

    def outcome(self) -> dict[str, Any]:
        """Return what is written down of the last run."""
        return dict(json.loads(record(self.runs()[-1])))

    def left_nothing(self) -> None:
        """See that every machine of this name is gone with all that was made beside it."""
        assert self.playground.machines(self.name)
        assert self.playground.remains(self.name) == []


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


@contextmanager
def open_playground(folder: Path, helper: Helper, kind: str = "auto") -> Iterator[Playground]:
    """Start a cloud; see at the end that nothing was ever seen in it that must never be."""
    playground = Playground(folder, helper, kind)
    try:
        with playground.cloud:
            yield playground
            assert playground.cloud.violations() == []
            assert [event for event in playground.cloud.account.events if "broke" in event or "did not boot" in event] == []
    finally:
        playground.hypervisor.close()
        shutil.rmtree(playground.short, ignore_errors=True)


def together(playground: Playground, *stories: Callable[[Playground], None]) -> None:
    """Let several stories happen at once, each with people of its own: most of their time is waiting."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = [(story.__name__, pool.submit(story, playground)) for story in stories]
    failed = []
    for name, future in told:
        error = future.exception()
        if error is not None:
            error.add_note(f"in the story {name}")
            failed.append(error)
    if failed:
        raise BaseExceptionGroup("stories that ended badly", failed)


def record(folder: Path) -> str:
    """Return a run's `run.json`."""
    return (folder / "run.json").read_text()


def wheel_of(name: str, version: str, source: str) -> bytes:
    """Return a package of one module, as pip installs it."""
    about = f"{name}-{version}.dist-info"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr(f"{name}.py", source)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return packed.getvalue()
