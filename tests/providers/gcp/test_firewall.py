"""Who may reach a machine: the caller of now, through rules that come before the network's own."""

import ipaddress
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.spec import SshSettings
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.firewall import rules
from cloudtrain.providers.gcp.provider import GcpProvider

from .conftest import HERE, Cloud

NETWORK = "projects/p/global/networks/default"


def made(*allowed: str, port: int = 22) -> list[dict]:
    return rules("m", NETWORK, [ipaddress.ip_network(each) for each in allowed], port, {"token": "m"})


def elsewhere(order: LaunchOrder, make_account: Callable[..., Account], *allowed: str) -> GcpProvider:
    machine = replace(order.machine, ssh=SshSettings(allow_from=allowed))
    return GcpProvider(make_account(machine).settings)


def test_the_rules_are_exactly_these() -> None:
    usual = {"network": NETWORK, "direction": "INGRESS", "targetTags": ["m"], "description": '{"token":"m"}'}
    assert made("203.0.113.7/32") == [
        usual
        | {
            "name": "m-in",
            "priority": 10,
            "sourceRanges": ["203.0.113.7/32"],
            "allowed": [{"IPProtocol": "tcp", "ports": ["22"]}],
        },
        usual
        | {
            "name": "m-shut",
            "priority": 11,
            "sourceRanges": ["0.0.0.0/0"],
            "denied": [{"IPProtocol": "tcp", "ports": ["22", "3389"]}],
        },
    ]


def test_each_family_has_rules_of_its_own() -> None:
    named = {rule["name"]: rule["sourceRanges"] for rule in made("203.0.113.7/32", "2001:db8::7/128")}
    assert named == {
        "m-in": ["203.0.113.7/32"],
        "m-shut": ["0.0.0.0/0"],
        "m-in6": ["2001:db8::7/128"],
        "m-shut6": ["::/0"],
    }


def test_whoever_comes_from_the_other_family_alone_still_shuts_the_port() -> None:
    assert [rule["name"] for rule in made("2001:db8::7/128")] == ["m-shut", "m-in6", "m-shut6"]


def test_another_port_is_opened_and_shut_too() -> None:
    opened, shut = made("203.0.113.7/32", port=2222)
    assert opened["allowed"][0]["ports"] == ["2222"]
    assert shut["denied"][0]["ports"] == ["22", "2222", "3389"]


def test_the_world_is_shut_out_although_the_network_lets_it_in(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    usual = cloud.gcp.account.firewalls["default-allow-ssh"]
    assert usual["sourceRanges"] == ["0.0.0.0/0"]
    ref = provider.launch(order).ref
    assert not cloud.gcp.may_reach("203.0.113.9", ref.id)
    assert cloud.gcp.may_reach(HERE.partition("/")[0], ref.id)


def test_the_caller_of_now_is_let_in_and_the_one_before_is_not(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, make_account: Callable[..., Account]
) -> None:
    ref = provider.launch(order).ref
    cloud.gcp.forget_calls()
    elsewhere(order, make_account, "203.0.113.9/32").let_in(ref)
    assert cloud.gcp.may_reach("203.0.113.9", ref.id)
    assert not cloud.gcp.may_reach("198.51.100.7", ref.id)
    assert cloud.named() == [
        "compute.instances.get",
        "compute.firewalls.list",
        "compute.firewalls.patch",
        "compute.globalOperations.wait",
    ]


def test_nothing_is_written_where_nothing_changed(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    cloud.gcp.forget_calls()
    provider.let_in(ref)
    assert cloud.named() == ["compute.instances.get", "compute.firewalls.list"]


@pytest.mark.parametrize("name", ["ct-token-1-in", "ct-token-1-shut"])
def test_a_rule_that_somebody_removed_is_made_again(provider: GcpProvider, cloud: Cloud, order: LaunchOrder, name: str) -> None:
    ref = provider.launch(order).ref
    said = cloud.gcp.account.firewalls.pop(name)
    provider.let_in(ref)
    assert json.loads(cloud.gcp.account.firewalls[name]["description"]) == json.loads(said["description"])
    assert not cloud.gcp.may_reach("203.0.113.9", ref.id)


def test_a_rule_of_the_other_family_goes_when_nobody_comes_from_there(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, make_account: Callable[..., Account]
) -> None:
    both = elsewhere(order, make_account, HERE, "2001:db8::7/128")
    ref = both.launch(replace(order, machine=both._account.machine)).ref
    assert "ct-token-1-in6" in cloud.gcp.account.firewalls
    provider.let_in(ref)
    assert sorted(name for name in cloud.gcp.account.firewalls if name.startswith("ct-")) == [
        "ct-token-1-in",
        "ct-token-1-shut",
    ]


def test_a_launch_from_another_address_after_one_that_broke_lets_that_one_in(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, make_account: Callable[..., Account]
) -> None:
    cloud.fail("compute.instances.insert", times=99)
    with pytest.raises(Exception, match="did not answer"):
        provider.launch(order)
    cloud.gcp.faults.clear()
    there = elsewhere(order, make_account, "203.0.113.9/32")
    launched = there.launch(replace(order, machine=there._account.machine))
    assert cloud.gcp.may_reach("203.0.113.9", launched.ref.id)
    assert not cloud.gcp.may_reach("198.51.100.7", launched.ref.id)
