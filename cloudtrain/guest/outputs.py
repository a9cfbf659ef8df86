"""The job's outputs as files: which there are, and which names are theirs."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Any, Sequence, Tuple

from .errors import GuestError
from .names import refuse_names

Mark = Tuple[int, int]
"""A file's bytes and when it was last changed, Unix nanoseconds."""


@dataclass(frozen=True)
class Checkpoints:
    """Where a job's outputs are kept: an address, its region, and the outputs' names."""

    url: str
    region: str
    outputs: Sequence[str]


def read_checkpoints(content: Any) -> Checkpoints:
    """Read what the protocol calls `checkpoints`.

    Raises:
        GuestError: it is none.
    """
    url, region, outputs = (
        (content.get(name) for name in ("url", "region", "outputs")) if isinstance(content, dict) else [None] * 3
    )
    if not isinstance(url, str) or not isinstance(region, str) or not isinstance(outputs, list):
        raise GuestError("checkpoints want an address, a region and a list of outputs")
    if not all(isinstance(name, str) and _is_inside(name) for name in outputs):
        raise GuestError("checkpoints: an output is no name inside the job's folder")
    return Checkpoints(url, region, outputs)


def files_of(work: str, outputs: Sequence[str]) -> dict[str, Mark]:
    """Return the outputs' files by name, relative to the job's folder. Links, and all that is no file, are left out."""
    found: dict[str, Mark] = {}
    for output in outputs:
        _note(found, work, output.rstrip("/"))
        if os.path.islink(os.path.join(work, output.rstrip("/"))):
            continue
        for folder, _, names in os.walk(os.path.join(work, output)):
            for name in names:
                _note(found, work, os.path.relpath(os.path.join(folder, name), work))
    return found


def is_of(outputs: Sequence[str], name: str) -> bool:
    """Say whether a name is an output's, or one below it."""
    return any(name == output or name.startswith(f"{output}/") for output in (each.rstrip("/") for each in outputs))


def mark_of(path: str) -> Mark | None:
    """Return a file's mark, None for what is no file."""
    try:
        info = os.lstat(path)
    except OSError:
        return None
    return (info.st_size, info.st_mtime_ns) if stat.S_ISREG(info.st_mode) else None


def _note(found: dict[str, Mark], work: str, name: str) -> None:
    mark = mark_of(os.path.join(work, name))
    if mark is not None:
        found[name] = mark


def _is_inside(name: str) -> bool:
    try:
        refuse_names([name.rstrip("/")])
    except GuestError:
        return False
    return True
