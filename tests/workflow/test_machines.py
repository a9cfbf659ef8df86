"""The verbs on machines: what start, extend and resize promise."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from cloudtrain import carrying, leasing, machines, overview, workflow
from cloudtrain.model.errors import (
    CloudQuotaExceededError,
    ConfigError,
    NoOfferFitsError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RunHeldError,
    SetupError,
    ShutdownError,
)
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.spec import Budget, Market, OnFinish

from .conftest import MACHINE, World


def test_start_without_waiting_returns_while_the_machine_boots_and_its_deadline_is_armed(world: World) -> None:
    world.provider._boot_s = 100.0
    instance = machines.start(MACHINE, world.tools, wait=False)
    assert instance.state is InstanceState.PENDING
    assert instance.deadline is not None
    assert world.ledger.machine(MACHINE.name).instance == instance


def test_a_machine_that_was_asked_to_stops_at_its_deadline_and_keeps_its_disk(world: World) -> None:
    instance = machines.start(MACHINE, world.tools, on_finish=OnFinish.STOP)
    world.clock.sleep(25 * 3600)
    assert world.provider.get(instance.ref).state is InstanceState.STOPPED


def test_a_spot_machine_cannot_be_asked_to_stop(world: World) -> None:
    with pytest.raises(ConfigError, match="spot"):
        machines.start(replace(MACHINE, market=Market.SPOT), world.tools, on_finish=OnFinish.STOP)
    assert list(world.provider.list_owned()) == []


def test_a_launch_under_a_name_that_nobody_heard_back_from_is_asked_again_and_makes_no_second_machine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease.grant(Budget(), 0.1, world.clock.now())
    order = LaunchOrder("ct-1", MACHINE, world.provider.offers(MACHINE.resources)[0], lease, "me-here")
    world.ledger.intend(order)
    made = world.provider.launch(order)
    # The cloud's lists lag behind its answers.
    monkeypatch.setattr(world.provider, "list_owned", lambda: ())
    assert machines.start(MACHINE, world.tools).ref == made.ref
    monkeypatch.undo()
    assert [instance.ref for instance in world.provider.list_owned()] == [made.ref]


class HalfMade:
    """A machine that a cloud accepted and that nothing ends until its order is asked again."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, run_id: str = "") -> None:
        lease = Lease.grant(Budget(), 0.1, world.clock.now())
        self.order = LaunchOrder("ct-1", MACHINE, world.provider.offers(MACHINE.resources)[0], lease, "me-here", run_id=run_id)
        world.ledger.intend(self.order)
        self.made = world.provider.launch(self.order)
        self.is_armed = False
        self._launch, self._get, self._list = world.provider.launch, world.provider.get, world.provider.list_owned
        for name in ("launch", "get", "list_owned"):
            monkeypatch.setattr(world.provider, name, getattr(self, name))

    def launch(self, order: LaunchOrder) -> Instance:
        assert order == self.order
        self.is_armed = True
        return self._launch(order)

    def get(self, ref: InstanceRef) -> Instance:
        return self._seen(self._get(ref))

    def list_owned(self) -> list[Instance]:
        return [self._seen(instance) for instance in self._list()]

    def _seen(self, instance: Instance) -> Instance:
        return instance if self.is_armed else replace(instance, deadline=None)


@pytest.mark.parametrize("looks", [0, 1])
def test_a_launch_that_was_killed_before_anything_ends_its_machine_is_finished_also_after_a_look(
    looks: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = HalfMade(world, monkeypatch)
    for _ in range(looks):
        assert len(overview.machines_at(MACHINE, world.tools)) == 1
    started = machines.start(MACHINE, world.tools)
    assert (started.ref, started.deadline) == (half.made.ref, half.order.lease.deadline)
    assert world.ledger.open_intents() == []


def test_a_runs_half_made_machine_is_for_whoever_takes_the_run_up_and_no_second_one_is_rented(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = HalfMade(world, monkeypatch, run_id="run-1")
    with pytest.raises(ShutdownError, match="nothing ends it"):
        machines.start(MACHINE, world.tools, wait=False)
    assert not half.is_armed, "it was launched again"
    assert world.ledger.open_intents() == [half.order]


def test_a_machine_that_nothing_ends_and_nobody_ordered_bills_on_and_that_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = HalfMade(world, monkeypatch)
    world.ledger.settle(half.order.token, half.made.ref)
    with pytest.raises(ShutdownError, match="nothing ends it") as refused:
        machines.start(MACHINE, world.tools, wait=False)
    assert (refused.value.exit_code, refused.value.hint) == (70, f"End it: cloudtrain terminate {MACHINE.name}")


def test_a_run_does_not_use_a_machine_that_nothing_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    half = HalfMade(world, monkeypatch)
    with pytest.raises(ShutdownError, match="nothing ends it"):
        workflow.train(world.job("true"), MACHINE, world.tools)
    machines.start(MACHINE, world.tools)
    run = workflow.train(world.job("true"), MACHINE, world.tools)
    assert run.instances == (half.made.ref,)


def test_what_the_whole_cloud_has_no_quota_for_is_not_tried_elsewhere(world: World) -> None:
    world.provider.fail_next("launch", CloudQuotaExceededError("no GPU anywhere", "Ask for more: https://example"))
    with pytest.raises(CloudQuotaExceededError, match="no GPU anywhere") as refused:
        machines.start(MACHINE, world.tools)
    assert "Ask for more" in refused.value.hint
    assert world.ledger.open_intents() == []


@pytest.mark.parametrize("verb", ["stop", "terminate"])
def test_what_cannot_even_be_looked_at_may_bill_on(world: World, verb: str) -> None:
    machines.start(MACHINE, world.tools)
    world.provider.fail_next("get", PermissionDeniedError("you may not look", "Ask whoever administers the account."))
    with pytest.raises(ShutdownError, match="may still bill") as refused:
        getattr(machines, verb)(MACHINE.name, world.tools)
    assert refused.value.hint.startswith("Ask whoever administers the account.\n")
    assert f"cloudtrain {verb} {MACHINE.name}" in refused.value.hint
    getattr(machines, verb)(MACHINE.name, world.tools)


def test_what_would_cure_a_quota_is_said_once_when_no_offer_could_be_had(world: World) -> None:
    for _ in world.provider.offers(MACHINE.resources):
        world.provider.fail_next("launch", QuotaExceededError("0 of 8", "Ask for more: https://example/quota"))
    with pytest.raises(NoOfferFitsError) as refused:
        machines.start(MACHINE, world.tools)
    assert refused.value.hint.count("https://example/quota") == 1


def test_extend_by_dollars_moves_the_deadline_by_what_they_buy(world: World) -> None:
    started = machines.start(MACHINE, world.tools, budget=Budget(1.0))
    extended = leasing.extend(MACHINE.name, world.tools, usd=0.5)
    assert started.deadline is not None
    assert extended.before == started.deadline
    assert extended.instance.deadline == started.deadline + timedelta(hours=5)  # $0.10/h
    assert extended.most_usd == pytest.approx(1.5, abs=0.001)
    assert world.ledger.machine(MACHINE.name).instance == extended.instance


def test_extend_by_a_time(world: World) -> None:
    started = machines.start(MACHINE, world.tools)
    extended = leasing.extend(MACHINE.name, world.tools, seconds=7200)
    assert started.deadline is not None
    assert extended.instance.deadline == started.deadline + timedelta(hours=2)


@pytest.mark.parametrize(
    "reach",
    [
        lambda world: machines.open_shell(MACHINE.name, ["true"], world.tools),
        lambda world: carrying.push(MACHINE.name, world.folder, "there", world.tools),
    ],
    ids=["ssh", "push"],
)
def test_a_machine_that_is_switched_off_is_said_to_be_and_not_that_something_may_bill(
    world: World, reach: Callable[[World], object]
) -> None:
    machines.start(MACHINE, world.tools)
    machines.stop(MACHINE.name, world.tools)
    with pytest.raises(NotFoundError, match="is stopped") as refused:
        reach(world)
    assert (refused.value.exit_code, refused.value.hint) == (2, f"Switch it on: cloudtrain start {MACHINE.name}")


def test_extend_refuses_a_stopped_machine_and_a_lease_without_end(world: World) -> None:
    machines.start(MACHINE, world.tools)
    with pytest.raises(ConfigError, match="120 days"):
        leasing.extend(MACHINE.name, world.tools, seconds=130 * 86400)
    machines.stop(MACHINE.name, world.tools)
    with pytest.raises(ConfigError, match="stopped"):
        leasing.extend(MACHINE.name, world.tools, seconds=60)


def test_a_deadline_the_cloud_does_not_move_stands_as_it_was(world: World) -> None:
    started = machines.start(MACHINE, world.tools)
    world.provider.fail_next("extend", ProviderError("no"))
    with pytest.raises(ProviderError, match="no"):
        leasing.extend(MACHINE.name, world.tools, seconds=7200)
    assert world.provider.get(started.ref).deadline == started.deadline


def test_a_machine_that_only_its_cloud_ends_is_usable_when_its_gpus_answer(world: World) -> None:
    with_gpu = replace(MACHINE, instance_types=("mem.gpu",))
    with pytest.raises(SetupError, match="1 GPU is paid for and the machine shows 0"):
        machines.start(with_gpu, world.tools)


def test_resize_switches_off_and_keeps_machine_and_disk(world: World) -> None:
    started = machines.start(MACHINE, world.tools)
    resized = machines.resize(MACHINE.name, "mem.gpu", world.tools)
    assert (resized.ref, resized.instance_type, resized.state) == (started.ref, "mem.gpu", InstanceState.STOPPED)
    assert resized.usd_per_hour == pytest.approx(1.0)
    again = machines.start(MACHINE, world.tools, budget=Budget(2.0), wait=False)
    assert again.ref == started.ref
    assert again.deadline is not None
    assert again.deadline - world.clock.now() <= timedelta(hours=2)


def test_resize_to_a_type_that_is_not_there_leaves_the_machine_running(world: World) -> None:
    started = machines.start(MACHINE, world.tools)
    with pytest.raises(NoOfferFitsError, match=r"no mem\.huge"):
        machines.resize(MACHINE.name, "mem.huge", world.tools)
    assert world.provider.get(started.ref).state is InstanceState.RUNNING


def test_a_runs_machine_is_not_resized_under_it(world: World) -> None:
    run = workflow.train(world.job("sleep 600"), MACHINE, world.tools, detach=True)
    with pytest.raises(RunHeldError):
        machines.resize(MACHINE.name, "mem.gpu", world.tools)
    assert world.provider.get(run.instances[0]).state is InstanceState.RUNNING


def test_a_stopped_machine_is_not_started_for_less_than_it_takes_to_boot(world: World) -> None:
    machines.start(MACHINE, world.tools)
    machines.stop(MACHINE.name, world.tools)
    with pytest.raises(NoOfferFitsError, match="less than 5 minutes"):
        machines.start(MACHINE, world.tools, budget=Budget(0.001))
