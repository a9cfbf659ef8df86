"""Upload: the job's files, counted and weighed before they travel, to the run's folder on the machine."""

from pathlib import PurePosixPath

from ..model.errors import ConfigError, TransferError
from ..model.event import Note, Progress, Tell
from ..model.spec import JobSpec
from ..remote.base import Remote
from ..remote.fileset import FileSet, gather


def choose_files(job: JobSpec) -> FileSet:
    """Return what would travel: the inputs and the requirements file. Reads folders, not contents; costs nothing.

    Raises:
        ConfigError: a link leaves the job's folder, or something cannot be read.
    """
    names = job.inputs if job.requirements is None else (*job.inputs, job.requirements)
    try:
        return gather(job.folder, names)
    except TransferError as error:
        raise ConfigError(error.message, error.hint, field="inputs") from error


def upload(files: FileSet, work: PurePosixPath, remote: Remote, tell: Tell) -> None:
    """Bring the files to `work`. Safe to repeat: what is there already is replaced.

    Raises:
        TransferError: not everything arrived.
    """
    if not files.entries:
        tell(Note("Nothing to upload: the inputs hold no files.", "warning"))
    remote.push(files, work, lambda done, total: tell(Progress("upload", done, total)))
