"""Off, on again under a new lease, another type meanwhile, and the deadline moved."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cloudtrain.model.errors import InstanceNotFoundError, NoCapacityError, ProviderError, ProviderUnavailableError
from cloudtrain.model.instance import Instance, InstanceState, LaunchOrder
from cloudtrain.model.lease import GuestEnd, Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Market, OnFinish, SshSettings
from cloudtrain.providers.aws import schedule
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.boot import BootOrder, cloud_config
from cloudtrain.providers.waiting import wait_until

from .conftest import HERE, OTHER_REGION, REGION, Cloud

ELSEWHERE = "203.0.113.9/32"


@pytest.fixture
def running(provider: AwsProvider, order: LaunchOrder, account: Account) -> Instance:
    return reach(provider, account, provider.launch(order), InstanceState.RUNNING)


@pytest.fixture
def stopped(provider: AwsProvider, running: Instance, account: Account, cloud: Cloud) -> Instance:
    provider.stop(running.ref)
    seen = reach(provider, account, running, InstanceState.STOPPED)
    cloud.calls.clear()
    return seen


@pytest.fixture
def later(order: LaunchOrder, account: Account) -> Lease:
    return replace(order.lease, deadline=order.lease.deadline + timedelta(hours=3))


def reach(provider: AwsProvider, account: Account, instance: Instance, state: InstanceState) -> Instance:
    seen = wait_until(provider, instance.ref, (state,), account.settings.clock, 600)
    assert seen is not None
    assert seen.state is state
    return seen


def test_a_stopped_machine_has_no_deadline_and_costs_its_disk(stopped: Instance) -> None:
    assert (stopped.deadline, stopped.endpoint, stopped.address) == (None, None, "")
    assert stopped.usd_per_month_stopped == 8.0


def test_start_tells_the_machine_its_new_lease_before_it_is_on(
    provider: AwsProvider, cloud: Cloud, stopped: Instance, later: Lease, account: Account
) -> None:
    account.settings.clock.advance(60)
    started = provider.start(stopped.ref, later)
    assert (started.state, started.deadline) == (InstanceState.PENDING, later.deadline)
    keys = account.keys.keys_of(stopped.token)
    told = BootOrder(
        deadline=later.deadline,
        issued_at=account.now(),
        guest_end=GuestEnd.POWEROFF,
        authorized_key=keys.authorized_key,
        host_key=keys.host_key,
        host_public_key=keys.host_public_key,
    )
    assert cloud.sent("ModifyInstanceAttribute") == [{"InstanceId": stopped.ref.id, "UserData": {"Value": cloud_config(told)}}]
    assert cloud.named()[0] == "DescribeInstances"
    assert sorted(cloud.named()[1:]) == ["CreateTags", "DescribeSecurityGroups", "ModifyInstanceAttribute", "StartInstances"]
    assert cloud.named()[-1] == "StartInstances"
    reach(provider, account, stopped, InstanceState.RUNNING)
    assert cloud.hypervisor.orders[-1].user_data == cloud_config(told)


def test_a_running_machine_is_returned_with_the_lease_moved(
    provider: AwsProvider, cloud: Cloud, running: Instance, later: Lease
) -> None:
    cloud.calls.clear()
    assert provider.start(running.ref, later).deadline == later.deadline
    assert cloud.named() == ["DescribeInstances", "CreateTags"]
    assert provider.get(running.ref).deadline == later.deadline


@pytest.mark.parametrize("operation", ["ModifyInstanceAttribute", "CreateTags", "DescribeSecurityGroups"])
def test_a_machine_that_could_not_be_told_is_not_switched_on(
    provider: AwsProvider, cloud: Cloud, stopped: Instance, later: Lease, operation: str
) -> None:
    cloud.fail(operation, "UnauthorizedOperation", times=99)
    with pytest.raises(ProviderError):
        provider.start(stopped.ref, later)
    assert "StartInstances" not in cloud.named()


def test_no_capacity_at_a_start_is_asked_once_and_keeps_the_machine(
    provider: AwsProvider, cloud: Cloud, stopped: Instance, later: Lease
) -> None:
    cloud.fail("StartInstances", "InsufficientInstanceCapacity")
    with pytest.raises(NoCapacityError):
        provider.start(stopped.ref, later)
    assert len(cloud.sent("StartInstances")) == 1
    assert provider.get(stopped.ref).state is InstanceState.STOPPED


def test_a_machine_that_is_stopping_cannot_be_started_yet(
    provider: AwsProvider, cloud: Cloud, running: Instance, later: Lease
) -> None:
    cloud.aws.durations.stopping = 60
    provider.stop(running.ref)
    provider.stop(running.ref)
    assert len(cloud.sent("StopInstances")) == 1
    with pytest.raises(ProviderUnavailableError, match="still stopping"):
        provider.start(running.ref, later)


def test_a_machine_of_another_computer_cannot_be_started_here(
    provider: AwsProvider, cloud: Cloud, stopped: Instance, later: Lease, account: Account
) -> None:
    account.keys.forget(stopped.token)
    with pytest.raises(ProviderError, match="another computer"):
        provider.start(stopped.ref, later)
    assert cloud.named() == ["DescribeInstances"]


def test_a_spot_machine_is_not_stopped(provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account) -> None:
    spot = provider.launch(replace(order, offer=replace(order.offer, market=Market.SPOT)))
    reach(provider, account, spot, InstanceState.RUNNING)
    with pytest.raises(ProviderError) as caught:
        provider.stop(spot.ref)
    assert caught.value.hint == "End it, disk included: cloudtrain terminate aws-mine"
    assert "StopInstances" not in cloud.named()


def test_who_moved_house_is_let_in_and_the_old_address_out(
    make_account, cloud: Cloud, stopped: Instance, later: Lease, order: LaunchOrder
) -> None:
    there = replace(order.machine, ssh=SshSettings(allow_from=(ELSEWHERE, "2001:db8::/64")))
    moved = make_account(there)
    provider = AwsProvider(moved.settings)
    provider._account = moved
    provider.start(stopped.ref, later)
    assert [sent["IpPermissions"] for sent in cloud.sent("AuthorizeSecurityGroupIngress")] == [
        [
            {
                "IpProtocol": "tcp",
                "FromPort": 22,
                "ToPort": 22,
                "IpRanges": [{"CidrIp": ELSEWHERE}],
                "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/64"}],
            }
        ]
    ]
    assert [sent["IpPermissions"] for sent in cloud.sent("RevokeSecurityGroupIngress")] == [
        [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": HERE}]}]
    ]
    cloud.calls.clear()
    provider.let_in(stopped.ref)
    assert cloud.named() == ["DescribeInstances", "DescribeSecurityGroups"]


def test_a_stopped_machine_takes_another_type_and_its_price(provider: AwsProvider, cloud: Cloud, stopped: Instance) -> None:
    bigger = Offer("aws", "g4dn.2xlarge", REGION, usd_per_hour=0.752, beside_usd_per_hour=0.02, gpu_count=1)
    provider.resize(stopped.ref, bigger)
    provider.resize(stopped.ref, bigger)
    assert cloud.sent("ModifyInstanceAttribute") == [{"InstanceId": stopped.ref.id, "InstanceType": {"Value": "g4dn.2xlarge"}}]
    seen = provider.get(stopped.ref)
    assert (seen.instance_type, seen.usd_per_hour, seen.beside_usd_per_hour) == ("g4dn.2xlarge", 0.752, 0.02)


def test_a_disk_does_not_move_to_another_region(provider: AwsProvider, stopped: Instance) -> None:
    with pytest.raises(ProviderError, match="does not move"):
        provider.resize(stopped.ref, Offer("aws", "g4dn.2xlarge", OTHER_REGION))


def test_extend_moves_the_tag_in_two_calls(provider: AwsProvider, cloud: Cloud, running: Instance, later: Lease) -> None:
    cloud.calls.clear()
    provider.extend(running.ref, later)
    assert cloud.named() == ["DescribeInstances", "CreateTags"]
    assert provider.get(running.ref).deadline == later.deadline


def test_a_stopped_machine_has_no_deadline_to_move(provider: AwsProvider, stopped: Instance, later: Lease) -> None:
    with pytest.raises(ProviderError, match="no deadline to move"):
        provider.extend(stopped.ref, later)


def test_a_machine_that_ended_has_no_deadline_to_move(provider: AwsProvider, running: Instance, later: Lease) -> None:
    provider.terminate(running.ref)
    with pytest.raises(InstanceNotFoundError):
        provider.extend(running.ref, later)


def test_the_schedule_follows_the_machine(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, later: Lease, account: Account
) -> None:
    schedule.set_up(account)
    launched = provider.launch(replace(order, at_deadline=OnFinish.STOP))
    reach(provider, account, launched, InstanceState.RUNNING)
    provider.extend(launched.ref, later)
    [moved] = cloud.sent("UpdateSchedule")
    assert moved["ScheduleExpression"] == f"at({later.deadline:%Y-%m-%dT%H:%M:%S})"
    assert moved["Target"]["Arn"].endswith(":stopInstances")
    assert names(account) == [order.token]
    cloud.calls.clear()
    provider.stop(launched.ref)
    assert cloud.named() == ["DescribeInstances", "DeleteSchedule", "StopInstances"]
    assert names(account) == []
    reach(provider, account, launched, InstanceState.STOPPED)
    provider.start(launched.ref, later)
    assert names(account) == [order.token]
    provider.terminate(launched.ref)
    assert names(account) == []


def test_a_tag_does_not_promise_what_the_schedule_refused(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, later: Lease, account: Account
) -> None:
    schedule.set_up(account)
    launched = reach(provider, account, provider.launch(order), InstanceState.RUNNING)
    cloud.fail("UpdateSchedule", "ValidationException")
    with pytest.raises(ProviderError):
        provider.extend(launched.ref, later)
    assert provider.get(launched.ref).deadline == order.lease.deadline


def names(account: Account) -> list[str]:
    return schedule.names_in(REGION, account)
