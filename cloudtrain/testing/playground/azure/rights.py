"""Which right a call needs, and where: "Microsoft.Compute/virtualMachines/write" over a resource's id."""

from collections.abc import Mapping

from .wire import ArmCall

ENDS = {"GET": "read", "HEAD": "read", "LIST": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}


def action_of(call: ArmCall) -> str:
    """Return the right's name."""
    return right(call.service, call.action, call.names)


def right(service: str, action: str, names: Mapping[str, object]) -> str:
    """Return the name of the right that an operation of ours needs, by what its route's placeholders stand for."""
    types, _, last = action.rpartition("/")
    if action == "providers/register":
        return f"{names['resourceProviderNamespace']}/register/action"
    namespace = names.get("namespace") or service
    if namespace == "Microsoft.Resources" and types.startswith(("resourceGroups", "providers")):
        types = f"subscriptions/{types}"
    if last in ENDS:
        return f"{namespace}/{types}/{ENDS[last]}"
    if last == "instanceView":
        return f"{namespace}/{types}/instanceView/read"
    return f"{namespace}/{action}/action"


def scope_of(call: ArmCall) -> str:
    """Return where: the resource itself, or what it is in."""
    if "scope" in call.names:
        return call.names["scope"]
    path = call.path.rstrip("/")
    if call.action.endswith(("/LIST",)) or call.action.rpartition("/")[2] not in ENDS:
        path = path.rpartition("/")[0] if not call.action.endswith("subscriptions/LIST") else path
    return path.removesuffix("/providers") or "/"


def is_like(action: str, pattern: str) -> bool:
    """Say whether an action is one that a pattern means; `*` is any text."""
    wanted, given = pattern.lower().split("*"), action.lower()
    if len(wanted) == 1:
        return wanted[0] == given
    if not given.startswith(wanted[0]) or not given.endswith(wanted[-1]) or len(given) < len(wanted[0]) + len(wanted[-1]):
        return False
    at = len(wanted[0])
    for part in wanted[1:-1]:
        found = given.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return at <= len(given) - len(wanted[-1])
