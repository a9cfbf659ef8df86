import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import Budget

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

prices = st.floats(min_value=0.0001, max_value=1000)
dollars = st.floats(min_value=0, max_value=1_000_000)
lifetimes = st.floats(min_value=0, max_value=365 * 24 * 3600)


def cents(places: int, most: int) -> st.SearchStrategy[float]:
    """Prices and budgets as people write them: decimal, where floating point is least exact."""
    return st.integers(1, most).map(lambda number: number / 10**places)


@settings(deadline=None)
@given(dollars | cents(2, 100_000), prices | cents(4, 1_000_000), lifetimes)
def test_the_bill_at_the_deadline_never_exceeds_the_budget(usd: float, price: float, max_lifetime_s: float) -> None:
    lease = Lease.grant(Budget(usd, max_lifetime_s), price, NOW)
    assert lease.most_usd(NOW) <= usd
    assert lease.deadline >= NOW


@settings(deadline=None)
@given(st.none() | dollars, st.just(0.0) | prices, lifetimes)
def test_a_lease_is_never_longer_than_the_longest_lifetime(usd: float | None, price: float, max_lifetime_s: float) -> None:
    lease = Lease.grant(Budget(usd, max_lifetime_s), price, NOW)
    length_s = (lease.deadline - NOW).total_seconds()
    assert 0 <= length_s <= max_lifetime_s
    assert length_s == int(length_s)


def written(amount: float) -> Fraction:
    """Return an amount as a person reads it: 0.1 is a tenth."""
    return Fraction(str(amount))


@settings(deadline=None)
@given(dollars | cents(2, 100_000), prices | cents(4, 1_000_000), lifetimes, st.integers(0, 24 * 3600))
def test_nor_where_every_minute_begun_is_billed_from_whenever_it_was_launched(
    usd: float, price: float, max_lifetime_s: float, launched_after_s: int
) -> None:
    lease = Lease.grant(Budget(usd, max_lifetime_s), price, NOW)
    lived_s = (lease.deadline - NOW).total_seconds() - launched_after_s
    minutes = math.ceil(lived_s / 60) if lived_s > 0 else 0
    assert written(price) * minutes / 60 <= written(usd)


@settings(deadline=None)
@given(cents(2, 100_000), cents(4, 1_000_000), lifetimes)
def test_no_minute_that_was_paid_for_is_given_away(usd: float, price: float, max_lifetime_s: float) -> None:
    lease = Lease.grant(Budget(usd, max_lifetime_s), price, NOW)
    length_s = int((lease.deadline - NOW).total_seconds())
    one_more = written(price) * (length_s + 60) / 3600
    assert length_s == int(max_lifetime_s) or one_more > written(usd)


def test_a_budget_that_people_write_buys_what_they_would_reckon() -> None:
    lease = Lease.grant(Budget(0.3), 0.1, NOW)
    assert lease.deadline == NOW + timedelta(hours=3)
    assert lease.most_usd(NOW) == 0.3


def test_less_than_a_minute_is_not_bought() -> None:
    assert Lease.grant(Budget(0.01, 45), 1.0, NOW).deadline == NOW
    assert Lease.grant(Budget(0.02, 45), 1.0, NOW).deadline == NOW + timedelta(seconds=45)


@settings(deadline=None)
@given(dollars, prices, lifetimes)
def test_it_says_what_bound_it(usd: float, price: float, max_lifetime_s: float) -> None:
    lease = Lease.grant(Budget(usd, max_lifetime_s), price, NOW)
    whole_lifetime = int((lease.deadline - NOW).total_seconds()) == int(max_lifetime_s)
    assert lease.bound_by == ("max_lifetime" if whole_lifetime else "budget")
    assert (lease.usd_per_hour, lease.budget_usd) == (price, usd)


def test_without_a_meter_only_the_lifetime_counts() -> None:
    lease = Lease.grant(Budget(0.01, 3600), 0.0, NOW)
    assert lease == Lease(NOW + timedelta(hours=1), 0.0, 0.01, "max_lifetime")
    assert lease.most_usd(NOW) == 0.0


@pytest.mark.parametrize(("usd", "price", "minutes"), [(5.0, 3.06, 98), (1.0, 1.0, 60), (0.30, 0.10, 180)])
def test_dollars_become_time(usd: float, price: float, minutes: int) -> None:
    lease = Lease.grant(Budget(usd, 24 * 3600), price, NOW)
    assert lease.bound_by == "budget"
    assert round((lease.deadline - NOW).total_seconds() / 60) == minutes


def test_a_lease_that_is_over_costs_nothing_more() -> None:
    assert Lease(NOW, 3.06).most_usd(NOW + timedelta(hours=1)) == 0.0
