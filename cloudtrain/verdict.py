"""Why a run ended, as far as the guest, the deadline and the market tell, and what becomes of a machine that lives on."""

from .journey import Journey
from .model.instance import Instance
from .model.lease import GuestEnd
from .model.run import JobState, Outcome
from .model.spec import JobSpec, Market, OnFinish

_ENDED_BY = {
    "request": (Outcome.CANCELLED, "The job was ended on request."),
    "reclaim": (Outcome.RECLAIMED, "The cloud takes its spot machine back."),
    "stalled": (Outcome.IDLE, "The job was ended because its GPU did nothing for too long."),
}


def verdict_on_job(state: JobState, journey: Journey) -> tuple[Outcome, str]:
    """Return why a job ended, and the sentence that says so."""
    if state.phase == "lost":
        return Outcome.LOST, "The job's supervisor died, or the machine was restarted."
    if state.ended_by == "deadline":
        return _outcome_at_deadline(journey), "The job was ended at its deadline."
    if state.ended_by in _ENDED_BY:
        return _ENDED_BY[state.ended_by]
    if state.exit_code == 0:
        return Outcome.SUCCEEDED, ""
    how = f"signal {state.signal}" if state.signal else f"exit code {state.exit_code}"
    return Outcome.JOB_FAILED, f"The job ended with {how}."


def verdict_on_gone_machine(journey: Journey) -> Outcome:
    """Say why a machine that is gone is gone, as far as the deadline and the market tell."""
    deadline = journey.instance.deadline if journey.instance else None
    if deadline is not None and journey.tools.clock.now() >= deadline:
        return _outcome_at_deadline(journey)
    if journey.run.offer is not None and journey.run.offer.market is Market.SPOT:
        return Outcome.RECLAIMED
    return Outcome.LOST


def lives_until(instance: Instance | None) -> str:
    """Return the sentence that says when a machine ends by itself, after a space; "" where nobody knows."""
    if instance is None or instance.deadline is None:
        return ""
    return f" Its machine ends by itself by {instance.deadline:%Y-%m-%d %H:%M} UTC."


def results_wait(instance: Instance | None, job: JobSpec) -> str:
    """Say how long a rented machine keeps the results of a job that ended while nobody was there."""
    if instance is None or instance.guest_end is GuestEnd.NONE or job.idle_timeout_s is None:
        return ""
    kept = "it is then switched off, its disk kept" if job.on_finish is OnFinish.STOP else "it then ends, disk included"
    return f"When the job is over its results wait there for {job.idle_timeout_s / 60:.0f} minutes; {kept}."


def _outcome_at_deadline(journey: Journey) -> Outcome:
    """Say which of the two, dollars or hours, set the deadline."""
    budget, offer = journey.job.budget, journey.run.offer
    if budget.usd is None or offer is None or not offer.full_usd_per_hour:
        return Outcome.OUT_OF_TIME
    buys_s = budget.usd / offer.full_usd_per_hour * 3600
    return Outcome.OUT_OF_BUDGET if buys_s < budget.max_lifetime_s else Outcome.OUT_OF_TIME
