import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.ledger import holder as holders
from cloudtrain.ledger.holder import this_process
from cloudtrain.ledger.ledger import Ledger
from cloudtrain.model.errors import LedgerError, NotFoundError
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.run import Outcome, Run, RunPhase
from cloudtrain.model.spec import JobSpec, MachineSpec
from cloudtrain.testing.clock import FakeClock

SPEC = MachineSpec("aws-p3", "aws", regions=("us-east-1",))
JOB = JobSpec("digits", Path("/job"), "python train.py")


def instance(id: str = "i-1", state: InstanceState = InstanceState.RUNNING, name: str = "aws-p3") -> Instance:
    return Instance(InstanceRef("aws", id, "us-east-1"), name, state)


def order(clock: FakeClock, token: str = "ct-1") -> LaunchOrder:
    offer = Offer("aws", "p3.2xlarge", "us-east-1", usd_per_hour=3.06, priced_on=clock.now().date())
    return LaunchOrder(token, SPEC, offer, Lease(clock.now() + timedelta(hours=1), 3.06), "alice")


def run(id: str = "20261121-120000-digits-7f3a", phase: RunPhase = RunPhase.PLANNED) -> Run:
    return Run(id, "digits", "aws-p3", Path("/results") / id, phase)


# Orders


def test_an_order_stays_open_until_it_is_settled(ledger: Ledger, clock: FakeClock) -> None:
    first, second = order(clock), order(clock, "ct-2")
    ledger.intend(first)
    ledger.intend(second)
    assert ledger.open_intents() == [first, second]
    ledger.settle("ct-1", InstanceRef("aws", "i-1"))
    ledger.settle("ct-2", None)
    assert ledger.open_intents() == []


def test_what_is_under_way_for_an_order_is_known_to_the_next_process_until_the_order_is_settled(
    home: Path, clock: FakeClock
) -> None:
    with Ledger.open(home, clock) as ledger:
        ledger.intend(order(clock))
        ledger.intend(order(clock, "ct-2"))
        assert ledger.operations.noted("ct-1") is None
        ledger.operations.note("ct-1", "first")
        ledger.operations.note("ct-1", "second")
        ledger.operations.note("ct-2", "other")
        ledger.operations.forget("ct-2")
    with Ledger.open(home, clock) as ledger:
        assert [ledger.operations.noted(token) for token in ("ct-1", "ct-2", "ct-9")] == ["second", None, None]
        assert ledger.open_intents() == [order(clock), order(clock, "ct-2")]
        ledger.settle("ct-1", None)
        assert ledger.operations.noted("ct-1") is None


def test_nothing_is_under_way_for_an_order_that_was_never_written_down(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="ct-9"):
        ledger.operations.note("ct-9", "what")
    ledger.operations.forget("ct-9")


def test_an_order_is_written_down_once_also_when_it_is_settled(ledger: Ledger, clock: FakeClock) -> None:
    ledger.intend(order(clock))
    with pytest.raises(LedgerError, match="ct-1"):
        ledger.intend(order(clock))
    ledger.settle("ct-1", None)
    with pytest.raises(LedgerError, match="ct-1"):
        ledger.intend(order(clock))


def test_an_order_that_was_never_written_down_cannot_be_settled(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="ct-9"):
        ledger.settle("ct-9", None)


def test_a_machine_once_recorded_is_not_forgotten_by_a_later_nothing(ledger: Ledger, clock: FakeClock, home: Path) -> None:
    import sqlite3

    ledger.intend(order(clock))
    ledger.settle("ct-1", InstanceRef("aws", "i-1"))
    ledger.settle("ct-1", None)
    with sqlite3.connect(home / "ledger.sqlite3") as db:
        assert "i-1" in db.execute("SELECT ref FROM intents").fetchone()[0]
    db.close()


def test_what_is_written_is_there_for_the_next_process(home: Path, clock: FakeClock) -> None:
    with Ledger.open(home, clock) as first:
        first.intend(order(clock))
        first.save_machine(SPEC, instance())
        first.add_run(run(), JOB)
    with Ledger.open(home, clock) as second:
        assert second.open_intents() == [order(clock)]
        assert second.machine("aws-p3").instance == instance()
        assert second.run(run().id) == run()


# Machines


def test_a_machine_is_remembered_with_its_spec_and_times(ledger: Ledger, clock: FakeClock) -> None:
    ledger.save_machine(SPEC, None)
    record = ledger.machine("aws-p3")
    assert (record.spec, record.instance, record.seen_at, record.used_at) == (SPEC, None, None, clock.now())
    clock.advance(60)
    ledger.save_machine(SPEC, instance())
    record = ledger.machine("aws-p3")
    assert (record.instance, record.seen_at, record.used_at) == (instance(), clock.now(), clock.now())


def test_the_last_machine_is_the_one_last_saved_or_used(ledger: Ledger) -> None:
    assert ledger.last_machine() is None
    for name in ("a", "b", "c"):  # the clock stands still all the while
        ledger.save_machine(replace(SPEC, name=name), None)
    assert ledger.last_machine().spec.name == "c"
    ledger.use("a")
    assert ledger.last_machine().spec.name == "a"
    assert [record.spec.name for record in ledger.machines()] == ["a", "c", "b"]
    ledger.save_machine(replace(SPEC, name="b"), None)
    assert ledger.last_machine().spec.name == "b"


def test_seeing_a_machine_is_not_using_it(ledger: Ledger) -> None:
    ledger.save_machine(SPEC, instance())
    ledger.save_machine(replace(SPEC, name="other"), None)
    ledger.see(instance())
    assert ledger.last_machine().spec.name == "other"


def test_a_look_updates_the_instance_and_keeps_the_spec(ledger: Ledger, clock: FakeClock) -> None:
    ledger.save_machine(SPEC, instance(state=InstanceState.PENDING))
    clock.advance(5)
    ledger.see(instance())
    record = ledger.machine("aws-p3")
    assert (record.spec, record.instance, record.seen_at) == (SPEC, instance(), clock.now())


LIVE, GONE = InstanceState.RUNNING, InstanceState.TERMINATED


@pytest.mark.parametrize(
    ("recorded", "seen", "taken"),
    [
        (None, instance("i-1", LIVE), True),
        (None, instance("i-1", GONE), False),
        (instance("i-1", LIVE), instance("i-1", GONE), True),
        (instance("i-1", GONE), instance("i-1", LIVE), False),
        (instance("i-1", LIVE), instance("i-2", LIVE), False),
        (instance("i-1", LIVE), instance("i-2", GONE), False),
        (instance("i-1", GONE), instance("i-2", LIVE), True),
        (instance("i-1", GONE), instance("i-2", GONE), False),
        (instance("i-1", InstanceState.UNKNOWN), instance("i-2", LIVE), False),
    ],
)
def test_which_look_is_news(ledger: Ledger, recorded: Instance | None, seen: Instance, taken: bool) -> None:
    ledger.save_machine(SPEC, recorded)
    ledger.see(seen)
    assert ledger.machine("aws-p3").instance == (seen if taken else recorded)


def test_a_look_at_a_machine_nobody_saved_is_ignored(ledger: Ledger) -> None:
    ledger.see(instance(name="stranger"))
    assert ledger.machines() == []


@pytest.mark.parametrize("ask", [Ledger.machine, Ledger.use])
def test_an_unknown_machine_is_answered_with_the_nearest(ledger: Ledger, ask) -> None:
    ledger.save_machine(SPEC, None)
    with pytest.raises(NotFoundError, match=r"aws-p4.*Did you mean aws-p3\?") as raised:
        ask(ledger, "aws-p4")
    assert raised.value.hint == "Rent it: cloudtrain start aws-p4 (there are: cloudtrain configs)"
    with pytest.raises(NotFoundError) as raised:
        ask(ledger, "zzz")
    assert "mean" not in raised.value.message


# Runs


def test_a_run_keeps_its_value_and_its_job(ledger: Ledger) -> None:
    ledger.add_run(run(), JOB)
    assert ledger.run(run().id) == run()
    assert ledger.job_of(run().id) == JOB
    with pytest.raises(LedgerError, match="already"):
        ledger.add_run(run(), JOB)


def test_a_run_advances_by_the_table(ledger: Ledger) -> None:
    planned = run()
    ledger.add_run(planned, JOB)
    provisioning = replace(planned, phase=RunPhase.PROVISIONING, usd=0.5)
    assert ledger.advance(planned, provisioning) == provisioning
    assert ledger.run(planned.id) == provisioning
    costlier = replace(provisioning, usd=1.0)
    assert ledger.advance(provisioning, costlier) == ledger.run(planned.id) == costlier


def test_a_step_that_the_table_does_not_know_names_both_phases(ledger: Ledger) -> None:
    ledger.add_run(run(), JOB)
    with pytest.raises(LedgerError, match=r"planned.*running"):
        ledger.advance(run(), run(phase=RunPhase.RUNNING))
    assert ledger.run(run().id) == run()


def test_a_run_that_somebody_else_moved_is_not_overwritten(ledger: Ledger) -> None:
    planned = run()
    ledger.add_run(planned, JOB)
    closed = ledger.advance(planned, replace(planned, phase=RunPhase.CLOSED, outcome=Outcome.CANCELLED))
    with pytest.raises(LedgerError, match=r"closed.*planned"):
        ledger.advance(planned, replace(planned, phase=RunPhase.PROVISIONING))
    assert ledger.run(planned.id) == closed


def test_a_run_that_is_unknown_or_another_one_cannot_advance(ledger: Ledger) -> None:
    ledger.add_run(run("a"), JOB)
    with pytest.raises(NotFoundError, match="b"):
        ledger.advance(run("b"), run("b"))
    with pytest.raises(NotFoundError, match="b"):
        ledger.advance(run("a"), run("b"))


IDS = ("20261121-120000-digits-7f3a", "20261121-130000-digits-8f3b", "20261122-120000-mnist-7f3a")


@pytest.mark.parametrize(("part", "found"), [("20261121-12", 0), ("20261122", 2), ("8f3b", 1), (IDS[1], 1), ("mnist-7f3a", 2)])
def test_a_run_is_found_by_the_beginning_or_the_end_of_its_id(ledger: Ledger, part: str, found: int) -> None:
    for id in IDS:
        ledger.add_run(run(id), JOB)
    assert ledger.run(part).id == IDS[found]


def test_a_run_whose_id_begins_another_s_is_found_by_its_own(ledger: Ledger) -> None:
    ledger.add_run(run("a-1"), JOB)
    ledger.add_run(run("a-10"), JOB)
    assert ledger.run("a-1").id == "a-1"


@pytest.mark.parametrize("part", ["7f3a", "20261121", "2026"])
def test_a_part_that_means_several_runs_names_them(ledger: Ledger, part: str) -> None:
    for id in IDS:
        ledger.add_run(run(id), JOB)
    with pytest.raises(NotFoundError) as raised:
        ledger.run(part)
    assert sum(id in raised.value.message for id in IDS) >= 2


@pytest.mark.parametrize("part", ["", "nothing", "digits", "%", "_", "20261121_12"])
def test_a_part_that_means_no_run_says_where_to_look(ledger: Ledger, part: str) -> None:
    ledger.add_run(run(IDS[0]), JOB)
    with pytest.raises(NotFoundError) as raised:
        ledger.run(part)
    assert "cloudtrain status" in raised.value.hint
    with pytest.raises(NotFoundError):
        ledger.job_of(part)


def test_runs_come_newest_first_and_not_all_at_once(ledger: Ledger) -> None:
    assert ledger.last_run() is None
    for number in range(60):
        ledger.add_run(run(f"r-{number}"), JOB)
    assert [r.id for r in ledger.runs(3)] == ["r-59", "r-58", "r-57"]
    assert len(ledger.runs()) == 50
    assert ledger.last_run().id == "r-59"


def test_open_runs_are_all_that_are_not_over_however_old(ledger: Ledger) -> None:
    for number in range(60):
        ledger.add_run(run(f"r-{number}"), JOB)
        if number not in (0, 7):
            ledger.advance(run(f"r-{number}"), run(f"r-{number}", RunPhase.CLOSED))
    assert [r.id for r in ledger.open_runs()] == ["r-7", "r-0"]


# Claims


def elsewhere(pid: int = 1) -> str:
    return f"another-host:{pid}:x-1"


def test_one_holder_at_a_time(ledger: Ledger) -> None:
    ledger.add_run(run(), JOB)
    parent = f"{this_process().rsplit(':', 2)[0]}:1:"  # process 1 lives as long as the machine
    assert ledger.claim(run().id, parent)
    assert not ledger.claim(run().id, this_process())
    assert ledger.claim(run().id, parent)
    ledger.release(run().id, this_process())
    assert not ledger.claim(run().id, this_process())
    ledger.release(run().id, parent)
    assert ledger.claim(run().id, this_process())


def test_a_dead_process_has_lost_its_claim(ledger: Ledger) -> None:
    ledger.add_run(run(), JOB)
    program = "from cloudtrain.ledger.holder import this_process; print(this_process()); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        holder = other.stdout.readline().strip()
        assert ledger.claim(run().id, holder)
        assert not ledger.claim(run().id, this_process())
        other.communicate("\n")
    assert ledger.claim(run().id, this_process())


def test_a_number_used_again_is_another_process(ledger: Ledger) -> None:
    ledger.add_run(run(), JOB)
    host, pid, started = this_process().rsplit(":", 2)
    assert started
    assert ledger.claim(run().id, f"{host}:{pid}:{started}0")
    assert ledger.claim(run().id, this_process())


def test_a_claim_from_another_host_name_holds_for_an_hour_after_the_last(ledger: Ledger, clock: FakeClock) -> None:
    ledger.add_run(run(), JOB)
    assert ledger.claim(run().id, elsewhere())
    clock.advance(3000)
    assert ledger.claim(run().id, elsewhere())
    clock.advance(3599)
    assert not ledger.claim(run().id, this_process())
    clock.advance(1)
    assert ledger.claim(run().id, this_process())


def test_only_a_known_run_can_be_claimed(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        ledger.claim("nothing", this_process())
    ledger.release("nothing", this_process())


def test_claims_on_different_runs_do_not_meet(ledger: Ledger) -> None:
    ledger.add_run(run("a"), JOB)
    ledger.add_run(run("b"), JOB)
    assert ledger.claim("a", elsewhere(1))
    assert ledger.claim("b", elsewhere(2))


def test_this_process_is_alive_and_one_that_ended_is_not() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        host = this_process().rsplit(":", 2)[0]
        assert holders.is_alive(f"{host}:{other.pid}:")
        other.stdin.close()
        other.wait()
    assert holders.is_alive(this_process())
    assert not holders.is_alive(f"{host}:{other.pid}:")
    assert not holders.is_alive(f"{host}:nonsense:")
    assert not holders.is_alive(f"{host}:{2**70}:")
    assert not holders.is_alive(host)


def test_a_process_that_is_dead_and_not_buried_yet_is_dead() -> None:
    program = "from cloudtrain.ledger.holder import this_process; print(this_process())"
    other = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    holder = other.stdout.readline().strip()
    assert other.stdout.read() == ""
    import os

    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its number is still taken
    assert not holders.is_alive(holder)
    other.communicate()


def test_without_proc_a_start_is_told_by_ps() -> None:
    import os

    started = holders._started_by_ps(os.getpid())
    if started is None:
        pytest.skip("no ps here")
    assert started == holders._started_by_ps(os.getpid())
    assert ":" not in started
    assert len(started) > 10
    assert holders._started_by_ps(2**22 + 1) == ""
