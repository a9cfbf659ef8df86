"""Machines deallocated by the cloud itself: ComputeSchedule at a moment, DevTestLab every day. Both really happen."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ..calls import Reply
from ..timeline import Timer
from .account import Account, Handler, new_guid, page, time_text
from .errors import ArmError, invalid
from .lifecycle import Lifecycle
from .things import Body, Machine, Resource
from .wire import ArmCall, write_result

DAILY = "Microsoft.DevTestLab/schedules"
HORIZON = timedelta(days=14)
MOST_AT_ONCE = 100
UTC_NAMES = ("utc", "etc/utc", "gmt", "coordinated universal time")
WAITING, DONE = ("PendingScheduling", "Scheduled"), ("Succeeded", "Failed", "Cancelled")


@dataclass(eq=False)
class Once:
    """One deallocation at a moment."""

    id: str
    resource: str
    due: datetime
    zone: str
    retry: Body
    made: datetime
    state: str = "Scheduled"
    ended: datetime | None = None
    error: ArmError | None = None
    timer: Timer | None = None


@dataclass(eq=False)
class Schedules:
    """Answers for both services, and does what was scheduled."""

    account: Account
    lifecycle: Lifecycle
    _once: dict[str, Once] = field(default_factory=dict)
    _daily: dict[str, Timer] = field(default_factory=dict)

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        once, lab = "Microsoft.ComputeSchedule", "Microsoft.DevTestLab"
        return {
            (once, "locations/virtualMachinesSubmitDeallocate"): self._submit,
            (once, "locations/virtualMachinesExecuteDeallocate"): self._submit,
            (once, "locations/virtualMachinesCancelOperations"): self._cancel,
            (once, "locations/virtualMachinesGetOperationStatus"): self._status,
            (once, "locations/virtualMachinesGetOperationErrors"): self._errors,
            (lab, "schedules/GET"): lambda call: self.account.resource(call.group, DAILY, call.name).body,
            (lab, "schedules/LIST"): lambda call: page([one.body for one in self.account.of_type(DAILY, call.group)]),
            (lab, "schedules/PUT"): self._put_daily,
            (lab, "schedules/DELETE"): self._delete_daily,
        }

    def has_end(self, machine: Machine) -> bool:
        """Say whether the cloud itself will deallocate a machine."""
        return any(self._ends_of(machine))

    def ends_of(self, machine: Machine) -> list[datetime]:
        """Return when the cloud itself will deallocate a machine, soonest first."""
        return sorted(self._ends_of(machine))

    def clear(self, resource: Resource) -> None:
        """Let a daily schedule be gone."""
        timer = self._daily.pop(resource.id.lower(), None)
        if timer is not None:
            self.account.timeline.cancel(timer)
        self.account.remove(resource.id)

    def _ends_of(self, machine: Machine) -> Iterator[datetime]:
        own = machine.resource.id.lower()
        yield from (one.due for one in self._once.values() if one.resource.lower() == own and one.state in WAITING)
        for schedule in self.account.of_type(DAILY):
            is_its = str(schedule.properties.get("targetResourceId", "")).lower() == own
            if is_its and schedule.properties.get("status") == "Enabled":
                yield self._daily[schedule.id.lower()].due

    def _submit(self, call: ArmCall) -> Body:
        given = call.resource.get("schedule") or {
            "deadlineType": "InitiateAt",
            "deadline": time_text(self.account.timeline.now()),
        }
        ids = [str(id) for id in (call.resource.get("resources") or {}).get("ids", [])]
        if not ids or len(ids) > MOST_AT_ONCE:
            raise invalid("resources.ids", f"Between 1 and {MOST_AT_ONCE} resources are required.")
        due, zone = _due(given)
        now = self.account.timeline.now()
        if due > now + HORIZON or due < now - timedelta(minutes=1):
            raise ArmError(
                "InvalidDeadline", f"The deadline {time_text(due)} is in the past or more than {HORIZON.days} days away."
            )
        retry = dict((call.resource.get("executionParameters") or {}).get("retryPolicy") or {})
        results = [self._scheduled(id, due, zone, retry) for id in ids]
        text = "Deallocate Resource request"
        return {"description": text, "type": "VirtualMachines", "location": call.location, "results": results}

    def _scheduled(self, id: str, due: datetime, zone: str, retry: Body) -> Body:
        if id.lower() not in self.account.machines:
            return {"resourceId": id, "errorCode": "ResourceNotFound", "errorDetails": f"The resource {id} was not found."}
        one = Once(new_guid(), id, due, zone, retry, self.account.timeline.now())
        self._once[one.id] = one
        one.timer = self.account.timeline.at(due, lambda: self._fire(one))
        return self._result(one)

    def _fire(self, one: Once) -> None:
        one.timer, one.ended = None, self.account.timeline.now()
        machine = self.account.machines.get(one.resource.lower())
        if machine is None:
            one.state, one.error = "Failed", ArmError("ResourceNotFound", f"The resource {one.resource} was not found.")
            return
        one.state = "Succeeded"
        self.lifecycle.deallocate_by_itself(machine, "ComputeSchedule")

    def _result(self, one: Once) -> Body:
        operation: Body = {
            "operationId": one.id,
            "resourceId": one.resource,
            "opType": "Deallocate",
            "subscriptionId": self.account.subscription,
            "deadline": time_text(one.due),
            "deadlineType": "InitiateAt",
            "state": one.state,
            "timezone": one.zone,
            "retryPolicy": one.retry,
        }
        if one.ended is not None:
            operation["completedAt"] = time_text(one.ended)
        if one.error is not None:
            operation["resourceOperationError"] = {"errorCode": one.error.code, "errorDetails": one.error.message}
        return {"resourceId": one.resource, "operation": operation}

    def _asked(self, call: ArmCall) -> list[tuple[str, Once | None]]:
        return [(str(id), self._once.get(str(id))) for id in call.resource.get("operationIds", [])]

    def _status(self, call: ArmCall) -> Body:
        return {"results": [self._result(one) if one else _unknown(id) for id, one in self._asked(call)]}

    def _cancel(self, call: ArmCall) -> Body:
        for _, one in self._asked(call):
            if one is not None and one.state in WAITING and one.timer is not None:
                self.account.timeline.cancel(one.timer)
                one.state, one.timer, one.ended = "Cancelled", None, self.account.timeline.now()
        return {"results": [self._result(one) if one else _unknown(id) for id, one in self._asked(call)]}

    def _errors(self, call: ArmCall) -> Body:
        return {
            "results": [
                {
                    "operationId": id,
                    "creationTime": time_text(one.made),
                    "operationErrors": [{"errorCode": one.error.code, "errorDetails": one.error.message}] if one.error else [],
                }
                for id, one in self._asked(call)
                if one is not None
            ]
        }

    def _put_daily(self, call: ArmCall) -> Reply:
        group = self.account.group(call.group)
        given = call.resource.get("properties") or {}
        target = str(given.get("targetResourceId") or "")
        if call.name.lower() != f"shutdown-computevm-{target.rpartition('/')[2].lower()}":
            text = (
                f"The schedule name '{call.name}' is not valid: it must be shutdown-computevm- and the name of the virtual "
                "machine."
            )
            raise ArmError("InvalidScheduleName", text)
        if target.lower() not in self.account.machines:
            raise ArmError("InvalidScheduleTargetResourceId", f"The target resource '{target}' was not found.")
        if given.get("taskType") != "ComputeVmShutdownTask" or given.get("status") not in ("Enabled", "Disabled"):
            raise ArmError(
                "InvalidScheduleTaskType", "A schedule of a virtual machine needs taskType ComputeVmShutdownTask and a status."
            )
        due = self._next(given)
        id = self.account.id_of(group.name, DAILY, call.name)
        existing = self.account.find(id)
        if existing is not None:
            self.clear(existing)
        properties = {
            **given,
            "provisioningState": "Succeeded",
            "createdDate": self.account.now_text(),
            "uniqueIdentifier": new_guid(),
        }
        body = {**call.resource, "id": id, "name": call.name, "type": DAILY, "properties": properties}
        made = Resource(id, DAILY, call.name, group.name, body)
        self.account.add(made)
        self._daily[id.lower()] = self.account.timeline.at(due, lambda: self._fire_daily(made))
        return write_result(call, body, 200 if existing else 201)

    def _delete_daily(self, call: ArmCall) -> Reply:
        self.account.group(call.group)
        found = self.account.find(self.account.id_of(call.group, DAILY, call.name))
        if found is None:
            return write_result(call, None, 204)
        self.clear(found)
        return write_result(call, None, 200)

    def _next(self, given: Body) -> datetime:
        text = str((given.get("dailyRecurrence") or {}).get("time") or "")
        if not re.fullmatch(r"([01]\d|2[0-3]):?[0-5]\d", text):
            raise ArmError("InvalidScheduleTime", f"The time '{text}' of the daily recurrence is not valid.")
        if str(given.get("timeZoneId") or "").lower() not in UTC_NAMES:
            raise ArmError(
                "InvalidTimeZoneId", f"The playground knows the time zone UTC alone, and not '{given.get('timeZoneId')}'."
            )
        now = self.account.timeline.now()
        due = now.replace(hour=int(text[:2]), minute=int(text[-2:]), second=0, microsecond=0)
        return due if due > now else due + timedelta(days=1)

    def _fire_daily(self, schedule: Resource) -> None:
        due = self._next(schedule.properties)
        self._daily[schedule.id.lower()] = self.account.timeline.at(due, lambda: self._fire_daily(schedule))
        machine = self.account.machines.get(str(schedule.properties["targetResourceId"]).lower())
        if machine is not None and schedule.properties["status"] == "Enabled":
            self.lifecycle.deallocate_by_itself(machine, "DevTestLab")


def _due(given: Body) -> tuple[datetime, str]:
    """Return when, and in which time zone that was said. The service has two spellings of both fields."""
    when = given.get("deadline") or given.get("deadLine")
    zone = str(given.get("timezone") or given.get("timeZone") or "UTC")
    if given.get("deadlineType") != "InitiateAt" or not when:
        raise invalid("schedule", "A deadline with deadlineType InitiateAt is required.")
    if zone.lower() not in UTC_NAMES:
        raise invalid("schedule.timezone", f"The playground knows the time zone UTC alone, and not '{zone}'.")
    due = datetime.fromisoformat(str(when))
    return (due if due.tzinfo else due.replace(tzinfo=UTC)).astimezone(UTC), zone


def _unknown(id: str) -> Body:
    return {"errorCode": "OperationNotFound", "errorDetails": f"The operation {id} was not found."}
