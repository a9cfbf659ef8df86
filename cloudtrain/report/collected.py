"""The files of a run folder that came back from the machine."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..model.run import OWN_FILES

_MOST_FILES = 20_000


@dataclass(frozen=True, slots=True)
class CollectedFile:
    """One regular file: its name relative to the run folder, with forward slashes, and its size in bytes."""

    name: str
    size: int


def collected_files(folder: Path) -> list[CollectedFile]:
    """Return the files that came back, sorted by name. Links are not followed and not listed."""
    return sorted(islice(_walk(folder), _MOST_FILES), key=lambda file: file.name)


def _walk(folder: Path) -> Iterator[CollectedFile]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            try:
                found = path.lstat()
            except OSError:
                continue  # gone since it was listed
            if stat.S_ISREG(found.st_mode) and relative not in OWN_FILES:
                yield CollectedFile(relative, found.st_size)
