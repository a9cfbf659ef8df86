"""EventBridge Scheduler ends machines when the cloud's clock says so, if the role may."""

import json
from typing import Any

import pytest

from cloudtrain.testing.playground.aws import AwsCloud

from .launching import look, refused, running, state

TRUST = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
OURS = {"StringEquals": {"aws:ResourceTag/cloudtrain:owner": "me"}}
TERMINATE = "arn:aws:scheduler:::aws-sdk:ec2:terminateInstances"
STOP = "arn:aws:scheduler:::aws-sdk:ec2:stopInstances"


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_role(iam: Any, trust: dict[str, Any] = TRUST, action: str = "ec2:TerminateInstances", condition: Any = OURS) -> str:
    arn: str = iam.create_role(RoleName="ender", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    statement = {
        "Effect": "Allow",
        "Action": action,
        "Resource": "arn:aws:ec2:*:123456789012:instance/*",
        "Condition": condition,
    }
    iam.put_role_policy(RoleName="ender", PolicyName="p", PolicyDocument=policy(statement))
    return arn


def schedule(id: str, role: str, **changes: Any) -> dict[str, Any]:
    target = {"Arn": TERMINATE, "RoleArn": role, "Input": json.dumps({"InstanceIds": [id]})}
    whole: dict[str, Any] = {
        "Name": "end-it",
        "ScheduleExpression": "at(2026-11-21T13:00:00)",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": target,
    }
    return whole | changes


@pytest.fixture
def scheduler(client: Any) -> Any:
    return client("scheduler")


def test_a_schedule_ends_the_machine_on_time_and_goes(ec2: Any, scheduler: Any, client: Any, cloud: AwsCloud) -> None:
    id = running(ec2)
    scheduler.create_schedule(**schedule(id, make_role(client("iam"))))
    assert scheduler.get_schedule(Name="end-it")["ActionAfterCompletion"] == "DELETE"
    cloud.advance(3599)
    assert state(ec2, id) == "running"
    cloud.advance(1)
    assert [state(ec2, id), state(ec2, id)] == ["shutting-down", "terminated"]
    with refused("ResourceNotFoundException"):
        scheduler.get_schedule(Name="end-it")
    assert scheduler.list_schedules()["Schedules"] == []


def test_a_schedule_that_stops_and_stays_fires_once(ec2: Any, scheduler: Any, client: Any, cloud: AwsCloud) -> None:
    id, role = running(ec2), make_role(client("iam"), action="ec2:StopInstances")
    target = {"Arn": STOP, "RoleArn": role, "Input": json.dumps({"InstanceIds": [id]})}
    scheduler.create_schedule(**schedule(id, role, Target=target, ActionAfterCompletion="NONE"))
    cloud.advance(3700)
    assert state(ec2, id) == "stopped"
    ec2.start_instances(InstanceIds=[id])
    cloud.advance(3600)
    assert state(ec2, id) == "running"
    assert [one["Name"] for one in scheduler.list_schedules()["Schedules"]] == ["end-it"]


def test_a_schedule_moves_and_is_deleted(ec2: Any, scheduler: Any, client: Any, cloud: AwsCloud) -> None:
    id, role = running(ec2), make_role(client("iam"))
    scheduler.create_schedule(**schedule(id, role))
    scheduler.update_schedule(
        **schedule(id, role, ScheduleExpression="at(2026-11-21T16:00:00)", ScheduleExpressionTimezone="Europe/Berlin")
    )
    cloud.advance(3 * 3600 - 1)
    assert state(ec2, id) == "running"
    scheduler.delete_schedule(Name="end-it")
    cloud.advance(3600)
    assert state(ec2, id) == "running"


def test_an_update_forgets_what_it_does_not_say(scheduler: Any, client: Any) -> None:
    role = make_role(client("iam"))
    whole = schedule("i-0123456789abcdef0", role)
    scheduler.create_schedule(**whole)
    scheduler.update_schedule(**{key: value for key, value in whole.items() if key != "ActionAfterCompletion"})
    assert scheduler.get_schedule(Name="end-it")["ActionAfterCompletion"] == "NONE"


def test_a_repeated_create_is_one_schedule(scheduler: Any, client: Any) -> None:
    whole = schedule("i-0123456789abcdef0", make_role(client("iam")), ClientToken="one")
    assert scheduler.create_schedule(**whole)["ScheduleArn"] == scheduler.create_schedule(**whole)["ScheduleArn"]
    with refused("ConflictException"):
        scheduler.create_schedule(**whole | {"ClientToken": "two"})


def test_a_role_that_is_wrong_is_refused(scheduler: Any, client: Any) -> None:
    iam = client("iam")
    id = "i-0123456789abcdef0"
    with refused("ValidationException", "assume the role"):
        scheduler.create_schedule(**schedule(id, "arn:aws:iam::123456789012:role/nobody"))
    role = make_role(iam, trust=TRUST | {"Principal": {"Service": "ec2.amazonaws.com"}})
    with refused("ValidationException", "assume the role"):
        scheduler.create_schedule(**schedule(id, role))
    iam.update_assume_role_policy(RoleName="ender", PolicyDocument=policy(TRUST))
    scheduler.create_schedule(**schedule(id, role))
    iam.delete_role_policy(RoleName="ender", PolicyName="p")
    with refused("ValidationException", "does not allow ec2:TerminateInstances"):
        scheduler.update_schedule(**schedule(id, role))


def test_a_role_that_may_not_end_this_machine_does_not(ec2: Any, scheduler: Any, client: Any, cloud: AwsCloud) -> None:
    id = running(ec2)
    other = {"StringEquals": {"aws:ResourceTag/cloudtrain:owner": "somebody"}}
    scheduler.create_schedule(**schedule(id, make_role(client("iam"), condition=other)))
    cloud.advance(3600)
    assert state(ec2, id) == "running"
    assert any("may not ec2:TerminateInstances" in event for event in cloud.account.events)


@pytest.mark.parametrize(
    "changes",
    [
        {"ScheduleExpression": "in an hour"},
        {"ScheduleExpression": "at(2026-13-41T00:00:00)"},
        {"ScheduleExpressionTimezone": "Mars/Olympus"},
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}},
        {"Name": "not/a name"},
        {"Target": {"Arn": TERMINATE, "Input": "end it"}},
        {"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:s3:deleteBucket", "Input": "{}"}},
    ],
)
def test_a_schedule_that_could_not_fire_is_refused(scheduler: Any, client: Any, changes: dict[str, Any]) -> None:
    role = make_role(client("iam"))
    if "Target" in changes:
        changes = {"Target": {"RoleArn": role} | changes["Target"]}
    with refused("ValidationException"):
        scheduler.create_schedule(**schedule("i-0123456789abcdef0", role, **changes))
    assert scheduler.list_schedules()["Schedules"] == []


def test_deadlines_fire_in_order(ec2: Any, scheduler: Any, client: Any, cloud: AwsCloud) -> None:
    first, second, role = running(ec2), running(ec2), make_role(client("iam"))
    for id, name, hour in ((first, "late", 15), (second, "early", 14)):
        scheduler.create_schedule(**schedule(id, role, Name=name, ScheduleExpression=f"at(2026-11-21T{hour}:00:00)"))
    cloud.advance(5 * 3600)
    fired = [event for event in cloud.account.events if "terminates" in event]
    assert [event.split()[0] for event in fired] == ["2026-11-21T14:00:00Z", "2026-11-21T15:00:00Z"]
    assert ["early" in fired[0], "late" in fired[1]] == [True, True]
    with refused("InvalidInstanceID.NotFound"):
        look(ec2, first)  # forgotten an hour after its end
