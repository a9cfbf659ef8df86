"""What a machine is reached by: a network, an address and an interface of its own, and a guard that lets one caller in."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...model.errors import ProviderError
from ...model.instance import LaunchOrder
from ...model.spec import MachineSpec
from ..caller import Network, allowed_from
from . import tags
from .account import Account
from .machines import Found
from .names import Places
from .translate import is_absent
from .versions import NETWORK

RANGE = "10.0.0.0/24"
SSH_PORT = 22
_GUARD, _NETWORK = "Microsoft.Network/networkSecurityGroups", "Microsoft.Network/virtualNetworks"
_ADDRESS, _INTERFACE = "Microsoft.Network/publicIPAddresses", "Microsoft.Network/networkInterfaces"
_FIRST_PRIORITY = 100


def make_network(order: LaunchOrder, allowed: Sequence[Network], places: Places, account: Account) -> None:
    """Make what the machine is reached by: three things at once, then the interface that joins them. Safe to repeat.

    Raises:
        ProviderError: Azure refused.
    """
    region, marks = order.offer.region, dict(tags.of_thing(order))
    own_subnet = subnet_of(order.machine)
    guard = {"location": region, "tags": marks, "properties": {"securityRules": rules(allowed, order.machine.ssh.port)}}
    network = {
        "location": region,
        "tags": marks,
        "properties": {
            "addressSpace": {"addressPrefixes": [RANGE]},
            "subnets": [{"name": "machine", "properties": {"addressPrefix": RANGE}}],
        },
    }
    address = {
        "location": region,
        "tags": marks,
        "sku": {"name": "Standard"},
        "properties": {"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"},
    }
    things = [(_GUARD, places.guard, guard), (_ADDRESS, places.address, address)]
    if not own_subnet:
        things.append((_NETWORK, places.network, network))
    with ThreadPoolExecutor(len(things)) as pool:
        making = [pool.submit(_put, f"{kind}/write", path, body, account) for kind, path, body in things]
        for each in making:
            each.result()
    _put(f"{_INTERFACE}/write", places.interface, _interface(region, marks, own_subnet or places.subnet, places), account)


def subnet_of(machine: MachineSpec) -> str:
    """Return the id of the subnet that the machine config names, "" when it names none.

    Raises:
        ProviderError: what it names is no subnet's id.
    """
    if machine.network and "/subnets/" not in machine.network:
        raise ProviderError(
            f"network: {machine.network!r} is no subnet of Azure's",
            "Write a subnet's id: az network vnet subnet show --resource-group G --vnet-name V --name S --query id",
        )
    return machine.network


def let_caller_in(found: Found, account: Account) -> None:
    """Let the caller's address of now reach a machine, and no other one. One call where it is so already, else a few.

    Raises:
        ProviderError: the address cannot be found out, or Azure refused.
    """
    port = account.machine.ssh.port if account.machine is not None else SSH_PORT
    wanted = rules(allowed_from(account.machine), port)
    try:
        guard = account.arm.call(f"{_GUARD}/read", "GET", found.places.guard, api=NETWORK)
    except ProviderError as error:
        if is_absent(error):
            return  # somebody gave the machine another one, which is theirs to open
        raise
    if _opened(guard["properties"].get("securityRules", ())) != _opened(wanted):
        body = {"location": guard["location"], "tags": guard.get("tags") or {}, "properties": {"securityRules": wanted}}
        _put(f"{_GUARD}/write", found.places.guard, body, account)


def rules(allowed: Sequence[Network], port: int) -> list[dict[str, Any]]:
    """Return the rules that let some addresses reach one TCP port. One rule takes addresses of one kind only."""
    found = []
    for version in (4, 6):
        blocks = [str(block) for block in allowed if block.version == version]
        if blocks:
            found.append({"name": f"ssh-ipv{version}", "properties": _rule(blocks, port, _FIRST_PRIORITY + version)})
    return found


def _rule(blocks: Sequence[str], port: int, priority: int) -> dict[str, Any]:
    return {
        "description": "SSH from the address of whoever started the machine",
        "priority": priority,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefixes": list(blocks),
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": str(port),
    }


def _interface(region: str, marks: Mapping[str, str], subnet: str, places: Places) -> dict[str, Any]:
    address = {"id": places.address, "properties": {"deleteOption": "Delete"}}
    configuration = {"subnet": {"id": subnet}, "primary": True, "publicIPAddress": address}
    return {
        "location": region,
        "tags": dict(marks),
        "properties": {
            "networkSecurityGroup": {"id": places.guard},
            "ipConfigurations": [{"name": "machine", "properties": {**configuration, "privateIPAllocationMethod": "Dynamic"}}],
        },
    }


def _put(act: str, path: str, body: Mapping[str, Any], account: Account) -> None:
    account.arm.begin(act, "PUT", path, api=NETWORK, body=body).wait()


def _opened(listed: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    """Return what rules allow, in a form that can be compared."""
    found = set()
    for each in listed:
        rule = each.get("properties") or {}
        sources = frozenset([*rule.get("sourceAddressPrefixes", ()), *filter(None, [rule.get("sourceAddressPrefix")])])
        found.add((rule.get("direction"), rule.get("access"), rule.get("destinationPortRange"), sources))
    return found
