"""Results that travel while the job runs, so that a machine that is lost takes at most its last minute with it.

What travels on the way stands in `.so-far` in the run's folder, apart from results that are complete. It becomes the results
when the run ends and the outputs themselves could not be collected any more, and goes away when they were: what has not changed
since does not travel again then.
"""

import os
import shutil
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from .journey import Journey
from .model.errors import CloudtrainError, RemoteFileError
from .model.event import Note
from .model.instance import Endpoint, LocalEndpoint
from .model.plain import to_plain
from .remote.base import Remote
from .remote.entry_there import Entry
from .stages.collect import SO_FAR, move_aside

LOOK_EVERY_S = 30.0
"""A file that two looks find unchanged is finished and travels: so all that was finished a minute ago is here."""

FOLDER = SO_FAR
"""The folder's name in the run's folder: `outputs/` as on the machine, and `as-of`, when all of that was finished there."""

MOST_FOLLOWED = 100_000
"""Of more files than this, those that come last in order travel when the job is over."""

_PATIENCE_S = 30.0

_Mark = tuple[int, int]


def rescued(journey: Journey) -> AbstractContextManager[object]:
    """Return what lets the outputs travel as long as its block is not left; on this computer itself nothing has to."""
    endpoint = journey.instance.endpoint if journey.instance is not None else None
    is_elsewhere = endpoint is not None and not isinstance(endpoint, LocalEndpoint)
    return Rescue(journey, endpoint) if endpoint is not None and is_elsewhere and journey.job.outputs else nullcontext()


class Rescue:
    """Looks at a running job's outputs now and then, over a line of its own, as long as its block is not left."""

    def __init__(self, journey: Journey, endpoint: Endpoint) -> None:
        self._tools = journey.tools
        self._run_id = journey.run.id
        self._outputs = journey.job.outputs
        self._so_far = journey.run.folder / FOLDER
        self._endpoint = endpoint
        self._remote: Remote | None = None
        self._seen: dict[str, dict[str, _Mark]] = {}
        self._looked_at: datetime | None = None
        self._over = threading.Event()
        # A daemon, because a machine that is silent must not keep the program from ending.
        self._thread = threading.Thread(target=self._look_now_and_then, name="rescue", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(_PATIENCE_S)

    def _look_now_and_then(self) -> None:
        try:
            while not self._tools.wait(self._over, LOOK_EVERY_S):
                try:
                    self._look()
                except (CloudtrainError, OSError):
                    # The line, the machine or this disk: whoever follows the job tells, and the next look tries again.
                    self._hang_up()
        except _OverError:
            return
        finally:
            self._hang_up()

    def _look(self) -> None:
        began = self._tools.clock.now()
        if self._remote is None:
            self._remote = self._tools.open_remote(self._endpoint)
        work = self._remote.home / "runs" / self._run_id / "work"
        answered = False
        for name in self._outputs:
            glance = _Glance(self._seen.get(name, {}))
            with suppress(RemoteFileError):  # not made yet
                self._remote.update(work / name, self._so_far / "outputs" / name, glance.is_finished, self._go_on)
                self._seen[name] = glance.now
                answered = True
        if answered and self._looked_at is not None:
            (self._so_far / "as-of").write_text(self._looked_at.isoformat())
        self._looked_at = began

    def _go_on(self, _done: int, _total: int) -> None:
        if self._over.is_set():
            raise _OverError

    def _hang_up(self) -> None:
        if self._remote is not None:
            with suppress(CloudtrainError, OSError):  # there is nobody to tell, and nothing to be done
                self._remote.close()
            self._remote = None


class _OverError(Exception):
    """The block was left while something travelled."""


class _Glance:
    """One look at one output, compared with the one before."""

    def __init__(self, before: dict[str, _Mark]) -> None:
        self.now: dict[str, _Mark] = {}
        self._before = before

    def is_finished(self, file: Entry) -> bool:
        mark = (file.size, file.mtime_ns)
        if len(self.now) < MOST_FOLLOWED:
            self.now[file.name] = mark
        return self._before.get(file.name) == mark


def begin_with(outputs: Path, names: list[str], folder: Path) -> None:
    """Let what a run goes on from count as travelled: it need not come here again, and is not lost with the next machine."""
    for name in names:
        place = folder / FOLDER / "outputs" / name
        if os.path.lexists(place):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if (outputs / name).is_dir():
            shutil.copytree(outputs / name, place, symlinks=True, copy_function=_same)
        else:
            _same(str(outputs / name), str(place))


def drop(folder: Path, names: tuple[str, ...]) -> None:
    """Forget what travelled of outputs that have been collected whole."""
    for name in names:
        _remove(folder / FOLDER / "outputs" / name)


def settle(journey: Journey) -> None:
    """Let what travelled, and was not collected, be the results; what stands under their names is moved aside."""
    folder, so_far = journey.run.folder, journey.run.folder / FOLDER
    saved: list[str] = []
    for name in journey.job.outputs:
        place = so_far / "outputs" / name
        if _has_files(place):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            move_aside(folder / name)
            place.rename(folder / name)
            saved.append(name)
    if saved:
        as_of = _read_moment(so_far / "as-of")
        when = "the run began" if as_of is None else f"{as_of:%H:%M} UTC"
        journey.record |= {"outputs": [*journey.record.get("outputs", []), *saved], "outputs_as_of": to_plain(as_of)}
        journey.tools.tell(Note(f"What travelled while the job ran is kept: {', '.join(saved)} as of {when}.", "warning"))
    _remove(so_far)


def _same(source: str, place: str) -> None:
    """Give a file a second name, or copy it where the disk has no such thing; whoever replaces one leaves the other."""
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, place, follow_symlinks=False)


def _has_files(place: Path) -> bool:
    """Say whether there is a file; what a broken line left of one is removed."""
    if not place.is_dir() or place.is_symlink():
        return os.path.lexists(place)
    for left in place.rglob(".arriving-*"):
        _remove(left)
    return any(not path.is_dir() for path in place.rglob("*"))


def _read_moment(path: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(path.read_text())
    except (OSError, ValueError):
        return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
