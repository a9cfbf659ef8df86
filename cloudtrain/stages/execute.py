"""Execute: environment, GPU check, the job started detached and followed to its end.

A job that fails is an answer, not an exception.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from ..model.clock import Clock
from ..model.errors import HostUnreachableError, SetupError
from ..model.event import LogChunk, Note, Tell
from ..model.run import JobState
from ..model.spec import Framework, JobSpec
from ..remote.guest import Environment, GpuCheck, Guest

GRACE_S = 30.0
"""Seconds a job has between TERM and KILL, to write a checkpoint."""

SAMPLE_EVERY_S = 2.0
"""Seconds between two samples of CPU, memory and GPUs."""

RECONNECT_PAUSE_S = 1.0
"""Seconds before a broken line is tried again, so that one that breaks at once is not tried in a frenzy."""

RECONNECT_FOR_S = 600.0
"""How long a broken line is tried again before the machine counts as lost, in seconds."""


def prepare(job: JobSpec, work: PurePosixPath, guest: Guest, tell: Tell) -> Environment:
    """Make the job's environment on the machine, or find it in the machine's cache.

    Raises:
        SetupError: the requirements do not install.
    """
    return guest.prepare(work, job.framework.value, job.requirements, lambda text: tell(Note(text, "detail")))


def check_gpu(job: JobSpec, python: str, guest: Guest, *, wanted: int, seen: int, tell: Tell) -> GpuCheck | None:
    """Compute on the GPU before the paid part, and return what came of it. None when there is nothing to compute on or with.

    `wanted` is how many GPUs there are to be. `seen` is how many the machine's driver shows: with none seen and none wanted,
    importing a framework only to hear so would cost seconds.
    """
    if job.framework is Framework.NONE:
        return None
    if not wanted and not seen:
        tell(Note("This machine shows no NVIDIA GPU: the job runs on the CPU."))
        return None
    return guest.gpu_check(python, job.framework.value, wanted)


def accept_gpu(found: GpuCheck | None, job: JobSpec, *, wanted: int, tell: Tell) -> None:
    """Go on with what the check found; where no GPU is wanted, a job that runs on the CPU is told of and accepted.

    Raises:
        SetupError: GPUs are wanted, and the framework falls back to the CPU.
    """
    if found is None or found.ok:
        return
    if wanted:
        raise SetupError(
            f"{job.framework.value} does not compute on the GPU: {found.reason}",
            "The job was not started. Choose a machine whose driver and GPU the framework supports: cloudtrain offers",
        )
    tell(Note(f"No GPU is used: {found.reason}. The job runs on the CPU."))


def start(
    job: JobSpec,
    run_home: PurePosixPath,
    environment: Environment,
    secrets: Mapping[str, str],
    deadline: datetime | None,
    guest: Guest,
    notice: str = "",
    checkpoints: Mapping[str, Any] | None = None,
) -> JobState:
    """Start the job detached; asked again, it is not started twice. `deadline` is when its signal to end comes.

    `notice` names the provider whose word that it takes the machine back is to be heard, "" for none. `checkpoints` says where
    in object storage the outputs are copied to while the job runs (`fetch.checkpoint_order`).
    """
    order = {
        "command": job.command,
        "python": environment.python,
        "env": dict(job.env),
        "deadline": None if deadline is None else deadline.timestamp(),
        "grace_s": GRACE_S,
        "sample_every_s": SAMPLE_EVERY_S,
        "notice": notice,
        "checkpoints": checkpoints,
    }
    return guest.start(run_home, order, secrets)


def follow(
    run_home: PurePosixPath, log: Path, guest: Guest, reconnect: Callable[[], Guest], clock: Clock, tell: Tell
) -> JobState:
    """Carry the log here as it grows until the job ends, and return how it ended.

    The file here is the memory of how far we came: after a broken line, or in another process tomorrow, the log goes on
    at the next byte.

    Raises:
        HostUnreachableError: the line broke and did not come back.
        RemoteError: the machine came back and knows nothing of the run.
    """
    while True:
        try:
            _copy_log(run_home, log, guest, tell)
            return guest.state(run_home)
        except HostUnreachableError as error:
            tell(Note(f"The line broke ({error.message}); the job goes on. Reconnecting …", "warning"))
            started = clock.monotonic()
            clock.sleep(RECONNECT_PAUSE_S)
            guest = reconnect()
            guest.state(run_home)  # A machine that answers and knows nothing of the run must not be asked for ever.
            tell(Note(f"Reconnected after {clock.monotonic() - started:.0f} s."))


def _copy_log(run_home: PurePosixPath, log: Path, guest: Guest, tell: Tell) -> None:
    with log.open("ab") as here:
        offset = here.tell()
        with guest.follow(run_home, offset) as chunks:
            for chunk in chunks:
                here.write(chunk)
                here.flush()
                tell(LogChunk(chunk, offset))
                offset += len(chunk)


def read_secrets(job: JobSpec, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the job's secrets from this computer's environment.

    Raises:
        SetupError: one of them is not set here; found before money is spent.
    """
    absent = [name for name in job.secrets if name not in environment]
    if absent:
        raise SetupError(
            f"The job needs the secret {absent[0]}, which is not set here",
            f"Set it and try again: export {absent[0]}=…",
        )
    return {name: environment[name] for name in job.secrets}
