"""A launch: what is asked for, exactly; asked twice; and failing at every call."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from cloudtrain.model.errors import (
    NoCapacityError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from cloudtrain.model.instance import InstanceState, LaunchOrder, SshEndpoint
from cloudtrain.model.lease import GuestEnd, Lease
from cloudtrain.model.spec import Budget, Market, OnFinish, SshSettings
from cloudtrain.providers.aws import schedule
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.boot import BootOrder, cloud_config
from cloudtrain.providers.waiting import wait_until
from tests.shares import one_in

from .conftest import HERE, REGION, ZONE, Cloud

CALLS = {
    "DescribeInstances",
    "GetParameters",
    "DescribeImages",
    "DescribeSubnets",
    "CreateSecurityGroup",
    "AuthorizeSecurityGroupIngress",
    "RunInstances",
}
NOTHING = {"machines": [], "groups": [], "disks": []}
Remains = Callable[[], dict[str, list[str]]]


def tags_of(order: LaunchOrder, issued: str) -> dict[str, str]:
    return {
        "cloudtrain": "1",
        "Name": "aws-mine",
        "cloudtrain:name": "aws-mine",
        "cloudtrain:token": "ct-token-1",
        "cloudtrain:owner": "alice-laptop",
        "cloudtrain:run": "run-7",
        "cloudtrain:deadline": order.lease.deadline.isoformat(),
        "cloudtrain:issued": issued,
        "cloudtrain:usd-per-hour": "0.526",
        "cloudtrain:beside-usd-per-hour": "0.016",
        "cloudtrain:gpu-count": "1",
        "cloudtrain:at-deadline": "terminate",
        "cloudtrain:market": "on-demand",
        "cloudtrain:user": "ubuntu",
        "cloudtrain:disk-gb": "100",
    }


def keys_in(account: Account) -> list[str]:
    folder = account.folder / "keys"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_request_is_exactly_this(provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account) -> None:
    launched = provider.launch(order)
    keys = account.keys.keys_of(order.token)
    [sent] = cloud.sent("RunInstances")
    del sent["UserData"]  # as the machine gets it, see below
    [interface] = sent.pop("NetworkInterfaces")
    kinds = {spec["ResourceType"]: spec["Tags"] for spec in sent.pop("TagSpecifications")}
    assert set(kinds) == {"instance", "volume", "network-interface"}
    for written in kinds.values():
        assert {tag["Key"]: tag["Value"] for tag in written} == tags_of(order, keys.issued_at.isoformat())
    assert interface.pop("SubnetId").startswith("subnet-")
    assert [group[:3] for group in interface.pop("Groups")] == ["sg-"]
    assert interface == {"DeviceIndex": 0, "AssociatePublicIpAddress": True, "DeleteOnTermination": True}
    assert sent.pop("ImageId").startswith("ami-")
    assert sent == {
        "ClientToken": "ct-token-1",
        "InstanceType": "g4dn.xlarge",
        "MinCount": 1,
        "MaxCount": 1,
        "InstanceInitiatedShutdownBehavior": "terminate",
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/sda1",
                "Ebs": {"VolumeSize": 100, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True},
            }
        ],
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
    }
    told = BootOrder(
        deadline=order.lease.deadline,
        issued_at=keys.issued_at,
        guest_end=GuestEnd.POWEROFF,
        authorized_key=keys.authorized_key,
        host_key=keys.host_key,
        host_public_key=keys.host_public_key,
    )
    provider.get(launched.ref)
    cloud.aws.settle()  # seen once, it boots: by itself a moment later, and not at this moment for certain
    assert cloud.hypervisor.orders[0].user_data == cloud_config(told)


def test_a_launch_is_seven_calls_and_what_needs_no_group_goes_first(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    provider.launch(order)
    assert sorted(cloud.named()) == sorted(CALLS)
    assert cloud.named()[-3:] == ["CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RunInstances"]
    assert {region for region, _, _ in cloud.calls} == {REGION}


def test_the_group_is_tagged_when_it_is_made_and_lets_the_caller_in_alone(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    provider.launch(order)
    [made] = cloud.sent("CreateSecurityGroup")
    assert made["GroupName"] == "cloudtrain-ct-token-1"
    assert made["TagSpecifications"][0]["ResourceType"] == "security-group"
    written = {tag["Key"]: tag["Value"] for tag in made["TagSpecifications"][0]["Tags"]}
    assert (written["cloudtrain"], written["cloudtrain:token"]) == ("1", "ct-token-1")
    [opened] = cloud.sent("AuthorizeSecurityGroupIngress")
    assert opened["IpPermissions"] == [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": HERE}]}]


def test_what_was_launched_is_shown_with_its_keys_pinned(provider: AwsProvider, order: LaunchOrder, account: Account) -> None:
    seen = wait_until(provider, provider.launch(order).ref, (InstanceState.RUNNING,), account.settings.clock, 600)
    keys = account.keys.keys_of(order.token)
    assert seen.endpoint == SshEndpoint(
        host=seen.address, host_keys=(keys.host_public_key,), user="ubuntu", identity_file=keys.identity_file
    )
    assert (seen.usd_per_hour, seen.beside_usd_per_hour, seen.gpu_count) == (0.526, 0.016, 1)
    assert (seen.usd_per_month_stopped, seen.guest_end, seen.ref.zone) == (8.0, GuestEnd.POWEROFF, ZONE)


def test_a_spot_machine_under_a_budget_costs_no_more_than_its_lease_was_reckoned_with(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    offer = replace(order.offer, market=Market.SPOT, usd_per_hour=0.2, beside_usd_per_hour=0.016)
    lease = Lease.grant(Budget(1.0), offer.most_usd_per_hour or 0.0, order.lease.deadline - timedelta(days=1))
    provider.launch(replace(order, offer=offer, lease=lease))
    bought = cloud.sent("RunInstances")[0]["InstanceMarketOptions"]["SpotOptions"]
    assert bought["MaxPrice"] == "0.2200"


def test_a_spot_machine_is_bought_once_and_can_only_be_terminated(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    provider.launch(replace(order, offer=replace(order.offer, market=Market.SPOT), at_deadline=OnFinish.STOP))
    [sent] = cloud.sent("RunInstances")
    assert sent["InstanceMarketOptions"] == {
        "MarketType": "spot",
        "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"},
    }
    assert sent["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert "spot-instances-request" in [spec["ResourceType"] for spec in sent["TagSpecifications"]]


def test_a_deadline_may_stop_instead(provider: AwsProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.launch(replace(order, at_deadline=OnFinish.STOP))
    [sent] = cloud.sent("RunInstances")
    assert sent["InstanceInitiatedShutdownBehavior"] == "stop"


def test_the_disk_is_never_smaller_than_the_image(provider: AwsProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.launch(replace(order, disk_gb=20))
    [sent] = cloud.sent("RunInstances")
    assert sent["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 75


def test_without_a_zone_the_cloud_chooses_one(provider: AwsProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.launch(replace(order, offer=replace(order.offer, zone="")))
    [sent] = cloud.sent("RunInstances")
    assert "NetworkInterfaces" not in sent
    assert [group[:3] for group in sent["SecurityGroupIds"]] == ["sg-"]


def test_an_order_that_was_heard_is_not_asked_again(provider: AwsProvider, cloud: Cloud, order: LaunchOrder) -> None:
    first = provider.launch(order)
    cloud.calls.clear()
    assert provider.launch(order).ref == first.ref
    assert "RunInstances" not in cloud.named()
    assert "CreateSecurityGroup" not in cloud.named()


@pytest.mark.parametrize("code", ["", "RequestLimitExceeded", "Unavailable", "InvalidGroup.NotFound"])
def test_a_launch_that_met_trouble_of_the_moment_is_asked_again_with_the_same_words(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, code: str
) -> None:
    cloud.fail("RunInstances", code, times=2)
    assert provider.launch(order).state in (InstanceState.PENDING, InstanceState.RUNNING)
    first, second, third = cloud.sent("RunInstances")
    assert first == second == third


def test_no_capacity_is_asked_once(provider: AwsProvider, cloud: Cloud, order: LaunchOrder, remains: Remains) -> None:
    cloud.fail("RunInstances", "InsufficientInstanceCapacity")
    with pytest.raises(NoCapacityError):
        provider.launch(order)
    assert len(cloud.sent("RunInstances")) == 1
    assert remains() == NOTHING


def test_a_quota_names_its_code(provider: AwsProvider, cloud: Cloud, order: LaunchOrder) -> None:
    cloud.fail("RunInstances", "VcpuLimitExceeded")
    with pytest.raises(QuotaExceededError) as caught:
        provider.launch(order)
    assert "--quota-code L-DB2E81BA" in caught.value.hint
    assert f"--region {REGION}" in caught.value.hint


@pytest.mark.parametrize(
    ("operation", "code"),
    one_in(4, product(sorted(CALLS), ("UnauthorizedOperation", "BrandNewTrouble", "Unavailable"))),
)
def test_a_launch_that_fails_leaves_nothing(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account, remains: Remains, operation: str, code: str
) -> None:
    cloud.fail(operation, code, times=99)
    with pytest.raises(ProviderError):
        provider.launch(order)
    assert operation in cloud.named()
    assert remains() == NOTHING
    assert keys_in(account) == []


@pytest.mark.parametrize("operation", sorted(CALLS - {"RunInstances"}))
def test_a_launch_whose_line_broke_before_it_asked_for_a_machine_made_none(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account, remains: Remains, operation: str
) -> None:
    cloud.fail(operation, times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(order)
    assert remains() == NOTHING
    assert keys_in(account) == []


def test_a_launch_nobody_heard_back_from_keeps_what_the_machine_would_need(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account
) -> None:
    cloud.fail("RunInstances", times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(order)
    assert keys_in(account) == [order.token]
    assert [(left.kind, left.token) for left in provider.leftovers()] == [("group", order.token)]


@pytest.mark.parametrize("operation", ["CreateSecurityGroup", "AuthorizeSecurityGroupIngress"])
def test_a_reply_lost_on_the_way_makes_no_second_group(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, remains: Remains, operation: str
) -> None:
    cloud.fail(operation, after=True)
    provider.launch(order)
    assert remains()["groups"] == ["cloudtrain-ct-token-1"]
    assert len(remains()["machines"]) == 1


def test_a_machine_whose_launch_was_not_heard_of_is_found_by_its_token(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, remains: Remains
) -> None:
    cloud.fail("RunInstances", after=True)
    launched = provider.launch(order)
    first, second = cloud.sent("RunInstances")
    assert first == second
    assert remains()["machines"] == [launched.ref.id]
    assert cloud.aws.violations() == []


def test_a_second_order_failing_leaves_the_first_ones_machine_its_keys(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account
) -> None:
    provider.launch(order)
    cloud.fail("DescribeInstances", times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(order)
    assert keys_in(account) == [order.token]


def test_a_request_that_changed_meanwhile_is_answered_by_looking(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudtrain.providers.aws import launch

    known = provider.launch(order)
    looks = iter([None, launch.of_token(order.token, REGION, provider._account)])
    monkeypatch.setattr(launch, "of_token", lambda *_: next(looks))
    cloud.fail("RunInstances", "IdempotentParameterMismatch")
    assert provider.launch(order).ref == known.ref


def test_an_order_whose_machine_has_ended_makes_no_other_one(provider: AwsProvider, cloud: Cloud, order: LaunchOrder) -> None:
    provider.terminate(provider.launch(order).ref)
    with pytest.raises(NoCapacityError, match="an order makes one machine"):
        provider.launch(order)
    assert len(cloud.sent("RunInstances")) == 1


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0"])
def test_nobody_opens_a_machine_to_everybody(
    provider: AwsProvider, order: LaunchOrder, remains: Remains, everybody: str
) -> None:
    open_to_all = replace(order, machine=replace(order.machine, ssh=SshSettings(allow_from=(everybody,))))
    with pytest.raises(ProviderError, match="everybody"):
        provider.launch(open_to_all)
    assert remains() == NOTHING


def test_a_denied_spot_role_is_named(provider: AwsProvider, cloud: Cloud, order: LaunchOrder) -> None:
    cloud.fail("RunInstances", "AuthFailure.ServiceLinkedRoleCreationNotPermitted")
    with pytest.raises(PermissionDeniedError, match="create-service-linked-role"):
        provider.launch(order)


def test_the_private_host_key_is_in_the_user_data_and_nowhere_else(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    shown = provider.get(provider.launch(order).ref)
    cloud.aws.settle()
    keys = account.keys.keys_of(order.token)
    secret = keys.host_key.splitlines()[2]
    [machine] = cloud.hypervisor.orders
    assert secret.encode() in machine.user_data
    [sent] = cloud.sent("RunInstances")
    del sent["UserData"]
    assert secret not in repr(cloud.calls) + repr(shown) + repr(keys) + caplog.text
    assert keys.identity_file.read_text().splitlines()[2].encode() not in machine.user_data


def test_the_schedule_is_armed_where_the_account_has_its_role(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account
) -> None:
    role = schedule.set_up(account)
    launched = provider.launch(order)
    [sent] = cloud.sent("CreateSchedule")
    assert sent == {
        "Name": "ct-token-1",
        "ScheduleExpression": f"at({order.lease.deadline:%Y-%m-%dT%H:%M:%S})",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": "arn:aws:scheduler:::aws-sdk:ec2:terminateInstances",
            "RoleArn": role,
            "Input": f'{{"InstanceIds": ["{launched.ref.id}"]}}',
            "RetryPolicy": {"MaximumRetryAttempts": 60, "MaximumEventAgeInSeconds": 3600},
        },
    }
    assert len(cloud.sent("GetSchedule")) == 1


@pytest.mark.parametrize("operation", ["CreateSchedule", "GetSchedule"])
def test_a_schedule_that_fails_does_not_fail_the_launch(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account, operation: str
) -> None:
    schedule.set_up(account)
    cloud.fail(operation, "ValidationException", times=99)
    assert provider.launch(order).deadline == order.lease.deadline
