"""The cloud's own deadlines: a one-shot schedule at the very moment, and a daily one as second line.

Both deallocate: neither can delete. The daily one knows a time of day and no date, so it is armed only when the deadline is
less than a day away; of a longer lease it is armed by the next command that looks after the machine.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ...model.errors import ProviderError, ProviderUnavailableError
from ..written import moment
from .account import Account
from .names import Places
from .versions import DAILY_SCHEDULE, SCHEDULE

RETRIES, RETRIES_FOR_MIN = 7, 60
DAY = timedelta(days=1)
SLACK = timedelta(minutes=2)
"""How much less than a day a deadline must be away for the time of day to mean the right day."""

ARMED = ("PendingScheduling", "Scheduled", "PendingExecution", "Executing")
_ACT = "Microsoft.ComputeSchedule/locations"


def arm_once(places: Places, region: str, deadline: datetime, account: Account) -> str:
    """Schedule a machine's deallocation, read it back, and return the schedule's id.

    Raises:
        ProviderError: Azure refused, or shows another time or none.
    """
    body = {
        "schedule": {"deadline": moment(deadline), "timezone": "UTC", "deadlineType": "InitiateAt"},
        "executionParameters": {"retryPolicy": {"retryCount": RETRIES, "retryWindowInMinutes": RETRIES_FOR_MIN}},
        "resources": {"ids": [places.machine]},
        "correlationid": _correlation(places, deadline),
    }
    reply = _ask("virtualMachinesSubmitDeallocate", region, body, account)
    id = str(_operation(reply, places).get("operationId", ""))
    if not id:
        raise ProviderUnavailableError(f"Azure took the schedule of {places.name} and gave it no name")
    asked = {"operationIds": [id], "correlationid": body["correlationid"]}
    seen = _operation(_ask("virtualMachinesGetOperationStatus", region, asked, account), places)
    at = _moment(str(seen.get("deadline", "")))
    if seen.get("state") not in ARMED or at != deadline.replace(microsecond=0):
        found = f"{seen.get('state')} for {seen.get('deadline')}"
        raise ProviderUnavailableError(f"The schedule of {places.name} reads back as {found}, not {moment(deadline)}")
    return id


def cancel_once(id: str, places: Places, region: str, account: Account) -> None:
    """Cancel a one-shot schedule. One that is over or unknown is a success.

    Raises:
        ProviderError: Azure refused, or it stands all the same.
    """
    body = {"operationIds": [id], "correlationid": _correlation(places, account.now())}
    reply = _ask("virtualMachinesCancelOperations", region, body, account)
    result: Mapping[str, Any] = next(iter(reply.get("results") or ()), {})
    state = (result.get("operation") or {}).get("state")
    if state in ARMED:
        raise ProviderUnavailableError(f"The schedule {id} of {places.name} cannot be cancelled: it is {state}")


def arm_daily(places: Places, region: str, deadline: datetime, account: Account) -> bool:
    """Arm the daily schedule where its time of day can only mean the deadline; say whether it is armed.

    Raises:
        ProviderError: Azure refused, or shows another time.
    """
    if deadline - account.now() >= DAY - SLACK:
        return False
    # A minute is what it knows: the next one, so that it never comes before the machine's own deadline.
    at = (deadline.astimezone(UTC) + timedelta(seconds=59)).strftime("%H%M")
    _put_daily("Enabled", at, places, region, account)
    return True


def switch_off_daily(places: Places, region: str, account: Account) -> None:
    """Switch the daily schedule off: of a deadline that is more than a day away it would mean the wrong day.

    Raises:
        ProviderError: Azure refused, or shows it armed.
    """
    _put_daily("Disabled", "0000", places, region, account)


def _put_daily(status: str, at: str, places: Places, region: str, account: Account) -> None:
    body = {
        "location": region,
        "properties": {
            "status": status,
            "taskType": "ComputeVmShutdownTask",
            "dailyRecurrence": {"time": at},
            "timeZoneId": "UTC",
            "targetResourceId": places.machine,
            "notificationSettings": {"status": "Disabled"},
        },
    }
    act = "Microsoft.DevTestLab/schedules"
    account.arm.call(f"{act}/write", "PUT", places.daily_schedule, api=DAILY_SCHEDULE, body=body)
    seen = account.arm.call(f"{act}/read", "GET", places.daily_schedule, api=DAILY_SCHEDULE).get("properties", {})
    shown = (seen.get("status"), (seen.get("dailyRecurrence") or {}).get("time"))
    if shown != (status, at):
        raise ProviderUnavailableError(f"The daily schedule of {places.name} reads back as {shown}, not {(status, at)}")


def _ask(verb: str, region: str, body: Mapping[str, Any], account: Account) -> dict[str, Any]:
    path = account.arm.below(f"providers/Microsoft.ComputeSchedule/locations/{region}/{verb}")
    return account.arm.call(f"{_ACT}/{verb}/action", "POST", path, api=SCHEDULE, body=body)


def _operation(reply: Mapping[str, Any], places: Places) -> Mapping[str, Any]:
    """Return what Azure says of the one schedule a request was about.

    Raises:
        ProviderError: it took the request, and refused the schedule.
    """
    result: Mapping[str, Any] = next(iter(reply.get("results") or ()), {})
    if result.get("errorCode"):
        raise ProviderError(
            f"Azure does not schedule the end of {places.name}: {result.get('errorDetails') or result['errorCode']}"
        )
    found: Mapping[str, Any] = result.get("operation") or {}
    return found


def _correlation(places: Places, time: datetime) -> str:
    return f"{places.name}-{int(time.timestamp())}"


def _moment(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
