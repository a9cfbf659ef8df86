"""Whether a body is what the wheels' models say. Requests are refused in Azure's words; our replies are held to the same."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

from .errors import ArmError
from .routes import Operation
from .wheels import known_wheels

CLOSED = {
    "CachingTypes": ("None", "ReadOnly", "ReadWrite"),
    "DeadlineType": ("Unknown", "InitiateAt", "CompleteBy"),
    "DeleteOptions": ("Delete", "Detach"),
    "DiskCreateOptionTypes": ("FromImage", "Empty", "Attach", "Copy", "Restore"),
    "DiskDeleteOptionTypes": ("Delete", "Detach"),
    "IPAllocationMethod": ("Static", "Dynamic"),
    "IPVersion": ("IPv4", "IPv6"),
    "NetworkApiVersion": ("2020-11-01", "2022-11-01"),
    "OperatingSystemTypes": ("Linux", "Windows"),
    "PublicIPAddressSkuName": ("Basic", "Standard", "StandardV2"),
    "ResourceIdentityType": ("SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned", "None"),
    "SecurityRuleAccess": ("Allow", "Deny"),
    "SecurityRuleDirection": ("Inbound", "Outbound"),
    "SecurityRuleProtocol": ("Tcp", "Udp", "Icmp", "Esp", "*", "Ah"),
    "SecurityTypes": ("Standard", "TrustedLaunch", "ConfidentialVM"),
    "StorageAccountTypes": (
        "Standard_LRS",
        "Premium_LRS",
        "StandardSSD_LRS",
        "UltraSSD_LRS",
        "Premium_ZRS",
        "StandardSSD_ZRS",
        "PremiumV2_LRS",
    ),
    "VirtualMachineEvictionPolicyTypes": ("Deallocate", "Delete"),
    "VirtualMachinePriorityTypes": ("Regular", "Low", "Spot", "SpotPlus"),
}
"""Enumerations that the services really close; the wheels call all of them open."""

PLAIN: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float), "long": int}


def check_request(operation: Operation, body: object) -> None:
    """Refuse a body that the operation does not take.

    Raises:
        ArmError: naming the first member that is wrong.
    """
    if operation.body in ("", "object"):
        return
    look = _Look(operation.package, needs_all=operation.verb in ("PUT", "POST"))
    for wrong in look.at(body, operation.body, ""):
        raise wrong


def check_reply(operation: Operation, body: object) -> list[str]:
    """Return what is wrong with a reply of ours."""
    if operation.package == "" or operation.reply == "":
        return []
    look = _Look(operation.package, needs_all=False)
    if operation.reply.endswith("]!"):
        return [wrong.message for wrong in look.at(body, operation.reply[:-1], "")]
    if operation.reply.startswith("["):
        page = body if isinstance(body, dict) else {}
        found = [wrong.message for wrong in look.at(page.get("value"), operation.reply, "value")]
        return found + [f"{key} is no member of a page" for key in page if key not in ("value", "nextLink")]
    return [wrong.message for wrong in look.at(body, operation.reply, "")]


@cache
def _members(package: str, model: str) -> dict[str, Any] | None:
    """Return the members of a model with those of its bases; None for what is no model or may hold more than we know."""
    models = known_wheels()["models"][package]
    if model not in models or "discriminator" in model.lower():
        return None
    found: dict[str, Any] = {}
    for base in models[model]["bases"]:
        found |= _members(package, base.removeprefix("_models.")) or {}
    own: dict[str, Any] = models[model]["members"]
    return found | own


class _Look:
    """One look at a value, from its top down."""

    def __init__(self, package: str, *, needs_all: bool) -> None:
        self._package, self._needs_all = package, needs_all

    def at(self, value: object, kind: str, path: str) -> Iterator[ArmError]:
        if value is None:
            return
        if kind.startswith("["):
            yield from self._at_list(value, kind[1:-1], path)
        elif kind.startswith("{"):
            yield from self._at_map(value, kind[1:-1], path)
        elif kind in PLAIN or kind == "iso-8601":
            if not _is_plain(value, kind):
                yield _mistyped(value, kind, path)
        elif (members := _members(self._package, kind)) is not None:
            yield from self._at_members(value, members, kind, path)
        elif kind in CLOSED and str(value).casefold() not in [one.casefold() for one in CLOSED[kind]]:
            yield _mistyped(value, kind, path)

    def _at_list(self, value: object, kind: str, path: str) -> Iterator[ArmError]:
        if not isinstance(value, list):
            yield _mistyped(value, f"List<{kind}>", path)
            return
        for number, item in enumerate(value):
            yield from self.at(item, kind, f"{path}[{number}]")

    def _at_map(self, value: object, kind: str, path: str) -> Iterator[ArmError]:
        if not isinstance(value, dict):
            yield _mistyped(value, f"Dictionary<{kind}>", path)
            return
        for key, item in value.items():
            yield from self.at(item, kind, f"{path}.{key}")

    def _at_members(self, value: object, members: dict[str, Any], kind: str, path: str) -> Iterator[ArmError]:
        if not isinstance(value, dict):
            yield _mistyped(value, kind, path)
            return
        known = {name.casefold(): (name, member) for name, member in members.items()}
        for key, item in value.items():
            if key.casefold() not in known:
                yield _unknown(key, kind, _below(path, key))
                continue
            name, member = known[key.casefold()]
            if "members" in member:
                yield from self._at_members(item, member["members"], f"{kind}.{name}", _below(path, key))
            else:
                yield from self.at(item, member["type"], _below(path, key))
        if self._needs_all:
            yield from _missing(value, members)


def _missing(value: dict[str, Any], members: dict[str, Any]) -> Iterator[ArmError]:
    given = {key.casefold() for key, item in value.items() if item is not None}
    for name, member in members.items():
        if member["required"] and not member["readonly"] and name.casefold() not in given:
            yield ArmError("InvalidParameter", f"Required parameter '{name}' is missing (null).", target=name)


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _unknown(key: str, kind: str, path: str) -> ArmError:
    text = f"Could not find member '{key}' on object of type '{kind}'. Path '{path}', line 1, position 1."
    return ArmError("InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{text}'.")


def _mistyped(value: object, kind: str, path: str) -> ArmError:
    text = f"Error converting value \"{value}\" to type '{kind}'. Path '{path}', line 1, position 1."
    return ArmError("InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{text}'.")


def _is_plain(value: object, kind: str) -> bool:
    if kind == "iso-8601":
        try:
            return isinstance(value, str) and datetime.fromisoformat(value) is not None
        except ValueError:
            return False
    if isinstance(value, bool):
        return kind == "bool"
    return isinstance(value, PLAIN[kind])
