"""Money: when a charge bills, what an upload costs, and cents on the safe side."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrain.model.instance import InstanceRef
from cloudtrain.model.money import Charge, ChargeKind, UploadCost, cents_down, cents_up, upload_cost
from cloudtrain.model.spec import Market
from cloudtrain.testing.clock import NOON


def charge(**changes: object) -> Charge:
    known = {
        "ref": InstanceRef("memory", "mem-1"),
        "name": "lab",
        "run_id": "",
        "instance_type": "mem.cpu",
        "market": Market.ON_DEMAND,
        "kind": ChargeKind.COMPUTE,
        "usd_per_hour": 1.0,
        "priced_on": None,
        "began_at": NOON,
    }
    return Charge(**(known | changes))  # type: ignore[arg-type]


HOUR = timedelta(hours=1)


def test_what_goes_on_bills_up_to_now_and_only_between_the_two_moments() -> None:
    assert charge().hours(NOON - HOUR, NOON + 9 * HOUR, NOON + 2 * HOUR) == 2.0
    assert charge().hours(NOON + HOUR, NOON + 1.5 * HOUR, NOON + 2 * HOUR) == 0.5
    assert charge(ended_at=NOON + HOUR).hours(NOON, NOON + 9 * HOUR, NOON + 2 * HOUR) == 1.0
    assert charge().hours(NOON, NOON + HOUR, NOON - HOUR) == 0.0


def test_past_its_deadline_it_bills_only_as_far_as_it_was_seen() -> None:
    late = NOON + 9 * HOUR
    assert charge(deadline=NOON + 2 * HOUR).until(late) == NOON + 2 * HOUR
    assert charge(deadline=NOON + 2 * HOUR, seen_at=NOON + 3 * HOUR).until(late) == NOON + 3 * HOUR
    assert charge(deadline=NOON + 2 * HOUR).until(NOON + HOUR) == NOON + HOUR


def test_ahead_lies_what_the_deadline_allows_and_without_one_everything() -> None:
    until = NOON + 100 * HOUR
    assert charge(deadline=NOON + 2 * HOUR).hours_ahead(NOON + HOUR, until) == 1.0
    assert charge(deadline=NOON + 200 * HOUR).hours_ahead(NOON, until) == 100.0
    assert charge().hours_ahead(NOON, until) == 100.0
    assert charge(deadline=NOON).hours_ahead(NOON + HOUR, until) == 0.0
    assert charge(ended_at=NOON).hours_ahead(NOON, until) == 0.0


def test_an_upload_costs_what_the_machine_costs_meanwhile() -> None:
    assert upload_cost(3_600_000_000, 1_000_000, 3.06) == UploadCost(3600.0, 3.06)
    assert upload_cost(1_000, 1_000, None) == UploadCost(1.0, None)
    assert upload_cost(0, 1_000, 3.06) == UploadCost(0.0, 0.0)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_no_speed_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="no speed"):
        upload_cost(1, speed, 1.0)


CENTS = {
    50.0: ("$50.00", "$50.00"),
    0.001: ("$0.01", "$0.00"),
    1234.567: ("$1,234.57", "$1,234.56"),
    0.1 + 0.2: ("$0.30", "$0.30"),
}


@pytest.mark.parametrize("usd", CENTS)
def test_cents_are_on_the_safe_side(usd: float) -> None:
    assert (cents_up(usd), cents_down(usd)) == CENTS[usd]


@given(st.floats(min_value=0, max_value=1e6))
def test_cents_never_flatter(usd: float) -> None:
    read = [float(text.replace("$", "").replace(",", "")) for text in (cents_down(usd), cents_up(usd))]
    assert read[0] - 1e-7 <= usd <= read[1] + 1e-7
