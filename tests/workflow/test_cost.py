"""What it cost: by run, by machine, by month; what the cap leaves; what two terminals may not both spend."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from cloudtrain import machines, spending, workflow
from cloudtrain.billed import compare
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.errors import ExitCode, LedgerError, NoOfferFitsError, PermissionDeniedError, ProviderUnavailableError
from cloudtrain.model.event import Note, StageStarted
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.money import BilledDay
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Budget, MachineSpec
from cloudtrain.model.statement import Allowance, Billed, DayCost, Meter
from cloudtrain.providers.base import Bills

from .conftest import MACHINE, World

# The tenth of a month of 30 days, so that there is time on both sides.
START = datetime(2026, 11, 10, 12, tzinfo=UTC)
OFFER = Offer("memory", "mem.gpu", "r1", usd_per_hour=1.0, priced_on=date(2026, 11, 2), source="api", beside_usd_per_hour=0.02)


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def machine(number: int = 1, **changes: object) -> Instance:
    known = Instance(
        InstanceRef("memory", f"mem-{number}", "r1"),
        f"lab-{number}",
        InstanceState.RUNNING,
        token=f"ct-{number}",
        instance_type="mem.gpu",
        usd_per_month_stopped=7.3,
        deadline=after(10),
    )
    return replace(known, **changes)  # type: ignore[arg-type]


@pytest.fixture
def ledger(world: World) -> Ledger:
    return world.ledger


def order(token: str, usd: float, hours: float = 5.0) -> LaunchOrder:
    lease = Lease(after(hours), usd / hours, usd, "budget")
    return LaunchOrder(token, MachineSpec("lab", "memory"), OFFER, lease, "me")


# Sums


def test_a_run_costs_compute_disk_and_address(ledger: Ledger) -> None:
    ledger.spend.opened(machine(), OFFER, "run-1", START)
    ledger.spend.ended(machine().ref, after(2))
    cost = spending.cost_of_run(ledger, "run-1", after(50))
    assert (cost.hours, cost.unpriced_hours, cost.priced_on) == (2.0, 0.0, date(2026, 11, 2))
    assert cost.compute_usd == pytest.approx(2.0)
    assert cost.disk_usd == pytest.approx(0.02)
    assert cost.address_usd == pytest.approx(0.02)
    assert cost.total_usd == pytest.approx(2 * OFFER.full_usd_per_hour)


def test_a_run_that_was_reclaimed_costs_what_all_its_machines_did(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.spend.opened(machine(number), OFFER, "run-1", after(number))
        ledger.spend.ended(machine(number).ref, after(number + 1))
    (line,) = spending.statement_of_run(ledger, "run-1", after(50)).lines
    assert (line.machine, line.cost.hours, line.meter, line.usd_per_hour) == ("lab-2", 2.0, Meter.ENDED, 0.0)


def test_what_runs_is_priced_up_to_now_and_what_is_stopped_at_its_disk(ledger: Ledger) -> None:
    ledger.spend.opened(machine(1), OFFER, "run-1", START)
    ledger.spend.opened(machine(2), OFFER, "", START)
    ledger.spend.stopped(machine(2), after(1))
    statement = spending.statement_of_month(ledger, START, after(3))
    running, stopped = statement.lines
    assert (running.run, running.meter, running.cost.hours) == ("run-1", Meter.RUNNING, 3.0)
    assert running.usd_per_hour == pytest.approx(1.02)
    assert (stopped.run, stopped.machine, stopped.meter) == ("", "lab-2", Meter.STOPPED)
    assert stopped.usd_per_month == pytest.approx(7.3)
    assert stopped.cost.total_usd == pytest.approx(1.02 + 2 * 0.01)
    assert statement.total.total_usd == pytest.approx(3 * 1.02 + 1.02 + 2 * 0.01)
    assert statement.allowance is None


def test_an_unknown_price_is_counted_as_unknown_and_never_as_nothing(ledger: Ledger) -> None:
    ledger.spend.opened(machine(), replace(OFFER, usd_per_hour=None), "run-1", START)
    statement = spending.statement_of_run(ledger, "run-1", after(3))
    assert statement.total.unpriced_hours == 3.0
    assert statement.total.compute_usd == 0.0
    assert statement.total.disk_usd > 0
    assert (statement.lines[0].usd_per_hour, statement.lines[0].usd_per_month) == (None, None)


def test_a_machine_nobody_looked_after_is_over_its_deadline_and_billed_to_it(ledger: Ledger) -> None:
    ledger.spend.opened(machine(), OFFER, "run-1", START)
    (line,) = spending.statement_of_run(ledger, "run-1", after(100)).lines
    assert (line.meter, line.cost.hours) == (Meter.OVERDUE, 10.0)


def test_a_month_ends_at_midnight_utc_and_the_next_one_takes_over(ledger: Ledger) -> None:
    began = datetime(2026, 11, 30, 23, tzinfo=UTC)
    ledger.spend.opened(machine(deadline=began + timedelta(days=2)), OFFER, "run-1", began)
    now = began + timedelta(hours=5)
    november = spending.statement_of_month(ledger, datetime(2026, 11, 30, tzinfo=UTC), now)
    december = spending.statement_of_month(ledger, now, now)
    assert (november.since, november.until) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert (november.total.hours, december.total.hours) == (1.0, 4.0)
    assert spending.cost_of_run(ledger, "run-1", now).hours == 5.0
    assert spending.month_around(datetime(2026, 12, 31, tzinfo=UTC))[1] == datetime(2027, 1, 1, tzinfo=UTC)
    assert spending.month_around(datetime(2028, 2, 29, tzinfo=UTC))[1] == datetime(2028, 3, 1, tzinfo=UTC)


def test_days_add_up_and_those_between_are_there_too(ledger: Ledger) -> None:
    plain = replace(OFFER, beside_usd_per_hour=0.0)
    ledger.spend.opened(machine(1), plain, "run-1", START)
    ledger.spend.ended(machine(1).ref, after(13))
    ledger.spend.opened(machine(2), plain, "run-2", after(72))
    ledger.spend.ended(machine(2).ref, after(73))
    statement = spending.statement_of_month(ledger, START, after(100))
    assert statement.days == (
        DayCost(date(2026, 11, 10), 12.0),
        DayCost(date(2026, 11, 11), 1.0),
        DayCost(date(2026, 11, 12), 0.0),
        DayCost(date(2026, 11, 13), 1.0),
    )
    assert sum(day.usd for day in statement.days) == statement.total.total_usd


def test_one_name_can_be_asked_for(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.spend.opened(machine(number), OFFER, "", START)
    statement = spending.statement_of_month(ledger, START, after(1), machine="lab-2", cap_usd=5.0)
    assert [line.machine for line in statement.lines] == ["lab-2"]
    assert statement.allowance is None  # The cap is on all of them.


# The cap


def test_left_is_what_was_neither_spent_nor_committed(ledger: Ledger) -> None:
    ledger.spend.opened(machine(), OFFER, "run-1", START)
    for hours in (0, 1, 9):
        left = spending.allowance(ledger, 50.0, after(hours))
        assert left is not None
        assert left.spent_usd == pytest.approx(hours * 1.02)
        assert left.committed_usd == pytest.approx((10 - hours) * 1.02)
        assert left.left_usd == pytest.approx(50 - 10.2)
    ledger.spend.ended(machine().ref, after(9))
    assert spending.left_of_month(ledger, 50.0, after(9)) == pytest.approx(50 - 9 * 1.02)
    assert spending.left_of_month(ledger, None, after(9)) is None


def test_a_stopped_machines_disk_is_committed_to_the_end_of_the_month(ledger: Ledger) -> None:
    ledger.spend.opened(machine(), OFFER, "", START)
    ledger.spend.stopped(machine(), after(1))
    left = spending.allowance(ledger, 50.0, after(1))
    hours = (datetime(2026, 12, 1, tzinfo=UTC) - after(1)).total_seconds() / 3600
    assert left is not None
    assert left.committed_usd == pytest.approx(hours * 0.01)


def test_what_a_lease_may_cost_next_month_is_next_months(ledger: Ledger) -> None:
    began = datetime(2026, 11, 30, 23, tzinfo=UTC)
    ledger.spend.opened(machine(deadline=began + timedelta(hours=10)), OFFER, "run-1", began)
    left = spending.allowance(ledger, 50.0, began)
    assert left is not None
    assert left.committed_usd == pytest.approx(1.02)


def test_a_month_that_is_over_commits_nothing(ledger: Ledger) -> None:
    ledger.spend.opened(machine(), OFFER, "", START)
    statement = spending.statement_of_month(ledger, datetime(2026, 10, 5, tzinfo=UTC), START, cap_usd=50.0)
    assert statement.allowance == Allowance(50.0, 0.0, 0.0, 50.0)


def test_a_launch_that_nobody_heard_back_from_is_committed_until_its_machine_is_in_the_books(ledger: Ledger) -> None:
    ledger.intend(order("ct-1", 5.0))
    assert spending.left_of_month(ledger, 50.0, START) == pytest.approx(45.0)
    assert spending.left_of_month(ledger, 50.0, after(6)) == 50.0  # Whatever it made has ended.
    ledger.spend.opened(machine(1, deadline=after(5)), OFFER, "run-1", START)
    assert spending.left_of_month(ledger, 50.0, START) == pytest.approx(50 - 5 * 1.02)


def test_a_run_is_not_held_up_by_the_idle_machine_it_will_use(ledger: Ledger) -> None:
    ledger.spend.opened(machine(), OFFER, "", START)
    left = spending.allowance(ledger, 12.0, START, apart_from="lab-1")
    assert left is not None
    assert left.left_usd == 12.0
    ledger.spend.moved_to_run(machine().ref, "run-1", after(1))
    again = spending.allowance(ledger, 12.0, after(1), apart_from="lab-1")
    assert again is not None
    assert again.left_usd == pytest.approx(12 - 10.2)  # Another run's machine is no idle one.


def test_the_smaller_of_budget_and_month_counts() -> None:
    left = Allowance(50.0, 40.0, 6.804, 3.196)
    assert spending.capped(Budget(2.0, 60.0), left) == (Budget(2.0, 60.0), "")
    assert spending.capped(Budget(2.0), None) == (Budget(2.0), "")
    for wanted in (None, 10.0):
        budget, sentence = spending.capped(Budget(wanted, 60.0), left)
        assert budget == Budget(3.19, 60.0)
        assert sentence == "The budget is what the month's cap of $50.00 leaves: $3.19 ($40.00 spent, $6.81 committed)."


def test_a_spent_month_rents_nothing() -> None:
    with pytest.raises(NoOfferFitsError) as refusal:
        spending.capped(Budget(10.0), Allowance(50.0, 49.80, 0.40, 0.0))
    assert refusal.value.message == "The month's cap of $50.00 is spent ($49.80 spent, $0.40 committed)"
    assert refusal.value.exit_code is ExitCode.NOTHING_SPENT
    assert "cloudtrain settings --monthly-budget" in refusal.value.hint


def test_of_two_terminals_that_want_the_rest_the_later_one_is_refused(ledger: Ledger) -> None:
    """Both planned with $8 left, both wrote their order down before either looked again."""
    first, second = order("ct-1", 8.0), order("ct-2", 8.0)
    ledger.intend(first)
    ledger.intend(second)
    spending.refuse_beyond_cap(first, ledger, 8.0, START)
    with pytest.raises(NoOfferFitsError, match=r"is spent \(\$0\.00 spent, \$8\.00 committed\)"):
        spending.refuse_beyond_cap(second, ledger, 8.0, START)
    with pytest.raises(NoOfferFitsError, match=r"leaves \$4\.00, which is less than this may cost"):
        spending.refuse_beyond_cap(second, ledger, 12.0, START)
    spending.refuse_beyond_cap(second, ledger, 16.0, START)
    spending.refuse_beyond_cap(second, ledger, None, START)
    ledger.settle("ct-1", None)
    spending.refuse_beyond_cap(second, ledger, 8.0, START)


def test_a_machine_without_a_meter_is_never_refused(ledger: Ledger) -> None:
    free = replace(order("ct-1", 5.0), lease=Lease(after(5), 0.0))
    ledger.spend.opened(machine(), OFFER, "", START)
    spending.refuse_beyond_cap(free, ledger, 0.01, after(2))


# Machines that vanished


def test_a_machine_that_its_cloud_knows_no_more_is_closed(world: World) -> None:
    now = world.clock.now()
    ref = InstanceRef("memory", "mem-gone", "mem-1")
    world.ledger.spend.opened(machine(ref=ref, deadline=now + timedelta(hours=9)), OFFER, "", now)
    elsewhere = machine(2, ref=InstanceRef("other", "mem-gone"))
    world.ledger.spend.opened(elsewhere, OFFER, "", now)
    later = now + timedelta(hours=1)
    spec = MachineSpec("any", "memory")
    world.provider.fail_next("get", ProviderUnavailableError("silent"))
    spending.settle_vanished(spec, world.provider, [], world.ledger, later)
    assert len({c.ref for c in world.ledger.spend.open_entries()}) == 2
    spending.settle_vanished(replace(spec, endpoint_url="http://another"), world.provider, [], world.ledger, later)
    assert len({c.ref for c in world.ledger.spend.open_entries()}) == 2
    spending.settle_vanished(spec, world.provider, [], world.ledger, later)
    assert {c.ref for c in world.ledger.spend.open_entries()} == {elsewhere.ref}
    assert {c.ended_at for c in world.ledger.spend.entries(name="lab-1")} == {later}


def test_one_that_is_only_missing_from_the_list_bills_on(world: World) -> None:
    there = machines.start(MACHINE, world.tools)
    world.ledger.spend.opened(there, None, "", world.clock.now())
    spending.settle_vanished(MACHINE, world.provider, [], world.ledger, world.clock.now())
    assert {c.ref for c in world.ledger.spend.open_entries()} == {there.ref}


def test_an_account_that_cannot_be_kept_is_told_and_stops_nothing() -> None:
    heard: list[object] = []
    with spending.noted(heard.append):
        raise LedgerError("the disk is full")
    (note,) = heard
    assert isinstance(note, Note)
    assert (note.level, "the disk is full" in note.text) == ("warning", True)


# A whole run


def test_a_run_costs_in_the_books_what_its_machine_lived(world: World) -> None:
    """The calls the story makes, made by a listener: opened when the machine is there, ended when it is gone."""
    tools = world.tools

    def keep_books(event: object) -> None:
        if not isinstance(event, StageStarted):
            return
        run = world.ledger.runs()[0]
        if event.stage == "connect":
            world.ledger.spend.opened(world.provider.get(run.instances[-1]), run.offer, run.id, world.clock.now())
            world.clock.advance(3600)
        elif event.stage == "shut down":
            world.clock.advance(1800)

    world.listeners.append(keep_books)
    run = workflow.train(world.job("true"), MACHINE, tools)
    world.ledger.spend.ended(run.instances[-1], world.clock.now())
    cost = spending.cost_of_run(world.ledger, run.id, world.clock.now() + timedelta(days=1))
    assert cost.hours == pytest.approx(1.5, abs=0.05)
    assert cost.total_usd == pytest.approx(0.15, abs=0.005)
    record = spending.cost_record(world.ledger, run.id, world.clock.now(), budget_usd=2.0, cap_usd=None)
    assert record["total_usd"] == cost.total_usd
    assert (record["budget_usd"], record["monthly_budget_usd"]) == (2.0, None)
    assert record["priced_on"] == run.offer.priced_on.isoformat()


# The clouds' own bills


class Cloud:
    """A source of offers that can say what it billed."""

    name = "memory"

    def __init__(self, *answer: BilledDay, error: Exception | None = None) -> None:
        self.answer = answer
        self.error = error
        self.asked: list[tuple[date, date]] = []

    def check(self) -> list[object]:
        return []

    def offers(self, need: object) -> list[Offer]:
        return []

    def billed(self, since: date, until: date) -> tuple[BilledDay, ...]:
        self.asked.append((since, until))
        if self.error:
            raise self.error
        return self.answer


class Mute:
    """A source of offers that cannot."""

    name = "memory"
    check, offers = Cloud.check, Cloud.offers


ACCOUNTS = [MachineSpec("memory", "memory"), MachineSpec("other", "other")]


def test_the_clouds_bill_is_held_beside_the_books(ledger: Ledger) -> None:
    ledger.spend.opened(machine(), replace(OFFER, beside_usd_per_hour=0.0), "run-1", START)
    ledger.spend.ended(machine().ref, after(2))
    statement = spending.statement_of_month(ledger, START, after(30))
    cloud = Cloud(BilledDay(date(2026, 11, 10), 1.5), BilledDay(date(2026, 11, 11), 0.75, is_final=False))
    assert isinstance(cloud, Bills)
    found = compare(statement, ACCOUNTS, lambda spec: cloud if spec.provider == "memory" else Mute(), after(30))
    assert found == (Billed("memory", 2.0, 2.25, 0.25, is_final=False),)
    assert cloud.asked == [(date(2026, 11, 1), date(2026, 11, 12))]


def test_a_past_month_is_asked_for_whole(ledger: Ledger) -> None:
    cloud = Cloud()
    statement = spending.statement_of_month(ledger, datetime(2026, 10, 9, tzinfo=UTC), START)
    assert compare(statement, ACCOUNTS[:1], lambda _: cloud, START) == (Billed("memory", 0.0, 0.0, 0.0),)
    assert cloud.asked == [(date(2026, 10, 1), date(2026, 11, 1))]


def test_a_cloud_that_does_not_say_is_told_when_something_was_spent_there(ledger: Ledger) -> None:
    statement = spending.statement_of_month(ledger, START, after(1))
    assert compare(statement, ACCOUNTS, lambda _: Mute(), after(1)) == ()
    ledger.spend.opened(machine(), OFFER, "run-1", START)
    statement = spending.statement_of_month(ledger, START, after(1))
    (mute,) = compare(statement, ACCOUNTS, lambda _: Mute(), after(1))
    assert (mute.provider, mute.billed_usd, mute.difference_usd) == ("memory", None, None)
    assert "no bill" in mute.problem
    (refused,) = compare(statement, ACCOUNTS[:1], lambda _: Cloud(error=PermissionDeniedError("may not look")), after(1))
    assert (refused.billed_usd, refused.problem) == (None, "may not look")
