"""Whether a role may do a thing: IAM's rules as far as a role that ends machines needs them."""

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

SCHEDULER = "scheduler.amazonaws.com"


def trusts(role: Any, service: str) -> bool:
    """Say whether a service may take on a role of moto's."""
    allowed = [statement for statement in _statements(role.assume_role_policy_document) if statement.get("Effect") == "Allow"]
    return any(
        service in _listed((statement.get("Principal") or {}).get("Service")) and _names(statement, "Action", "sts:AssumeRole")
        for statement in allowed
    )


def may(role: Any, action: str) -> bool:
    """Say whether a role may ever do a thing, whatever to."""
    return any(statement.get("Effect") == "Allow" and _names(statement, "Action", action) for statement in _of_role(role))


def may_with(role: Any, action: str, resource: str, facts: Mapping[str, str]) -> bool:
    """Say whether a role may do a thing to a resource with these condition values; a refusal outweighs."""
    fitting = [
        statement
        for statement in _of_role(role)
        if _names(statement, "Action", action) and _names(statement, "Resource", resource) and _holds(statement, facts)
    ]
    effects = {statement.get("Effect") for statement in fitting}
    return "Allow" in effects and "Deny" not in effects


def _of_role(role: Any) -> Iterator[dict[str, Any]]:
    documents = list(role.policies.values()) + [policy.document for policy in role.managed_policies.values()]
    for document in documents:
        yield from _statements(document)


def _statements(document: Any) -> list[dict[str, Any]]:
    read = json.loads(document) if isinstance(document, str) else document
    statements = read.get("Statement") or []
    return statements if isinstance(statements, list) else [statements]


def _names(statement: Mapping[str, Any], field: str, wanted: str) -> bool:
    return any(fnmatchcase(wanted.lower(), pattern.lower()) for pattern in _listed(statement.get(field)))


def _holds(statement: Mapping[str, Any], facts: Mapping[str, str]) -> bool:
    """Say whether the conditions hold; one that cannot be read does not."""
    for operator, wanted in (statement.get("Condition") or {}).items():
        if operator not in ("StringEquals", "StringLike"):
            return False
        for key, values in wanted.items():
            value = facts.get(key)
            if value is None or not any(fnmatchcase(value, pattern) for pattern in _listed(values)):
                return False
    return True


def _listed(value: Any) -> list[str]:
    return [] if value is None else [str(item) for item in (value if isinstance(value, list) else [value])]
