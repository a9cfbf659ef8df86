"""What a run is to do: job.json, and the surroundings its command is started in."""

from __future__ import annotations

import contextlib
import json
import math
import os
from dataclasses import dataclass, field
from typing import Any, Mapping

from .errors import GuestError
from .outputs import Checkpoints, read_checkpoints

DEFAULT_GRACE_S = 30.0
DEFAULT_SAMPLE_S = 10.0


@dataclass(frozen=True)
class Job:
    """One job as job.json describes it.

    Attributes:
        run: absolute path of the run's folder.
        command: shell text.
        python: the environment's Python, or None for the machine's own.
        deadline: Unix time at which the job is ended, or None.
        grace_s: seconds between TERM and KILL.
        sample_every_s: seconds between two samples of the meter.
        notice: whose word that it takes the machine back is to be heard ("aws"), or "".
        checkpoints: where the outputs are copied to while the job runs, or None.
    """

    run: str
    command: str
    python: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    deadline: float | None = None
    grace_s: float = DEFAULT_GRACE_S
    sample_every_s: float = DEFAULT_SAMPLE_S
    notice: str = ""
    checkpoints: Checkpoints | None = None

    @property
    def work(self) -> str:
        """Return the folder the command runs in."""
        return os.path.join(self.run, "work")

    def environ(self, machine: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
        """Return the command's environment: the machine's, then the job's, then the secrets.

        Makes RUN/bin with a `python` in it where the environment's Python goes by another name alone.
        """
        env = {**machine, "PYTHONUNBUFFERED": "1", **self.env, **secrets, "CLOUDTRAIN_RUN_DIR": self.run}
        if self.python is None:
            return env
        folder = os.path.dirname(self.python)
        first = folder if os.path.exists(os.path.join(folder, "python")) else self._folder_with_python(self.python)
        env["PATH"] = os.pathsep.join(dict.fromkeys([first, folder, *env.get("PATH", os.defpath).split(os.pathsep)]))
        env.pop("PYTHONHOME", None)
        prefix = os.path.dirname(folder)
        # The machine's own Python is no virtual environment, and installers believe what this variable says.
        if os.path.exists(os.path.join(prefix, "pyvenv.cfg")):
            env["VIRTUAL_ENV"] = prefix
        return env

    def _folder_with_python(self, python: str) -> str:
        folder = os.path.join(self.run, "bin")
        os.makedirs(folder, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.symlink(python, os.path.join(folder, "python"))
        return folder


def read(run: str) -> Job:
    """Read RUN/job.json.

    Raises:
        GuestError: there is no such run, or its job.json cannot be used.
    """
    path = os.path.join(run, "job.json")
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read())
    except FileNotFoundError:
        raise GuestError(f"there is no run {run}: it has no job.json") from None
    except ValueError as error:
        raise GuestError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("command"), str):
        raise GuestError(f"{path} names no command")
    if not isinstance(content.get("notice"), (str, type(None))):
        raise GuestError("job.json: notice is no name of a cloud")
    return Job(
        run=run,
        command=content["command"],
        python=content.get("python"),
        env=names_and_values(content.get("env") or {}, "env"),
        deadline=_seconds(content, "deadline"),
        grace_s=_or_default(_seconds(content, "grace_s"), DEFAULT_GRACE_S),
        sample_every_s=_or_default(_seconds(content, "sample_every_s"), DEFAULT_SAMPLE_S),
        notice=content.get("notice") or "",
        checkpoints=read_checkpoints(content["checkpoints"]) if content.get("checkpoints") else None,
    )


def names_and_values(content: Any, what: str) -> dict[str, str]:
    """Return environment variables as given. What is wrong with one is said without its value, which may be a secret.

    Raises:
        GuestError: it is not an object of text, or a name is none.
    """
    if not isinstance(content, dict):
        raise GuestError(f"{what} is not an object of names and values")
    for name, value in content.items():
        if not name or "=" in name or "\0" in name:
            raise GuestError(f"{what}: {name!r} is no name for an environment variable")
        if not isinstance(value, str) or "\0" in value:
            raise GuestError(f"{what}: the value of {name} is not text")
    return content


def _seconds(content: Mapping[str, Any], name: str) -> float | None:
    value = content.get(name)
    if value is None:
        return None
    # JSON's true is a number to Python, and a deadline of NaN or Infinity would never come.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise GuestError(f"job.json: {name} is no number of seconds")
    return float(value)


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value
