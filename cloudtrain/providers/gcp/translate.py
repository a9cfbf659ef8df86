"""Google's words for what went wrong, in ours: one table, one door."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...model.errors import (
    CloudQuotaExceededError,
    CredentialsError,
    NoCapacityError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from ..meaning import Meaning, Retry

_OTHER_PLACE = "Another zone, machine type or region may do: cloudtrain offers --provider gcp"
_QUOTA = "Ask for more: https://console.cloud.google.com/iam-admin/quotas?project={project} (filter: {metric} {region})"
_WHOLE = (
    "It holds for the project in every region. "
    "Ask for more: https://console.cloud.google.com/iam-admin/quotas?project={project} (filter: {metric})"
)
_LOGIN = "Log in: gcloud auth application-default login. A clock that is off breaks logins too: compare it with `date -u`."
_ROLE = "Let whoever administers the project allow it; the permissions cloudtrain needs are in docs/providers/gcp.md"
_ENABLE = "Switch it on: gcloud services enable {service} --project {project}"
_BILLING = "Link a billing account: https://console.cloud.google.com/billing/linkedaccount?project={project}"
_PROJECT = "Look at the project: gcloud projects describe {project}"
_POLICY = "The organisation forbids it: https://console.cloud.google.com/iam-admin/orgpolicies?project={project}"
_LATER = "Try again in a minute."
_OURS = "Look at the machine config; if it says nothing of the kind, this is a mistake of cloudtrain's."
_LOOK = "Look: cloudtrain status; cloudtrain sweep"

CAPACITY = Meaning(NoCapacityError, Retry.ELSEWHERE, _OTHER_PLACE)
QUOTA = Meaning(QuotaExceededError, Retry.OTHER_REGION, _QUOTA)
WHOLE_QUOTA = Meaning(CloudQuotaExceededError, Retry.OTHER_CLOUD, _WHOLE)
DENIED = Meaning(PermissionDeniedError, Retry.NEVER, _ROLE)
DISABLED = Meaning(PermissionDeniedError, Retry.NEVER, _ENABLE)
BILLING = Meaning(PermissionDeniedError, Retry.NEVER, _BILLING)
PROJECT = Meaning(PermissionDeniedError, Retry.NEVER, _PROJECT)
NO_PROJECT = Meaning(PermissionDeniedError, Retry.NEVER, "Look which there are: gcloud projects list")
POLICY = Meaning(PermissionDeniedError, Retry.NEVER, _POLICY)
CREDENTIALS = Meaning(CredentialsError, Retry.NEVER, _LOGIN)
OURS = Meaning(ProviderError, Retry.NEVER, _OURS)
BUSY = Meaning(ProviderUnavailableError, Retry.LATER, _LATER)
ABSENT = Meaning(ProviderError, Retry.GONE, _OURS)

_ROWS: tuple[tuple[Meaning, str], ...] = (
    (
        CAPACITY,
        "ZONE_RESOURCE_POOL_EXHAUSTED ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS stockout insufficientCapacity"
        " IP_SPACE_EXHAUSTED IP_SPACE_EXHAUSTED_WITH_DETAILS resource_availability",
    ),
    (QUOTA, "QUOTA_EXCEEDED quotaExceeded QUOTA_EXCEEDED_WITH_DETAILS"),
    (DENIED, "forbidden IAM_PERMISSION_DENIED PERMISSION_DENIED PERMISSIONS_ERROR insufficientPermissions"),
    (DISABLED, "SERVICE_DISABLED accessNotConfigured"),
    (BILLING, "BILLING_DISABLED accountDisabled UREQ_PROJECT_BILLING_NOT_FOUND UREQ_PROJECT_BILLING_NOT_OPEN"),
    (PROJECT, "USER_PROJECT_DENIED CONSUMER_INVALID CONSUMER_SUSPENDED RESOURCE_PROJECT_INVALID"),
    (
        CREDENTIALS,
        "authError UNAUTHENTICATED ACCESS_TOKEN_EXPIRED ACCESS_TOKEN_SCOPE_INSUFFICIENT CREDENTIALS_MISSING"
        " ACCESS_TOKEN_TYPE_UNSUPPORTED ACCOUNT_STATE_INVALID",
    ),
    (
        BUSY,
        "rateLimitExceeded userRateLimitExceeded RATE_LIMIT_EXCEEDED RESOURCE_OPERATION_RATE_EXCEEDED backendError"
        " internalError INTERNAL_ERROR INTERNAL UNAVAILABLE ABORTED DEADLINE_EXCEEDED",
    ),
    (ABSENT, "notFound NOT_FOUND RESOURCE_NOT_FOUND"),
    (
        OURS,
        "invalid badRequest INVALID_ARGUMENT INVALID_FIELD_VALUE INVALID_USAGE invalidParameter parseError required"
        " conditionNotMet CONDITION_NOT_MET FAILED_PRECONDITION alreadyExists ALREADY_EXISTS RESOURCE_ALREADY_EXISTS"
        " resourceInUseByAnotherResource RESOURCE_IN_USE_BY_ANOTHER_RESOURCE resourceNotReady RESOURCE_NOT_READY"
        " UNSUPPORTED_OPERATION OUT_OF_RANGE",
    ),
    # What a queued TPU says when it ends: gRPC's numbers. 4: the time it was to wait is over.
    (CAPACITY, "tpu:3 tpu:4 tpu:8 tpu:9"),
)

MEANINGS = {code: meaning for meaning, codes in _ROWS for code in codes.split()}

_AT_LAUNCH = frozenset({"UNSUPPORTED_OPERATION", "RESOURCE_NOT_FOUND", "RESOURCE_NOT_READY"})
"""Of a machine that is being made these say that the zone could not: it was reclaimed at birth, or its place went."""

_LAUNCHING = ("compute.instances.insert", "compute.instances.start")
_WHOLE_PROJECT = re.compile(r"\b(GPUS|CPUS)[_-]ALL[_-]REGIONS\b")
_WRONG_PLACE = re.compile(
    r"(machineTypes|acceleratorTypes)/\S+' was not found|does not exist in zone|not (available|supported) in( the)? zone",
    re.IGNORECASE,
)
_FORBIDDEN_BY_POLICY = re.compile(r"\bconstraints?/\S+|org(anization)? ?policy", re.IGNORECASE)
_OF_QUOTA = re.compile(r"QuotaFailure|\bquota\b", re.IGNORECASE)
_PROJECT_ABSENT = re.compile(r"\bprojects/([^/']+)' was not found")
_DENIED = re.compile(r"Required '([\w.]+)' permission for '([^']+)'|Permission '([\w.]+)' denied on (?:resource )?'?([^' ]+)")
_METRIC = re.compile(r"Quota '([\w-]+)'")
_PLACE = re.compile(r"\b(?:zones|regions|locations)/([a-z0-9-]+)")
_IN_PROJECT = re.compile(r"\bprojects/([^/:]+)")
_ZONE = re.compile(r"-[a-z]$")


@dataclass(eq=False)
class RefusedError(Exception):
    """What Google said, as it said it: the cause of an error of ours.

    Attributes:
        method_id: Google's name of what was asked.
        path: what it was asked of.
        status: HTTP's number; 0 where an operation failed that had been accepted.
        codes: what it is called, the most precise first.
        facts: what Google adds about it, by name.
    """

    method_id: str
    path: str
    status: int
    codes: tuple[str, ...]
    said: str
    facts: Mapping[str, str]


def refused(method_id: str, path: str, status: int, reply: Mapping[str, Any]) -> ProviderError:
    """Return the error for a call that was refused, its cause set."""
    error = reply.get("error", {})
    if not isinstance(error, Mapping):  # the token endpoint's form
        return _told(RefusedError(method_id, path, status, (str(error),), str(reply.get("error_description", "")), {}))
    details = [each for each in error.get("details", ()) if isinstance(each, Mapping)]
    listed = [str(each.get("reason", "")) for each in error.get("errors", ())]
    named = [str(each.get("reason", "")) for each in details]
    codes = tuple(code for code in (*named, *listed, str(error.get("status", ""))) if code)
    return _told(RefusedError(method_id, path, status, codes, str(error.get("message", "")), _facts(details)))


def failed(method_id: str, path: str, operation: Mapping[str, Any]) -> ProviderError | None:
    """Return the error an operation that is over ended with, its cause set; None when it went well."""
    error = operation.get("error")
    if not error:
        return None
    if "errors" not in error:  # of a service that speaks gRPC's way
        code = f"{method_id.partition('.')[0]}:{error.get('code', '')}"
        return _told(RefusedError(method_id, path, 0, (code,), str(error.get("message", "")), _facts(error.get("details", ()))))
    listed: Sequence[Mapping[str, Any]] = error["errors"]
    infos = [info for each in listed for detail in each.get("errorDetails", ()) for info in detail.values()]
    reasons = [str(info.get("reason", "")) for info in infos]
    codes = tuple(code for code in (*(str(each.get("code", "")) for each in listed), *reasons) if code)
    said = "; ".join(str(each.get("message", "")).strip() for each in listed)
    return _told(RefusedError(method_id, path, 0, codes, said, _facts(infos)))


def code_of(error: BaseException) -> str:
    """Return the most precise code Google gave for an error of ours, "" when there is none."""
    cause = error.__cause__
    return cause.codes[0] if isinstance(cause, RefusedError) and cause.codes else ""


def status_of(error: BaseException) -> int:
    """Return HTTP's number for an error of ours, 0 when there is none."""
    return error.__cause__.status if isinstance(error.__cause__, RefusedError) else 0


def is_absent(error: BaseException) -> bool:
    """Say whether Google knows no such thing. Where it knows no such project, nothing is known of the thing."""
    return status_of(error) == 404 and not missing_project(error)


def missing_project(error: BaseException) -> str:
    """Return the name of the project that Google says it does not know; "" where it says something else."""
    return _absent_project(error.__cause__)


def is_unanswered(error: ProviderError) -> bool:
    """Say whether nothing is known of what became of a call: it may have had its effect."""
    return isinstance(error, ProviderUnavailableError) and not isinstance(error.__cause__, RefusedError)


def is_passing(error: ProviderError) -> bool:
    """Say whether the same call may be answered in a moment."""
    cause = error.__cause__
    return (
        meaning_of(cause).retry is Retry.LATER
        if isinstance(cause, RefusedError)
        else isinstance(error, ProviderUnavailableError)
    )


def meaning_of(refusal: RefusedError) -> Meaning:
    """Return what the table says of a refusal; of a code nobody knows, that something may exist."""
    precise = _by_its_words(refusal)
    if precise is not None:
        return precise
    for code in refusal.codes:
        if code in MEANINGS:
            return MEANINGS[code]
    return _by_status(refusal.status)


def _absent_project(cause: BaseException | None) -> str:
    said = cause.said if isinstance(cause, RefusedError) and cause.status == 404 else ""
    return next(iter(_PROJECT_ABSENT.findall(said)), "")


def _by_its_words(refusal: RefusedError) -> Meaning | None:
    if _absent_project(refusal):
        return NO_PROJECT
    known = {MEANINGS[code] for code in refusal.codes if code in MEANINGS}
    if refusal.method_id in _LAUNCHING and (_AT_LAUNCH.intersection(refusal.codes) or _WRONG_PLACE.search(refusal.said)):
        return CAPACITY
    if refusal.method_id.startswith("tpu.") and _is_out_of_tpus(refusal):
        return QUOTA if _OF_QUOTA.search(f"{refusal.facts.get('@type', '')} {refusal.said}") else CAPACITY
    if QUOTA in known and _WHOLE_PROJECT.search(f"{refusal.said} {_metric(refusal)}"):
        return WHOLE_QUOTA
    if known & {OURS, DENIED} and refusal.status in (403, 412) and _FORBIDDEN_BY_POLICY.search(refusal.said):
        return POLICY
    return None


def _is_out_of_tpus(refusal: RefusedError) -> bool:
    return bool({"RESOURCE_EXHAUSTED", "tpu:8"}.intersection(refusal.codes))


def _by_status(status: int) -> Meaning:
    if status == 401:
        return CREDENTIALS
    if status == 403:
        return DENIED
    if status == 404:
        return ABSENT
    if status == 429 or status >= 500:
        return BUSY
    return UNKNOWN


UNKNOWN = Meaning(ProviderError, Retry.NEVER, _LOOK)


def _told(refusal: RefusedError) -> ProviderError:
    meaning = meaning_of(refusal)
    place = _PLACE.search(refusal.path)
    where = place.group(1) if place is not None else ""
    code = refusal.codes[0] if refusal.codes else f"HTTP {refusal.status}"
    message = f"{refusal.method_id}{f' in {where}' if where else ''}: {_worded(refusal)} ({code})"
    if meaning is UNKNOWN:
        message += ". Something may exist there all the same"
    project = _IN_PROJECT.search(refusal.path)
    hint = meaning.advice.format(
        project=project.group(1) if project is not None else "PROJECT",
        region=_ZONE.sub("", where),
        metric=_metric(refusal) or "GPUs",
        service=refusal.facts.get("service") or f"{refusal.method_id.partition('.')[0]}.googleapis.com",
    )
    error = meaning.kind(message, hint)
    error.__cause__ = refusal
    return error


def _worded(refusal: RefusedError) -> str:
    denied = _DENIED.search(refusal.said)
    if denied is not None:
        permission, resource = (each for each in denied.groups() if each)
        return f"the account may not do {permission} on {resource}"
    permission = refusal.facts.get("permission", "")
    if permission:
        return f"the account may not do {permission}"
    return " ".join(refusal.said.split()).rstrip(".") or "refused"


def _metric(refusal: RefusedError) -> str:
    found = _METRIC.search(refusal.said)
    return found.group(1) if found is not None else refusal.facts.get("metricName", "")


def _facts(details: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the texts in Google's details, and in the `metadata` within them, by name."""
    found: dict[str, str] = {}
    for detail in details:
        every = {**detail, **(detail.get("metadata") or detail.get("metadatas") or {})}
        found |= {key: value for key, value in every.items() if isinstance(value, str)}
    return found
