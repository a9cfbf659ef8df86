"""The cloud's own deadline: its role, made once, and its schedule, read back."""

import json
from datetime import timedelta

import pytest

from cloudtrain.model.errors import PermissionDeniedError, ProviderUnavailableError
from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.spec import OnFinish
from cloudtrain.providers.aws import schedule
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.provider import AwsProvider

from .conftest import ACCOUNT_ID, REGION, Cloud

ID = "i-0123456789abcdef0"


def test_nothing_is_scheduled_before_it_was_set_up(
    provider: AwsProvider, cloud: Cloud, order: LaunchOrder, account: Account
) -> None:
    assert schedule.role_arn(ACCOUNT_ID, account) is None
    assert not schedule.is_set_up(account)
    provider.terminate(provider.launch(order).ref)
    assert [name for service, name, _ in cloud.calls if "Schedule" in name] == []


def test_the_role_may_end_machines_of_ours_and_nothing_else(account: Account, cloud: Cloud) -> None:
    arn = schedule.set_up(account)
    assert arn == f"arn:aws:iam::{ACCOUNT_ID}:role/cloudtrain-deadline"
    [made] = cloud.sent("CreateRole")
    [trust] = json.loads(made["AssumeRolePolicyDocument"])["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Service": "scheduler.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT_ID}},
    }
    [put] = cloud.sent("PutRolePolicy")
    [allowed] = json.loads(put["PolicyDocument"])["Statement"]
    assert allowed == {
        "Effect": "Allow",
        "Action": ["ec2:TerminateInstances", "ec2:StopInstances"],
        "Resource": f"arn:aws:ec2:*:{ACCOUNT_ID}:instance/*",
        "Condition": {"StringEquals": {"aws:ResourceTag/cloudtrain": "1"}},
    }


def test_setting_up_twice_finds_the_role_and_remembers_it_without_asking(account: Account, cloud: Cloud) -> None:
    first = schedule.set_up(account)
    assert schedule.set_up(account) == first
    cloud.calls.clear()
    assert schedule.role_arn(ACCOUNT_ID, account) == first
    assert cloud.calls == []


def test_who_may_not_make_roles_hears_it_and_nothing_is_remembered(account: Account, cloud: Cloud) -> None:
    cloud.fail("CreateRole", "AccessDenied")
    with pytest.raises(PermissionDeniedError):
        schedule.set_up(account)
    assert not schedule.is_set_up(account)


def test_arming_twice_moves_it(account: Account, cloud: Cloud, order: LaunchOrder) -> None:
    role = schedule.set_up(account)
    for hours in (0, 1):
        deadline = order.lease.deadline + timedelta(hours=hours)
        schedule.arm(REGION, order.token, ID, deadline, OnFinish.TERMINATE, role, account)
    seen = account.clients.scheduler(REGION).get_schedule(Name=order.token)
    assert seen["ScheduleExpression"] == f"at({deadline:%Y-%m-%dT%H:%M:%S})"
    assert schedule.names_in(REGION, account) == [order.token]
    schedule.cancel(REGION, order.token, account)
    schedule.cancel(REGION, order.token, account)
    assert schedule.names_in(REGION, account) == []


def test_a_schedule_that_reads_back_as_another_one_is_not_believed(
    account: Account, order: LaunchOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = schedule.set_up(account)
    scheduler = account.clients.scheduler(REGION)
    monkeypatch.setattr(scheduler, "get_schedule", lambda Name: {"ScheduleExpression": "at(2027-01-01T00:00:00)"})
    with pytest.raises(ProviderUnavailableError, match="reads back as"):
        schedule.arm(REGION, order.token, ID, order.lease.deadline, OnFinish.TERMINATE, role, account)
