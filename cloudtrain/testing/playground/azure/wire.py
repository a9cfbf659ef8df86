"""Resource Manager's wire: which operation a request is, and how an answer or a refusal is written."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from ..calls import Reply
from ..faults import Fault
from .errors import LATER, STATUSES, TEXTS, THROTTLED, ArmError
from .routes import Operation, find_operation, has_path, older_versions
from .schema import check_reply, check_request

OUTSIDE = {"/oauth2/": "Entra", "/.well-known/": "Entra", "/api/retail/": "Retail", "/blob/": "Storage"}
"""What is at the same origin and not Resource Manager's, by a part of its path."""


@dataclass(slots=True)
class ArmCall:
    """One call.

    Attributes:
        operation: None when it is none of Resource Manager's that we know.
        names: what the route's placeholders stand for.
        query: query parameters as text.
        resource: the body, where it is a JSON object.
        problem: what it is refused for before anything is looked at.
        failure: what the operation that it starts is to end with, and whether it has its effect all the same.
        host: scheme and authority as the caller wrote them; links are made of it.
        principal: who calls, once the token was looked at.
    """

    environ: dict[str, Any]
    body: bytes
    path: str
    query: dict[str, str]
    operation: Operation | None = None
    names: dict[str, str] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)
    problem: ArmError | None = None
    failure: tuple[ArmError, bool] | None = None
    principal: str = ""

    @property
    def verb(self) -> str:
        """Return the HTTP verb."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def service(self) -> str:
        """Return the namespace, "Microsoft.Compute"; "Entra", "Retail" and "Storage" for what is not Resource Manager's."""
        if self.operation is not None:
            return self.operation.service
        return next((name for part, name in OUTSIDE.items() if part in self.path), "")

    @property
    def action(self) -> str:
        """Return the operation without its namespace: "virtualMachines/PUT", "virtualMachines/deallocate"."""
        if self.operation is not None:
            return self.operation.action
        names = {"Entra": self.path.rpartition("/")[2], "Retail": "prices/LIST", "Storage": f"blobs/{self.verb}"}
        return names.get(self.service, f"{self.verb} {self.path}")

    @property
    def region(self) -> str:
        """Return the location that the route or the body names."""
        return str(self.names.get("location") or self.names.get("locationparameter") or self.resource.get("location") or "")

    @property
    def parameters(self) -> dict[str, Any]:
        """Return all that was said; secrets and tokens are not in it."""
        return {**self.names, **self.query, **({"body": self.resource} if self.resource else {})}

    @property
    def text(self) -> str:
        """Return the route, the query and the body as text, so that a fault may ask for a name, or for a page."""
        asked = "\n".join(f"{key}={value}" for key, value in self.query.items())
        return f"{self.path}\n{asked}\n{self.body.decode('utf-8', 'replace')}"

    @property
    def host(self) -> str:
        """Return what the caller called, "https://127.0.0.1:4321"."""
        return f"https://{self.environ.get('HTTP_HOST', '')}"

    @property
    def group(self) -> str:
        """Return the resource group that the route names, or ""."""
        return self.names.get("resourceGroupName", "")

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def location(self) -> str:
        """Return the location that the route or the body names, as Azure compares it: lower case, no spaces."""
        return self.region.replace(" ", "").lower()

    @property
    def form(self) -> dict[str, str]:
        """Return a form's fields."""
        return {key: values[-1] for key, values in parse_qs(self.body.decode("utf-8", "replace")).items()}


class ArmDialect:
    """Reads and refuses calls as Resource Manager does."""

    def read(self, environ: dict[str, Any]) -> ArmCall:
        """Read a request to its end."""
        query = parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)
        path = str(environ.get("PATH_INFO", "")).encode("latin-1", "replace").decode("utf-8", "replace")  # as PEP 3333 hands it
        call = ArmCall(environ, _body(environ), path, {key: values[-1] for key, values in query.items()})
        if call.service:
            return call
        found = find_operation(call.verb, path)
        if found is None:
            call.problem = _no_route(call)
            return call
        call.operation, call.names = found
        try:
            _check_query(call)
            _read_body(call)
        except ArmError as error:
            call.problem = error
        return call

    def refuse(self, call: ArmCall, fault: Fault) -> Reply:
        """Write a refusal that was ordered, as the service does that was called."""
        error = _ordered(fault)
        if call.service == "Entra":
            return _json(error.status, {"error": error.code, "error_description": error.message})
        if call.service == "Storage":
            return blob_error(error)
        return write_error(call, error)

    def takes_in(self, call: ArmCall, fault: Fault) -> bool:
        """Carry what Azure tells in the operation: a capacity that is not there, unless a status was ordered with it."""
        if fault.code not in LATER or fault.http or call.service != "Microsoft.Compute" or call.verb == "GET":
            return False
        call.failure = _ordered(fault), fault.after
        return True


def write_result(call: ArmCall, result: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Write an answer; None has no body.

    Raises:
        AssertionError: it is none that the operation can give.
    """
    if call.operation is not None and result is not None and (wrong := check_reply(call.operation, result)):
        raise AssertionError(f"the reply to {call.action} is not as the SDK describes it: {'; '.join(wrong[:3])}")
    return Reply(status, (*_headers(call), *headers), b"" if result is None else json.dumps(result).encode())


def write_error(call: ArmCall, error: ArmError) -> Reply:
    """Write a refusal."""
    # Retrying at once is what a test wants; a person's playground orders the header itself.
    wait = (("Retry-After", "0"),) if error.status in THROTTLED and not dict(error.headers).get("Retry-After") else ()
    headers = (*_headers(call), ("x-ms-failure-cause", "gateway"), *wait, *error.headers)
    return Reply(error.status, headers, json.dumps({"error": error.body()}).encode())


def blob_error(error: ArmError) -> Reply:
    """Write a refusal of the blob service."""
    code = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    headers = (("Content-Type", "application/xml"), ("x-ms-error-code", error.code))
    return Reply(error.status, headers, f'<?xml version="1.0" encoding="utf-8"?><Error>{code}</Error>'.encode())


def _json(status: int, body: object) -> Reply:
    return Reply(status, (("Content-Type", "application/json; charset=utf-8"),), json.dumps(body).encode())


def _headers(call: ArmCall) -> tuple[tuple[str, str], ...]:
    number = str(uuid.uuid4())
    return (
        ("Content-Type", "application/json; charset=utf-8"),
        ("Cache-Control", "no-cache"),
        ("x-ms-request-id", number),
        ("x-ms-correlation-request-id", str(call.environ.get("HTTP_X_MS_CORRELATION_REQUEST_ID") or number)),
        ("x-ms-ratelimit-remaining-subscription-reads", "11999"),
    )


def _ordered(fault: Fault) -> ArmError:
    text = fault.message or TEXTS.get(fault.code) or fault.text
    return ArmError(fault.code, text, status=fault.http or STATUSES.get(fault.code, 0) or fault.status)


def _no_route(call: ArmCall) -> ArmError:
    if has_path(call.path):
        text = f"The http method '{call.verb}' is not supported for this resource."
        return ArmError("HttpMethodNotSupported", text, status=405)
    return ArmError("InvalidResourceType", f"The resource type could not be found in the path '{call.path}'.", status=404)


def _check_query(call: ArmCall) -> None:
    operation = call.operation
    assert operation is not None
    version = call.query.get("api-version", "")
    if not version and operation.versions:
        text = "The api-version query parameter (?api-version=) is required for all requests."
        raise ArmError("MissingApiVersionParameter", text)
    if operation.versions and version not in (*operation.versions, *older_versions(operation)):
        known = ", ".join(sorted({*operation.versions, *older_versions(operation)}))
        text = f"No registered resource provider found for location '{call.region}' and API version '{version}' for type "
        text += f"'{operation.action.partition('/')[0]}'. The supported api-versions are '{known}'."
        raise ArmError("NoRegisteredProviderFound", text)
    unknown = [key for key in call.query if operation.versions and key not in (*operation.query, "$skiptoken", "$skipToken")]
    if unknown:
        raise ArmError("InvalidQueryParameter", f"The query parameter '{unknown[0]}' is not known to {operation.action}.")
    missing = [key for key in operation.required if key not in call.query and key != "api-version"]
    if missing:
        raise ArmError("InvalidQueryParameter", f"The query parameter '{missing[0]}' is required.")


def _read_body(call: ArmCall) -> None:
    assert call.operation is not None
    if not call.body or call.verb in ("GET", "HEAD", "DELETE"):
        if call.operation.body and call.verb in ("PUT", "PATCH"):
            raise ArmError("MissingRequestBody", "The request body is required and must be specified.")
        return
    try:
        read = json.loads(call.body)
    except ValueError:
        text = "The request content was invalid and could not be deserialized: 'Unexpected character encountered.'."
        raise ArmError("InvalidRequestContent", text) from None
    check_request(call.operation, read)
    call.resource = read if isinstance(read, dict) else {}


def _body(environ: dict[str, Any]) -> bytes:
    length = -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length)
    return body
