"""The cloud's own deadline: a one-time schedule that ends a machine even when nothing on it works any more.

It needs a role, once for each account (`set_up`). Where there is none, the machine's own deadline stands alone.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ...model.errors import ProviderError, ProviderUnavailableError
from ...model.spec import OnFinish
from . import tags
from .account import Account
from .translate import calling, code_of

ROLE = "cloudtrain-deadline"
ACTIONS = {OnFinish.TERMINATE: "terminateInstances", OnFinish.STOP: "stopInstances"}
RETRIES, RETRIES_FOR_S = 60, 3600


def role_arn(account_id: str, account: Account) -> str | None:
    """Return the role of an AWS account, or None when it was never set up from this computer. Asks nobody."""
    try:
        return (account.folder / "deadline-roles" / account_id).read_text().strip() or None
    except OSError:
        return None


def preparation() -> str:
    """Say what `set_up` makes, in words and as AWS reads it."""
    anywhere = "arn:aws:iam::ACCOUNT:role/x"
    return "\n".join(
        (
            f"An IAM role named {ROLE}, for EventBridge Scheduler alone. It may end and stop machines that carry the tag",
            f"{tags.OURS}=1, and nothing else. It costs nothing. Who may use it:",
            json.dumps(_trust("ACCOUNT"), indent=2),
            "What it may do:",
            json.dumps(_policy(anywhere, "ACCOUNT"), indent=2),
        )
    )


def set_up(account: Account) -> str:
    """Make the role in the account, or find it, and remember it here; return its ARN.

    Raises:
        PermissionDeniedError: the account may not make roles.
        ProviderError: any other refusal.
    """
    iam = account.clients.iam()
    with calling():
        account_id = str(account.clients.sts().get_caller_identity()["Account"])
    try:
        with calling():
            arn = iam.create_role(
                RoleName=ROLE,
                AssumeRolePolicyDocument=json.dumps(_trust(account_id)),
                Description="Lets EventBridge Scheduler end machines that cloudtrain rented, at their deadline",
            )["Role"]["Arn"]
    except ProviderError as error:
        if code_of(error) != "EntityAlreadyExists":
            raise
        with calling():
            arn = iam.get_role(RoleName=ROLE)["Role"]["Arn"]
    with calling():
        iam.put_role_policy(RoleName=ROLE, PolicyName=ROLE, PolicyDocument=json.dumps(_policy(str(arn), account_id)))
    folder = account.folder / "deadline-roles"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / account_id).write_text(str(arn))
    return str(arn)


def arm(region: str, token: str, id: str, deadline: datetime, end: OnFinish, role: str, account: Account) -> None:
    """Schedule a machine's end, or move it, and read it back.

    Raises:
        ProviderError: the scheduler refused, or shows another time.
    """
    scheduler = account.clients.scheduler(region)
    request = _request(token, id, deadline, end, role)
    try:
        with calling(region):
            scheduler.create_schedule(**request)
    except ProviderError as error:
        if code_of(error) != "ConflictException":
            raise
        with calling(region):
            scheduler.update_schedule(**request)
    with calling(region):
        seen = scheduler.get_schedule(Name=token)["ScheduleExpression"]
    if seen != request["ScheduleExpression"]:
        raise ProviderUnavailableError(f"The schedule of {id} reads back as {seen}, not {request['ScheduleExpression']}")


def cancel(region: str, token: str, account: Account) -> None:
    """Remove an order's schedule. An absent one is a success."""
    try:
        with calling(region):
            account.clients.scheduler(region).delete_schedule(Name=token)
    except ProviderError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise


def names_in(region: str, account: Account) -> list[str]:
    """Return the names of the schedules in a region that bear an order's name."""
    with calling(region):
        pages = account.clients.scheduler(region).get_paginator("list_schedules").paginate(NamePrefix="ct-")
        return [str(schedule["Name"]) for page in pages for schedule in page["Schedules"]]


def is_set_up(account: Account) -> bool:
    """Say whether any account was set up from this computer."""
    return any((account.folder / "deadline-roles").glob("*"))


def _request(token: str, id: str, deadline: datetime, end: OnFinish, role: str) -> Mapping[str, Any]:
    return {
        "Name": token,
        "ScheduleExpression": f"at({deadline.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": f"arn:aws:scheduler:::aws-sdk:ec2:{ACTIONS[end]}",
            "RoleArn": role,
            "Input": json.dumps({"InstanceIds": [id]}),
            "RetryPolicy": {"MaximumRetryAttempts": RETRIES, "MaximumEventAgeInSeconds": RETRIES_FOR_S},
        },
    }


def _trust(account_id: str) -> Mapping[str, Any]:
    return _document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "scheduler.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
        }
    )


def _policy(role: str, account_id: str) -> Mapping[str, Any]:
    partition = role.split(":")[1]
    return _document(
        {
            "Effect": "Allow",
            "Action": ["ec2:TerminateInstances", "ec2:StopInstances"],
            "Resource": f"arn:{partition}:ec2:*:{account_id}:instance/*",
            "Condition": {"StringEquals": {f"aws:ResourceTag/{tags.OURS}": "1"}},
        }
    )


def _document(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}
