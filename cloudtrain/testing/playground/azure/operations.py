"""Long-running operations as Resource Manager has them: Azure-AsyncOperation, Location, Retry-After."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..calls import Reply
from ..timeline import Timer
from .account import Account, Handler, new_guid, time_text
from .errors import ArmError
from .things import Body
from .wire import ArmCall, write_result

UNSEEN_S = 5.0
"""What nobody looks at lasts this much longer; what was seen may end."""

ASYNC, LOCATION = "Azure-AsyncOperation", "Location"


@dataclass(eq=False)
class Task:
    """One long-running operation.

    Attributes:
        ready: when it may end. status: "InProgress", "Succeeded", "Failed".
        finish: what it does at its end; raises `ArmError`. failed: what is left when it cannot.
    """

    id: str
    namespace: str
    location: str
    started: datetime
    ready: datetime
    finish: Callable[[], object]
    failed: Callable[[ArmError], object]
    status: str = "InProgress"
    error: ArmError | None = None
    ended: datetime | None = None
    timer: Timer | None = None

    def seen(self) -> None:
        """Note that somebody looked: it may end."""
        if self.timer is not None:
            self.timer.due = min(self.timer.due, self.ready)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an operation is to do.

    Attributes:
        seconds: how long it lasts.
        is_slow: it lasts until somebody has seen it going on, or a while longer.
    """

    seconds: float
    finish: Callable[[], object]
    failed: Callable[[ArmError], object] = field(default_factory=lambda: _nothing)
    is_slow: bool = True


class Operations:
    """Keeps them, lets them end, and answers who asks how they go."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._tasks: dict[str, Task] = {}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        return {
            ("Microsoft.Resources", "locations/operations/GET"): self._status,
            ("Microsoft.Resources", "locations/operationResults/GET"): self._result,
            ("Microsoft.Resources", "subscriptions/operationresults/GET"): self._result,
        }

    def begin(self, call: ArmCall, location: str, plan: Plan) -> Task:
        """Begin an operation; a failure that was ordered for the call takes the place of its end."""
        if call.failure is not None:
            error, is_after = call.failure
            # What has its effect all the same leaves nothing half done.
            failed = _nothing if is_after else plan.failed
            plan = Plan(plan.seconds, _failing(plan.finish if is_after else None, error), failed, plan.is_slow)
        return self.begin_unasked(call.service, location, plan)

    def begin_unasked(self, namespace: str, location: str, plan: Plan) -> Task:
        """Begin an operation that no call has asked for."""
        now = self._account.timeline.now()
        task = Task(new_guid(), namespace, location, now, now + timedelta(seconds=plan.seconds), plan.finish, plan.failed)
        task.timer = self._account.timeline.after(plan.seconds + (UNSEEN_S if plan.is_slow else 0.0), lambda: self._end(task))
        self._tasks[task.id] = task
        return task

    def preempt(self, task: Task | None) -> None:
        """Let an operation end at once because a later one takes its place."""
        if task is not None and task.timer is not None and task.status == "InProgress":
            self._account.timeline.cancel(task.timer)
            self._close(task, ArmError("OperationPreempted", "The operation has been preempted by a more recent operation."))

    def accepted(self, call: ArmCall, task: Task, *kinds: str) -> Reply:
        """Write the 202 that names an operation."""
        return write_result(call, None, 202, self.headers(call, task, *kinds))

    def headers(self, call: ArmCall, task: Task, *kinds: str) -> tuple[tuple[str, str], ...]:
        """Return the headers that name an operation."""
        version = f"?api-version={call.query.get('api-version', '')}"
        root = f"{call.host}/subscriptions/{self._account.subscription}"
        of_place = f"{root}/providers/{task.namespace}/locations/{task.location}"
        where = {
            ASYNC: f"{of_place}/operations/{task.id}{version}",
            LOCATION: f"{of_place}/operationResults/{task.id}{version}"
            if task.location
            else f"{root}/operationresults/{task.id}{version}",
        }
        return (*((kind, where[kind]) for kind in kinds), ("Retry-After", f"{self._account.durations.retry_after:.0f}"))

    def _end(self, task: Task) -> None:
        try:
            task.finish()
        except ArmError as error:
            task.failed(error)
            self._close(task, error)
            return
        self._close(task, None)

    def _close(self, task: Task, error: ArmError | None) -> None:
        task.timer, task.error, task.ended = None, error, self._account.timeline.now()
        task.status = "Failed" if error else "Succeeded"

    def _asked(self, call: ArmCall) -> Task:
        task = self._tasks.get(call.names["operationId"])
        if task is None:
            raise ArmError("NotFound", f"The entity was not found: {call.names['operationId']}.")
        return task

    def _status(self, call: ArmCall) -> Reply:
        task = self._asked(call)
        body: Body = {"startTime": time_text(task.started), "status": task.status, "name": task.id}
        if task.ended is not None:
            body["endTime"] = time_text(task.ended)
        if task.error is not None:
            body["error"] = task.error.body()
        task.seen()
        wait = (("Retry-After", f"{self._account.durations.retry_after:.0f}"),) if task.ended is None else ()
        return write_result(call, body, 200, wait)

    def _result(self, call: ArmCall) -> Reply:
        task = self._asked(call)
        task.seen()
        if task.error is not None:
            raise ArmError(task.error.code, task.error.message, status=task.error.status)
        if task.ended is None:
            wait = ("Retry-After", f"{self._account.durations.retry_after:.0f}")
            return write_result(call, None, 202, ((LOCATION, _itself(call)), wait))
        return write_result(call, None)


def _nothing(error: ArmError) -> None:
    """Leave everything as it is."""


def _failing(first: Callable[[], object] | None, error: ArmError) -> Callable[[], object]:
    def finish() -> None:
        if first is not None:
            first()
        raise error

    return finish


def _itself(call: ArmCall) -> str:
    return f"{call.host}{call.path}?{call.environ.get('QUERY_STRING', '')}"
