"""Networks, firewall rules and addresses; and which of a machine's ports can be reached from where."""

import functools
import ipaddress
from collections.abc import Iterator
from typing import Any

from .account import Account, Body, Handler, Machine, relative
from .errors import GoogleError, invalid, not_found
from .hardware import REGIONS, last
from .listing import aggregated, listed
from .operations import Operation, Operations
from .wire import GoogleCall

NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17}
EVERYWHERE = ("0.0.0.0/0",)
DEFAULT_RULES: tuple[tuple[str, str, list[Body], str], ...] = (
    ("default-allow-icmp", "0.0.0.0/0", [{"IPProtocol": "icmp"}], "Allow ICMP from anywhere"),
    (
        "default-allow-internal",
        "10.128.0.0/9",
        [{"IPProtocol": "tcp", "ports": ["0-65535"]}, {"IPProtocol": "udp", "ports": ["0-65535"]}, {"IPProtocol": "icmp"}],
        "Allow internal traffic on the default network",
    ),
    ("default-allow-rdp", "0.0.0.0/0", [{"IPProtocol": "tcp", "ports": ["3389"]}], "Allow RDP from anywhere"),
    ("default-allow-ssh", "0.0.0.0/0", [{"IPProtocol": "tcp", "ports": ["22"]}], "Allow SSH from anywhere"),
)


class Network:
    """Answers what is about networks; begins with the default network as Google makes it, SSH open to everybody."""

    def __init__(self, account: Account, operations: Operations) -> None:
        self._account, self._operations = account, operations
        self._make_default()

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {
            "compute.networks.get": self._get_network,
            "compute.networks.list": self._list_networks,
            "compute.networks.insert": self._insert_network,
            "compute.subnetworks.get": self._get_subnetwork,
            "compute.subnetworks.list": self._list_subnetworks,
            "compute.subnetworks.aggregatedList": self._all_subnetworks,
            "compute.firewalls.get": self._get,
            "compute.firewalls.list": self._list,
            "compute.firewalls.insert": self._insert,
            "compute.firewalls.patch": self._patch,
            "compute.firewalls.update": self._update,
            "compute.firewalls.delete": self._delete,
        }

    def network(self, link: str) -> Body:
        """Return a network by its link.

        Raises:
            GoogleError: there is none.
        """
        path = relative(link, self._account.project)
        found = self._account.networks.get(last(path))
        if found is None or not path.startswith(f"projects/{self._account.project}/global/networks/"):
            raise not_found(path)
        return found

    def _make_default(self) -> None:
        self._account.networks["default"] = self._made(
            "networks", "default", {"name": "default", "autoCreateSubnetworks": True}
        )
        self._add_subnetworks("default")
        link = self._account.networks["default"]["selfLink"]
        for name, source, allowed, text in DEFAULT_RULES:
            rule = {
                "name": name,
                "description": text,
                "network": link,
                "priority": 65534,
                "sourceRanges": [source],
                "allowed": allowed,
            }
            self._account.firewalls[name] = self._shown_rule(rule)

    def _add_subnetworks(self, name: str) -> None:
        for number, region in enumerate(REGIONS):
            path = f"regions/{region}/subnetworks/{name}"
            self._account.subnetworks[region, name] = {
                "kind": "compute#subnetwork",
                "id": self._account.new_id(),
                "creationTimestamp": self._account.now_text(),
                "name": name,
                "network": self._account.link(f"global/networks/{name}"),
                "ipCidrRange": f"10.{128 + 4 * number}.0.0/20",
                "gatewayAddress": f"10.{128 + 4 * number}.0.1",
                "region": self._account.link(f"regions/{region}"),
                "privateIpGoogleAccess": False,
                "purpose": "PRIVATE",
                "stackType": "IPV4_ONLY",
                "selfLink": self._account.link(path),
            }

    def _get_network(self, call: GoogleCall) -> Body:
        return self._shown_network(self.network(f"global/networks/{call.path['network']}"))

    def _list_networks(self, call: GoogleCall) -> Body:
        found = [self._shown_network(one) for one in self._account.networks.values()]
        return listed(call, "compute#networkList", found, self._account.link("global/networks"))

    def _insert_network(self, call: GoogleCall) -> Operation:
        name = str(call.resource["name"])
        if name in self._account.networks:
            raise _exists(f"projects/{self._account.project}/global/networks/{name}")
        made = self._made("networks", name, call.resource)

        def keep() -> None:
            self._account.networks[name] = made
            if made.get("autoCreateSubnetworks"):
                self._add_subnetworks(name)

        return self._operations.change(call, made, keep)

    def _shown_network(self, network: Body) -> Body:
        own = [one["selfLink"] for (_, name), one in self._account.subnetworks.items() if name == network["name"]]
        return {**network, "subnetworks": own, "routingConfig": {"routingMode": "REGIONAL"}}

    def _get_subnetwork(self, call: GoogleCall) -> Body:
        found = self._account.subnetworks.get((call.path["region"], call.path["subnetwork"]))
        if found is None:
            path = f"regions/{call.path['region']}/subnetworks/{call.path['subnetwork']}"
            raise not_found(f"projects/{self._account.project}/{path}")
        return found

    def _list_subnetworks(self, call: GoogleCall) -> Body:
        region = call.path["region"]
        found = [one for (place, _), one in self._account.subnetworks.items() if place == region]
        return listed(call, "compute#subnetworkList", found, self._account.link(f"regions/{region}/subnetworks"))

    def _all_subnetworks(self, call: GoogleCall) -> Body:
        found = [(f"regions/{place}", one) for (place, _), one in self._account.subnetworks.items()]
        link = self._account.link("aggregated/subnetworks")
        return aggregated(
            call, "compute#subnetworkAggregatedList", "subnetworks", found, [f"regions/{one}" for one in REGIONS], link
        )

    def _found(self, call: GoogleCall) -> Body:
        name = call.path["firewall"]
        if name not in self._account.firewalls:
            raise not_found(f"projects/{self._account.project}/global/firewalls/{name}")
        return self._account.firewalls[name]

    def _get(self, call: GoogleCall) -> Body:
        return self._found(call)

    def _list(self, call: GoogleCall) -> Body:
        found = self._account.firewalls.values()
        return listed(call, "compute#firewallList", found, self._account.link("global/firewalls"))

    def _insert(self, call: GoogleCall) -> Operation:
        rule = self._shown_rule(call.resource)
        name = str(rule["name"])
        if name in self._account.firewalls:
            raise _exists(f"projects/{self._account.project}/global/firewalls/{name}")
        return self._operations.change(call, rule, lambda: self._keep(name, rule))

    def _patch(self, call: GoogleCall) -> Operation:
        return self._replace(call, {**self._found(call), **call.resource})

    def _update(self, call: GoogleCall) -> Operation:
        return self._replace(call, {"name": self._found(call)["name"], **call.resource})

    def _replace(self, call: GoogleCall, wanted: Body) -> Operation:
        old = self._found(call)
        rule = self._shown_rule({key: value for key, value in wanted.items() if value is not None})
        rule |= {key: old[key] for key in ("id", "creationTimestamp", "selfLink", "name")}
        return self._operations.change(call, rule, lambda: self._keep(str(old["name"]), rule))

    def _delete(self, call: GoogleCall) -> Operation:
        rule = self._found(call)
        return self._operations.change(call, rule, lambda: self._keep(str(rule["name"]), None))

    def _keep(self, name: str, rule: Body | None) -> None:
        self._account.firewall_changes += 1
        if rule is None:
            self._account.firewalls.pop(name, None)
        else:
            self._account.firewalls[name] = rule

    def _shown_rule(self, given: Body) -> Body:
        """Return a rule as the API shows it, with what it is when nothing was said."""
        rule = {"direction": "INGRESS", "priority": 1000, "disabled": False, "logConfig": {"enable": False}, **given}
        if ("allowed" in rule) == ("denied" in rule):
            raise GoogleError(400, "invalid", "Exactly one of 'allowed' and 'denied' must be specified for a firewall rule.")
        rule["network"] = self.network(str(rule.get("network") or "global/networks/default"))["selfLink"]
        if rule["direction"] == "INGRESS" and not any(
            rule.get(key) for key in ("sourceRanges", "sourceTags", "sourceServiceAccounts")
        ):
            rule["sourceRanges"] = list(EVERYWHERE)
        if not 0 <= int(rule["priority"]) <= 65535:
            raise invalid("resource.priority", rule["priority"], "Priority must be between 0 and 65535.")
        for source in rule.get("sourceRanges", []):
            _check_range(source)
        for entry in rule.get("allowed", []) + rule.get("denied", []):
            _check_entry(entry)
        return self._made("firewalls", str(rule["name"]), rule)

    def _made(self, collection: str, name: str, body: Body) -> Body:
        return {
            **body,
            "kind": f"compute#{collection.rstrip('s')}",
            "id": self._account.new_id(),
            "creationTimestamp": self._account.now_text(),
            "selfLink": self._account.link(f"global/{collection}/{name}"),
        }


def may_reach(account: Account, source: str, machine: Machine, port: int = 22) -> bool:
    """Say whether an address may connect to a machine's TCP port, as cloud.google.com/firewall/docs/firewalls has it.

    The rule with the lowest number counts; of two with the same, the one that denies; without any, nothing comes in.
    """
    network = str(machine.body["networkInterfaces"][0].get("network", ""))
    rules = _rules_for(account, machine, network)
    decisive = [rule for rule in rules if _is_about(rule, port) and _is_from(rule, source)]
    decisive.sort(key=lambda rule: (int(rule["priority"]), "denied" not in rule))
    return bool(decisive) and "allowed" in decisive[0]


def sources(account: Account) -> Iterator[str]:
    """Yield an address out of every range, wider than one address, that some rule lets in; and two of nobody in particular."""
    yield from ("198.51.100.77", "203.0.113.180")
    for rule in account.firewalls.values():
        for text in rule.get("sourceRanges", []) if "allowed" in rule else ():
            network = ipaddress.ip_network(text, strict=False)
            if network.num_addresses > 1:
                yield str(network[network.num_addresses // 2])


def _rules_for(account: Account, machine: Machine, network: str) -> Iterator[Body]:
    tags = set(machine.body.get("tags", {}).get("items", []))
    accounts = {one["email"] for one in machine.body.get("serviceAccounts", [])}
    for rule in account.firewalls.values():
        if rule["network"] != network or rule["direction"] != "INGRESS" or rule.get("disabled"):
            continue
        targets, target_accounts = set(rule.get("targetTags", [])), set(rule.get("targetServiceAccounts", []))
        if (not targets and not target_accounts) or targets & tags or target_accounts & accounts:
            yield rule


def _is_from(rule: Body, source: str) -> bool:
    return any(_holds(text, source) for text in rule.get("sourceRanges", []))


@functools.lru_cache(maxsize=4096)
def _holds(text: str, source: str) -> bool:
    return ipaddress.ip_address(source) in ipaddress.ip_network(text, strict=False)


def _is_about(rule: Body, port: int) -> bool:
    for entry in rule.get("allowed", []) + rule.get("denied", []):
        if str(entry["IPProtocol"]) in ("tcp", "6", "all") and (
            not entry.get("ports") or any(_in(text, port) for text in entry["ports"])
        ):
            return True
    return False


def _in(text: str, port: int) -> bool:
    low, _, high = text.partition("-")
    return int(low) <= port <= int(high or low)


def _check_range(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise invalid("resource.sourceRanges[0]", text, f"Must be a valid CIDR address range: {error}.") from None


def _check_entry(entry: dict[str, Any]) -> None:
    protocol = str(entry.get("IPProtocol", ""))
    if protocol not in (*NUMBERS, "all", "esp", "ah", "sctp", "ipip") and not protocol.isdigit():
        raise invalid("resource.allowed[0].IPProtocol", protocol, "Must be a well-known IP protocol or its number.")
    for text in entry.get("ports", []):
        low, dash, high = str(text).partition("-")
        if not low.isdigit() or (dash and not high.isdigit()) or not 0 <= int(low) <= int(high or low) <= 65535:
            raise invalid("resource.allowed[0].ports[0]", text, "Must be a port or a range of ports.")


def _exists(path: str) -> GoogleError:
    return GoogleError(409, "alreadyExists", f"The resource '{path}' already exists")
