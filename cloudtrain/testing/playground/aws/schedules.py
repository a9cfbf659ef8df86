"""EventBridge Scheduler that really fires: one-time schedules that end or stop machines, with the role's rights."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .account import Account, Handler
from .lifecycle import Lifecycle
from .moto_app import ACCOUNT, REGIONS
from .policy import SCHEDULER, may, may_with, trusts
from .wire import ApiCall, CloudError

AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
NAME = re.compile(r"[0-9a-zA-Z_.-]{1,64}")
TARGETS = {
    "arn:aws:scheduler:::aws-sdk:ec2:terminateInstances": "ec2:TerminateInstances",
    "arn:aws:scheduler:::aws-sdk:ec2:stopInstances": "ec2:StopInstances",
}
"""What the playground can do by itself, and the right that it takes."""


class Schedules:
    """Answers for EventBridge Scheduler, and does what was scheduled. moto keeps the schedules."""

    def __init__(self, account: Account, lifecycle: Lifecycle) -> None:
        self._account, self._lifecycle = account, lifecycle
        self._tokens: dict[str, str] = {}
        self._done: set[tuple[str, str]] = set()

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return the calls this answers."""
        return {("scheduler", "CreateSchedule"): self._create, ("scheduler", "UpdateSchedule"): self._update}

    def next_due(self) -> datetime | None:
        """Return when the next schedule fires, or None."""
        return min((due for _, _, due in self._waiting()), default=None)

    def fire_due(self) -> None:
        """Do everything whose time has come."""
        for region, schedule, due in list(self._waiting()):
            if due <= self._account.timeline.now():
                self._done.add((schedule.arn, schedule.schedule_expression))
                self._fire(region, schedule)
                if schedule.action_after_completion == "DELETE":
                    self._account.moto.scheduler(region).delete_schedule(schedule.group_name, schedule.name)

    def _create(self, call: ApiCall) -> object:
        self._check(call)
        group = str(call.parameters.get("GroupName") or "default")
        key = f"{call.region} {group} {call.parameters['Name']}"
        token, groups = str(call.parameters.get("ClientToken") or ""), self._account.moto.scheduler(call.region).schedule_groups
        if group not in groups:
            raise CloudError("ResourceNotFoundException", f"Schedule group {group} does not exist.", 404)
        existing = groups[group].schedules.get(call.parameters["Name"])
        if existing is not None and token and self._tokens.get(key) == token:
            return {"ScheduleArn": existing.arn}
        reply = self._account.moto.answer(call)
        if existing is None:
            self._tokens[key] = token
        return reply

    def _update(self, call: ApiCall) -> object:
        self._check(call)
        reply = self._account.moto.answer(call)
        if reply.status < 300:
            # What an update leaves out goes back to its default; moto keeps the old value or writes none.
            group, name = call.parameters.get("GroupName"), call.parameters["Name"]
            schedule = self._account.moto.scheduler(call.region).get_schedule(group, name)
            schedule.action_after_completion = call.parameters.get("ActionAfterCompletion") or "NONE"
            schedule.state = call.parameters.get("State") or "ENABLED"
        return reply

    def _check(self, call: ApiCall) -> None:
        given = call.parameters
        if not NAME.fullmatch(str(given.get("Name") or "")):
            raise _invalid("Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$ and have length at most 64")
        if (given.get("FlexibleTimeWindow") or {}).get("Mode") != "OFF":
            raise _invalid("The playground knows the flexible time window OFF only.")
        _moment(str(given.get("ScheduleExpression")), given.get("ScheduleExpressionTimezone"))
        target = given.get("Target") or {}
        if target.get("Arn") not in TARGETS:
            raise _invalid(f"Provided Arn is not in correct format, or not one the playground can do: {target.get('Arn')}")
        _instance_ids(target)
        role = self._role(str(target.get("RoleArn")))
        if role is None or not trusts(role, SCHEDULER):
            raise _invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
        if not may(role, TARGETS[target["Arn"]]):
            raise _invalid(f"The execution role you provide does not allow {TARGETS[target['Arn']]}.")

    def _role(self, arn: str) -> Any:
        return next((role for role in self._account.moto.iam().roles.values() if role.arn == arn), None)

    def _waiting(self) -> Iterator[tuple[str, Any, datetime]]:
        for region in REGIONS:
            for group in self._account.moto.scheduler(region).schedule_groups.values():
                for schedule in group.schedules.values():
                    done = (schedule.arn, schedule.schedule_expression) in self._done
                    if schedule.state == "ENABLED" and not done:
                        yield region, schedule, _moment(schedule.schedule_expression, schedule.schedule_expression_timezone)

    def _fire(self, region: str, schedule: Any) -> None:
        action, role = TARGETS[schedule.target["Arn"]], self._role(schedule.target["RoleArn"])
        for id in _instance_ids(schedule.target):
            machine = self._account.machines.get(id)
            if machine is None or machine.region != region or machine.state == "terminated":
                self._account.note(f"schedule {schedule.name}: there is no {id}")
            elif role is None or not trusts(role, SCHEDULER) or not self._permitted(role, action, region, id):
                self._account.note(f"schedule {schedule.name}: the role may not {action} {id}")
            elif action == "ec2:TerminateInstances":
                self._account.note(f"schedule {schedule.name}: terminates {id}")
                self._lifecycle.terminate(machine)
            elif machine.state == "running" and not machine.spot_request:
                self._account.note(f"schedule {schedule.name}: stops {id}")
                self._lifecycle.stop(machine)

    def _permitted(self, role: Any, action: str, region: str, id: str) -> bool:
        tags = self._account.machines[id].tags
        facts = {f"{prefix}:ResourceTag/{key}": value for key, value in tags.items() for prefix in ("aws", "ec2")}
        return may_with(role, action, f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{id}", facts)


def _moment(expression: str, zone: Any) -> datetime:
    found = AT.fullmatch(expression)
    if found is None:
        raise _invalid(f"Invalid Schedule Expression {expression}.")
    try:
        moment = datetime.fromisoformat(found[1]).replace(tzinfo=ZoneInfo(str(zone or "UTC")))
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise _invalid(f"Invalid Schedule Expression {expression} in {zone}.") from error
    return moment.astimezone(UTC)


def _instance_ids(target: dict[str, Any]) -> list[str]:
    try:
        return [str(id) for id in json.loads(target.get("Input") or "")["InstanceIds"]]
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid("The target's Input is no JSON object with InstanceIds.") from error


def _invalid(text: str) -> CloudError:
    return CloudError("ValidationException", text)
