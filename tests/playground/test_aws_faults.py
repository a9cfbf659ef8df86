"""Everything that can go wrong on the way can be ordered, is recorded, and cannot be forgotten to be looked at."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ConnectionClosedError, ConnectionError, HTTPClientError

from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.aws.permissions import permissions
from cloudtrain.testing.playground.faults import When

from .launching import TAGS, launch, refused, running, state

LOST = (ConnectionClosedError, ConnectionError, HTTPClientError)


def test_a_call_is_refused_as_often_as_ordered(ec2: Any, cloud: AwsCloud) -> None:
    cloud.faults.add("ec2", "RunInstances", code="InsufficientInstanceCapacity", times=2)
    for _ in range(2):
        with refused("InsufficientInstanceCapacity"):
            launch(ec2)
    launch(ec2)
    assert [(call.name, call.outcome) for call in cloud.calls()] == [
        ("ec2:RunInstances", "InsufficientInstanceCapacity"),
        ("ec2:RunInstances", "InsufficientInstanceCapacity"),
        ("ec2:RunInstances", "ok"),
    ]


@pytest.mark.parametrize(
    ("service", "method", "parameters", "code", "status"),
    [
        ("ec2", "describe_instances", {}, "RequestLimitExceeded", 503),
        ("ec2", "describe_instances", {}, "UnauthorizedOperation", 403),
        ("iam", "list_roles", {}, "AccessDenied", 403),
        ("ssm", "get_parameter", {"Name": "/x"}, "ThrottlingException", 400),
        ("scheduler", "list_schedules", {}, "InternalServerException", 500),
        ("s3", "list_buckets", {}, "SlowDown", 503),
        ("pricing", "get_products", {"ServiceCode": "AmazonEC2"}, "ExpiredTokenException", 400),
    ],
)
def test_a_refusal_is_written_in_the_services_own_protocol(
    client: Any, cloud: AwsCloud, service: str, method: str, parameters: dict[str, Any], code: str, status: int
) -> None:
    cloud.faults.add(service, "*", code=code, message="by order", http=0 if service in ("ec2", "iam") else status)
    with refused(code, "by order") as caught:
        getattr(client(service), method)(**parameters)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_the_sdk_retries_what_is_throttled(client: Any, cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    cloud.faults.add("ec2", "Describe*", code="RequestLimitExceeded", times=2)
    client("ec2", attempts=3).describe_instances()
    assert [call.outcome for call in cloud.calls()] == ["RequestLimitExceeded"] * 2 + ["ok"]


def test_a_fault_meets_only_the_body_it_names(ec2: Any, cloud: AwsCloud) -> None:
    cloud.faults.add("ec2", "RunInstances", code="InsufficientInstanceCapacity", match=r"InstanceType=p3\.", times=None)
    launch(ec2)
    for _ in range(2):
        with refused("InsufficientInstanceCapacity"):
            launch(ec2, InstanceType="p3.2xlarge")
    cloud.faults.clear()
    launch(ec2, InstanceType="p3.2xlarge")


@pytest.mark.parametrize(("after", "made"), [(False, 0), (True, 1)])
def test_a_reset_before_or_after_the_effect(ec2: Any, cloud: AwsCloud, after: bool, made: int) -> None:
    cloud.faults.add("ec2", "RunInstances", reset=True, after=after)
    with pytest.raises(LOST):
        launch(ec2)
    assert len(ec2.describe_instances()["Reservations"]) == made
    assert cloud.calls()[0].outcome == "lost"


def test_a_reset_is_a_reset_and_no_polite_end(cloud: AwsCloud) -> None:
    cloud.faults.add("*", "*", reset=True)
    parts = urlsplit(cloud.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            line.recv(1)


def test_a_reply_can_be_lost_though_the_call_took_effect(ec2: Any, cloud: AwsCloud) -> None:
    cloud.faults.add("ec2", "RunInstances", code="InternalError", after=True)
    with refused("InternalError"):
        launch(ec2, ClientToken="one")
    (found,) = ec2.describe_instances()["Reservations"]
    assert launch(ec2, ClientToken="one") == found["Instances"][0]["InstanceId"]


def test_latency_is_real_and_does_not_hold_up_others(ec2: Any, cloud: AwsCloud) -> None:
    cloud.faults.add("ec2", "DescribeVpcs", latency_s=0.05, times=None)
    started = time.monotonic()
    threads = [threading.Thread(target=ec2.describe_vpcs) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started >= 0.05
    assert [call.outcome for call in cloud.calls()] == ["ok"] * 8


def test_what_was_just_made_is_not_known_at_once(ec2: Any, cloud: AwsCloud) -> None:
    cloud.faults.stale_reads = 2
    id = launch(ec2)
    group = ec2.create_security_group(GroupName="g", Description="-")["GroupId"]
    with refused("InvalidInstanceID.NotFound"):
        state(ec2, id)
    assert ec2.describe_instances()["Reservations"] == []
    assert state(ec2, id) == "pending"
    with refused("InvalidGroup.NotFound"):
        ec2.describe_security_groups(GroupIds=[group])
    assert group not in {one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]}
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["GroupName"] == "g"


@pytest.mark.parametrize(("when", "made"), [(When.BEFORE, 0), (When.AFTER, 1)])
def test_a_caller_is_killed_at_its_nth_call(ec2: Any, cloud: AwsCloud, when: When, made: int) -> None:
    seen: list[int] = []
    cloud.faults.killpoint(2, when, lambda: seen.append(len(cloud.calls())))
    ec2.describe_instances()
    assert seen == []
    with pytest.raises(LOST):
        launch(ec2)
    assert seen == [2]
    assert len(ec2.describe_instances()["Reservations"]) == made


def test_a_fault_that_would_do_nothing_is_an_error(cloud: AwsCloud) -> None:
    with pytest.raises(ValueError, match="needs a code"):
        cloud.faults.add("ec2", "*")
    with pytest.raises(ValueError, match="regular expression"):
        cloud.faults.add("ec2", "*", reset=True, match="(")


def test_calls_are_recorded_with_what_matters(ec2: Any, client: Any, cloud: AwsCloud) -> None:
    launch(ec2, UserData="x" * 1000)
    client("s3").list_buckets()
    client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-417A185B")
    first, *_ = cloud.calls()
    assert (first.seq, first.service, first.action, first.region) == (1, "ec2", "RunInstances", "us-east-1")
    assert (first.parameters["InstanceType"], first.parameters["MaxCount"]) == ("t3.micro", 1)
    assert first.parameters["UserData"] == "(1336 characters)"
    assert permissions(cloud.calls()) == ["ec2:RunInstances", "s3:ListBuckets", "servicequotas:GetServiceQuota"]
    cloud.forget_calls()
    assert cloud.calls() == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"InstanceInitiatedShutdownBehavior": None}, "without InstanceInitiatedShutdownBehavior"),
        ({"UserData": None}, "no user data"),
        ({"MetadataOptions": None}, "optional tokens"),
        ({"MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}}, "over 2 hops"),
        ({"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "x"}]}]}, "no tag of ours"),
        ({"BlockDeviceMappings": None}, "not encrypted"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"Encrypted": True, "DeleteOnTermination": False}}]},
            "outlives it",
        ),
    ],
)
def test_the_watch_sees_a_careless_machine(ec2: Any, cloud: AwsCloud, changes: dict[str, Any], what: str) -> None:
    ec2.describe_vpcs()
    id = launch(ec2, **changes)
    ec2.describe_vpcs()
    (seen,) = cloud.violations()
    assert (seen.seq, seen.resource) == (2, id)
    assert what in seen.what


def test_the_watch_sees_a_group_open_to_all_and_nothing_in_a_careful_launch(ec2: Any, cloud: AwsCloud) -> None:
    specs = [{"ResourceType": "security-group", "Tags": TAGS}]
    group = ec2.create_security_group(GroupName="mine", Description="-", TagSpecifications=specs)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule | {"IpRanges": [{"CidrIp": "192.0.2.7/32"}]}])
    running(ec2, SecurityGroupIds=[group])
    assert cloud.violations() == []
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule | {"Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule | {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    assert [(seen.resource, seen.what.split()[-1]) for seen in cloud.violations()] == [(group, "::/0"), (group, "0.0.0.0/0")]


class Page:
    """The control page as a test in another process uses it, over one kept connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)

    def get(self, name: str) -> Any:
        self.connection.request("GET", f"/_playground/{name}")
        return self._read()[1]

    def post(self, name: str, **body: Any) -> int:
        return self.send(name, json.dumps(body), {"Content-Type": "application/json"})

    def send(self, name: str, body: str, headers: dict[str, str]) -> int:
        self.connection.request("POST", f"/_playground/{name}", body, headers)
        return self._read()[0]

    def _read(self) -> tuple[int, Any]:
        answer = self.connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if text[:1] in '[{"' else text


@pytest.fixture
def page(cloud: AwsCloud) -> Iterator[Page]:
    page = Page(cloud.url)
    yield page
    page.connection.close()


def test_the_page_shows_and_turns_everything(ec2: Any, cloud: AwsCloud, page: Page, hypervisor: Any) -> None:
    assert page.get("address") == "127.0.0.1"
    assert page.post("faults", service="ec2", action="RunInstances", code="InsufficientInstanceCapacity") == 200
    with refused("InsufficientInstanceCapacity"):
        launch(ec2)
    id = running(ec2)
    (shown,) = page.get("instances")
    assert (shown["id"], shown["state"], shown["address"], shown["port"]) == (id, "running", "127.0.1.1", 22)
    assert [call["action"] for call in page.get("calls")] == [
        "RunInstances",
        "RunInstances",
        "DescribeInstances",
        "DescribeInstances",
    ]
    assert page.get("permissions") == ["ec2:DescribeInstances", "ec2:RunInstances"]
    assert page.get("violations") == []
    assert page.post("power-off", id=id) == 200
    assert page.post("advance", seconds=60) == 200
    assert hypervisor.advanced == pytest.approx(60)
    assert page.get("time") == "2026-11-21T12:01:00Z"
    assert state(ec2, id) == "terminated"
    assert page.post("quota", code="L-1216C47A", value=0) == 200
    with refused("VcpuLimitExceeded"):
        launch(ec2)
    assert any("switched itself off" in event for event in page.get("events"))


def test_the_page_refuses_what_is_wrong_and_who_is_not_here(cloud: AwsCloud, page: Page, ec2: Any) -> None:
    assert page.post("advance", seconds=-1) == 400
    assert page.post("advance", hours=1) == 400
    assert page.post("reclaim", id="i-0123456789abcdef0") == 400
    assert page.post("nothing") == 404
    # What a page in a browser on this computer could send.
    assert page.send("advance", '{"seconds": 1}', {"Content-Type": "text/plain"}) == 415
    assert page.send("advance", '{"seconds": 1}', {"Content-Type": "application/json", "Host": "evil.example"}) == 403
    assert page.get("time") == "2026-11-21T12:00:00Z"


def test_many_calls_go_over_one_connection(cloud: AwsCloud, page: Page) -> None:
    page.get("time")
    first = page.connection.sock
    for _ in range(3):
        page.get("time")
    assert page.connection.sock is first


def test_a_fault_of_the_playground_itself_is_told(ec2: Any, cloud: AwsCloud, hypervisor: Any) -> None:
    id = running(ec2)
    hypervisor.broken = True
    with refused("InternalError", "no room on this computer"):
        ec2.reboot_instances(InstanceIds=[id])
    cloud.power_off(id)
    ec2.describe_vpcs()
    assert [
        what for event in cloud.account.events for what in ("broke on ec2:RebootInstances", "broke by itself") if what in event
    ] == [
        "broke on ec2:RebootInstances",
        "broke by itself",
    ]
    cloud.account.events.clear()
