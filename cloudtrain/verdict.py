"""Why a run ended, as far as the guest, the deadline and the market tell."""

from .journey import Journey
from .model.run import JobState, Outcome
from .model.spec import Market

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


def _outcome_at_deadline(journey: Journey) -> Outcome:
    """Say which of the two, dollars or hours, set the deadline."""
    budget, offer = journey.job.budget, journey.run.offer
    if budget.usd is None or offer is None or not offer.full_usd_per_hour:
        return Outcome.OUT_OF_TIME
    buys_s = budget.usd / offer.full_usd_per_hour * 3600
    return Outcome.OUT_OF_BUDGET if buys_s < budget.max_lifetime_s else Outcome.OUT_OF_TIME
