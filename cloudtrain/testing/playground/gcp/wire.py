"""Google's wire: which call a request is, and how an answer or a refusal is written."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from ..calls import Reply
from ..faults import Fault
from .canonical import canonical
from .discovery import UPLOAD, Method, find_method
from .errors import LATER_CODES, Failure, GoogleError, error_body
from .fields import picked
from .schema import check_body, check_query, check_reply

OLDER = ("compute", "storage", "")
"""Services that write refusals in the older format."""


@dataclass(slots=True)
class GoogleCall:
    """One call of one of Google's services.

    Attributes:
        path_text: the request's path, still quoted.
        method: None when no service has such a path.
        path, query: the parameters, typed.
        resource: the body, where the method takes one.
        problem: what Google refuses the request for before it looks at anything.
        failure: what the operation that it starts is to end with, and whether it has its effect all the same.
    """

    environ: dict[str, Any]
    body: bytes
    path_text: str
    method: Method | None = None
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)
    problem: GoogleError | None = None
    failure: tuple[Failure, bool] | None = None

    @property
    def service(self) -> str:
        """Return the service's name, "compute"; "" for what is none of theirs."""
        return self.method.service if self.method else ""

    @property
    def action(self) -> str:
        """Return Google's id of the method, "compute.instances.insert"."""
        return self.method.id if self.method else self.path_text

    @property
    def region(self) -> str:
        """Return the region that the path names, itself or by a zone."""
        return self.path.get("region") or self.path.get("zone", "").rpartition("-")[0]

    @property
    def parameters(self) -> dict[str, Any]:
        """Return all that was said."""
        return {**self.path, **self.query, **({"body": self.resource} if self.resource else {})}

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def request_id(self) -> str:
        """Return what makes two requests one; "" when it was not given."""
        return str(self.query.get("requestId", ""))

    @property
    def fingerprint(self) -> str:
        """Return what tells two requests apart that have the same id."""
        return json.dumps([self.action, self.path, self.resource], sort_keys=True)


class GoogleDialect:
    """Reads and refuses calls as Google does."""

    def read(self, environ: dict[str, Any]) -> GoogleCall:
        """Read a request to its end."""
        # As it was sent: an object's name may hold quoted slashes.
        raw = str(environ.get("REQUEST_URI") or environ.get("PATH_INFO", ""))
        path = raw.partition("?")[0].partition("#")[0]
        call = GoogleCall(environ, _body(environ), path)
        found = find_method(str(environ["REQUEST_METHOD"]), path)
        if found is None:
            return call
        call.method, call.path = found
        try:
            _read_parameters(call)
            _read_body(call)
        except GoogleError as error:
            call.problem = error
        return call

    def refuse(self, call: GoogleCall, fault: Fault) -> Reply:
        """Write a refusal that was ordered."""
        return write_error(call, GoogleError(fault.status, fault.code, fault.text))

    def takes_in(self, call: GoogleCall, fault: Fault) -> bool:
        """Carry what Compute Engine tells in the operation."""
        response = (call.method.response or {}) if call.method else {}
        is_later = fault.code in LATER_CODES and response.get("$ref") == "Operation" and not fault.http
        if is_later and call.environ["REQUEST_METHOD"] != "GET" and not call.action.endswith("Operations.wait"):
            call.failure = Failure(fault.code, fault.text), fault.after
            return True
        return False


def write_result(call: GoogleCall, result: object) -> Reply:
    """Write an answer.

    Raises:
        AssertionError: it is none that the method can give.
    """
    if call.method is None:
        return _json(200, result)
    if wrong := check_reply(call.method, result):
        raise AssertionError(f"the reply to {call.action} is not as Google describes it: {'; '.join(wrong[:3])}")
    if not call.method.response:
        return Reply(204, (), b"")
    return _json(200, picked(result, call.query["fields"]) if call.query.get("fields") else result)


def write_error(call: GoogleCall, error: GoogleError) -> Reply:
    """Write a refusal."""
    return _json(error.http, error_body(error, is_older=call.service in OLDER))


def _json(status: int, answer: object) -> Reply:
    content = ("Content-Type", "application/json; charset=UTF-8")
    return Reply(status, (content,), json.dumps(answer).encode())


def _read_parameters(call: GoogleCall) -> None:
    assert call.method is not None
    query = parse_qs(str(call.environ.get("QUERY_STRING", "")), keep_blank_values=True)
    call.query = check_query(call.method, query, call.path)
    request_id = call.request_id
    if request_id and not _is_uuid(request_id):
        text = f"Invalid value for field 'requestId': '{request_id}'. The request ID must be a valid non-zero UUID."
        raise GoogleError(400, "invalid", text)


def _read_body(call: GoogleCall) -> None:
    assert call.method is not None
    if call.method.request is None or call.path_text.startswith(UPLOAD):
        return
    try:
        read = json.loads(call.body or b"{}")
    except ValueError:
        raise GoogleError(400, "parseError", "Invalid JSON payload received. Parse Error") from None
    check_body(call.method, read)
    call.resource = canonical(call.method, read)


def _is_uuid(text: str) -> bool:
    try:
        return uuid.UUID(text).int != 0 and len(text) == 36
    except ValueError:
        return False


def _body(environ: dict[str, Any]) -> bytes:
    length = -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length)
    return body
