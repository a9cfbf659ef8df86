"""The pretend clouds of `provision.py`, each in a process of its own, so that its work is not counted as ours.

As a program: `python benchmarks/provision_clouds.py CLOUD` prints the way there as JSON, and for each line of standard input,
a number, lets so many machines be there, each like the one that was rented, and says "done". `CLOUD-many` serves made-up
replies of an EC2 that has as many machines as the first line says.
"""

import copy
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

PAGE = 1000

NOTHING = b"<R><volumeSet/><securityGroupInfo/><ListRolesResult><Roles/></ListRolesResult></R>"
"""What is answered to every other question: that there is none, whatever was asked for."""


class WrittenDown:
    """A hypervisor that boots nothing; every machine has an address."""

    def boot(self, _: object) -> Any:
        """Say where the machine answers."""
        from cloudtrain.testing.playground.machine import Booted

        return Booted("127.0.1.1")

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def main() -> int:
    """Be a cloud until standard input ends; return the exit code."""
    name = sys.argv[1]
    if name == "aws-many":
        with many_on_aws(int(sys.stdin.readline())) as url:
            print(json.dumps({"AWS_ENDPOINT_URL": url}), flush=True)
            sys.stdin.read()
        return 0
    from cloudtrain.testing.playground.plays import PLAYS

    clouds = {"aws": _aws, "gcp": _gcp, "azure": _azure}
    with clouds[name]() as cloud:
        exports = {**PLAYS[name].exports(cloud), "CLOUDTRAIN_ADDRESS_SERVICE": f"{cloud.url}/_playground/address"}
        print(json.dumps({**exports, "URL": cloud.url}), flush=True)
        for line in sys.stdin:
            {"gcp": _many_on_google, "azure": _many_on_azure}[name](cloud.account, int(line))
            print("done", flush=True)
    return 0


def _aws() -> Any:
    from cloudtrain.testing.playground.aws import AwsCloud

    return AwsCloud(WrittenDown())


def _gcp() -> Any:
    from cloudtrain.testing.playground.gcp import GcpCloud

    return GcpCloud(WrittenDown())


def _azure() -> Any:
    from cloudtrain.testing.playground.azure import AzureCloud

    return AzureCloud(WrittenDown())


def _many_on_google(account: Any, count: int) -> None:
    one = next(iter(account.machines.values()))
    account.machines.clear()
    for number in range(count):
        name = f"ct-{number:032x}"
        body = json.loads(json.dumps(one.body).replace(one.name, name))
        account.machines[one.zone, name] = replace(one, id=name, body={**body, "id": str(10**18 + number)})


def _many_on_azure(account: Any, count: int) -> None:
    group = next(iter(account.groups.values()))
    resources = [resource for resource in account.resources.values() if resource.group == group.name]
    machine = next(iter(account.machines.values()))
    for things in (account.groups, account.resources, account.machines):
        things.clear()

    def like(resource: Any, name: str) -> Any:
        made = copy.copy(resource)
        made.body = json.loads(json.dumps(resource.body).replace(group.name, name))
        made.id, made.name, made.group = (part.replace(group.name, name) for part in (made.id, made.name, made.group))
        return made

    for number in range(count):
        name = f"ct-{number:032x}"
        account.groups[name] = replace(group, name=name)
        for resource in resources:
            made = like(resource, name)
            account.resources[made.id.lower()] = made
            if resource is machine.resource:
                account.machines[made.id.lower()] = replace(machine, id=name, resource=made)


@contextmanager
def many_on_aws(count: int) -> Iterator[str]:
    """Serve an EC2 that has so many machines of ours in one region, and nothing else."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    pages = [_page(first, min(first + PAGE, count), first + PAGE < count) for first in range(0, max(count, 1), PAGE)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            action = asked.get("Action", [""])[0]
            if action == "DescribeInstances":
                body = pages[int(asked.get("NextToken", ["0"])[0])]
            elif action == "DescribeRegions":
                body = b"<R><regionInfo><item><regionName>us-east-1</regionName></item></regionInfo></R>"
            else:
                body = NOTHING
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _page(first: int, last: int, has_more: bool) -> bytes:
    tags = {
        "cloudtrain": "1", "Name": "many", "cloudtrain:name": "many", "cloudtrain:owner": "somebody", "cloudtrain:run": "",
        "cloudtrain:deadline": "2036-11-21T13:00:00+00:00", "cloudtrain:issued": "2026-11-21T11:00:00+00:00",
        "cloudtrain:usd-per-hour": "0.526", "cloudtrain:beside-usd-per-hour": "0.016", "cloudtrain:gpu-count": "1",
        "cloudtrain:at-deadline": "terminate", "cloudtrain:market": "on-demand", "cloudtrain:user": "ubuntu",
        "cloudtrain:disk-gb": "100",
    }  # fmt: skip
    written = "".join(f"<item><key>{key}</key><value>{escape(value)}</value></item>" for key, value in tags.items())
    machines = "".join(
        f"<item><reservationId>r-{number}</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet><item>"
        f"<instanceId>i-{number:017x}</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name>"
        "</instanceState><instanceType>g4dn.xlarge</instanceType><launchTime>2026-11-21T11:00:00.000Z</launchTime><placement>"
        "<availabilityZone>us-east-1b</availabilityZone><tenancy>default</tenancy></placement><subnetId>subnet-1</subnetId>"
        "<vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.5</privateIpAddress><ipAddress>203.0.113.5</ipAddress><groupSet><item>"
        "<groupId>sg-1</groupId><groupName>g</groupName></item></groupSet><architecture>x86_64</architecture><rootDeviceType>"
        "ebs</rootDeviceType><rootDeviceName>/dev/sda1</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/sda1"
        "</deviceName><ebs><volumeId>vol-1</volumeId><status>attached</status></ebs></item></blockDeviceMapping>"
        f"<tagSet>{written}<item><key>cloudtrain:token</key><value>ct-{number:032x}</value></item></tagSet></item>"
        "</instancesSet></item>"
        for number in range(first, last)
    )
    token = f"<nextToken>{last // PAGE}</nextToken>" if has_more else ""
    return f"<R><reservationSet>{machines}</reservationSet>{token}</R>".encode()


if __name__ == "__main__":
    sys.exit(main())
