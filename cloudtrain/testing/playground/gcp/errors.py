"""Refusals in Google's words and format: at once in a reply, or later in an operation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    416: "OUT_OF_RANGE",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
"""google.rpc.Code by HTTP status, where the newer services write it beside the status."""

LATER_CODES = {
    "CONDITION_NOT_MET": 412,
    "INTERNAL_ERROR": 503,
    "IP_SPACE_EXHAUSTED": 503,
    "IP_SPACE_EXHAUSTED_WITH_DETAILS": 503,
    "QUOTA_EXCEEDED": 403,
    "RESOURCE_ALREADY_EXISTS": 409,
    "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE": 400,
    "RESOURCE_NOT_FOUND": 404,
    "RESOURCE_NOT_READY": 400,
    "RESOURCE_OPERATION_RATE_EXCEEDED": 429,
    "UNSUPPORTED_OPERATION": 400,
    "ZONE_RESOURCE_POOL_EXHAUSTED": 503,
    "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS": 503,
    "stockout": 503,
}
"""Codes that Compute Engine tells in the operation, after a 200, and the HTTP status it writes into it."""


class GoogleError(Exception):
    """A refusal in a reply.

    Attributes:
        reason: the word of the older services' `errors[].reason` ("notFound").
        details: the newer services' `details`, whole.
    """

    def __init__(
        self, http: int, reason: str, message: str, *, details: Sequence[dict[str, Any]] = (), location: str = ""
    ) -> None:
        super().__init__(f"{http} {reason}: {message}")
        self.http, self.reason, self.message = http, reason, message
        self.details, self.location = list(details), location


@dataclass(frozen=True, slots=True)
class Failure:
    """What an operation ends with."""

    code: str
    message: str
    details: tuple[dict[str, Any], ...] = ()

    @property
    def http(self) -> int:
        """Return the status that the operation shows."""
        return LATER_CODES.get(self.code, 400)


class OperationFailedError(Exception):
    """Raised by a step of an operation that cannot be done."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.message}")
        self.failure = failure


def invalid(field: str, value: object, why: str) -> GoogleError:
    """Return Compute Engine's refusal of a field's value."""
    return GoogleError(400, "invalid", f"Invalid value for field '{field}': '{value}'. {why}".strip())


def not_found(resource: str) -> GoogleError:
    """Return Compute Engine's word that there is no such resource ("projects/P/zones/Z/instances/I")."""
    return GoogleError(404, "notFound", f"The resource '{resource}' was not found")


def error_info(reason: str, domain: str, **metadata: str) -> dict[str, Any]:
    """Return the detail that names a reason."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": domain,
        "metadata": metadata,
    }


def error_body(error: GoogleError, *, is_older: bool) -> dict[str, Any]:
    """Return the body of a refusal; Compute Engine and Storage have an older format than the others."""
    body: dict[str, Any] = {"code": error.http, "message": error.message}
    if is_older:
        one = {"message": error.message, "domain": "global", "reason": error.reason}
        if error.location:
            one |= {"location": error.location, "locationType": "header"}
        body["errors"] = [one]
    if error.details or not is_older:
        body["status"] = STATUS_NAMES.get(error.http, "UNKNOWN")
    if error.details:
        body["details"] = error.details
    return {"error": body}
