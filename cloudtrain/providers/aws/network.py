"""Where in the network a machine stands: the account's default one, a named one, or one we made because we were asked to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...model.errors import NoCapacityError, ProviderError
from ...model.offer import Offer
from ...model.spec import MachineSpec
from . import tags
from .clients import Clients
from .translate import calling

RANGE = "10.0.0.0/16"
_PURPOSE = {tags.OURS: "1", tags.NETWORK: "1", "Name": "cloudtrain"}

Thing = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A place for one machine.

    Attributes:
        subnet: "" where EC2 is to choose a zone that has the type.
        is_public: whether the machine asks for a public address.
    """

    vpc: str
    subnet: str
    is_public: bool


def find_place(machine: MachineSpec, offer: Offer, clients: Clients) -> Place:
    """Return where a machine of this offer stands. Makes a network only when `machine.create_network` asks for one.

    Raises:
        NoCapacityError: the network has no subnet in the offer's zone; another zone may do.
        ProviderError: there is no network.
    """
    subnets = _subnets(machine, offer.region, clients)
    here = [subnet for subnet in subnets if offer.zone in ("", subnet["AvailabilityZone"])]
    if not here:
        raise NoCapacityError(
            f"The network {subnets[0]['VpcId']} has no subnet in {offer.zone}", "Another zone may do, or name another network."
        )
    roomiest = max(here, key=lambda subnet: int(subnet.get("AvailableIpAddressCount", 0)))
    is_default = not machine.network and bool(roomiest.get("DefaultForAz"))
    is_free = is_default and not offer.zone
    # Behind a proxy of one's own a named network may be private, and a public address costs money.
    is_public = not (machine.network and machine.ssh.proxy_command)
    return Place(roomiest["VpcId"], "" if is_free else roomiest["SubnetId"], is_public)


def _subnets(machine: MachineSpec, region: str, clients: Clients) -> Sequence[Thing]:
    if machine.network:
        kind = "subnet-id" if machine.network.startswith("subnet-") else "vpc-id"
        found = _look(region, clients, [{"Name": kind, "Values": [machine.network]}])
        if not found:
            raise ProviderError(
                f"{region} has no network {machine.network} with a subnet",
                f"See those there are: aws ec2 describe-vpcs --region {region}",
            )
        return found
    found = _look(region, clients, [{"Name": "default-for-az", "Values": ["true"]}])
    if found:
        return found
    if machine.create_network:
        _make(region, clients)
    found = _look(region, clients, [{"Name": f"tag:{tags.NETWORK}", "Values": ["1"]}])
    if not found:
        raise ProviderError(
            f"The account has no default network in {region}, and none is named in the machine config",
            f"Make one (it costs nothing): cloudtrain start {machine.name} --create-network\n"
            f"Or name one: network: vpc-… (aws ec2 describe-vpcs --region {region})",
        )
    return found


def _look(region: str, clients: Clients, filters: list[dict[str, Any]]) -> Sequence[Thing]:
    with calling(region):
        found: Sequence[Thing] = clients.ec2(region).describe_subnets(
            Filters=[*filters, {"Name": "state", "Values": ["available"]}]
        )["Subnets"]
    return found


def _make(region: str, clients: Clients) -> None:
    """Make a network, or what is missing of one: each step looks first, so that a broken attempt is completed."""
    ec2 = clients.ec2(region)
    with calling(region):
        vpc = _vpc(ec2)
        gateway = _gateway(ec2, vpc)
        _route(ec2, vpc, gateway)
        _subnet_in_each_zone(ec2, vpc)


def _vpc(ec2: Any) -> str:
    found = ec2.describe_vpcs(Filters=_ours())["Vpcs"]
    made = found[0] if found else ec2.create_vpc(CidrBlock=RANGE, TagSpecifications=_tagged("vpc"))["Vpc"]
    return str(made["VpcId"])


def _gateway(ec2: Any, vpc: str) -> str:
    found = ec2.describe_internet_gateways(Filters=_ours())["InternetGateways"]
    if not found:
        found = [ec2.create_internet_gateway(TagSpecifications=_tagged("internet-gateway"))["InternetGateway"]]
    gateway = str(found[0]["InternetGatewayId"])
    if vpc not in [attached.get("VpcId") for attached in found[0].get("Attachments", ())]:
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    return gateway


def _route(ec2: Any, vpc: str, gateway: str) -> None:
    main = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    table = ec2.describe_route_tables(Filters=main)["RouteTables"][0]
    if "0.0.0.0/0" not in [route.get("DestinationCidrBlock") for route in table.get("Routes", ())]:
        ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)


def _subnet_in_each_zone(ec2: Any, vpc: str) -> None:
    present = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    zones = ec2.describe_availability_zones(Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}])
    taken = {subnet["CidrBlock"] for subnet in present}
    free = (block for block in (f"10.0.{third}.0/20" for third in range(0, 256, 16)) if block not in taken)
    for zone in sorted({each["ZoneName"] for each in zones["AvailabilityZones"]}):
        if zone not in [subnet["AvailabilityZone"] for subnet in present]:
            ec2.create_subnet(VpcId=vpc, CidrBlock=next(free), AvailabilityZone=zone, TagSpecifications=_tagged("subnet"))


def _ours() -> list[dict[str, Any]]:
    return [{"Name": f"tag:{tags.NETWORK}", "Values": ["1"]}]


def _tagged(kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tags.as_list(_PURPOSE)}]
