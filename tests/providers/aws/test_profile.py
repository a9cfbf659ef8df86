"""The role of one machine: made only when asked for, for one folder, and gone with the machine."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cloudtrain.model.errors import NoCapacityError, PermissionDeniedError, ProviderError, ProviderUnavailableError
from cloudtrain.model.instance import InstanceState, LaunchOrder, Leftover
from cloudtrain.providers.aws import profile, schedule
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.waiting import wait_until
from cloudtrain.testing.playground.aws.policy import may_with, trusts

from .conftest import OTHER_REGION, REGION, Cloud

NAME = "cloudtrain-ct-token-1"
UNKNOWN = f"Value ({NAME}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
OURS = {"cloudtrain": "1", "cloudtrain:token": "ct-token-1", "cloudtrain:owner": "alice-laptop"}
IAM = {"CreateRole", "PutRolePolicy", "CreateInstanceProfile", "AddRoleToInstanceProfile"}
Remains = Callable[[], dict[str, list[str]]]


@pytest.fixture
def asking(order: LaunchOrder) -> LaunchOrder:
    return replace(order, checkpoints="s3://my-bucket/prefix/")


def roles(cloud: Cloud) -> list[Any]:
    return list(cloud.aws.account.moto.iam().roles.values())


def profiles(cloud: Cloud) -> list[Any]:
    return list(cloud.aws.account.moto.iam().instance_profiles.values())


def gone(provider: AwsProvider, ref: Any, account: Account) -> None:
    wait_until(provider, ref, (InstanceState.TERMINATED,), account.settings.clock, 600)


def test_nobody_who_does_not_ask_gets_a_role(provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account) -> None:
    ref = provider.launch(order).ref
    provider.terminate(ref)
    gone(provider, ref, account)
    provider.terminate(ref)
    assert "IamInstanceProfile" not in cloud.sent("RunInstances")[0]
    assert [name for name in cloud.named() if "Role" in name or "Profile" in name] == []


def test_the_machine_has_a_role_of_its_own(provider: AwsProvider, cloud: Cloud, asking: LaunchOrder) -> None:
    launched = provider.launch(asking)
    [sent] = cloud.sent("RunInstances")
    assert sent["IamInstanceProfile"] == {"Name": NAME}
    [role], [carrier] = roles(cloud), profiles(cloud)
    assert (role.name, carrier.name, [each.name for each in carrier.roles]) == (NAME, NAME, [NAME])
    assert role.path == carrier.path == "/cloudtrain/"
    for made in (cloud.sent("CreateRole"), cloud.sent("CreateInstanceProfile")):
        assert {tag["Key"]: tag["Value"] for tag in made[0]["Tags"]}.items() >= OURS.items()
    assert trusts(role, "ec2.amazonaws.com")
    assert not trusts(role, "scheduler.amazonaws.com")
    assert launched.state in (InstanceState.PENDING, InstanceState.RUNNING)
    calls = cloud.named()
    assert max(calls.index(name) for name in IAM) < calls.index("RunInstances")


@pytest.mark.parametrize("url", ["s3://my-bucket/prefix/", "s3://my-bucket/prefix"])
def test_the_role_reaches_one_folder_and_nothing_else(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, url: str
) -> None:
    provider.launch(replace(order, checkpoints=url))
    [role] = roles(cloud)
    bucket = "arn:aws:s3:::my-bucket"
    for action in ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"):
        assert may_with(role, action, f"{bucket}/prefix/digits/results/a", {})
        for other in (f"{bucket}/prefix2/a", f"{bucket}/a", "arn:aws:s3:::my-bucket2/prefix/a"):
            assert not may_with(role, action, other, {})
    for action in ("s3:DeleteObject", "s3:PutBucketPolicy", "s3:GetObjectVersion", "ec2:TerminateInstances"):
        assert not may_with(role, action, f"{bucket}/prefix/a", {})
    assert may_with(role, "s3:ListBucket", bucket, {"s3:prefix": "prefix/digits/"})
    for prefix in ("", "prefix", "prefix2/", "other/"):
        assert not may_with(role, "s3:ListBucket", bucket, {"s3:prefix": prefix})
    assert not may_with(role, "s3:ListBucket", bucket, {})


def test_the_policy_is_exactly_this() -> None:
    first, second = profile.policy("s3://b/a*b?$x", "aws-cn")["Statement"]
    assert first == {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
        "Resource": "arn:aws-cn:s3:::b/a${*}b${?}${$}x/*",
    }
    assert second == {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": "arn:aws-cn:s3:::b",
        "Condition": {"StringLike": {"s3:prefix": "a${*}b${?}${$}x/*"}},
    }
    assert profile.policy("s3://b")["Statement"][0]["Resource"] == "arn:aws:s3:::b/*"


def test_the_name_is_the_order_s_and_fits(order: LaunchOrder) -> None:
    assert profile.name_of(order.token) == NAME
    longest = profile.name_of("x" * 64)
    assert len(longest) <= 64
    assert longest != profile.name_of("y" * 64)
    assert profile.is_ours(longest)
    assert not profile.is_ours(schedule.ROLE)
    assert not profile.is_ours("admin")


def test_asked_again_it_is_the_same_role(provider: AwsProvider, cloud: Cloud, asking: LaunchOrder, account: Account) -> None:
    profile.make(asking, account)
    profile.make(asking, account)
    assert (len(roles(cloud)), len(profiles(cloud))) == (1, 1)
    first = provider.launch(asking)
    assert provider.launch(asking).ref == first.ref


def test_a_profile_that_ec2_does_not_know_yet_is_waited_for(
    provider: AwsProvider, cloud: Cloud, asking: LaunchOrder, account: Account
) -> None:
    cloud.fail("RunInstances", "InvalidParameterValue", UNKNOWN, times=5)
    began = account.settings.clock.monotonic()
    provider.launch(asking)
    assert len(cloud.sent("RunInstances")) == 6
    assert len({json.dumps(sent, default=repr, sort_keys=True) for sent in cloud.sent("RunInstances")}) == 1
    assert account.settings.clock.monotonic() - began == 5 * profile.PAUSE_S


def test_one_that_never_becomes_known_ends_the_launch_and_leaves_nothing(
    provider: AwsProvider, cloud: Cloud, asking: LaunchOrder, account: Account, remains: Remains
) -> None:
    cloud.fail("RunInstances", "InvalidParameterValue", UNKNOWN, times=999)
    began = account.settings.clock.monotonic()
    with pytest.raises(ProviderError, match="iamInstanceProfile"):
        provider.launch(asking)
    assert account.settings.clock.monotonic() - began == profile.PROPAGATION_S
    assert remains() == {"machines": [], "groups": [], "disks": []}
    assert (roles(cloud), profiles(cloud)) == ([], [])


def test_another_wrong_value_is_not_asked_again(provider: AwsProvider, cloud: Cloud, asking: LaunchOrder) -> None:
    cloud.fail("RunInstances", "InvalidParameterValue", "Invalid value 'x' for InstanceType.", times=9)
    with pytest.raises(ProviderError, match="InstanceType"):
        provider.launch(asking)
    assert len(cloud.sent("RunInstances")) == 1


@pytest.mark.parametrize("operation", ["PutRolePolicy", "AddRoleToInstanceProfile"])
def test_a_role_that_iam_does_not_know_everywhere_yet_is_waited_for(
    provider: AwsProvider, cloud: Cloud, asking: LaunchOrder, operation: str
) -> None:
    cloud.fail(operation, "NoSuchEntity", times=3)
    provider.launch(asking)
    assert len(cloud.sent(operation)) == 4


@pytest.mark.parametrize("operation", sorted(IAM))
def test_what_is_denied_is_named_and_nothing_is_left(
    provider: AwsProvider, cloud: Cloud, asking: LaunchOrder, account: Account, remains: Remains, operation: str
) -> None:
    said = f"User: arn:aws:iam::1:user/al is not authorized to perform: iam:{operation} on resource: role {NAME}"
    for message in (said, "no"):
        cloud.fail(operation, "AccessDenied", message)
        with pytest.raises(PermissionDeniedError, match=f"iam:{operation}") as caught:
            provider.launch(asking)
        assert "checkpoints" in caught.value.hint
        assert remains() == {"machines": [], "groups": [], "disks": []}
        assert (roles(cloud), profiles(cloud)) == ([], [])
        assert account.keys.keys_of(asking.token) is None
    assert cloud.sent("RunInstances") == []


@pytest.mark.parametrize("operation", ["CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RunInstances"])
def test_a_launch_that_fails_leaves_no_role(
    provider: AwsProvider, cloud: Cloud, asking: LaunchOrder, remains: Remains, operation: str
) -> None:
    cloud.fail(operation, "UnauthorizedOperation")
    with pytest.raises(PermissionDeniedError):
        provider.launch(asking)
    assert remains() == {"machines": [], "groups": [], "disks": []}
    assert (roles(cloud), profiles(cloud)) == ([], [])


def test_no_room_leaves_no_role(provider: AwsProvider, cloud: Cloud, asking: LaunchOrder) -> None:
    cloud.fail("RunInstances", "InsufficientInstanceCapacity")
    with pytest.raises(NoCapacityError):
        provider.launch(asking)
    assert (roles(cloud), profiles(cloud)) == ([], [])


def test_a_pass_role_that_is_denied_is_named(provider: AwsProvider, cloud: Cloud, asking: LaunchOrder) -> None:
    said = f"You are not authorized. User: u is not authorized to perform: iam:PassRole on resource: {NAME}"
    cloud.fail("RunInstances", "UnauthorizedOperation", said)
    with pytest.raises(PermissionDeniedError, match="iam:PassRole"):
        provider.launch(asking)


def test_it_goes_when_the_machine_is_gone_and_not_before(
    provider: AwsProvider, cloud: Cloud, asking: LaunchOrder, account: Account
) -> None:
    ref = provider.launch(asking).ref
    provider.terminate(ref)
    assert len(roles(cloud)) == 1
    gone(provider, ref, account)
    provider.terminate(ref)
    assert (roles(cloud), profiles(cloud)) == ([], [])
    provider.terminate(ref)


def test_a_role_that_iam_keeps_is_told(provider: AwsProvider, cloud: Cloud, asking: LaunchOrder, account: Account) -> None:
    ref = provider.launch(asking).ref
    provider.terminate(ref)
    gone(provider, ref, account)
    cloud.fail("DeleteRole", "AccessDenied", "no")
    with pytest.raises(PermissionDeniedError, match="iam:DeleteRole"):
        provider.terminate(ref)
    provider.terminate(ref)
    assert roles(cloud) == []


def test_the_role_of_a_machine_that_ended_by_itself_is_a_leftover(
    provider: AwsProvider, cloud: Cloud, asking: LaunchOrder, account: Account
) -> None:
    schedule.set_up(account)
    elsewhere = replace(asking, token="ct-2", offer=replace(asking.offer, region=OTHER_REGION, zone=""))
    profile.make(asking, account)
    provider.launch(elsewhere)
    [left] = [each for each in provider.leftovers() if each.kind == "role"]
    assert left == Leftover("aws", "role", NAME, "", 0.0, "alice-laptop", "ct-token-1")
    provider.remove(left)
    provider.remove(left)
    assert sorted(role.name for role in roles(cloud)) == ["cloudtrain-ct-2", schedule.ROLE]
    assert [each for each in provider.leftovers() if each.kind == "role"] == []


def test_half_a_role_is_found_and_removed(provider: AwsProvider, cloud: Cloud, asking: LaunchOrder) -> None:
    cloud.fail("CreateInstanceProfile", times=99)
    cloud.fail("GetInstanceProfile", times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(asking)
    cloud.faults.clear()
    [left] = provider.leftovers()
    assert left.kind == "role"
    provider.remove(left)
    assert roles(cloud) == []


def test_who_may_not_list_roles_sees_none(provider: AwsProvider, cloud: Cloud, asking: LaunchOrder, account: Account) -> None:
    profile.make(asking, account)
    cloud.fail("ListRoles", "AccessDenied")
    assert list(provider.leftovers()) == []
    assert len(provider.leftovers()) == 1


@pytest.mark.parametrize("name", [schedule.ROLE, "admin", "cloudtrain-"])
def test_other_people_s_roles_are_not_removed(provider: AwsProvider, cloud: Cloud, name: str) -> None:
    with pytest.raises(ProviderError):
        provider.remove(Leftover("aws", "role", name, REGION))
    assert cloud.calls == []
