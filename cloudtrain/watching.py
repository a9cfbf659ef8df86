"""Looking at a run from any terminal, without taking it over: its log, and what it has made so far."""

from pathlib import Path, PurePosixPath

from .journey import Tools
from .model.errors import NotFoundError, RemoteFileError, TransferError
from .model.event import LogChunk
from .model.run import Run
from .remote.base import Remote
from .remote.guest import Guest
from .stages.collect import collect
from .stages.connect import connect
from .whereabouts import rentable

_CHUNK_BYTES = 65536


def show_log(run: Run, tools: Tools, *, follow: bool) -> None:
    """Tell the whole log of a run, once; with `follow`, go on until its job ends.

    Raises:
        HostUnreachableError: the job's machine does not answer.
    """
    if run.phase.is_over:
        _tell_file(run.folder / "job.log", tools)
        return
    remote, guest = _reach(run, tools)
    with remote:
        home = remote.home / "runs" / run.id
        if follow:
            _tell_stream(guest, remote, run, tools)
            return
        try:
            _tell_so_far(remote, home / "job.log", tools)
        except RemoteFileError as error:
            raise NotFoundError(
                f"{run.id} has no log yet: its job has not started", f"Wait: cloudtrain logs -f {run.id}"
            ) from error


def pull(run: Run, tools: Tools) -> list[str]:
    """Bring here what the run has made so far and return the names of the outputs that came.

    A run that is over has its results here already.

    The log is left to the process that looks after the run: two that append to one file spoil it.

    Raises:
        HostUnreachableError: the machine does not answer.
        TransferError: something exists there and did not arrive.
    """
    job = tools.ledger.job_of(run.id)
    if run.phase.is_over:
        return [name for name in job.outputs if (run.folder / name).exists()]
    remote, _ = _reach(run, tools)
    with remote:
        came = collect(job, remote.home / "runs" / run.id, run.folder, remote, tools.tell)
    if came.missed:
        raise TransferError(f"Not everything came: {came.missed[0]}", f"Try again: cloudtrain pull {run.id}")
    return list(came.names)


def _reach(run: Run, tools: Tools) -> tuple[Remote, Guest]:
    if not run.instances:
        raise NotFoundError(f"{run.id} has no machine yet (it is {run.phase.value})", "Look again: cloudtrain status")
    machine = tools.ledger.machine(run.machine).spec
    provider = rentable(tools.open_provider(machine), machine)
    return connect(provider.get(run.instances[-1]), tools.open_remote, tools.clock, timeout_s=20.0)


def _tell_so_far(remote: Remote, log: PurePosixPath, tools: Tools) -> None:
    offset = 0
    while chunk := remote.read(log, offset=offset):
        tools.tell(LogChunk(chunk, offset))
        offset += len(chunk)


def _tell_stream(guest: Guest, remote: Remote, run: Run, tools: Tools) -> None:
    offset = 0
    with guest.follow(remote.home / "runs" / run.id, 0) as chunks:
        for chunk in chunks:
            tools.tell(LogChunk(chunk, offset))
            offset += len(chunk)


def _tell_file(log: Path, tools: Tools) -> None:
    if not log.exists():
        raise NotFoundError(f"There is no log: {log} is missing", "The job never started, or the file was moved away.")
    offset = 0
    with log.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            tools.tell(LogChunk(chunk, offset))
            offset += len(chunk)
