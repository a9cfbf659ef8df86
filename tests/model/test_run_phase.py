import pytest

from cloudtrain.model.instance import InstanceState
from cloudtrain.model.run import NEXT_PHASES, Outcome, RunPhase

PAID = [phase for phase in RunPhase if phase.may_bill]


def reachable(start: RunPhase, without: RunPhase) -> set[RunPhase]:
    """Return every phase a run may come to from `start` without passing through `without`."""
    found, open_ends = {start}, [start]
    while open_ends:
        following = NEXT_PHASES[open_ends.pop()] - found - {without}
        found |= following
        open_ends += following
    return found


def test_the_table_knows_every_phase() -> None:
    assert set(NEXT_PHASES) == set(RunPhase)


@pytest.mark.parametrize("phase", [phase for phase in PAID if phase is not RunPhase.SHUTTING_DOWN])
def test_no_paid_phase_comes_to_an_end_except_through_shutting_down(phase: RunPhase) -> None:
    found = reachable(phase, without=RunPhase.SHUTTING_DOWN)
    assert RunPhase.CLOSED not in found
    assert RunPhase.KEPT not in found or phase is RunPhase.KEPT


@pytest.mark.parametrize("phase", PAID)
def test_from_every_paid_phase_shutting_down_is_one_step_away(phase: RunPhase) -> None:
    assert phase.may_become(RunPhase.SHUTTING_DOWN)


@pytest.mark.parametrize("phase", list(RunPhase))
def test_staying_is_allowed_and_closed_is_final(phase: RunPhase) -> None:
    assert phase.may_become(phase)
    assert RunPhase.CLOSED.may_become(phase) == (phase is RunPhase.CLOSED)


def test_every_phase_can_be_reached() -> None:
    assert set().union(*NEXT_PHASES.values()) | {RunPhase.PLANNED} == set(RunPhase)


def test_a_run_that_is_over_is_closed_or_kept_and_only_a_kept_one_may_bill() -> None:
    assert {phase for phase in RunPhase if phase.is_over} == {RunPhase.CLOSED, RunPhase.KEPT}
    assert {phase for phase in RunPhase if phase.is_over and phase.may_bill} == {RunPhase.KEPT}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_an_exit_code_and_only_success_is_zero(outcome: Outcome) -> None:
    assert (outcome.exit_code == 0) == (outcome is Outcome.SUCCEEDED)


def test_only_what_was_seen_off_is_free() -> None:
    assert {s for s in InstanceState if not s.bills_compute} == {InstanceState.STOPPED, InstanceState.TERMINATED}
