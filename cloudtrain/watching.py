"""Looking at a run from any terminal, without taking it over: its log, and what it has made so far."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from .journey import Tools
from .model.errors import HostUnreachableError, NotFoundError, RemoteFileError, TransferError
from .model.event import LogChunk, Note
from .model.run import Run
from .reconnecting import FIRST_PAUSE_S, LONGEST_PAUSE_S, PATIENCE_S, SILENCE_S, persist
from .remote.base import Remote
from .remote.guest import Guest
from .stages.collect import collect
from .stages.connect import connect
from .whereabouts import rentable

_CHUNK_BYTES = 65536


def show_log(run: Run, tools: Tools, *, follow: bool) -> None:
    """Tell the whole log of a run, once; with `follow`, go on until its job ends, over a new line when the old one breaks.

    Raises:
        HostUnreachableError: the job's machine does not answer.
    """
    if run.phase.is_over:
        _tell_file(run.folder / "job.log", tools)
        return
    remote, guest, let_in = _reach(run, tools)
    with remote:
        home = remote.home / "runs" / run.id
        if follow:
            _follow(guest, home, run, tools, let_in)
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
    remote, _, _ = _reach(run, tools)
    with remote:
        came = collect(job, remote.home / "runs" / run.id, run.folder, remote, tools.tell)
    if came.missed:
        raise TransferError(f"Not everything came: {came.missed[0]}", f"Try again: cloudtrain pull {run.id}")
    return list(came.names)


def _reach(run: Run, tools: Tools) -> tuple[Remote, Guest, Callable[[], None]]:
    if not run.instances:
        raise NotFoundError(f"{run.id} has no machine yet (it is {run.phase.value})", "Look again: cloudtrain status")
    machine = tools.ledger.machine(run.machine).spec
    provider = rentable(tools.open_provider(machine), machine)
    instance = provider.get(run.instances[-1])
    return *connect(instance, tools.open_remote, tools.clock, timeout_s=20.0), tools.let_in(machine, instance)


def _tell_so_far(remote: Remote, log: PurePosixPath, tools: Tools) -> None:
    offset = 0
    while chunk := remote.read(log, offset=offset):
        tools.tell(LogChunk(chunk, offset))
        offset += len(chunk)


def _follow(guest: Guest, home: PurePosixPath, run: Run, tools: Tools, let_in: Callable[[], None]) -> None:
    """Tell the log as it grows; after a break it goes on at the next byte, and at the file here once the run is over.

    Raises:
        HostUnreachableError: the line did not come back, or breaks again and again and brings nothing.
    """
    clock, told, pause_s = tools.clock, 0, FIRST_PAUSE_S
    sound_at = clock.monotonic()
    while True:
        began, had = clock.monotonic(), told
        try:
            with guest.follow(home, told) as chunks:
                for chunk in chunks:
                    tools.tell(LogChunk(chunk, told))
                    told += len(chunk)
            return
        except HostUnreachableError as error:
            # A job may say nothing for hours, and nothing is wrong with a line that stood so long.
            if told > had or clock.monotonic() - began >= SILENCE_S:
                sound_at, pause_s = clock.monotonic(), FIRST_PAUSE_S
            if clock.monotonic() + pause_s > sound_at + PATIENCE_S:
                raise
            tools.tell(Note(f"The line broke ({error.message}); the job goes on. Reconnecting …", "warning"))
        clock.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        away_at = clock.monotonic()
        if persist(lambda _: _is_over(run, guest, home, tools), tools.tell, clock, let_in):
            _tell_file(run.folder / "job.log", tools, told)
            return
        sound_at += clock.monotonic() - away_at  # that had a patience of its own


def _is_over(run: Run, guest: Guest, home: PurePosixPath, tools: Tools) -> bool:
    """Say whether the run has ended meanwhile and its log is here; if not, see that its machine answers.

    Raises:
        HostUnreachableError: it does not.
        RemoteError: it knows nothing of the run.
    """
    if tools.ledger.run(run.id).phase.is_over:
        return True
    guest.state(home)
    return False


def _tell_file(log: Path, tools: Tools, offset: int = 0) -> None:
    if not log.exists():
        raise NotFoundError(f"There is no log: {log} is missing", "The job never started, or the file was moved away.")
    with log.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(_CHUNK_BYTES):
            tools.tell(LogChunk(chunk, offset))
            offset += len(chunk)
