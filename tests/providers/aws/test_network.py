"""Where in the network a machine stands."""

from dataclasses import replace

import pytest

from cloudtrain.model.errors import NoCapacityError, ProviderError
from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.spec import MachineSpec, SshSettings
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.network import find_place
from cloudtrain.providers.aws.provider import AwsProvider

from .conftest import REGION, ZONE, Cloud


@pytest.fixture
def without_default(account: Account, cloud: Cloud) -> None:
    """Take the account's default network away."""
    ec2 = account.clients.ec2(REGION)
    for subnet in ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    cloud.calls.clear()


def test_the_default_network_is_one_call(account: Account, cloud: Cloud, order: LaunchOrder) -> None:
    place = find_place(order.machine, order.offer, account.clients)
    assert cloud.named() == ["DescribeSubnets"]
    assert place.is_public
    [subnet] = account.clients.ec2(REGION).describe_subnets(SubnetIds=[place.subnet])["Subnets"]
    assert (subnet["AvailabilityZone"], subnet["VpcId"]) == (ZONE, place.vpc)


def test_without_a_zone_the_default_network_leaves_it_to_the_cloud(account: Account, order: LaunchOrder) -> None:
    place = find_place(order.machine, replace(order.offer, zone=""), account.clients)
    assert (place.subnet, place.vpc[:4]) == ("", "vpc-")


def test_a_zone_without_a_subnet_sends_us_on(account: Account, order: LaunchOrder) -> None:
    with pytest.raises(NoCapacityError, match="us-east-1z"):
        find_place(order.machine, replace(order.offer, zone="us-east-1z"), account.clients)


def test_a_network_may_be_named_or_one_of_its_subnets(account: Account, order: LaunchOrder) -> None:
    known = find_place(order.machine, order.offer, account.clients)
    anywhere = replace(order.offer, zone="")
    for name in (known.vpc, known.subnet):
        place = find_place(replace(order.machine, network=name), anywhere, account.clients)
        assert place.vpc == known.vpc
        assert place.subnet.startswith("subnet-")
    assert place.subnet == known.subnet


def test_behind_a_proxy_a_named_network_needs_no_public_address(account: Account, order: LaunchOrder) -> None:
    known = find_place(order.machine, order.offer, account.clients)
    private = replace(order.machine, network=known.vpc, ssh=SshSettings(proxy_command="nc bastion"))
    assert not find_place(private, order.offer, account.clients).is_public


def test_a_network_that_is_not_there_is_named(account: Account, order: LaunchOrder) -> None:
    with pytest.raises(ProviderError, match="vpc-00000000"):
        find_place(replace(order.machine, network="vpc-00000000"), order.offer, account.clients)


@pytest.mark.usefixtures("without_default")
def test_without_any_network_the_flag_is_named(account: Account, order: LaunchOrder) -> None:
    with pytest.raises(ProviderError) as caught:
        find_place(order.machine, order.offer, account.clients)
    assert "--create-network" in caught.value.hint
    assert "network: vpc-" in caught.value.hint


@pytest.mark.usefixtures("without_default")
def test_a_network_made_on_request_is_whole_tagged_and_used_again(
    provider: AwsProvider, account: Account, cloud: Cloud, order: LaunchOrder
) -> None:
    asked = asking(order.machine)
    place = find_place(asked, order.offer, account.clients)
    ec2 = account.clients.ec2(REGION)
    [vpc] = ec2.describe_vpcs(VpcIds=[place.vpc])["Vpcs"]
    assert {tag["Key"]: tag["Value"] for tag in vpc["Tags"]} == {
        "cloudtrain": "1",
        "cloudtrain:network": "1",
        "Name": "cloudtrain",
    }
    zones = {each["ZoneName"] for each in ec2.describe_availability_zones()["AvailabilityZones"]}
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [place.vpc]}])["Subnets"]
    assert {subnet["AvailabilityZone"] for subnet in subnets} == zones
    [table] = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [place.vpc]}])["RouteTables"]
    assert "0.0.0.0/0" in [route.get("DestinationCidrBlock") for route in table["Routes"]]
    made = cloud.named().count("CreateSubnet")
    assert find_place(order.machine, order.offer, account.clients) == place
    assert find_place(asked, order.offer, account.clients) == place
    assert (cloud.named().count("CreateVpc"), cloud.named().count("CreateSubnet")) == (1, made)
    assert list(provider.leftovers()) == []
    assert provider.launch(order).ref.zone == ZONE


@pytest.mark.usefixtures("without_default")
@pytest.mark.parametrize("operation", ["CreateInternetGateway", "AttachInternetGateway", "CreateRoute", "CreateSubnet"])
def test_a_network_that_was_half_made_is_completed(account: Account, cloud: Cloud, order: LaunchOrder, operation: str) -> None:
    cloud.fail(operation, "UnauthorizedOperation")
    with pytest.raises(ProviderError):
        find_place(asking(order.machine), order.offer, account.clients)
    place = find_place(asking(order.machine), order.offer, account.clients)
    assert place.subnet
    counts = [cloud.named().count(name) for name in ("CreateVpc", "CreateInternetGateway")]
    assert counts == [1, 2 if operation == "CreateInternetGateway" else 1]


def asking(machine: MachineSpec) -> MachineSpec:
    return replace(machine, create_network=True)
