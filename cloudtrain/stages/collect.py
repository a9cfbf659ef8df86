"""Collect: the outputs, the log and the samples, to the run's folder here. Also after a failed job."""

from pathlib import Path, PurePosixPath

from ..model.errors import RemoteFileError
from ..model.event import Note, Progress, Tell
from ..model.spec import JobSpec
from ..remote.base import Remote


def collect(job: JobSpec, run_home: PurePosixPath, folder: Path, remote: Remote, tell: Tell) -> list[str]:
    """Bring everything back and return the names of the outputs that came. Safe to repeat.

    What an earlier call brought is moved aside (`results.1`), never overwritten.

    Raises:
        TransferError: something exists there and did not arrive.
    """
    for name in ("job.log", "samples.jsonl"):
        _bring_growing_file(run_home / name, folder / name, remote)
    return [name for name in job.outputs if _bring_output(run_home / "work" / name, folder / name, remote, tell)]


def _bring_growing_file(there: PurePosixPath, here: Path, remote: Remote) -> None:
    """Append what is missing here of a file that only grows."""
    size = here.stat().st_size if here.exists() else 0
    try:
        rest = remote.read(there, offset=size)
    except RemoteFileError:
        return  # A job that never started has neither log nor samples.
    with here.open("ab") as out:
        out.write(rest)


def _bring_output(there: PurePosixPath, here: Path, remote: Remote, tell: Tell) -> bool:
    incoming = here.with_name(f".{here.name}.incoming")
    here.parent.mkdir(parents=True, exist_ok=True)
    try:
        remote.pull(there, incoming, lambda done, total: tell(Progress("collect", done, total)))
    except RemoteFileError:
        tell(Note(f"The job made no {there.name}.", "warning"))
        return False
    if here.exists():
        here.rename(_free_name(here))
    incoming.rename(here)
    return True


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return aside
