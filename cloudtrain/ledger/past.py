"""What earlier runs and uploads tell about the next one."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from ..model.clock import Clock
from ..model.run import Outcome, Run
from ..model.spec import JobSpec
from .file import LedgerFile

SAMPLE_VARIABLE = "CLOUDTRAIN_SAMPLE"


@dataclass(frozen=True, slots=True)
class JobHistory:
    """How a job did before.

    Attributes:
        ever: whether it ever came to run, here or elsewhere, on a part of its data or on all.
        last_sample_outcome: how its newest run on a part of the data ended; None when there is none, when it goes on, or when
            a run on all of the data has succeeded since.
    """

    ever: bool = False
    last_sample_outcome: Outcome | None = None

    @property
    def sample_failed(self) -> bool:
        """Say whether the job itself failed when it was last tried on a part of its data."""
        return self.last_sample_outcome is Outcome.JOB_FAILED


class Past:
    """The part of the ledger that looks back. Every method may raise `LedgerError`."""

    def __init__(self, file: LedgerFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    def history(self, job_name: str, folder: Path) -> JobHistory:
        """Return how the job of that name in that folder (absolute) did before."""
        # The text narrows it down cheaply; the values decide.
        rows = self._file.read("SELECT run, job FROM runs WHERE instr(job, ?) ORDER BY number DESC", json.dumps(str(folder)))
        read = [(self._file.value(Run, run), self._file.value(JobSpec, job)) for run, job in rows]
        ran = [(run, job) for run, job in read if (job.name, job.folder) == (job_name, folder) and run.started_at is not None]
        for run, job in ran:
            if _is_sample(job):
                return JobHistory(True, run.outcome)
            if run.outcome is Outcome.SUCCEEDED:
                break
        return JobHistory(bool(ran))

    def note_speed(self, name: str, bytes_per_second: float) -> None:
        """Remember how fast the last upload to a machine went; what is no speed is not remembered."""
        if not (math.isfinite(bytes_per_second) and bytes_per_second > 0):
            return
        with self._file.change() as db:
            db.execute(
                "INSERT OR REPLACE INTO speeds (name, bytes_per_second, measured_at) VALUES (?, ?, ?)",
                (name, bytes_per_second, self._clock.now().isoformat()),
            )

    def speed(self, name: str) -> float | None:
        """Return how fast the last upload to a machine of that name went, bytes per second; None when none was measured."""
        rows = self._file.read("SELECT bytes_per_second FROM speeds WHERE name = ?", name)
        return float(rows[0][0]) if rows else None


def _is_sample(job: JobSpec) -> bool:
    """Say whether a job got only a part of its data; a value that nobody can read is no part."""
    try:
        return 0 < float(job.env.get(SAMPLE_VARIABLE, "1")) < 1
    except ValueError:
        return False
