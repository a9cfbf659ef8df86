"""The job's environment: made once for each content of its requirements, found again in no time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterator

from . import frameworks, gpus, installer, local_content, requirements, tpus
from .frameworks import Choice, Platform
from .installer import Order
from .pip_settings import PipSettings
from .requirements import Requirements

Tell = Callable[[str], None]

_FORMAT = 2  # of what the marker says and the key covers
_MARKER = ".ready"


@dataclass(frozen=True)
class Ready:
    """An environment that can be used: its Python, its packages, and whether it was there already."""

    python: str
    packages: dict[str, str]
    was_cached: bool


@dataclass(frozen=True)
class Wish:
    """What a job needs: a framework's name, and a requirements file's name in `work` or None."""

    framework: str
    requirements: str | None
    work: str


def prepare(cache: str, wish: Wish, tell: Tell) -> Ready:
    """Return the environment a job needs, made below `cache`/envs unless it is there; `tell` hears how it goes.

    Raises:
        GuestError: it cannot be made; an InstallError among them carries the installer's last words.
    """
    if wish.framework == "none" and wish.requirements is None:
        return Ready(sys.executable, {}, True)
    wanted = requirements.read(wish.work, wish.requirements) if wish.requirements else Requirements()
    settings = PipSettings(os.environ)
    here = _platform()
    choice = frameworks.choose(wish.framework, wanted, here, settings.name_sources)
    for remark in choice.remarks:
        tell(remark)
    folder = os.path.join(cache, "envs", _key(wish, wanted, choice, here, settings))
    return _cached(folder) or _make(folder, wish, choice, settings, tell)


def _make(folder: str, wish: Wish, choice: Choice, settings: PipSettings, tell: Tell) -> Ready:
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with _locked(folder + ".lock", tell) as lock:
        found = _cached(folder)
        if found is not None:
            return found
        _remove(folder)
        order = Order(folder, wish.work, choice.packages, wish.requirements, choice.extra_index, lock)
        try:
            installer.install(order, settings, os.environ, tell)
            return _mark_ready(folder)
        except BaseException:
            _remove(folder)
            raise


def _key(wish: Wish, wanted: Requirements, choice: Choice, here: Platform, settings: PipSettings) -> str:
    """Return a name that two jobs share exactly when one environment serves both."""
    content = {
        "format": _FORMAT,
        "packages": choice.packages,
        "extra_index": choice.extra_index,
        "requirements": wanted.lines,
        # A package taken from a folder may go on living there; one taken from a file is copied.
        "work": None if all(map(os.path.isfile, wanted.local_paths)) else wish.work,
        "local": [local_content.digest(path) for path in (*wanted.local_paths, *wanted.find_links)],
        "sources": settings.sources(wish.work),
        "python": [platform.python_implementation(), sys.version, sys.base_prefix],
        "platform": [here.system, here.machine, here.has_nvidia],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()[:16]


def _platform() -> Platform:
    return Platform(
        python=(sys.version_info[0], sys.version_info[1]),
        system=platform.system(),
        machine=platform.machine(),
        has_nvidia=gpus.has_driver(),
        has_tpu=tpus.count() > 0,
    )


def _cached(folder: str) -> Ready | None:
    """Return an environment that was finished and whose Python is still there."""
    content: dict[str, Any] | None = None
    with contextlib.suppress(OSError, ValueError), open(os.path.join(folder, _MARKER), encoding="utf-8") as file:
        content = json.load(file)
    python = installer.python_of(folder)
    # A link to a Python that the system has replaced since leads nowhere.
    if content is None or not os.path.exists(python):
        return None
    return Ready(python, content["packages"], True)


def _mark_ready(folder: str) -> Ready:
    packages = installer.installed(folder)
    unfinished = os.path.join(folder, _MARKER + ".tmp")
    with open(unfinished, "w", encoding="utf-8") as file:
        json.dump({"packages": packages, "made_at": time.time()}, file)
    os.replace(unfinished, os.path.join(folder, _MARKER))
    return Ready(installer.python_of(folder), packages, False)


def _remove(folder: str) -> None:
    if os.path.lexists(folder):
        shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(path: str, tell: Tell) -> Iterator[int]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another job is making this environment: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)
