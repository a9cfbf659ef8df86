"""Collect: the outputs, the log and the samples, to the run's folder here. Also after a failed job."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..model.errors import RemoteFileError, TransferError
from ..model.event import Note, Progress, Tell
from ..model.spec import JobSpec
from ..remote.base import OnBytes, Remote

SO_FAR = ".so-far"
"""The folder in a run's folder for what travels while the job runs: `outputs/` as on the machine."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What came, and what exists there and did not come: the outputs by name, with the reason."""

    names: tuple[str, ...]
    missed: tuple[str, ...]


def collect(job: JobSpec, run_home: PurePosixPath, folder: Path, remote: Remote, tell: Tell) -> Collected:
    """Bring the outputs back, each on its own: one that cannot come keeps none of the others. Safe to repeat.

    What an earlier call brought is moved aside (`results.1`), never overwritten.

    Raises:
        HostUnreachableError: the line broke; calling again over a new one is safe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    missed: list[str] = []
    for name in job.outputs:
        try:
            _bring_output(run_home / "work" / name, folder / name, folder / SO_FAR / "outputs" / name, remote, tell)
            names.append(name)
        except RemoteFileError:
            tell(Note(f"The job made no {name}.", "warning"))
        except (TransferError, OSError) as error:
            missed.append(f"{name}: {error}")
            tell(Note(f"{name} could not be collected: {error}", "warning"))
    return Collected(tuple(names), tuple(missed))


def collect_log(run_home: PurePosixPath, folder: Path, remote: Remote) -> None:
    """Bring what is missing here of the log and the samples. Only for the process that looks after the run.

    Two that append to one file would repeat some bytes and, going on where it ends, miss others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("job.log", "samples.jsonl"):
        _bring_growing_file(run_home / name, folder / name, remote)


def bring(
    there: PurePosixPath, here: Path, remote: Remote, on_bytes: OnBytes, earlier: Path | None = None
) -> tuple[tuple[str, ...], Path | None]:
    """Bring a file or a folder here whole; what stood under its name is moved aside. `earlier` is what is here of it already.

    Return the names of what was left behind, and where that stands now that was here, if something was.

    Raises:
        RemoteFileError, TransferError: it did not come; what is here is as it was.
    """
    incoming = here.with_name(f".{here.name}.incoming")
    left = remote.pull(there, incoming, on_bytes, earlier)
    aside = move_aside(here)
    incoming.rename(here)
    return left, aside


def move_aside(here: Path) -> Path | None:
    """Give what stands here another name (`results.1`) and return that; None when nothing does."""
    if not os.path.lexists(here):
        return None
    aside = _free_name(here)
    here.rename(aside)
    return aside


def _bring_growing_file(there: PurePosixPath, here: Path, remote: Remote) -> None:
    with here.open("ab") as out:
        while True:
            try:
                rest = remote.read(there, offset=out.tell())
            except RemoteFileError:
                return  # A job that never started has neither log nor samples.
            if not rest:
                return
            out.write(rest)


def _bring_output(there: PurePosixPath, here: Path, so_far: Path, remote: Remote, tell: Tell) -> None:
    here.parent.mkdir(parents=True, exist_ok=True)
    left, _ = bring(there, here, remote, lambda done, total: tell(Progress("collect", done, total)), so_far)
    for name in left:
        tell(Note(f"{there.name}/{name} stays behind: it is no file of its own, or leads out of {there.name}.", "warning"))


def _free_name(path: Path) -> Path:
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.{number}")):
        number += 1
    return aside
