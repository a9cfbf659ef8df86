"""How the tests call the pretend Azure: plain HTTPS, and one machine that breaks no rule, to be changed in one thing."""

import base64
import http.client
import json
import ssl
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from cloudtrain.testing.playground.azure import AzureCloud

TAGS = {"cloudtrain-owner": "me"}
COMPUTE, NETWORK, RESOURCES = "2024-11-01", "2024-05-01", "2022-09-01"
AUTHORIZATION, SCHEDULE, DAILY = "2022-04-01", "2025-05-01", "2018-09-15"
TIMEOUT_S = 60
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlayground me"


class Refused(Exception):
    """A refusal, or an operation that failed."""

    def __init__(self, status: int, body: dict[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.headers = status, headers
        self.code, self.message = body["error"]["code"], body["error"]["message"]


@dataclass
class Answer:
    """A response; its body is JSON or nothing."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content) if self.content else {}


class Arm:
    """Calls Resource Manager by paths below the subscription."""

    def __init__(self, cloud: AzureCloud, token: str = "") -> None:
        self.cloud = cloud
        self.trust = ssl.create_default_context(cafile=str(cloud.certificate))
        self._own = threading.local()
        self.token = token
        self.token = token or self.log_in()
        self.root = f"/subscriptions/{cloud.subscription}"

    def log_in(self, scope: str = "https://management.azure.com/.default") -> str:
        account = self.cloud.account
        form = {
            "grant_type": "client_credentials",
            "client_id": account.client,
            "client_secret": "playground",
            "scope": scope,
        }
        url = f"{self.cloud.url}/{account.tenant}/oauth2/v2.0/token"
        reply = self.raw("POST", url, urllib.parse.urlencode(form).encode())
        return str(reply.body["access_token"])

    def raw(self, verb: str, url: str, content: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Call by a whole address; return the answer, whatever it is. Each thread keeps its connection."""
        parts = urllib.parse.urlsplit(url)
        whole = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        connection = self._connection(parts.netloc)
        try:
            connection.request(verb, f"{parts.path}?{parts.query}", content, {**whole, **(headers or {})})
            reply = connection.getresponse()
            return Answer(reply.status, dict(reply.headers), reply.read())
        except OSError:
            connection.close()
            raise

    def _connection(self, place: str) -> http.client.HTTPSConnection:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPSConnection(place, timeout=TIMEOUT_S, context=self.trust)
        return self._own.connection

    def close(self) -> None:
        """Hang up."""
        if hasattr(self._own, "connection"):
            self._own.connection.close()

    def call(self, verb: str, path: str, body: Any = None, api: str = COMPUTE, **query: str) -> Answer:
        """Call by a path; below the subscription unless it says so itself. Raises Refused."""
        whole = path if path.startswith("/subscriptions") else f"{self.root}{path}"
        asked = urllib.parse.urlencode({**({"api-version": api} if api else {}), **query})
        content = None if body is None else json.dumps(body).encode()
        answer = self.raw(verb, f"{self.cloud.url}{urllib.parse.quote(whole)}?{asked}", content)
        if answer.status >= 400:
            raise Refused(answer.status, answer.body, answer.headers)
        return answer

    def get(self, path: str, api: str = COMPUTE, **query: str) -> Any:
        return self.call("GET", path, None, api, **query).body

    def wait(self, answer: Answer) -> str:
        """Ask how an operation goes until it has ended; return its status. Raises Refused when it failed."""
        url = answer.headers.get("Azure-AsyncOperation") or answer.headers["Location"]
        for _ in range(20):
            asked = self.raw("GET", url)
            if asked.status == 202:
                continue
            status = asked.body.get("status", "Succeeded")
            if status == "Failed":
                raise Refused(asked.status, asked.body, asked.headers)
            if status != "InProgress":
                return str(status)
        raise AssertionError(f"it does not end: {url}")

    def do(self, verb: str, path: str, body: Any = None, api: str = COMPUTE) -> Answer:
        """Call, and wait for the operation to end."""
        answer = self.call(verb, path, body, api)
        self.wait(answer)
        return answer

    def state(self, name: str = "vm", group: str = "g") -> list[str]:
        """Return the codes of a machine's instance view."""
        view = self.get(f"{vm(name, group)}/instanceView")
        return [status["code"] for status in view["statuses"]]

    def ground(self, group: str = "g", location: str = "eastus", **network: Any) -> str:
        """Make a group, and in it an interface with an address and a guard; return the interface's id."""
        self.call("PUT", f"/resourceGroups/{group}", {"location": location, "tags": TAGS}, RESOURCES)
        guard = self.put(group, "networkSecurityGroups/guard", location, {"securityRules": network.get("rules", [ssh_rule()])})
        subnets = [{"name": "s", "properties": {"addressPrefix": "10.0.0.0/24"}}]
        net = self.put(
            group,
            "virtualNetworks/net",
            location,
            {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}, "subnets": subnets},
        )
        address = self.put(
            group, "publicIPAddresses/address", location, {"publicIPAllocationMethod": "Static"}, sku={"name": "Standard"}
        )
        configuration = {
            "subnet": {"id": net["properties"]["subnets"][0]["id"]},
            "publicIPAddress": {"id": address["id"], "properties": {"deleteOption": "Delete"}},
        }
        properties = {
            "networkSecurityGroup": {"id": guard["id"]},
            "ipConfigurations": [{"name": "ip", "properties": configuration}],
        }
        return str(self.put(group, "networkInterfaces/nic", location, properties)["id"])

    def put(self, group: str, path: str, location: str, properties: dict[str, Any], **more: Any) -> Any:
        """Put a network resource there and return it."""
        body = {"location": location, "tags": TAGS, "properties": properties, **more}
        whole = f"/resourceGroups/{group}/providers/Microsoft.Network/{path}"
        self.do("PUT", whole, body, NETWORK)
        return self.get(whole, NETWORK)

    def create(self, name: str = "vm", group: str = "g", **changes: Any) -> Answer:
        """Make a machine with all that it needs, and see it through."""
        nic = self.ground(group, changes.get("location", "eastus"), **changes.pop("network", {}))
        return self.do("PUT", vm(name, group), request(nic, **changes))

    def deallocate(self, name: str = "vm", group: str = "g") -> None:
        self.do("POST", f"{vm(name, group)}/deallocate")


def vm(name: str = "vm", group: str = "g") -> str:
    """Return a machine's path below the subscription."""
    return f"/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"


def ssh_rule(source: str = "127.0.0.1/32", **changes: Any) -> dict[str, Any]:
    """Return a rule that lets SSH in."""
    properties = {
        "priority": 100,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefix": source,
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "22",
    }
    return {"name": "ssh", "properties": {**properties, **changes}}


def request(nic: str, size: str = "Standard_NC4as_T4_v3", location: str = "eastus", **changes: Any) -> dict[str, Any]:
    """Return the body that makes a machine; `changes` are top-level members or, with `properties`, members of those."""
    more = changes.pop("properties", {})
    image = {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2204", "version": "latest"}
    disk = {"createOption": "FromImage", "deleteOption": "Delete", "diskSizeGB": 100}
    key = {"path": "/home/azureuser/.ssh/authorized_keys", "keyData": KEY}
    properties = {
        "hardwareProfile": {"vmSize": size},
        "storageProfile": {"imageReference": image, "osDisk": disk},
        "osProfile": {
            "computerName": "vm",
            "adminUsername": "azureuser",
            "linuxConfiguration": {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [key]}},
        },
        "networkProfile": {"networkInterfaces": [{"id": nic, "properties": {"deleteOption": "Delete"}}]},
        "userData": base64.b64encode(b"#cloud-config\n{}\n").decode(),
        **more,
    }
    return {"location": location, "tags": TAGS, "properties": properties, **changes}


def spot(policy: str = "Delete", **more: Any) -> dict[str, Any]:
    """Return the properties that put a machine on the Spot market."""
    return {"priority": "Spot", "evictionPolicy": policy, "billingProfile": {"maxPrice": -1}, **more}


@contextmanager
def refused(code: str, match: str = ".", status: int = 0) -> Iterator["pytest.ExceptionInfo[Refused]"]:
    """Expect a refusal by its code."""
    with pytest.raises(Refused, match=match) as caught:
        yield caught
    assert caught.value.code == code
    assert status in (0, caught.value.status)
