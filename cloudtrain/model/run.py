"""A run: one journey from config to results, and the phases it may pass through."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from .errors import ExitCode
from .instance import InstanceRef
from .offer import Offer

OWN_FILES = frozenset({"run.json", "report.html", "job.json", "job.log", "samples.jsonl", "state.json", "supervisor.log"})
"""Names at the top of a run's folder, here and on the machine, that are the run's own and not the job's."""


class RunPhase(StrEnum):
    """Where a run is. Each phase knows where it may go from there."""

    PLANNED = "planned"
    PROVISIONING = "provisioning"
    CONNECTING = "connecting"
    UPLOADING = "uploading"
    RUNNING = "running"
    COLLECTING = "collecting"
    SHUTTING_DOWN = "shutting-down"
    CLOSED = "closed"
    KEPT = "kept"

    @property
    def is_over(self) -> bool:
        """Say whether the run needs nothing more from us."""
        return self in (RunPhase.CLOSED, RunPhase.KEPT)

    @property
    def may_bill(self) -> bool:
        """Say whether a machine of this run may be on the meter."""
        return self not in (RunPhase.PLANNED, RunPhase.CLOSED)

    def may_become(self, following: "RunPhase") -> bool:
        """Say whether the table allows this step; staying is always allowed."""
        return following is self or following in NEXT_PHASES[self]


NEXT_PHASES: dict[RunPhase, frozenset[RunPhase]] = {
    # A plan that nobody carried out closes without ever having cost anything.
    RunPhase.PLANNED: frozenset({RunPhase.PROVISIONING, RunPhase.CLOSED}),
    RunPhase.PROVISIONING: frozenset({RunPhase.CONNECTING, RunPhase.SHUTTING_DOWN}),
    RunPhase.CONNECTING: frozenset({RunPhase.UPLOADING, RunPhase.RUNNING, RunPhase.SHUTTING_DOWN}),
    RunPhase.UPLOADING: frozenset({RunPhase.RUNNING, RunPhase.COLLECTING, RunPhase.SHUTTING_DOWN}),
    RunPhase.RUNNING: frozenset({RunPhase.COLLECTING, RunPhase.SHUTTING_DOWN}),
    RunPhase.COLLECTING: frozenset({RunPhase.SHUTTING_DOWN}),
    # Reclaimed or kept on purpose: both are decided while shutting down, by looking.
    RunPhase.SHUTTING_DOWN: frozenset({RunPhase.CLOSED, RunPhase.KEPT, RunPhase.PROVISIONING}),
    RunPhase.KEPT: frozenset({RunPhase.SHUTTING_DOWN}),
    RunPhase.CLOSED: frozenset(),
}


class Outcome(StrEnum):
    """Why a run ended."""

    SUCCEEDED = "succeeded"
    JOB_FAILED = "job-failed"
    FAILED = "failed"  # broke before or around the job: no machine, no line, no environment, no GPU
    RECLAIMED = "reclaimed"
    OUT_OF_BUDGET = "out-of-budget"
    OUT_OF_TIME = "out-of-time"
    IDLE = "idle"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def exit_code(self) -> ExitCode:
        """Return what the shell hears of it."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Outcome.SUCCEEDED: ExitCode.DONE,
    Outcome.JOB_FAILED: ExitCode.JOB_FAILED,
    Outcome.FAILED: ExitCode.SPENT_NOTHING_BILLS,
    Outcome.RECLAIMED: ExitCode.MACHINE_ENDED_FIRST,
    Outcome.OUT_OF_BUDGET: ExitCode.MACHINE_ENDED_FIRST,
    Outcome.OUT_OF_TIME: ExitCode.MACHINE_ENDED_FIRST,
    Outcome.IDLE: ExitCode.MACHINE_ENDED_FIRST,
    Outcome.CANCELLED: ExitCode.INTERRUPTED,
    Outcome.LOST: ExitCode.MACHINE_ENDED_FIRST,
}


@dataclass(frozen=True, slots=True)
class JobState:
    """What the guest recorded of the user's command.

    Attributes:
        phase: "starting", "running", "ended" or "lost" (its supervisor died without a word).
        exit_code: the command's own code, None while it runs or when a signal ended it.
        signal: name of the signal that ended it ("SIGKILL"), or "".
        ended_by: "job" (by itself), "request" (we asked), "deadline", "reclaim" (the cloud wants the machine back),
            "stalled" (its GPU was quiet for too long), or "" while it runs.
        log_bytes: size of the log so far, bytes.
    """

    phase: str
    exit_code: int | None = None
    signal: str = ""
    ended_by: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    log_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the ledger knows it.

    Attributes:
        id: unique and sortable by time, safe as a folder name ("20261121-140503-digits-cnn-7f3a").
        machine: the machine's name.
        folder: where its results land on this computer.
        instances: the machines it used, newest last; a tuple since runs over several machines will come.
        offer: what was rented, at which price; None until something was.
        exit_code: the job's own exit code, when it had one.
        usd: what it cost so far, as far as known.
        found_running: true when the machine was there before the run and is left as it was found.
        found_stopped: true when it was switched off then, and is to be switched off again.
        continues: id of the reclaimed run whose outputs this one goes on from, or "".
    """

    id: str
    job: str
    machine: str
    folder: Path
    phase: RunPhase = RunPhase.PLANNED
    outcome: Outcome | None = None
    instances: tuple[InstanceRef, ...] = ()
    offer: Offer | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    usd: float = 0.0
    reason: str = ""
    found_running: bool = False
    found_stopped: bool = False
    continues: str = ""
