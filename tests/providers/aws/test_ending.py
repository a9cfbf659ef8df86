"""Ending a machine, and finding and removing what may be left."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cloudtrain.model.errors import InstanceNotFoundError, ProviderError, ProviderUnavailableError
from cloudtrain.model.instance import InstanceRef, InstanceState, LaunchOrder, Leftover
from cloudtrain.model.spec import Market
from cloudtrain.providers.aws import schedule
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.waiting import wait_until

from .conftest import OTHER_REGION, REGION, Cloud

NOTHING = {"machines": [], "groups": [], "disks": []}
Remains = Callable[[], dict[str, list[str]]]


def gone(provider: AwsProvider, ref: InstanceRef, account: Account) -> None:
    seen = wait_until(provider, ref, (InstanceState.TERMINATED,), account.settings.clock, 600)
    assert seen is None or seen.state is InstanceState.TERMINATED


def test_terminate_takes_disk_group_keys_and_schedule(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account, remains: Remains
) -> None:
    schedule.set_up(account)
    ref = provider.launch(order).ref
    provider.terminate(ref)
    assert remains()["groups"] == ["cloudtrain-ct-token-1"]
    assert account.keys.keys_of(order.token) is not None
    gone(provider, ref, account)
    provider.terminate(ref)
    assert remains() == NOTHING
    assert account.keys.keys_of(order.token) is None
    assert schedule.names_in(REGION, account) == []
    assert len(cloud.sent("TerminateInstances")) == 1
    assert list(provider.leftovers()) == []


def test_the_request_of_a_spot_machine_is_cancelled(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account
) -> None:
    launched = provider.launch(replace(order, offer=replace(order.offer, market=Market.SPOT)))
    assert launched.market is Market.SPOT
    request = provider._account.clients.ec2(REGION).describe_instances()["Reservations"][0]["Instances"][0]
    provider.terminate(launched.ref)
    assert cloud.sent("CancelSpotInstanceRequests") == [{"SpotInstanceRequestIds": [request["SpotInstanceRequestId"]]}]


def test_what_can_go_goes_whichever_part_fails(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account, remains: Remains
) -> None:
    schedule.set_up(account)
    ref = provider.launch(order).ref
    provider.terminate(ref)
    gone(provider, ref, account)
    cloud.fail("DeleteSchedule", "AccessDeniedException")
    with pytest.raises(ProviderError, match="DeleteSchedule"):
        provider.terminate(ref)
    assert remains() == NOTHING


@pytest.mark.parametrize("operation", ["DescribeInstances", "TerminateInstances"])
def test_a_terminate_that_fails_says_so(provider: AwsProvider, cloud: Cloud, order: LaunchOrder, operation: str) -> None:
    ref = provider.launch(order).ref
    cloud.fail(operation, "UnauthorizedOperation")
    with pytest.raises(ProviderError):
        provider.terminate(ref)
    provider.terminate(ref)
    assert provider.get(ref).state in (InstanceState.TERMINATING, InstanceState.TERMINATED)


def test_a_machine_that_was_just_made_is_not_believed_to_be_absent(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account
) -> None:
    ref = provider.launch(order).ref
    cloud.fail("DescribeInstances", "InvalidInstanceID.NotFound", times=4)
    with pytest.raises(ProviderUnavailableError):
        provider.get(ref)
    with pytest.raises(ProviderUnavailableError):
        provider.terminate(ref)
    account.settings.clock.advance(61)
    with pytest.raises(InstanceNotFoundError):
        provider.get(ref)
    assert provider.get(ref).ref == ref


def test_a_machine_is_gone_when_two_looks_say_so(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account
) -> None:
    ref = provider.launch(order).ref
    account.settings.clock.advance(61)
    cloud.fail("DescribeInstances", "InvalidInstanceID.NotFound")
    assert provider.get(ref).ref == ref


def test_the_leftovers_of_a_launch_nobody_finished_are_found_in_every_region_and_removed(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account
) -> None:
    for region in (REGION, OTHER_REGION):
        there = replace(order, token=f"ct-{region}", offer=replace(order.offer, region=region, zone=""))
        cloud.fail("RunInstances", times=4)
        with pytest.raises(ProviderUnavailableError):
            provider.launch(there)
    ec2 = account.clients.ec2(OTHER_REGION)
    tags = [{"Key": "cloudtrain", "Value": "1"}, {"Key": "cloudtrain:owner", "Value": "alice-laptop"}]
    volume = ec2.create_volume(
        AvailabilityZone=f"{OTHER_REGION}a", Size=50, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )["VolumeId"]
    ec2.create_volume(AvailabilityZone=f"{OTHER_REGION}a", Size=50)
    found = sorted(provider.leftovers(), key=lambda left: (left.kind, left.region))
    assert [(left.kind, left.region, left.usd_per_month, left.owner, left.token) for left in found] == [
        ("disk", OTHER_REGION, 4.0, "alice-laptop", ""),
        ("group", OTHER_REGION, 0.0, "alice-laptop", f"ct-{OTHER_REGION}"),
        ("group", REGION, 0.0, "alice-laptop", f"ct-{REGION}"),
    ]
    assert found[0].id == volume
    for left in found:
        provider.remove(left)
        provider.remove(left)
    assert list(provider.leftovers()) == []


def test_what_a_living_machine_uses_is_no_leftover(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account
) -> None:
    schedule.set_up(account)
    launched = provider.launch(order)
    assert list(provider.leftovers()) == []
    [group] = provider._account.clients.ec2(REGION).describe_security_groups(
        Filters=[{"Name": "tag-key", "Values": ["cloudtrain"]}]
    )["SecurityGroups"]
    cloud.fail("DeleteSecurityGroup", "DependencyViolation")
    with pytest.raises(ProviderError, match="still in use"):
        provider.remove(Leftover("aws", "group", group["GroupId"], REGION))
    provider.stop(wait_until(provider, launched.ref, (InstanceState.RUNNING,), account.settings.clock, 600).ref)
    assert list(provider.leftovers()) == []


def test_a_schedule_without_a_machine_is_a_leftover(provider: AwsProvider, order: LaunchOrder, account: Account) -> None:
    role = schedule.set_up(account)
    schedule.arm(REGION, "ct-lost", "i-0123456789abcdef0", order.lease.deadline, order.at_deadline, role, account)
    [left] = provider.leftovers()
    assert (left.kind, left.id, left.token, left.region) == ("schedule", "ct-lost", "ct-lost", REGION)
    provider.remove(left)
    assert list(provider.leftovers()) == []


def test_a_region_that_does_not_answer_does_not_look_empty(provider: AwsProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.launch(order)
    for look in (provider.list_owned, provider.leftovers):
        cloud.fail("DescribeInstances", times=99)
        cloud.fail("DescribeVolumes", times=99)
        with pytest.raises(ProviderUnavailableError, match=REGION):
            look()
        cloud.faults.clear()


@pytest.mark.parametrize("leftover", [Leftover("gcp", "disk", "x", REGION), Leftover("aws", "role", "x", REGION)])
def test_what_is_not_ours_is_not_removed(provider: AwsProvider, cloud: Cloud, leftover: Leftover) -> None:
    with pytest.raises(ProviderError):
        provider.remove(leftover)
    assert cloud.calls == []
