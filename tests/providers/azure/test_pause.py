"""Stopping, starting, resizing, extending and looking on the pretend Azure, where a machine that is merely off bills on."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cloudtrain.model.clock import Clock
from cloudtrain.model.errors import NoCapacityError, PermissionDeniedError, ProviderError, ProviderUnavailableError
from cloudtrain.model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from cloudtrain.model.lease import GuestEnd, Lease
from cloudtrain.model.spec import OnFinish, SshSettings
from cloudtrain.providers.azure import tags
from cloudtrain.providers.azure.provider import AzureProvider
from cloudtrain.providers.waiting import wait_until
from cloudtrain.testing.clock import FakeClock
from tests.providers.azure.conftest import SIZE, Cloud

POWER_OFF = "Microsoft.Compute:virtualMachines/powerOff"
DEALLOCATE = "Microsoft.Compute:virtualMachines/deallocate"
START = "Microsoft.Compute:virtualMachines/start"
SUBMIT = "Microsoft.ComputeSchedule:locations/virtualMachinesSubmitDeallocate"
CANCEL = "Microsoft.ComputeSchedule:locations/virtualMachinesCancelOperations"
DAILY = "Microsoft.DevTestLab:schedules/PUT"


def stopped(provider: AzureProvider, clock: Clock, order: LaunchOrder) -> InstanceRef:
    ref = provider.launch(order).ref
    provider.stop(ref)
    assert reached(provider, clock, ref, InstanceState.STOPPED).usd_per_month_stopped > 0
    return ref


def reached(provider: AzureProvider, clock: Clock, ref: InstanceRef, state: InstanceState) -> Instance:
    seen = wait_until(provider, ref, (state,), clock, 600)
    assert seen is not None
    assert seen.state is state
    return seen


def later(order: LaunchOrder, **by: float) -> Lease:
    return replace(order.lease, deadline=order.lease.deadline + timedelta(**by))


def test_stop_deallocates_and_the_meter_stands_still(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    ref = stopped(provider, clock, order)
    billed = cloud.azure.billed_hours(ref.id)
    cloud.azure.advance(3600)
    assert cloud.azure.billed_hours(ref.id) == billed
    assert cloud.counted(DEALLOCATE) == 1
    assert cloud.counted(POWER_OFF) == 0


def test_a_machine_that_azure_gave_up_to_deallocate_bills_and_is_asked_to_again(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    ref = provider.launch(order).ref
    cloud.fail(DEALLOCATE, code="AllocationFailed")
    provider.stop(ref)
    provider.stop(ref)
    assert cloud.counted(DEALLOCATE) == 1, "one that is on its way is not asked again"
    cloud.azure.advance(600)
    assert provider.get(ref).state is InstanceState.STOPPING
    billed = cloud.azure.billed_hours(ref.id)
    cloud.azure.advance(3600)
    assert cloud.azure.billed_hours(ref.id) > billed
    provider.stop(ref)
    reached(provider, clock, ref, InstanceState.STOPPED)
    assert cloud.counted(DEALLOCATE) == 2


def test_a_machine_that_was_switched_off_inside_is_shown_to_bill_and_stop_ends_that(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    ref = provider.launch(order).ref
    cloud.azure.power_off(cloud.machine().id)
    seen = reached(provider, clock, ref, InstanceState.POWERED_OFF)
    assert seen.state.bills_compute
    assert seen.usd_per_hour == order.offer.usd_per_hour
    assert seen.deadline == order.lease.deadline
    provider.stop(ref)
    assert not reached(provider, clock, ref, InstanceState.STOPPED).state.bills_compute


def test_a_machine_that_was_switched_off_can_be_started(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    ref = provider.launch(order).ref
    cloud.azure.power_off(cloud.machine().id)
    reached(provider, clock, ref, InstanceState.POWERED_OFF)
    assert provider.start(ref, later(order, hours=1)).deadline == later(order, hours=1).deadline
    reached(provider, clock, ref, InstanceState.RUNNING)


def test_a_started_machine_is_told_its_new_lease_before_it_runs(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    provider.prepare_account()
    ref = stopped(provider, clock, replace(order, at_deadline=OnFinish.STOP))
    before = cloud.machine().user_data
    clock.sleep(3 * 3600)  # the old lease is over: a machine that knew no other would end at once
    lease = Lease((clock.now() + timedelta(hours=2)).replace(microsecond=0), 0.544)
    started = provider.start(ref, lease)
    assert (started.deadline, started.guest_end) == (lease.deadline, GuestEnd.DEALLOCATE)
    told = cloud.hypervisor.orders[-1].user_data
    assert told != before
    assert str(int(lease.deadline.timestamp())).encode() in told
    first, second = cloud.azure.ends_of(ref.id)
    assert first == lease.deadline <= second < lease.deadline + timedelta(minutes=1)
    calls = cloud.named()
    assert calls.index(START) > max(place for place, name in enumerate(calls) if name == SUBMIT)


def test_a_machine_that_nothing_would_end_is_not_started(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    ref = stopped(provider, clock, order)
    for name in (SUBMIT, DAILY):
        cloud.fail(name, "AuthorizationFailed", http=403, times=9)
    with pytest.raises(ProviderError, match="would end it"):
        provider.start(ref, later(order, hours=1))
    assert cloud.counted(START) == 0


def test_a_start_without_room_keeps_the_disk(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    ref = stopped(provider, clock, order)
    cloud.fail(START, "AllocationFailed")
    with pytest.raises(NoCapacityError, match="AllocationFailed"):
        provider.start(ref, later(order, hours=1))
    assert not provider.get(ref).state.bills_compute


def test_a_machine_from_another_computer_is_not_started_here(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    ref = stopped(provider, clock, order)
    provider._account.keys.forget(ref.id)
    with pytest.raises(ProviderError, match="another computer"):
        provider.start(ref, later(order, hours=1))
    assert cloud.counted(START) == 0


def test_extend_moves_both_schedules_and_leaves_none_behind(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    ref = provider.launch(order).ref
    provider.extend(ref, later(order, hours=3))
    assert set(cloud.azure.ends_of(ref.id)) == {later(order, hours=3).deadline}
    provider.extend(ref, later(order, hours=40))
    assert cloud.azure.ends_of(ref.id) == [later(order, hours=40).deadline]
    assert cloud.group()[tags.DAILY] == tags.LATER
    assert provider.get(ref).deadline == later(order, hours=40).deadline


@pytest.mark.parametrize("name", [DAILY, CANCEL])
def test_a_deadline_that_cannot_be_moved_whole_stands_as_it_was(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, name: str
) -> None:
    ref = provider.launch(order).ref
    cloud.fail(name, "AuthorizationFailed", http=403, times=1)
    with pytest.raises(ProviderError):
        provider.extend(ref, later(order, hours=3))
    assert provider.get(ref).deadline == order.lease.deadline
    assert min(cloud.azure.ends_of(ref.id)) == order.lease.deadline


def test_a_stopped_machine_has_no_deadline_to_move(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    ref = stopped(provider, clock, order)
    assert provider.get(ref).deadline is None
    with pytest.raises(ProviderError, match="no deadline to move"):
        provider.extend(ref, later(order, hours=1))


def test_a_disk_does_not_move(provider: AzureProvider, clock: FakeClock, order: LaunchOrder) -> None:
    ref = stopped(provider, clock, order)
    for offer in (replace(order.offer, region="westus2"), replace(order.offer, zone="eastus-3")):
        with pytest.raises(ProviderError, match="a disk does not move"):
            provider.resize(ref, offer)
    assert provider.get(ref).instance_type == SIZE


def test_let_in_opens_to_the_new_address_and_shuts_out_the_old(
    provider: AzureProvider, cloud: Cloud, order: LaunchOrder, make_account, machine
) -> None:
    ref = provider.launch(order).ref
    cloud.azure.forget_calls()
    provider.let_in(ref)
    assert not [name for name in cloud.named() if name.endswith("/PUT")]
    moved = replace(machine, ssh=SshSettings(allow_from=("203.0.113.9/32", "2001:db8::7/128")))
    elsewhere = AzureProvider(make_account(moved).settings)
    elsewhere.let_in(ref)
    assert cloud.azure.may_reach("203.0.113.9", ref.id)
    assert not cloud.azure.may_reach("198.51.100.7", ref.id)


def test_a_group_that_is_not_ours_is_never_touched(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.launch(order)
    held = cloud.azure.account.groups["ct-token-1"]
    held.tags = {}
    theirs = InstanceRef("azure", "ct-token-1", "eastus")
    for ref in (theirs, InstanceRef("azure", "production", "eastus"), InstanceRef("azure", "ct-1/../production", "eastus")):
        provider.terminate(ref)
    assert cloud.counted("Microsoft.Resources:resourceGroups/DELETE") == 0
    assert len(cloud.azure.machines()) == 1


def test_a_silent_azure_is_no_empty_one(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    cloud.fail("Microsoft.Resources:resourceGroups/GET", "ServiceUnavailable", http=503, times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.get(ref)
    cloud.azure.faults.clear()
    cloud.fail("Microsoft.Compute:virtualMachines/LIST", "AuthorizationFailed", http=403, times=99)
    with pytest.raises(PermissionDeniedError):
        provider.list_owned()


def test_throttling_is_waited_out(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    cloud.fail("Microsoft.Compute:virtualMachines/deallocate", "TooManyRequests", http=429, times=2)
    provider.stop(ref)
    assert cloud.machine().state in ("deallocating", "deallocated")


def test_a_group_without_its_machine_is_a_leftover_with_its_price(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, order: LaunchOrder
) -> None:
    ref = provider.launch(order).ref
    account = cloud.azure.account
    for id in list(account.machines):  # as if somebody had deleted it in the portal and kept disk and address
        account.machines.pop(id)
        account.resources.pop(id)
    assert provider.leftovers() == []
    clock.sleep(3600)
    (left,) = provider.leftovers()
    assert (left.id, left.token) == (ref.id, order.token)
    assert left.usd_per_month == pytest.approx(128 * 0.075 + 0.005 * 730, abs=0.01)
