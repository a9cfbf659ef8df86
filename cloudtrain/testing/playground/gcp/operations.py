"""Compute Engine's operations: a change that begins with a 200 and may still fail."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .account import Account, Body, Handler, Machine
from .course import Course, Step
from .errors import Failure, GoogleError, not_found
from .listing import listed
from .wire import GoogleCall

REMEMBERED_S = 3600.0
PHRASES = {403: "FORBIDDEN", 404: "NOT FOUND", 409: "CONFLICT", 503: "SERVICE UNAVAILABLE"}
SYSTEM = "system"
USER = "playground@cloudtrain-playground.iam.gserviceaccount.com"


@dataclass(eq=False)
class Operation:
    """One operation, as the API shows it.

    Attributes:
        failure: what it is to end with although it goes well, because that was ordered.
    """

    body: Body
    scope: str
    account: Account = field(repr=False)
    failure: Failure | None = None
    machine: Machine | None = field(default=None, repr=False)
    course: Course | None = field(default=None, repr=False)

    @property
    def is_done(self) -> bool:
        """Say whether it has ended."""
        return bool(self.body["status"] == "DONE")

    def begin(self, steps: Sequence[Step]) -> None:
        """Enter the first stage."""
        if self.machine is not None:
            self.machine.changes.append(self)
        self.course = Course(self.account.timeline, steps, self._run_on, self._end)
        self.course.begin()

    def seen(self) -> None:
        """Let its present stage end when its time has come, because somebody has seen it."""
        if self.course is not None:
            self.course.seen()

    def hurry(self) -> None:
        """Go through all stages whose time has come, seen or not."""
        if self.course is not None:
            self.course.hurry()

    def cancel(self) -> None:
        """End it where it is, because another one has taken its place."""
        if self.course is not None:
            self.course.cancel(Failure("OPERATION_CANCELED_BY_USER", "Another operation on the same resource took its place."))

    def _run_on(self) -> None:
        self.body |= {"status": "RUNNING", "progress": 50}

    def _end(self, failure: Failure | None) -> None:
        self.body |= {"status": "DONE", "progress": 100, "endTime": self.account.now_text()}
        if self.machine is not None:
            self.machine.changes.remove(self)
        failure = failure or self.failure
        if failure is None:
            return
        error: Body = {"code": failure.code, "message": failure.message}
        if failure.details:
            error["errorDetails"] = list(failure.details)
        self.body |= {"httpErrorStatusCode": failure.http, "httpErrorMessage": PHRASES.get(failure.http, "BAD REQUEST")}
        self.body["error"] = {"errors": [error]}


@dataclass
class Operations:
    """All operations. Called with the cloud's lock held."""

    account: Account
    _all: dict[str, Operation] = field(default_factory=dict)
    _by_request: dict[str, tuple[str, datetime, Operation]] = field(default_factory=dict)

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        answers: dict[str, Handler] = {}
        for kind in ("zone", "region", "global"):
            answers[f"compute.{kind}Operations.get"] = self._get
            answers[f"compute.{kind}Operations.wait"] = self._wait
            answers[f"compute.{kind}Operations.list"] = self._list
        return answers

    def begin(
        self,
        kind: str,
        target: Body,
        steps: Sequence[Step],
        *,
        call: GoogleCall | None = None,
        machine: Machine | None = None,
        at_once: Callable[[], None] = lambda: None,
    ) -> Operation:
        """Begin an operation on a resource; what is to show at once is done at once. Without a call it is the cloud's own.

        A failure that was ordered keeps it from having any effect, unless it was ordered for after the effect.
        """
        failure, has_effect = call.failure if call is not None and call.failure else (None, True)
        body = self._body(kind, target, USER if call is not None else SYSTEM)
        has_effect = has_effect or failure is None
        operation = Operation(body, _scope(target), self.account, failure, machine if has_effect else None)
        if has_effect:
            for earlier in list(operation.machine.changes) if operation.machine is not None else ():
                earlier.cancel()
            at_once()
        self._all[body["name"]] = operation
        operation.begin(steps if has_effect else [Step(0.0), Step(0.0)])
        self.account.timeline.after(REMEMBERED_S * 24, lambda: self._forget(operation))
        return operation

    def change(self, call: GoogleCall, target: Body, apply: Callable[[], None]) -> Operation:
        """Begin an operation that has its effect at its end."""
        half = self.account.durations.operation / 2
        return self.begin(call.action.rpartition(".")[2], target, [Step(half), Step(half, apply)], call=call)

    def repeated(self, call: GoogleCall) -> Operation | None:
        """Return the operation of an earlier request with the same id.

        Google remembers an id for an hour. What it answers to the same id with another request is nowhere written; this
        refuses.

        Raises:
            GoogleError: the earlier request was another one.
        """
        found = self._by_request.get(call.request_id) if call.request_id else None
        if found is None or found[1] + timedelta(seconds=REMEMBERED_S) < self.account.timeline.now():
            return None
        if found[0] != call.fingerprint:
            text = f"Invalid value for field 'requestId': '{call.request_id}'. The request ID was used by a different request."
            raise GoogleError(400, "invalid", text)
        return found[2]

    def remember(self, call: GoogleCall, operation: Operation) -> None:
        """Take note of which request began an operation."""
        if call.request_id:
            self._by_request[call.request_id] = (call.fingerprint, self.account.timeline.now(), operation)

    def _body(self, kind: str, target: Body, user: str) -> Body:
        now, link, scope = self.account.now_text(), str(target["selfLink"]), _scope(target)
        millis = int(self.account.timeline.now().timestamp() * 1000)
        name = f"operation-{millis}-{secrets.token_hex(7)[:13]}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
        body: Body = {
            "kind": "compute#operation",
            "id": self.account.new_id(),
            "name": name,
            "operationType": kind,
            "targetLink": link,
            "targetId": str(target["id"]),
            "status": "PENDING",
            "user": user,
            "progress": 0,
            "insertTime": now,
            "startTime": now,
            "selfLink": self.account.link(f"{scope}/operations/{name}"),
        }
        place, _, name_of_place = scope.partition("/")
        return body | ({place.rstrip("s"): self.account.link(scope)} if name_of_place else {})

    def _forget(self, operation: Operation) -> None:
        self._all.pop(str(operation.body["name"]), None)

    def _found(self, call: GoogleCall) -> Operation:
        wanted, scope = call.path["operation"], _scope_of(call)
        for operation in self._all.values():
            if wanted in (operation.body["name"], operation.body["id"]) and operation.scope == scope:
                return operation
        raise not_found(f"projects/{self.account.project}/{scope}/operations/{wanted}")

    def _get(self, call: GoogleCall) -> Body:
        operation = self._found(call)
        shown = dict(operation.body)
        operation.seen()
        return shown

    def _wait(self, call: GoogleCall) -> Body:
        """Return when it has ended, or before, as Google may: this never waits for what takes longer than no time."""
        operation = self._found(call)
        operation.hurry()
        return self._get(call)

    def _list(self, call: GoogleCall) -> Body:
        scope = _scope_of(call)
        found = [operation for operation in self._all.values() if operation.scope == scope]
        return listed(
            call,
            "compute#operationList",
            [dict(operation.body) for operation in found],
            self.account.link(f"{scope}/operations"),
        )


def _scope(target: Body) -> str:
    """Return "zones/Z", "regions/R" or "global" of a resource."""
    parts = str(target["selfLink"]).partition("/projects/")[2].split("/")
    return "/".join(parts[1:3]) if parts[1:2] and parts[1] in ("zones", "regions") else "global"


def _scope_of(call: GoogleCall) -> str:
    for place in ("zone", "region"):
        if place in call.path:
            return f"{place}s/{call.path[place]}"
    return "global"
