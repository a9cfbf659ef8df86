"""What earlier runs and uploads tell about the next one."""

from dataclasses import replace
from pathlib import Path

import pytest

from cloudtrain.ledger.ledger import Ledger
from cloudtrain.ledger.past import JobHistory
from cloudtrain.model.run import Outcome, Run
from cloudtrain.model.spec import JobSpec
from cloudtrain.testing.clock import NOON, FakeClock

JOB = JobSpec("digits", Path("/home/me/my jobs/digits"), "true")
SAMPLE = replace(JOB, env={"CLOUDTRAIN_SAMPLE": "0.1"})


def ran(ledger: Ledger, job: JobSpec, outcome: Outcome | None, *, started: bool = True) -> None:
    number = len(ledger.runs())
    ledger.add_run(
        Run(f"run-{number}", job.name, "lab", Path("/r"), outcome=outcome, started_at=NOON if started else None), job
    )


def history(ledger: Ledger) -> JobHistory:
    return ledger.past.history(JOB.name, JOB.folder)


def test_a_job_nobody_ran_has_no_history(ledger: Ledger) -> None:
    assert history(ledger) == JobHistory(ever=False, last_sample_outcome=None)
    ran(ledger, replace(JOB, name="letters"), Outcome.SUCCEEDED)
    ran(ledger, replace(JOB, folder=Path("/home/me/my jobs/digits/inner")), Outcome.SUCCEEDED)
    ran(ledger, replace(JOB, folder=Path("/else"), command="cat '/home/me/my jobs/digits'"), Outcome.SUCCEEDED)
    assert history(ledger) == JobHistory()


def test_a_run_that_never_came_to_its_job_is_no_run_of_it(ledger: Ledger) -> None:
    ran(ledger, SAMPLE, Outcome.FAILED, started=False)
    assert history(ledger) == JobHistory()


def test_a_whole_run_is_history_and_no_sample(ledger: Ledger) -> None:
    ran(ledger, JOB, Outcome.JOB_FAILED)
    assert history(ledger) == JobHistory(ever=True)


@pytest.mark.parametrize("part", ["1", "1.0", "all", "0", "nan"])
def test_what_is_no_part_of_the_data_is_no_sample(ledger: Ledger, part: str) -> None:
    ran(ledger, replace(JOB, env={"CLOUDTRAIN_SAMPLE": part}), Outcome.JOB_FAILED)
    assert history(ledger) == JobHistory(ever=True)


def test_the_newest_sample_counts(ledger: Ledger) -> None:
    ran(ledger, SAMPLE, Outcome.SUCCEEDED)
    assert not history(ledger).sample_failed
    ran(ledger, SAMPLE, Outcome.JOB_FAILED)
    ran(ledger, JOB, Outcome.JOB_FAILED)
    assert history(ledger) == JobHistory(ever=True, last_sample_outcome=Outcome.JOB_FAILED)
    assert history(ledger).sample_failed
    ran(ledger, SAMPLE, None)
    assert history(ledger) == JobHistory(ever=True)


def test_a_whole_run_that_succeeds_makes_up_for_a_failed_sample(ledger: Ledger) -> None:
    ran(ledger, SAMPLE, Outcome.JOB_FAILED)
    ran(ledger, JOB, Outcome.SUCCEEDED)
    assert history(ledger) == JobHistory(ever=True)


def test_a_sample_that_a_cloud_took_back_did_not_fail(ledger: Ledger) -> None:
    ran(ledger, SAMPLE, Outcome.RECLAIMED)
    assert history(ledger).last_sample_outcome is Outcome.RECLAIMED
    assert not history(ledger).sample_failed


def test_the_last_speed_to_a_machine_is_remembered(home: Path, ledger: Ledger, clock: FakeClock) -> None:
    assert ledger.past.speed("lab") is None
    ledger.past.note_speed("lab", 1e6)
    ledger.past.note_speed("desk", 5.0)
    ledger.past.note_speed("lab", 2e6)
    for no_speed in (0.0, -1.0, float("inf"), float("nan")):
        ledger.past.note_speed("lab", no_speed)
    with Ledger.open(home, clock) as again:
        assert again.past.speed("lab") == 2e6
