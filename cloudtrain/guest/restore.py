"""Before a job starts: what it left in its place in S3 comes into its folder."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, Sequence

from .download import TRIES, Tell, Wanted, bring
from .errors import GuestError
from .fetch import only_one
from .line import Answer, BrokenLineError
from .names import refuse_names
from .outputs import Checkpoints, is_of, mark_of
from .role import RoleCredentials
from .s3 import Folder, Stored

SAME_S = 1.0
"""Times closer than this, in seconds, are the same: not everything on a file's way keeps the fractions."""


def restore(
    work: str,
    checkpoints: Checkpoints,
    environ: Mapping[str, str],
    tell: Tell,
    say: Callable[[str], Any],
    pause_s: float = 1.0,
) -> None:
    """Bring the outputs that lie in S3 into the job's folder; what is newer here stays.

    `environ` may name other services, as `role` and `s3` say; `pause_s` is the first pause between tries.

    Raises:
        GuestError: S3 refuses, or does not answer: a job that began anew would replace what lies there.
    """
    folder = Folder(checkpoints.url, checkpoints.region, environ, RoleCredentials(environ))
    try:
        with only_one(work, say):
            _restore(work, checkpoints.outputs, folder, tell, say, pause_s)
    finally:
        folder.close()


def _restore(work: str, outputs: Sequence[str], folder: Folder, tell: Tell, say: Callable[[str], Any], pause_s: float) -> None:
    welcome = [each for each in _listed(folder, pause_s) if _is_welcome(each, outputs, say)]
    marks = {Wanted(each.name, each.size, each.etag): each for each in welcome}

    def open_at(wanted: Wanted, start: int) -> Answer:
        return folder.open(wanted.name, start, wanted.etag)

    def keeps(wanted: Wanted, path: str) -> bool:
        mark = mark_of(path)
        return mark is not None and mark[1] / 1e9 >= folder.mtime(marks[wanted]) - SAME_S

    bring(list(marks), work, open_at, keeps, tell, pause_s)


def _listed(folder: Folder, pause_s: float) -> list[Stored]:
    """Return what lies in S3. A machine that was just made may not know its role yet, and S3 may not know it either."""
    for attempt in range(TRIES - 1):
        try:
            return list(folder.names())
        except (GuestError, BrokenLineError):
            time.sleep(pause_s * 2.0**attempt)
    try:
        return list(folder.names())
    except BrokenLineError as error:
        raise GuestError(f"the checkpoints cannot be looked up: {error}") from None


def _is_welcome(stored: Stored, outputs: Sequence[str], say: Callable[[str], Any]) -> bool:
    """Say whether an object is one of the outputs' files; whoever may write there chose its name."""
    if not stored.name or stored.name.endswith("/"):
        return False  # what consoles make to show an empty folder
    try:
        refuse_names([stored.name])
    except GuestError as error:
        say(f"left in S3: {error}")
        return False
    if not is_of(outputs, stored.name):
        say(f"left in S3: {stored.name!r} is none of the outputs")
        return False
    return True
