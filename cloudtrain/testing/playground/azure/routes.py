"""Which operation of Resource Manager a request is: the wheels' own routes, and the few that no wheel we use has."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .wheels import known_wheels

Segments = list[str]

SUBSCRIPTIONS = ("2022-12-01", "2022-09-01", "2022-01-01", "2021-01-01", "2020-01-01", "2016-06-01")
STORAGE = ("2025-01-01", "2024-01-01", "2023-05-01", "2023-01-01", "2022-09-01")
_STORAGE_ACCOUNT = (
    "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Storage/storageAccounts"
)
_OPERATIONS = "/subscriptions/{subscriptionId}/providers/{namespace}/locations/{location}"
OURS = (
    # (verb, route, versions, query); versions () are all
    ("GET", "/subscriptions", SUBSCRIPTIONS, ()),
    ("GET", "/subscriptions/{subscriptionId}", SUBSCRIPTIONS, ()),
    ("GET", "/subscriptions/{subscriptionId}/locations", SUBSCRIPTIONS, ("includeExtendedLocations",)),
    ("GET", "/tenants", SUBSCRIPTIONS, ()),
    ("PUT", f"{_STORAGE_ACCOUNT}/{{accountName}}", STORAGE, ()),
    ("GET", f"{_STORAGE_ACCOUNT}/{{accountName}}", STORAGE, ("$expand",)),
    ("DELETE", f"{_STORAGE_ACCOUNT}/{{accountName}}", STORAGE, ()),
    ("GET", f"{_STORAGE_ACCOUNT}/{{accountName}}/blobServices/default/containers/{{containerName}}", STORAGE, ()),
    ("GET", _STORAGE_ACCOUNT, STORAGE, ()),
    ("GET", "/subscriptions/{subscriptionId}/providers/Microsoft.Storage/storageAccounts", STORAGE, ()),
    ("GET", "/subscriptions/{subscriptionId}/providers/Microsoft.Authorization/permissions", ("2022-04-01", "2018-07-01"), ()),
    ("GET", "/subscriptions/{subscriptionId}/operationresults/{operationId}", (), ()),
    ("GET", f"{_OPERATIONS}/operations/{{operationId}}", (), ()),
    ("GET", f"{_OPERATIONS}/operationResults/{{operationId}}", (), ()),
)
OLDER = {
    "microsoft.compute": ("2025-04-01", "2025-01-02", "2024-11-01", "2024-07-01", "2024-03-02", "2024-03-01"),
    "microsoft.network": ("2025-03-01", "2024-07-01", "2024-05-01", "2024-03-01"),
    "": ("2024-11-01", "2024-07-01", "2024-03-01", "2022-09-01", "2021-04-01"),
}
"""Versions that are accepted beside the wheels' own, by namespace; their requests are held to the wheels' newer models."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        service, action: our names of it: "Microsoft.Compute", "virtualMachines/PUT".
        versions: the api-versions it takes; none are all.
        query, required: query parameters it knows, and those it must have.
        body, reply: models; "" for none, "[Model]" for a page of them.
    """

    package: str
    verb: str
    url: str
    service: str
    action: str
    versions: tuple[str, ...]
    query: tuple[str, ...]
    required: tuple[str, ...] = ("api-version",)
    body: str = ""
    reply: str = ""
    segments: tuple[str, ...] = field(default=())


def find_operation(verb: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """Return the operation that a request is, and what its route's placeholders stand for; None when there is none."""
    segments = [segment for segment in path.split("/") if segment]
    best: tuple[Operation, dict[str, str]] | None = None
    for operation in _by_verb().get((verb, _namespace(segments)), []) + _by_verb().get((verb, "{namespace}"), []):
        found = _match(operation.segments, segments)
        if found is not None and (best is None or len(found) < len(best[1])):
            best = operation, found
    return best


def has_path(path: str) -> bool:
    """Say whether any verb has a route like this."""
    return any(find_operation(verb, path) for verb in ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"))


def older_versions(operation: Operation) -> tuple[str, ...]:
    """Return the versions that are accepted beside the operation's own."""
    namespace = operation.service.lower()
    return OLDER.get("" if namespace == "microsoft.resources" else namespace, ())


@cache
def _by_verb() -> dict[tuple[str, str], list[Operation]]:
    found: dict[tuple[str, str], list[Operation]] = {}
    for operation in (*_of_wheels(), *_ours()):
        found.setdefault((operation.verb, _namespace(list(operation.segments))), []).append(operation)
    return found


def _of_wheels() -> Iterator[Operation]:
    for one in known_wheels()["operations"]:
        # Routes that fit any resource at all would hide that a resource's own route is unknown.
        if "{resourceId}" in one["url"] or "{parentResourcePath}" in one["url"]:
            continue
        yield _operation(one["verb"], one["url"], (one["version"],), one)


def _ours() -> Iterator[Operation]:
    for verb, url, versions, query in OURS:
        body = "object" if verb == "PUT" else ""
        required = [] if not versions else ["api-version"]
        known = ("api-version", *query)
        yield _operation(verb, url, versions, {"package": "", "query": known, "required": required, "body": body, "reply": ""})


def _operation(verb: str, url: str, versions: tuple[str, ...], spec: dict[str, Any]) -> Operation:
    segments = [segment for segment in url.split("/") if segment]
    service, action = _name(verb, segments)
    return Operation(
        spec["package"],
        verb,
        url,
        service,
        action,
        versions,
        tuple(spec["query"]),
        tuple(spec["required"]),
        spec["body"],
        spec["reply"],
        tuple(segments),
    )


def _name(verb: str, segments: Segments) -> tuple[str, str]:
    """Return our names of an operation, by the last provider in its route."""
    places = [place for place, segment in enumerate(segments) if segment == "providers"]
    if not places or segments[places[-1] + 1 :][:1] in ([], ["{resourceProviderNamespace}"]):
        return "Microsoft.Resources", _action(verb, _of_resources(segments))
    rest = segments[places[-1] + 1 :]
    return rest[0] if not rest[0].startswith("{") else "Microsoft.Resources", _action(verb, rest[1:])


def _of_resources(segments: Segments) -> Segments:
    """Return the part of a route without a provider that tells what it is about."""
    names = {"resourcegroups": "resourceGroups"}
    plain = [names.get(segment.lower(), segment) for segment in segments]
    if len(plain) > 2 and plain[0] == "subscriptions" and plain[2] in ("resourceGroups", "providers"):
        return plain[2:]
    return plain


def _action(verb: str, rest: Segments) -> str:
    types = "/".join(rest[0::2])
    if len(rest) % 2 == 0:
        return f"{types}/{verb}"
    return f"{types}/LIST" if verb == "GET" and rest[-1] != "instanceView" else types


def _namespace(segments: Segments) -> str:
    places = [place for place, segment in enumerate(segments) if segment.lower() == "providers"]
    rest = segments[places[-1] + 1 :] if places else []
    return rest[0].lower() if len(rest) > 1 and not rest[0].startswith("{resource") else "{namespace}"


def _match(template: tuple[str, ...], segments: Segments) -> dict[str, str] | None:
    if template and template[0] == "{scope}":
        tail = template[1:]
        if len(segments) < len(tail):
            return None
        found = _match(tail, segments[len(segments) - len(tail) :])
        return None if found is None else {"scope": "/" + "/".join(segments[: len(segments) - len(tail)]), **found}
    if len(template) != len(segments):
        return None
    found = {}
    for wanted, given in zip(template, segments, strict=True):
        if wanted.startswith("{"):
            found[wanted.strip("{}")] = given
        elif wanted.lower() != given.lower():
            return None
    return found
