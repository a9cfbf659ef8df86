"""What a network resource may be, how it is shown, who uses it, and which port of a machine can be reached from where."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from .account import LOCATIONS, Account
from .errors import ArmError
from .things import Body, Machine, Resource

TAGS_FOR_ALL = ("*", "internet", "0.0.0.0/0", "::/0")
PLACEHOLDER = "203.0.113.{}"
"""What a static address is before its machine has run: the hypervisor gives the real one at boot."""


def accepted(account: Account, resource: Resource) -> Resource:
    """Return a resource as it is kept.

    Raises:
        ArmError: it breaks a rule.
    """
    location = str(resource.body.get("location", "")).replace(" ", "").lower()
    if location not in LOCATIONS:
        text = (
            f"The provided location '{resource.body.get('location', '')}' is not available for resource type "
            f"'{resource.type}'. "
        )
        raise ArmError("LocationNotAvailableForResourceType", f"{text}List of available regions is '{','.join(LOCATIONS)}'.")
    resource.body["location"] = location
    {
        "Microsoft.Network/networkSecurityGroups": _accept_group,
        "Microsoft.Network/virtualNetworks": _accept_network,
        "Microsoft.Network/publicIPAddresses": _accept_address,
        "Microsoft.Network/networkInterfaces": _accept_interface,
    }[resource.type](account, resource)
    return resource


def shown(resource: Resource, users_by_id: Mapping[str, Sequence[str]]) -> Body:
    """Return a resource as replies show it: with what is attached to it, of all the users that there are."""
    properties = dict(resource.properties)
    users = [{"id": user} for user in users_by_id.get(resource.id.lower(), ())]
    if resource.type == "Microsoft.Network/networkSecurityGroups":
        properties["networkInterfaces"] = [user for user in users if "/networkInterfaces/" in user["id"]]
        properties["subnets"] = [user for user in users if "/subnets/" in user["id"]]
    elif resource.type == "Microsoft.Network/publicIPAddresses" and users:
        properties["ipConfiguration"] = users[0]
    return {**resource.body, "properties": properties}


def users_of(account: Account, resource: Resource) -> list[str]:
    """Return the ids of what needs a resource."""
    if resource.type == "Microsoft.Network/networkInterfaces":
        owner = resource.properties.get("virtualMachine")
        return [str(owner["id"])] if owner else []
    return find_users(account).get(resource.id.lower(), [])


def find_users(account: Account) -> dict[str, list[str]]:
    """Return the ids of what needs a security group or an address, by its id in lower case."""
    found: dict[str, list[str]] = {}
    for needed, user in _needs(account):
        if needed:
            found.setdefault(needed.lower(), []).append(user)
    return found


def public_address(account: Account, machine: Machine) -> Resource | None:
    """Return the address resource of a machine, None when it has none."""
    for id in machine.nics:
        nic = account.find(id)
        for one in nic.properties["ipConfigurations"] if nic else []:
            if given := one["properties"].get("publicIPAddress"):
                return account.find(str(given["id"]))
    return None


def may_reach(account: Account, source: str, machine: Machine, port: int) -> bool:
    """Say whether an address may connect to a machine's TCP port: every security group on the way must let it.

    Without any group nothing comes in by a Standard address.
    """
    groups = list(_groups_before(account, machine))
    return bool(groups) and all(_lets_in(group, source, port) for group in groups)


def sources(account: Account) -> Iterator[str]:
    """Yield an address of nobody in particular, and one out of every range wider than one address that some rule lets in."""
    yield "198.51.100.77"
    for group in account.of_type("Microsoft.Network/networkSecurityGroups"):
        for rule in group.properties.get("securityRules", []):
            for prefix in _prefixes(rule["properties"]):
                if "/" in prefix and (wide := ipaddress.ip_network(prefix, strict=False)).num_addresses > 1:
                    yield str(wide[wide.num_addresses // 2])


def _needs(account: Account) -> Iterator[tuple[str, str]]:
    """Yield what is needed and by what, as ids; "" for what is needed where something needs nothing."""
    for nic in account.of_type("Microsoft.Network/networkInterfaces"):
        yield _named(nic.properties, "networkSecurityGroup"), nic.id
        for one in nic.properties["ipConfigurations"]:
            yield _named(one["properties"], "publicIPAddress"), f"{nic.id}/ipConfigurations/{one['name']}"
    for network in account.of_type("Microsoft.Network/virtualNetworks"):
        for subnet in network.properties.get("subnets", []):
            yield _named(subnet["properties"], "networkSecurityGroup"), str(subnet["id"])


def _named(properties: Body, key: str) -> str:
    return str((properties.get(key) or {}).get("id", ""))


def _groups_before(account: Account, machine: Machine) -> Iterator[Resource]:
    for id in machine.nics:
        nic = account.find(id)
        if nic is None:
            continue
        own = nic.properties.get("networkSecurityGroup")
        subnets = [_subnet(account, str(one["properties"]["subnet"]["id"])) for one in nic.properties["ipConfigurations"]]
        for given in (own, *((subnet or {}).get("properties", {}).get("networkSecurityGroup") for subnet in subnets)):
            if given and (group := account.find(str(given["id"]))):
                yield group


def _lets_in(group: Resource, source: str, port: int) -> bool:
    rules = sorted(
        (rule["properties"] for rule in group.properties.get("securityRules", [])), key=lambda rule: int(rule["priority"])
    )
    for rule in rules:
        if rule["direction"] == "Inbound" and _is_tcp(rule) and _is_from(rule, source) and _is_to(rule, port):
            return bool(rule["access"] == "Allow")
    return False


def _is_tcp(rule: Body) -> bool:
    return str(rule["protocol"]).lower() in ("tcp", "*")


def _is_from(rule: Body, source: str) -> bool:
    for prefix in _prefixes(rule):
        if prefix.lower() in TAGS_FOR_ALL:
            return True
        if prefix[0].isdigit() and ipaddress.ip_address(source) in ipaddress.ip_network(prefix, strict=False):
            return True
    return False


def _is_to(rule: Body, port: int) -> bool:
    for text in [str(rule.get("destinationPortRange") or ""), *rule.get("destinationPortRanges", [])]:
        low, _, high = text.partition("-")
        if text == "*" or (low.isdigit() and int(low) <= port <= int(high or low)):
            return True
    return False


def _prefixes(rule: Body) -> list[str]:
    return [one for one in [str(rule.get("sourceAddressPrefix") or ""), *(rule.get("sourceAddressPrefixes") or [])] if one]


def _accept_group(account: Account, resource: Resource) -> None:
    rules = resource.properties.setdefault("securityRules", [])
    resource.properties["defaultSecurityRules"] = []
    taken: dict[tuple[str, int], str] = {}
    for rule in rules:
        properties = rule.get("properties") or {}
        _check_rule(str(rule.get("name", "")), properties)
        place = str(properties["direction"]), int(properties["priority"])
        if place in taken:
            text = (
                f"Security rule {rule['name']} conflicts with rule {taken[place]}. Rules cannot have the same Priority and "
                "Direction."
            )
            raise ArmError("SecurityRuleConflict", text)
        taken[place] = str(rule["name"])
        rule["id"] = f"{resource.id}/securityRules/{rule['name']}"
        rule["type"] = f"{resource.type}/securityRules"
        properties["provisioningState"] = "Succeeded"


def _check_rule(name: str, rule: Body) -> None:
    for key in ("priority", "direction", "access", "protocol"):
        if rule.get(key) in (None, ""):
            raise ArmError("SecurityRuleParameterRequired", f"Required parameter {key} of security rule {name} is missing.")
    if not 100 <= int(rule["priority"]) <= 4096:
        text = f"Security rule has invalid Priority. Value provided: {rule['priority']} Allowed range 100-4096."
        raise ArmError("SecurityRuleInvalidPriority", text)
    for prefix in _prefixes(rule):
        if prefix[0].isdigit():
            try:
                ipaddress.ip_network(prefix)
            except ValueError:
                text = f"Security rule has invalid Address prefix. Value provided: {prefix}"
                raise ArmError("SecurityRuleInvalidAddressPrefix", text) from None
    if not _prefixes(rule) or not (rule.get("destinationPortRange") or rule.get("destinationPortRanges")):
        raise ArmError("SecurityRuleParameterRequired", f"Security rule {name} needs a source and a destination port range.")


def _accept_network(account: Account, resource: Resource) -> None:
    prefixes = [ipaddress.ip_network(one) for one in (resource.properties.get("addressSpace") or {}).get("addressPrefixes", [])]
    if not prefixes:
        raise ArmError("MissingAddressSpace", f"Virtual network {resource.name} has no address space.")
    for subnet in resource.properties.setdefault("subnets", []):
        properties = subnet.setdefault("properties", {})
        given = properties.get("addressPrefix") or (properties.get("addressPrefixes") or [""])[0]
        own = ipaddress.ip_network(given) if given else None
        if own is None or not any(own.version == wide.version and own.subnet_of(wide) for wide in prefixes):  # type: ignore[arg-type]  # of one version, as was just looked at
            raise ArmError(
                "NetcfgInvalidSubnet", f"Subnet '{subnet.get('name')}' is not valid in virtual network '{resource.name}'."
            )
        subnet["id"] = f"{resource.id}/subnets/{subnet['name']}"
        subnet["type"] = f"{resource.type}/subnets"
        properties["provisioningState"] = "Succeeded"


def _accept_address(account: Account, resource: Resource) -> None:
    if (resource.body.get("sku") or {}).get("name", "Basic") == "Basic":
        text = "Cannot create more than 0 IPv4 Basic SKU public IP addresses for this subscription in this region."
        raise ArmError("IPv4BasicSkuPublicIpCountLimitReached", text)
    if resource.properties.get("publicIPAllocationMethod") != "Static":
        text = f"Standard sku publicIp {resource.id} must have AllocationMethod set to Static."
        raise ArmError("PublicIPAddressWithStandardSkuMustHaveStaticAllocation", text)
    resource.body["sku"].setdefault("tier", "Regional")
    resource.properties.setdefault("publicIPAddressVersion", "IPv4")
    resource.properties.setdefault("idleTimeoutInMinutes", 4)
    resource.properties.setdefault("ipAddress", PLACEHOLDER.format(len(account.resources) % 254 + 1))


def _accept_interface(account: Account, resource: Resource) -> None:
    own = resource.properties.get("networkSecurityGroup")
    if own:
        _check_there(account, resource, str(own.get("id", "")))
    if not resource.properties.get("ipConfigurations"):
        raise ArmError(
            "NetworkInterfaceMustHaveIpConfiguration", f"Network interface {resource.id} must have an IP configuration."
        )
    for number, one in enumerate(resource.properties["ipConfigurations"]):
        _accept_configuration(account, resource, one, number)
    count = sum(1 for _ in account.of_type(resource.type))
    resource.properties.setdefault("macAddress", f"00-0D-3A-00-{count // 256 % 256:02X}-{count % 256:02X}")
    resource.properties.setdefault("primary", True)
    resource.properties.setdefault("enableIPForwarding", False)


def _accept_configuration(account: Account, resource: Resource, one: Body, number: int) -> None:
    properties = one.setdefault("properties", {})
    subnet = _subnet(account, str((properties.get("subnet") or {}).get("id", "")))
    if subnet is None:
        raise _not_there(resource, str((properties.get("subnet") or {}).get("id", "")))
    if address := properties.get("publicIPAddress"):
        found = _check_there(account, resource, str(address.get("id", "")))
        others = [user for user in users_of(account, found) if not user.lower().startswith(f"{resource.id.lower()}/")]
        if others:
            text = f"Resource {resource.id} is referencing public IP address {found.id} that is already allocated to resource "
            raise ArmError("PublicIPAddressInUse", f"{text}{others[0]}.")
    wide = ipaddress.ip_network(subnet["properties"].get("addressPrefix") or subnet["properties"]["addressPrefixes"][0])
    taken = sum(1 for _ in account.of_type(resource.type))
    properties.setdefault("privateIPAddress", str(wide[min(4 + taken, wide.num_addresses - 2)]))
    properties.setdefault("privateIPAllocationMethod", "Dynamic")
    properties["primary"] = number == 0
    properties["provisioningState"] = "Succeeded"
    one["id"] = f"{resource.id}/ipConfigurations/{one['name']}"


def _check_there(account: Account, resource: Resource, id: str) -> Resource:
    found = account.find(id)
    if found is None or found.body.get("location") != resource.body.get("location"):
        raise _not_there(resource, id)
    return found


def _not_there(resource: Resource, id: str) -> ArmError:
    text = (
        f"Resource {id} referenced by resource {resource.id} was not found. Please make sure that the referenced resource "
        "exists, "
    )
    return ArmError("InvalidResourceReference", f"{text}and that both resources are in the same region.")


def _subnet(account: Account, id: str) -> Body | None:
    network, _, name = id.partition("/subnets/")
    found = account.find(network)
    subnets = found.properties.get("subnets", []) if found else []
    return next((one for one in subnets if str(one["name"]).lower() == name.lower()), None)
