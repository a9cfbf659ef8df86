"""Who is let in, as EC2 reads it."""

import ipaddress

import pytest

from cloudtrain.model.errors import ProviderError
from cloudtrain.model.instance import LaunchOrder
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.groups import as_permission, make_group
from cloudtrain.testing.clock import FakeClock

from .conftest import HERE, Cloud

VPC = "vpc-1"
ALLOWED = [ipaddress.ip_network(HERE)]


def test_both_families_stand_in_one_permission() -> None:
    allowed = [ipaddress.ip_network("203.0.113.7/32"), ipaddress.ip_network("2001:db8::7/128")]
    assert as_permission(allowed, 22) == {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "203.0.113.7/32"}],
        "Ipv6Ranges": [{"CidrIpv6": "2001:db8::7/128"}],
    }


def test_a_group_that_is_there_and_not_shown_yet_is_waited_for(
    order: LaunchOrder, account: Account, cloud: Cloud, clock: FakeClock
) -> None:
    vpc = cloud.held().get_default_vpc().id
    cloud.aws.faults.stale_reads = 2
    first = make_group(order, vpc, ALLOWED, account)
    began = clock.monotonic()
    assert make_group(order, vpc, ALLOWED, account) == first
    assert clock.monotonic() - began == 1.0 + 2.0


def test_a_group_that_never_shows_is_a_refusal_and_no_fault_of_ours(order: LaunchOrder, account: Account, cloud: Cloud) -> None:
    cloud.fail("CreateSecurityGroup", "InvalidGroup.Duplicate", times=9)
    with pytest.raises(ProviderError, match=r"InvalidGroup\.Duplicate"):
        make_group(order, VPC, ALLOWED, account)
