"""A machine that is off and is switched on again: in the books first, off again when it could not be."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cloudtrain import machines, workflow
from cloudtrain.journey import Tools
from cloudtrain.model.errors import (
    CloudtrainError,
    NoCapacityError,
    NoOfferFitsError,
    ProviderUnavailableError,
    ShutdownError,
)
from cloudtrain.model.event import StageStarted
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.money import ChargeKind
from cloudtrain.model.run import Outcome
from cloudtrain.model.spec import Budget

from .conftest import MACHINE, World


@pytest.fixture
def off(world: World) -> Instance:
    """Return a machine that was started and stopped; it cost something."""
    machines.start(MACHINE, world.tools)
    world.clock.sleep(60)
    return machines.stop(MACHINE.name, world.tools)


def capped(world: World, usd: float) -> Tools:
    return replace(world.tools, monthly_budget=lambda: usd)


def computing(world: World) -> list[tuple[str, bool]]:
    """Return what computes or did, by run, and whether it goes on."""
    entries = world.ledger.spend.entries()
    return [(charge.run_id, charge.ended_at is None) for charge in entries if charge.kind is ChargeKind.COMPUTE]


def test_what_the_cloud_has_no_room_for_was_never_on(world: World, off: Instance) -> None:
    before = world.ledger.spend.entries()
    world.provider.fail_next("start", NoCapacityError("no room"))
    with pytest.raises(NoCapacityError):
        machines.start(MACHINE, world.tools)
    assert world.ledger.spend.entries() == before


def test_what_nobody_heard_of_again_is_on_in_the_books_until_somebody_looks(world: World, off: Instance) -> None:
    world.provider.fail_next("start", ProviderUnavailableError("no answer"))
    with pytest.raises(ProviderUnavailableError):
        machines.start(MACHINE, world.tools)
    assert computing(world) == [("", False), ("", True)]
    world.clock.sleep(180)
    world.ledger.spend.seen(world.provider.get(off.ref), world.clock.now())
    assert [goes_on for _, goes_on in computing(world)] == [False, False]


def test_one_that_comes_on_without_its_deadline_is_switched_off_again(
    world: World, off: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = world.provider.start
    monkeypatch.setattr(world.provider, "start", lambda ref, lease: replace(start(ref, lease), deadline=None))
    with pytest.raises(CloudtrainError, match="does not read back as armed"):
        machines.start(MACHINE, world.tools)
    assert world.provider.get(off.ref).state is InstanceState.STOPPED


def test_an_order_written_down_meanwhile_keeps_it_off(world: World, off: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at what the month leaves and the books another terminal orders the rest of it."""
    books, now = world.ledger.spend, world.clock.now()
    other = LaunchOrder(
        "ct-other", replace(MACHINE, name="other"), world.provider.offers(MACHINE.resources)[0],
        Lease(now + timedelta(hours=9), 0.1, 0.9, "budget"), "me-here",
    )  # fmt: skip
    opened = books.opened
    monkeypatch.setattr(books, "opened", lambda *order: (world.ledger.intend(other), opened(*order)))
    before = books.entries()
    with pytest.raises(NoOfferFitsError, match="month's cap"):
        machines.start(MACHINE, capped(world, 1.0))
    assert world.provider.get(off.ref).state is InstanceState.STOPPED
    assert books.entries() == before


def test_a_run_on_it_gets_what_the_month_leaves_and_pays_from_when_it_came_on(world: World, off: Instance) -> None:
    world.listeners.append(lambda event: world.clock.sleep(60) if isinstance(event, StageStarted) else None)
    run = workflow.train(world.job("true", budget=Budget(5.0)), MACHINE, capped(world, 1.0))
    assert run.outcome is Outcome.SUCCEEDED
    assert world.provider.get(off.ref).state is InstanceState.STOPPED
    (charge,) = [charge for charge in world.ledger.spend.entries(run=run.id) if charge.kind is ChargeKind.COMPUTE]
    assert charge.deadline is not None
    assert charge.deadline <= charge.began_at + timedelta(hours=10)  # $0.10/h


def test_one_that_came_on_although_nobody_said_so_is_used(world: World, off: Instance) -> None:
    world.provider.fail_next("start", ProviderUnavailableError("no answer"), after=True)
    started = machines.start(MACHINE, world.tools)
    assert started.state is InstanceState.RUNNING
    assert computing(world) == [("", False), ("", True)]


def test_where_nobody_can_look_whether_it_came_on_it_may_bill(
    world: World, off: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = world.provider.start

    def start_and_fall_silent(ref: InstanceRef, lease: Lease) -> Instance:
        start(ref, lease)
        monkeypatch.setattr(world.provider, "get", silent)
        raise ProviderUnavailableError("no answer")

    def silent(ref: InstanceRef) -> Instance:
        raise ProviderUnavailableError("away")

    monkeypatch.setattr(world.provider, "start", start_and_fall_silent)
    with pytest.raises(ShutdownError, match="ends by itself by") as failed:
        machines.start(MACHINE, world.tools)
    assert "cloudtrain stop cloudy" in failed.value.hint
    assert computing(world) == [("", False), ("", True)]
