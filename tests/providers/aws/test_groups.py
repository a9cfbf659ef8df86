"""Who is let in, as EC2 reads it."""

import ipaddress

from cloudtrain.providers.aws.groups import as_permission


def test_both_families_stand_in_one_permission() -> None:
    allowed = [ipaddress.ip_network("203.0.113.7/32"), ipaddress.ip_network("2001:db8::7/128")]
    assert as_permission(allowed, 22) == {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "203.0.113.7/32"}],
        "Ipv6Ranges": [{"CidrIpv6": "2001:db8::7/128"}],
    }
