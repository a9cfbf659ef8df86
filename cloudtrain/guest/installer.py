"""Make a virtual environment and put packages into it: with uv where there is one, else with venv and pip."""

from __future__ import annotations

import collections
import glob
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Callable, Mapping

from .errors import GuestError
from .pip_settings import PipSettings

_TAIL_LINES = 40
_LINE_LENGTH = 200


class InstallError(GuestError):
    """An installer failed. `log` is the end of what it said."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


@dataclass(frozen=True)
class Order:
    """One environment to make.

    Attributes:
        folder: where it is made; it must not exist yet.
        work: the job's folder, from which the requirements' relative paths count.
        packages: requirement texts.
        requirements: relative name of a requirements file in `work`, or None.
        extra_index: address of a package index to search too, or None.
        lock: descriptor that the installer holds too, so that nobody touches the folder while it lives.
    """

    folder: str
    work: str
    packages: tuple[str, ...]
    requirements: str | None
    extra_index: str | None
    lock: int


def install(order: Order, settings: PipSettings, environ: Mapping[str, str], on_line: Callable[[str], None]) -> None:
    """Make the environment; `on_line` hears what the installer says.

    Raises:
        InstallError: it could not be made; the folder may hold half of it.
    """
    uv = find_uv()
    env = {name: value for name, value in environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    if uv is not None:
        env.update(settings.for_uv())
        if order.extra_index:
            env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
        steps = _uv_steps(uv, order, settings)
    else:
        steps = _pip_steps(order)
    for what, argv in steps:
        _run(what, argv, order, env, on_line)


def find_uv() -> str | None:
    """Return the uv to use: the one on PATH, or the one beside the Python that runs us."""
    return shutil.which("uv") or shutil.which("uv", path=os.path.dirname(sys.executable))


def python_of(folder: str) -> str:
    """Return the path of an environment's Python."""
    return os.path.join(folder, "bin", "python")


def installed(folder: str) -> dict[str, str]:
    """Return the version of each package in an environment."""
    # Costs more than all else this module needs, and only a new environment asks for it.
    import importlib.metadata

    paths = glob.glob(os.path.join(glob.escape(folder), "lib", "*", "site-packages"))
    found = {item.metadata["Name"]: item.version for item in importlib.metadata.distributions(path=paths)}
    return {name: found[name] for name in sorted(filter(None, found), key=str.lower)}


def _uv_steps(uv: str, order: Order, settings: PipSettings) -> list[tuple[str, list[str]]]:
    options = ["--no-index"] if settings.forbid_index else []
    if order.extra_index:
        options += ["--index", order.extra_index]
    python = python_of(order.folder)
    return [
        ("uv could not make an environment", [uv, "venv", "--no-project", "--python", sys.executable, order.folder]),
        ("uv could not install", [uv, "pip", "install", "--python", python, *options, *_what(order)]),
    ]


def _pip_steps(order: Order) -> list[tuple[str, list[str]]]:
    options = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    if order.extra_index:
        options += ["--extra-index-url", order.extra_index]
    pip = [python_of(order.folder), "-m", "pip", "install", *options, *_what(order)]
    make = [sys.executable, "-m", "venv", order.folder]
    return [
        ("python -m venv could not make an environment (is python3-venv installed, or uv?)", make),
        ("pip could not install", pip),
    ]


def _what(order: Order) -> list[str]:
    return [*order.packages, *(["-r", order.requirements] if order.requirements else [])]


def _run(what: str, argv: list[str], order: Order, env: Mapping[str, str], on_line: Callable[[str], None]) -> None:
    tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
    try:
        tool = subprocess.Popen(
            argv,
            cwd=order.work,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(order.lock,),
        )
    except OSError as error:
        raise InstallError(f"{what}: {error}", "") from error
    with tool:
        for line in tool.stdout or ():
            text = line.decode("utf-8", "replace").strip()[:_LINE_LENGTH]
            if text:
                tail.append(text)
                on_line(text)
    if tool.returncode != 0:
        asked = ", ".join([*order.packages, *([order.requirements] if order.requirements else [])])
        raise InstallError(f"{what}: {asked} (exit code {tool.returncode})", "\n".join(tail))
