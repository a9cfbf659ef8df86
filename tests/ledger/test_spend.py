"""What bills, from when to when: opened, stopped, ended, found gone, moved, repriced; by one process and by several."""

import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cloudtrain.ledger.ledger import Ledger
from cloudtrain.ledger.schema import MIGRATIONS, migrate
from cloudtrain.model.errors import LedgerError
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.money import HOURS_PER_MONTH, Charge, ChargeKind
from cloudtrain.model.offer import Offer
from cloudtrain.model.run import Run
from cloudtrain.model.spec import JobSpec, MachineSpec, Market
from cloudtrain.testing.clock import FakeClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
REF = InstanceRef("memory", "mem-1", "r1")
OFFER = Offer("memory", "mem.gpu", "r1", Market.SPOT, "", 1.0, date(2026, 11, 2), source="api", beside_usd_per_hour=0.015)
DISK = 0.010 * HOURS_PER_MONTH
MACHINE = Instance(
    REF,
    "lab",
    InstanceState.RUNNING,
    token="ct-1",
    instance_type="mem.gpu",
    usd_per_hour=9.0,
    usd_per_month_stopped=DISK,
    launched_at=NOON - timedelta(hours=5),
    deadline=NOON + timedelta(hours=10),
    beside_usd_per_hour=0.5,
)
OFF = replace(MACHINE, state=InstanceState.STOPPED, deadline=None)


def after(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def told(charges: list[Charge]) -> list[tuple[str, float | None, str, float, float | None]]:
    """Return kind, price, run, and from when to when in hours after noon."""
    return [
        (
            c.kind.value,
            None if c.usd_per_hour is None else round(c.usd_per_hour, 9),
            c.run_id,
            (c.began_at - NOON).total_seconds() / 3600,
            None if c.ended_at is None else (c.ended_at - NOON).total_seconds() / 3600,
        )
        for c in charges
    ]


def test_a_machine_that_is_on_bills_compute_disk_and_address_and_all_is_the_offers_full_price(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "run-1", NOON)
    charges = ledger.spend.entries()
    assert told(charges) == [
        ("compute", 1.0, "run-1", 0, None),
        ("disk", 0.01, "run-1", 0, None),
        ("address", 0.005, "run-1", 0, None),
    ]
    assert sum(c.usd_per_hour or 0 for c in charges) == pytest.approx(OFFER.full_usd_per_hour)
    assert {(c.name, c.market, c.priced_on, c.source, c.token, c.deadline) for c in charges} == {
        ("lab", Market.SPOT, date(2026, 11, 2), "api", "ct-1", after(10))
    }


def test_opened_again_nothing_changes(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "run-1", NOON)
    before = ledger.spend.entries()
    ledger.spend.opened(MACHINE, replace(OFFER, usd_per_hour=2.0), "run-1", after(1))
    assert ledger.spend.entries() == before


def test_stopped_the_disk_alone_goes_on_for_no_run_and_started_all_bill_again(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "run-1", NOON)
    for _ in range(2):  # safe to repeat
        ledger.spend.stopped(OFF, after(1))
    assert [c.deadline for c in ledger.spend.open_entries()] == [None]
    ledger.spend.opened(replace(MACHINE, deadline=after(9)), OFFER, "run-2", after(3))
    assert {c.deadline for c in ledger.spend.open_entries()} == {after(9)}
    for _ in range(2):
        ledger.spend.ended(REF, after(4))
    assert told(ledger.spend.entries()) == [
        ("compute", 1.0, "run-1", 0, 1),
        ("disk", 0.01, "run-1", 0, 1),
        ("address", 0.005, "run-1", 0, 1),
        ("disk", 0.01, "", 1, 3),
        ("compute", 1.0, "run-2", 3, 4),
        ("address", 0.005, "run-2", 3, 4),
        ("disk", 0.01, "run-2", 3, 4),
    ]


def test_a_disk_that_costs_more_off_than_on_is_charged_as_it_is_each_time(ledger: Ledger) -> None:
    cheap = replace(OFFER, beside_usd_per_hour=0.0)
    ledger.spend.opened(MACHINE, cheap, "", NOON)
    ledger.spend.stopped(OFF, after(1))
    ledger.spend.opened(MACHINE, cheap, "", after(2))
    ledger.spend.ended(REF, after(3))
    rows = [("compute", 1.0, "", 0, 1), ("disk", 0.01, "", 1, 2), ("compute", 1.0, "", 2, 3)]
    assert told(ledger.spend.entries()) == rows


def test_a_provider_that_says_nothing_of_the_stopped_disk_lets_it_cost_what_it_did(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.stopped(replace(OFF, usd_per_month_stopped=0.0), after(1))
    assert told(ledger.spend.open_entries()) == [("disk", 0.01, "", 0, None)]


@pytest.mark.parametrize("offer", [None, replace(OFFER, instance_type="mem.cpu")])
def test_without_its_own_offer_a_machine_costs_what_it_says_itself(ledger: Ledger, offer: Offer | None) -> None:
    ledger.spend.opened(MACHINE, offer, "", NOON)
    charges = ledger.spend.entries()
    assert sum(c.usd_per_hour or 0 for c in charges) == pytest.approx(9.5)
    assert {(c.priced_on, c.source) for c in charges} == {(None, "cloud")}


def test_switched_on_again_at_the_same_price_that_price_keeps_its_date(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.stopped(OFF, after(1))
    ledger.spend.opened(replace(MACHINE, usd_per_hour=1.0), None, "", after(2))
    assert ledger.spend.entries(after(2))[-1].priced_on == date(2026, 11, 2)


def test_an_unknown_price_stays_unknown(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, replace(OFFER, usd_per_hour=None), "", NOON)
    assert told(ledger.spend.entries())[0] == ("compute", None, "", 0, None)


def test_where_no_meter_runs_nothing_is_written(ledger: Ledger) -> None:
    free = replace(OFFER, usd_per_hour=0.0, beside_usd_per_hour=0.0)
    ledger.spend.opened(replace(MACHINE, usd_per_month_stopped=0.0), free, "run-1", NOON)
    assert ledger.spend.entries() == []


def test_a_deadline_that_the_cloud_does_not_show_yet_is_the_orders(ledger: Ledger) -> None:
    lease = Lease(after(2), 1.015)
    ledger.intend(LaunchOrder("ct-1", MachineSpec("lab", "memory", endpoint_url="http://here"), OFFER, lease, "me"))
    ledger.spend.opened(replace(MACHINE, deadline=None), OFFER, "", NOON)
    assert {(c.deadline, c.endpoint_url) for c in ledger.spend.entries()} == {(after(2), "http://here")}
    assert ledger.spend.knows("ct-1")
    assert not ledger.spend.knows("ct-2")


def test_an_extended_lease_moves_the_deadline_of_what_bills(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.extended(REF, after(20))
    assert {c.deadline for c in ledger.spend.entries()} == {after(20)}
    ledger.spend.stopped(OFF, after(1))
    ledger.spend.extended(REF, after(30))
    assert [c.deadline for c in ledger.spend.open_entries()] == [None]


@pytest.mark.parametrize(("looked", "ended"), [(3, 3), (50, 10)])
def test_found_gone_a_machine_ended_by_its_deadline(ledger: Ledger, looked: float, ended: float) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.gone(REF, after(looked))
    assert {row[4] for row in told(ledger.spend.entries())} == {ended}


def test_one_that_was_seen_after_its_deadline_ended_no_earlier_than_that(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.seen(MACHINE, after(12))
    assert {c.until(after(15)) for c in ledger.spend.entries()} == {after(12)}
    ledger.spend.seen(replace(MACHINE, state=InstanceState.TERMINATED), after(20))
    assert {row[4] for row in told(ledger.spend.entries())} == {12}


def test_a_look_tells_what_was_switched_behind_our_back(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "run-1", NOON)
    ledger.spend.seen(OFF, after(2))
    ledger.spend.seen(OFF, after(3))
    assert told(ledger.spend.open_entries()) == [("disk", 0.01, "", 2, None)]
    ledger.spend.seen(replace(MACHINE, usd_per_hour=1.0), after(4))
    assert ("compute", 1.0, "", 4, None) in told(ledger.spend.open_entries())


def test_a_machine_found_stopped_after_its_deadline_stopped_at_it(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.seen(OFF, after(40))
    assert told(ledger.spend.entries())[0] == ("compute", 1.0, "", 0, 10)
    assert told(ledger.spend.open_entries()) == [("disk", 0.01, "", 0, None)]


def test_a_machine_nobody_wrote_down_bills_since_its_launch(ledger: Ledger) -> None:
    ledger.spend.seen(MACHINE, NOON)
    assert told(ledger.spend.entries())[0] == ("compute", 9.0, "", -5, None)


def test_a_look_at_many_is_one_change(home: Path, ledger: Ledger) -> None:
    """All of it or nothing: the second one cannot be written, so the first one is not."""
    broken = replace(MACHINE, ref=replace(REF, id=None))
    with pytest.raises(LedgerError):
        ledger.spend.seen_all([MACHINE, broken], NOON)
    assert ledger.spend.entries() == []
    ledger.spend.seen_all([MACHINE, replace(MACHINE, ref=replace(REF, id="mem-2"))], NOON)
    assert {c.ref.id for c in ledger.spend.open_entries()} == {"mem-1", "mem-2"}


@pytest.mark.parametrize("state", [InstanceState.STOPPING, InstanceState.TERMINATING, InstanceState.UNKNOWN])
def test_one_that_is_ending_is_not_opened_again(ledger: Ledger, state: InstanceState) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.ended(REF, after(1))
    ledger.spend.seen(replace(MACHINE, state=state), after(2))
    assert ledger.spend.open_entries() == []


def test_a_look_follows_a_deadline_that_was_moved_from_elsewhere(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.seen(replace(MACHINE, deadline=after(30)), after(1))
    assert {c.deadline for c in ledger.spend.entries()} == {after(30)}


def test_a_persons_machine_costs_a_run_only_while_it_serves_it(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, replace(OFFER, beside_usd_per_hour=0.0), "", NOON)
    ledger.spend.opened(MACHINE, OFFER, "run-1", after(1))
    ledger.spend.moved_to_run(REF, "", after(3))
    ledger.spend.moved_to_run(REF, "", after(4))
    assert told(ledger.spend.entries()) == [
        ("compute", 1.0, "", 0, 1),
        ("compute", 1.0, "run-1", 1, 3),
        ("compute", 1.0, "", 3, None),
    ]


def test_a_machine_that_was_switched_on_just_now_and_shows_as_off_is_on_until_it_shows_so_again(ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.seen(OFF, after(1 / 60))
    assert ChargeKind.COMPUTE in {charge.kind for charge in ledger.spend.open_entries()}
    ledger.spend.seen(OFF, after(3 / 60))
    assert {charge.kind for charge in ledger.spend.open_entries()} == {ChargeKind.DISK}


def test_an_end_before_the_beginning_leaves_no_charge(ledger: Ledger) -> None:
    """The clock was set back."""
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.ended(REF, after(-1))
    assert ledger.spend.entries() == []


def test_entries_are_those_that_overlap_and_match(ledger: Ledger) -> None:
    one = replace(OFFER, beside_usd_per_hour=0.0)
    ledger.spend.opened(MACHINE, one, "run-1", NOON)
    ledger.spend.ended(REF, after(2))
    other = replace(MACHINE, ref=replace(REF, id="mem-2"), name="desk")
    ledger.spend.opened(other, one, "run-2", after(1))

    def runs(**asked: datetime | str) -> list[str]:
        return [c.run_id for c in ledger.spend.entries(**asked)]

    assert runs() == ["run-1", "run-2"]
    assert runs(since=after(2)) == ["run-2"]
    assert runs(until=after(1)) == ["run-1"]
    assert runs(since=after(1.5), until=after(1.6)) == ["run-1", "run-2"]
    assert runs(name="desk") == ["run-2"]
    assert runs(run="run-1") == ["run-1"]
    # Whatever zone a time is told in, it is that time.
    assert runs(since=after(2).astimezone(tz=datetime.now().astimezone().tzinfo)) == ["run-2"]


def test_another_machine_is_not_touched(ledger: Ledger) -> None:
    other = replace(MACHINE, ref=InstanceRef("other", REF.id))
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    ledger.spend.opened(other, OFFER, "", NOON)
    ledger.spend.ended(other.ref, after(1))
    assert {c.ref.provider for c in ledger.spend.open_entries()} == {"memory"}


STEPS = ("opened", "opened-2", "stopped", "ended", "gone", "seen-on", "seen-off", "seen-gone", "moved", "found-off", "extended")


def do(ledger: Ledger, step: str, at: datetime) -> None:
    spend = ledger.spend
    {
        "opened": lambda: spend.opened(MACHINE, OFFER, "run-1", at),
        "opened-2": lambda: spend.opened(MACHINE, None, "run-2", at),
        "stopped": lambda: spend.stopped(OFF, at),
        "ended": lambda: spend.ended(REF, at),
        "gone": lambda: spend.gone(REF, at),
        "seen-on": lambda: spend.seen(MACHINE, at),
        "seen-off": lambda: spend.seen(OFF, at),
        "seen-gone": lambda: spend.seen(replace(MACHINE, state=InstanceState.TERMINATED), at),
        "moved": lambda: spend.moved_to_run(REF, "", at),
        "found-off": lambda: spend.found_off(OFF, at),
        "extended": lambda: spend.extended(REF, at + timedelta(hours=1)),
    }[step]()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(-30, 600)), max_size=12))
@example([("found-off", 0), ("opened", 1), ("ended", 0), ("seen-on", 0)])  # nothing bills again since its launch
def test_whatever_happens_nothing_bills_twice_and_an_hour_of_compute_is_paid_once(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[str, int]]
) -> None:
    """Times may go back a little: clocks do."""
    with Ledger.open(tmp_path_factory.mktemp("home"), FakeClock(NOON)) as ledger:
        at = NOON
        for step, minutes in story:
            at += timedelta(minutes=minutes)
            do(ledger, step, at)
            kinds = [c.kind for c in ledger.spend.open_entries()]
            assert len(kinds) == len(set(kinds))
            assert ChargeKind.ADDRESS not in kinds or ChargeKind.COMPUTE in kinds
        for kind in ChargeKind:
            charges = [c for c in ledger.spend.entries() if c.kind is kind]
            assert all(c.began_at < c.ended_at for c in charges if c.ended_at is not None)
            if all(minutes >= 0 for _, minutes in story):
                assert all(first.until(at) <= then.began_at for first, then in pairwise(charges))


def test_a_second_opening_is_refused_by_the_file_itself(home: Path, ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    db = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        db.execute(
            "INSERT INTO spend (provider, machine_id, kind, name, run_id, token, began_at, charge)"
            " SELECT provider, machine_id, kind, name, run_id, token, began_at, charge FROM spend"
        )
    db.close()


def test_a_damaged_charge_is_told(home: Path, ledger: Ledger) -> None:
    ledger.spend.opened(MACHINE, OFFER, "", NOON)
    db = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)
    db.execute("UPDATE spend SET charge = '{}'")
    db.close()
    with pytest.raises(LedgerError, match="damaged"):
        ledger.spend.entries()


def test_an_old_ledger_keeps_its_runs_and_learns_to_count(home: Path, clock: FakeClock) -> None:
    home.mkdir()
    db = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None)
    migrate(db, MIGRATIONS[:1])
    db.execute(
        "INSERT INTO runs (id, phase, run, job) VALUES ('r', 'closed', ?, ?)",
        (
            '{"id":"r","job":"digits","machine":"m","folder":"/r","phase":"closed"}',
            '{"name":"digits","folder":"/j","command":"true"}',
        ),
    )
    db.close()
    with Ledger.open(home, clock) as ledger:
        assert (ledger.run("r").id, ledger.job_of("r").name) == ("r", "digits")
        assert ledger.spend.entries() == []
        ledger.spend.opened(MACHINE, OFFER, "r", NOON)
        ledger.past.note_speed("lab", 1e6)
        assert len(ledger.spend.entries(run="r")) == 3
        ledger.add_run(Run("new", "digits", "m", Path("/r")), JobSpec("digits", Path("/j"), "true"))


WORKER = Path(__file__).with_name("spend_worker.py")


def test_of_several_processes_that_open_and_end_the_same_machines_none_is_counted_twice(home: Path, clock: FakeClock) -> None:
    Ledger.open(home, clock).close()
    processes = [
        subprocess.Popen([sys.executable, str(WORKER), str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for _ in ("open", "end"):
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    with Ledger.open(home, clock) as ledger:
        charges = ledger.spend.entries()
        assert ledger.spend.open_entries() == []
    assert sorted(c.ref.id for c in charges) == sorted(f"mem-{number}" for number in range(20))
    assert {(c.began_at, c.ended_at) for c in charges} == {(NOON, after(1))}
