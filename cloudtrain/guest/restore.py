"""Before a job starts: what it left in its place in object storage comes into its folder."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, Sequence

from .download import TRIES, Tell, Wanted, bring
from .errors import GuestError
from .fetch import only_one
from .folder import Folder, NotYetError, Stored, folder_at
from .line import Answer, BrokenLineError
from .names import refuse_names
from .outputs import Checkpoints, is_of, mark_of

SAME_S = 1.0
"""Times closer than this, in seconds, are the same: not everything on a file's way keeps the fractions."""

TRIES_FOR_A_RIGHT = 45
"""How often is asked for what the machine may not see yet: with pauses of 16 seconds at most for eleven minutes, since Azure
lets ten go by until a right counts."""


def restore(
    work: str,
    checkpoints: Checkpoints,
    environ: Mapping[str, str],
    tell: Tell,
    say: Callable[[str], Any],
    pause_s: float = 1.0,
) -> None:
    """Bring the outputs that lie at their place into the job's folder; what is newer here stays.

    `environ` may name other services, as the storage's modules say; `pause_s` is the first pause between tries.

    Raises:
        GuestError: the storage refuses, or does not answer: a job that began anew would replace what lies there.
    """
    folder = folder_at(checkpoints.url, checkpoints.region, environ)
    try:
        with only_one(work, say):
            _restore(work, checkpoints.outputs, folder, tell, say, pause_s)
    finally:
        folder.close()


def _restore(work: str, outputs: Sequence[str], folder: Folder, tell: Tell, say: Callable[[str], Any], pause_s: float) -> None:
    welcome = [each for each in _listed(folder, say, pause_s) if _is_welcome(each, outputs, say)]
    marks = {Wanted(each.name, each.size, each.etag): each for each in welcome}

    def open_at(wanted: Wanted, start: int) -> Answer:
        return folder.open(wanted.name, start, wanted.etag)

    def keeps(wanted: Wanted, path: str) -> bool:
        mark = mark_of(path)
        return mark is not None and mark[1] / 1e9 >= folder.mtime(marks[wanted]) - SAME_S

    bring(list(marks), work, open_at, keeps, tell, pause_s)


def _listed(folder: Folder, say: Callable[[str], Any], pause_s: float) -> list[Stored]:
    """Return what lies there. A machine that was just made may not know its role yet, nor the storage what it may."""
    tries, attempt = TRIES, 0
    while True:
        try:
            return list(folder.names())
        except (GuestError, BrokenLineError) as error:
            if isinstance(error, NotYetError) and tries < TRIES_FOR_A_RIGHT:
                tries = TRIES_FOR_A_RIGHT
                say(f"the machine's right to its checkpoints does not count yet, which takes up to ten minutes: {error}")
            attempt += 1
            if attempt == tries:
                raise GuestError(f"the checkpoints cannot be looked up: {error}") from None
        time.sleep(pause_s * 2.0 ** min(attempt - 1, TRIES - 2))


def _is_welcome(stored: Stored, outputs: Sequence[str], say: Callable[[str], Any]) -> bool:
    """Say whether an object is one of the outputs' files; whoever may write there chose its name."""
    if not stored.name or stored.name.endswith("/"):
        return False  # what consoles make to show an empty folder
    try:
        refuse_names([stored.name])
    except GuestError as error:
        say(f"left in the storage: {error}")
        return False
    if not is_of(outputs, stored.name):
        say(f"left in the storage: {stored.name!r} is none of the outputs")
        return False
    return True
