"""instances.insert: what Google refuses at once, what it fills in, and what it makes."""

import ipaddress
from dataclasses import dataclass
from typing import Any

from .account import Account, Body, Handler, Machine, check_labels, fingerprint, relative
from .disks import Disks
from .errors import Failure, GoogleError, invalid, not_found
from .hardware import ACCELERATORS, last, machine_types, region_of
from .images import Images
from .lifecycle import Lifecycle
from .network import Network
from .operations import Operation
from .places import check_zone
from .scheduling import check, complete
from .wire import GoogleCall

LONGEST_VALUE, LONGEST_METADATA = 256 * 1024, 512 * 1024


@dataclass
class Parts:
    """Who else has a say in a launch."""

    account: Account
    lifecycle: Lifecycle
    network: Network
    disks: Disks
    images: Images


class Launches:
    """Answers instances.insert."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._account = parts, parts.account

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {"compute.instances.insert": self._insert}

    def _insert(self, call: GoogleCall) -> Operation:
        zone, given = check_zone(self._account, call.path["zone"]), call.resource
        name = str(given["name"])
        if (zone, name) in self._account.machines:
            path = f"projects/{self._account.project}/zones/{zone}/instances/{name}"
            raise GoogleError(409, "alreadyExists", f"The resource '{path}' already exists")
        machine_type = check_machine_type(self._account, zone, str(given.get("machineType", "")))
        disks = self._disks(zone, machine_type, name, given.get("disks", []))
        body = self._body(zone, machine_type, given, [attached for _, attached in disks])
        check(body, self._account.timeline.now())
        machine = Machine(self._id(zone, name), zone, body, self._user(given), hidden_reads=self._account.faults.stale_reads)

        def keep() -> None:
            self._account.machines[zone, name] = machine
            for disk, _ in disks:
                self._account.disks[zone, str(disk["name"])] = disk | {"users": [body["selfLink"]]}

        unknown = self._unknown_account(body)
        if unknown:
            text = f"The resource '{unknown}' of type 'serviceAccount' was not found."
            call.failure = call.failure or (Failure("RESOURCE_NOT_FOUND", text), False)
        return self._parts.lifecycle.launch(call, machine, keep)

    def _unknown_account(self, body: Body) -> str:
        """Return the address of a service account of this project's that there is not; "" when there is none such."""
        ours = f"@{self._account.project}.iam.gserviceaccount.com"
        emails = [str(given["email"]) for given in body.get("serviceAccounts", [])]
        return next((each for each in emails if each.endswith(ours) and each not in self._account.identities), "")

    def _body(self, zone: str, machine_type: str, given: Body, disks: list[Body]) -> Body:
        labels, name = dict(given.get("labels", {})), str(given["name"])
        check_labels(labels, "resource.labels")
        tags = {"items": checked_tags(given.get("tags", {}).get("items", []))}
        kept = ("description", "hostname", "minCpuPlatform", "canIpForward", "shieldedInstanceConfig", "deletionProtection")
        body: Body = {
            **{key: given[key] for key in kept if key in given},
            "kind": "compute#instance",
            "id": self._account.new_id(),
            "creationTimestamp": self._account.now_text(),
            "name": name,
            "machineType": self._account.link(f"zones/{zone}/machineTypes/{machine_type}"),
            "status": "PROVISIONING",
            "zone": self._account.link(f"zones/{zone}"),
            "tags": with_fingerprint(tags, ["items"]),
            "networkInterfaces": self._interfaces(zone, given.get("networkInterfaces", [])),
            "disks": disks,
            "metadata": checked_metadata(given.get("metadata", {})),
            "scheduling": complete(given.get("scheduling", {})),
            "labels": labels,
            "labelFingerprint": fingerprint(labels),
            "cpuPlatform": "Intel Cascade Lake",
            "startRestricted": False,
            "deletionProtection": bool(given.get("deletionProtection")),
            "resourceStatus": {"scheduling": {}},
            "fingerprint": fingerprint(name),
            "selfLink": self._account.link(f"zones/{zone}/instances/{name}"),
        }
        if given.get("guestAccelerators"):
            body["guestAccelerators"] = self._accelerators(zone, machine_type, given["guestAccelerators"])
        if given.get("serviceAccounts"):
            body["serviceAccounts"] = [self._service_account(one) for one in given["serviceAccounts"]]
        return body

    def _disks(self, zone: str, machine_type: str, name: str, given: list[Body]) -> list[tuple[Body, Body]]:
        if not given:
            raise GoogleError(400, "invalid", "Invalid value for field 'resource.disks': ''. No disks are specified.")
        if not given[0].get("boot"):
            raise GoogleError(
                400, "invalid", "Invalid value for field 'resource.disks[0].boot': 'false'. Boot disk must be the first disk."
            )
        return [self._parts.disks.planned(zone, machine_type, number, name, one) for number, one in enumerate(given)]

    def _accelerators(self, zone: str, machine_type: str, given: list[Body]) -> list[Body]:
        """Refuse what cannot be attached: cloud.google.com/compute/docs/gpus has GPUs attached to N1 alone."""
        shown = []
        for one in given:
            name, count = last(str(one.get("acceleratorType", ""))), int(one.get("acceleratorCount", 0))
            kind = ACCELERATORS.get(name)
            if kind is None or (kind.only_in and zone not in kind.only_in):
                raise not_found(f"projects/{self._account.project}/zones/{zone}/acceleratorTypes/{name}")
            if not kind.attaches or machine_types()[machine_type].family != "n1":
                text = f"[{machine_type}, {name}] features are not compatible for creating instance."
                raise GoogleError(400, "invalid", text)
            if count not in (1, 2, 4, 8) or count > kind.most:
                raise invalid(
                    "resource.guestAccelerators[0].acceleratorCount", count, f"It must be a power of two, at most {kind.most}."
                )
            link = self._account.link(f"zones/{zone}/acceleratorTypes/{name}")
            shown.append({"acceleratorType": link, "acceleratorCount": count})
        return shown

    def _interfaces(self, zone: str, given: list[Body]) -> list[Body]:
        if not given:
            raise GoogleError(
                400,
                "invalid",
                "Invalid value for field 'resource.networkInterfaces': ''. At least one network interface is required.",
            )
        return [self._interface(zone, number, one) for number, one in enumerate(given)]

    def _interface(self, zone: str, number: int, given: Body) -> Body:
        region = region_of(zone)
        subnetwork = last(relative(str(given.get("subnetwork", "")), self._account.project))
        if subnetwork and (region, subnetwork) not in self._account.subnetworks:
            raise not_found(f"projects/{self._account.project}/regions/{region}/subnetworks/{subnetwork}")
        network = self._account.subnetworks[region, subnetwork]["network"] if subnetwork else given.get("network")
        found = self._parts.network.network(str(network or "global/networks/default"))
        own = self._account.subnetworks.get((region, subnetwork or str(found["name"])))
        if own is None:
            raise invalid(
                f"resource.networkInterfaces[{number}].subnetwork", "", "No subnetwork is specified for a custom network."
            )
        shown: Body = {
            "kind": "compute#networkInterface",
            "name": f"nic{number}",
            "network": found["selfLink"],
            "subnetwork": own["selfLink"],
            "networkIP": str(ipaddress.ip_network(own["ipCidrRange"])[len(self._account.machines) % 4000 + 2]),
            "stackType": given.get("stackType", "IPV4_ONLY"),
            "fingerprint": fingerprint(number),
        }
        if given.get("accessConfigs"):
            shown["accessConfigs"] = [_access(one) for one in given["accessConfigs"]]
        return shown

    def _service_account(self, given: Body) -> Body:
        email = str(given.get("email", ""))
        if email == "default":
            email = f"{self._account.number}-compute@developer.gserviceaccount.com"
        return {"email": email, "scopes": given.get("scopes", [])}

    def _user(self, given: Body) -> str:
        link = given["disks"][0].get("initializeParams", {}).get("sourceImage")
        return self._parts.images.find(str(link)).user if link else "ubuntu"

    def _id(self, zone: str, name: str) -> str:
        taken = {machine.id for machine in self._account.machines.values()}
        return f"{name}.{zone}" if name in taken else name


def check_machine_type(account: Account, zone: str, link: str) -> str:
    """Return the name of a machine type that a zone has.

    Raises:
        GoogleError: it has not.
    """
    path, name = relative(link, account.project), last(link)
    size = machine_types().get(name)
    if not path.startswith(f"projects/{account.project}/zones/{zone}/machineTypes/"):
        why = "The URL is malformed." if "machineTypes/" not in path else f"The machine type must be in zone {zone}."
        raise invalid("resource.machineType", link, why)
    if size is None or not size.is_in(zone):
        why = f"Machine type with name '{name}' does not exist in zone '{zone}'."
        raise invalid("resource.machineType", account.link(path.partition(f"{account.project}/")[2]), why)
    return name


def with_fingerprint(body: Body, keys: list[str]) -> Body:
    """Return a part of an instance with its fingerprint."""
    return body | {"fingerprint": fingerprint({key: body.get(key) for key in keys})}


def checked_metadata(given: Body) -> Body:
    """Return metadata with its fingerprint.

    Raises:
        GoogleError: a key or a value is not allowed, or there is too much.
    """
    items: list[dict[str, Any]] = [{"key": item["key"], "value": item.get("value", "")} for item in given.get("items", [])]
    keys = [item["key"] for item in items]
    if len(set(keys)) != len(keys):
        again = next(key for key in keys if keys.count(key) > 1)
        raise invalid("resource.metadata", "", f"Metadata has duplicate keys: {again}.")
    sizes = [len(str(item["value"]).encode()) for item in items]
    for key, size in zip(keys, sizes, strict=True):
        if size > LONGEST_VALUE:
            raise invalid(
                "resource.metadata.items[0].value", key, f"Metadata value exceeds the maximum length of {LONGEST_VALUE}."
            )
    if sum(sizes) > LONGEST_METADATA:
        raise invalid("resource.metadata", sum(sizes), f"Metadata exceeds the maximum size of {LONGEST_METADATA}.")
    return with_fingerprint({"kind": "compute#metadata", "items": items}, ["items"])


def checked_tags(items: list[str]) -> list[str]:
    """Return network tags in order.

    Raises:
        GoogleError: one is not allowed.
    """
    for item in items:
        name = item.replace("-", "")
        if not 0 < len(item) <= 63 or not item[0].isalpha() or item.endswith("-") or not name.isalnum() or item != item.lower():
            why = "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'"
            raise invalid("resource.tags.items[0]", item, why)
    return sorted(items)


def _access(given: Body) -> Body:
    return {
        "kind": "compute#accessConfig",
        "type": given.get("type", "ONE_TO_ONE_NAT"),
        "name": given.get("name", "external-nat"),
        "networkTier": given.get("networkTier", "PREMIUM"),
    }
