"""What EC2 describes, in the contract's words; and what a thousand machines cost us."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import pytest
from botocore.awsrequest import AWSResponse

from cloudtrain.model.instance import InstanceState, LaunchOrder
from cloudtrain.model.spec import MachineSpec, Market, SshSettings
from cloudtrain.providers.aws import describe, tags
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.provider import AwsProvider

from .conftest import REGION, Cloud, Raw

LAUNCHED = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
MACHINES = 1000


def machine(account: Account, order: LaunchOrder, **changes: Any) -> dict[str, Any]:
    account.keys.made_for(order.token, account.now())
    written = tags.of_order(order, LAUNCHED, "ubuntu", 100)
    described = {
        "InstanceId": "i-0123456789abcdef0",
        "State": {"Name": "running"},
        "InstanceType": "g4dn.xlarge",
        "Placement": {"AvailabilityZone": "us-east-1b"},
        "PublicIpAddress": "203.0.113.5",
        "PrivateIpAddress": "10.0.0.5",
        "LaunchTime": LAUNCHED,
        "Tags": tags.as_list(written),
    }
    return {**described, **changes}


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", InstanceState.PENDING),
        ("running", InstanceState.RUNNING),
        ("stopping", InstanceState.STOPPING),
        ("stopped", InstanceState.STOPPED),
        ("shutting-down", InstanceState.TERMINATING),
        ("terminated", InstanceState.TERMINATED),
        ("pondering", InstanceState.UNKNOWN),
    ],
)
def test_every_state(account: Account, order: LaunchOrder, word: str, state: InstanceState) -> None:
    seen = describe.shown(machine(account, order, State={"Name": word}), REGION, account)
    assert seen.state is state
    assert (seen.endpoint is not None) == (state is InstanceState.RUNNING)
    assert (seen.deadline is None) == (state is InstanceState.STOPPED)


def test_everything_is_read_from_the_cloud(account: Account, order: LaunchOrder) -> None:
    seen = describe.shown(machine(account, order, InstanceLifecycle="spot"), REGION, account)
    assert (seen.name, seen.token, seen.owner) == ("aws-mine", "ct-token-1", "alice-laptop")
    assert (seen.deadline, seen.launched_at) == (order.lease.deadline, LAUNCHED)
    assert (seen.usd_per_hour, seen.beside_usd_per_hour, seen.usd_per_month_stopped) == (0.526, 0.016, 8.0)
    assert (seen.market, seen.gpu_count, seen.address) == (Market.SPOT, 1, "203.0.113.5")
    assert seen.ref.zone == "us-east-1b"
    assert seen.console_url.startswith("https://us-east-1.console.aws.amazon.com/")
    assert seen.console_url.endswith("i-0123456789abcdef0")


def test_an_unknown_price_stays_unknown(account: Account, order: LaunchOrder) -> None:
    unpriced = replace(order, offer=replace(order.offer, usd_per_hour=None))
    assert describe.shown(machine(account, unpriced), REGION, account).usd_per_hour is None


@pytest.mark.parametrize("nonsense", ["", "tomorrow", "2026-11-21T12:00:00", "\u0665"])
def test_tags_that_somebody_wrote_over_break_nothing(account: Account, order: LaunchOrder, nonsense: str) -> None:
    odd = [{"Key": key, "Value": nonsense} for key in (tags.DEADLINE, tags.PRICE, tags.DISK, tags.GPUS, tags.TOKEN, tags.NAME)]
    seen = describe.shown(machine(account, order, Tags=odd), REGION, account)
    assert (seen.deadline, seen.endpoint) == (None, None)
    assert seen.name in (nonsense, "i-0123456789abcdef0")


def test_without_its_keys_here_a_machine_has_an_address_and_no_line(account: Account, order: LaunchOrder) -> None:
    described = machine(account, order)
    account.keys.forget(order.token)
    seen = describe.shown(described, REGION, account)
    assert (seen.address, seen.endpoint) == ("203.0.113.5", None)


def test_the_machine_configs_ssh_settings_count_for_the_machine_of_that_name(
    make_account: Callable[[MachineSpec | None], Account], order: LaunchOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = SshSettings(user="me", port=2222, proxy_command="nc bastion", options={"Compression": "yes"})
    monkeypatch.setenv("CLOUDTRAIN_SSH_PROXY_COMMAND", "nc playground")
    named = make_account(replace(order.machine, ssh=ssh))
    seen = describe.shown(machine(named, order), REGION, named).endpoint
    assert (seen.user, seen.port, seen.proxy_command, dict(seen.options)) == ("me", 2222, "nc bastion", {"Compression": "yes"})
    other = make_account(replace(order.machine, name="another", ssh=ssh))
    seen = describe.shown(machine(other, order), REGION, other).endpoint
    assert (seen.user, seen.port, seen.proxy_command, dict(seen.options)) == ("ubuntu", 22, "nc playground", {})


def test_a_machine_without_a_public_address_is_reached_by_its_own(account: Account, order: LaunchOrder) -> None:
    assert describe.shown(machine(account, order, PublicIpAddress=None), REGION, account).endpoint.host == "10.0.0.5"


def test_get_is_one_call(provider: AwsProvider, cloud: Cloud, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    cloud.calls.clear()
    provider.get(ref)
    assert cloud.named() == ["DescribeInstances"]


def test_list_owned_asks_every_region_for_living_machines_of_ours(provider: AwsProvider, cloud: Cloud) -> None:
    provider.list_owned()
    looks = [(region, sent) for region, name, sent in cloud.calls if name == "DescribeInstances"]
    assert sorted(region for region, _ in looks) == ["eu-west-1", "us-east-1", "us-east-2", "us-west-2"]
    for _, sent in looks:
        assert sent["MaxResults"] == 1000
        assert sent["Filters"] == [
            {"Name": "tag-key", "Values": ["cloudtrain"]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped", "shutting-down"]},
        ]


def test_a_thousand_machines_on_two_pages_are_all_listed(provider: AwsProvider, account: Account, order: LaunchOrder) -> None:
    pages = {"": page(account, order, MACHINES // 2, "more"), "more": page(account, order, MACHINES // 2, "")}

    def answer(request: Any, **_: Any) -> AWSResponse:
        token = "more" if "NextToken=more" in request.body else ""
        return AWSResponse(request.url, 200, {"Content-Type": "text/xml"}, Raw(pages[token]))

    account.clients._enabled = (REGION,)
    account.clients.ec2(REGION).meta.events.register_first("before-send.ec2.DescribeInstances", answer)
    seen = provider.list_owned()
    assert len(seen) == MACHINES
    assert all(instance.endpoint is not None for instance in seen)


def page(account: Account, order: LaunchOrder, count: int, next_token: str) -> bytes:
    account.keys.made_for(order.token, account.now())
    written = "".join(
        f"<item><key>{key}</key><value>{escape(value)}</value></item>"
        for key, value in tags.of_order(order, LAUNCHED, "ubuntu", 100).items()
    )
    one = (
        "<item><reservationId>r-1</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet><item>"
        "<instanceId>i-{number:017x}</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name>"
        "</instanceState><privateDnsName>ip-10-0-0-5.ec2.internal</privateDnsName><instanceType>g4dn.xlarge</instanceType>"
        "<launchTime>2026-11-21T11:00:00.000Z</launchTime><placement><availabilityZone>us-east-1b</availabilityZone>"
        "<tenancy>default</tenancy></placement><monitoring><state>disabled</state></monitoring><subnetId>subnet-1</subnetId>"
        "<vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.5</privateIpAddress><ipAddress>203.0.113.5</ipAddress>"
        "<groupSet><item><groupId>sg-1</groupId><groupName>g</groupName></item></groupSet><architecture>x86_64</architecture>"
        "<rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/sda1</rootDeviceName><blockDeviceMapping><item>"
        "<deviceName>/dev/sda1</deviceName><ebs><volumeId>vol-1</volumeId><status>attached</status><attachTime>"
        "2026-11-21T11:00:00.000Z</attachTime><deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping>"
        "<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><subnetId>subnet-1</subnetId><status>in-use"
        "</status><attachment><attachmentId>a-1</attachmentId><deviceIndex>0</deviceIndex></attachment></item>"
        f"</networkInterfaceSet><tagSet>{written}</tagSet></item></instancesSet></item>"
    )
    machines = "".join(one.replace("{number:017x}", f"{number:017x}") for number in range(count))
    token = f"<nextToken>{next_token}</nextToken>" if next_token else ""
    return f"<DescribeInstancesResponse><reservationSet>{machines}</reservationSet>{token}</DescribeInstancesResponse>".encode()
