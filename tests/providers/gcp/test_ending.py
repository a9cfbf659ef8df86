"""Ending a machine, and finding what was left of one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cloudtrain.model.errors import InstanceNotFoundError, ProviderError, ProviderUnavailableError
from cloudtrain.model.instance import InstanceRef, InstanceState, LaunchOrder, Leftover
from cloudtrain.providers.gcp import ending
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.providers.waiting import wait_until
from cloudtrain.testing.clock import FakeClock

from .conftest import ZONE, Cloud

Remains = Callable[[], dict[str, list[str]]]
NOTHING = {"machines": [], "rules": [], "disks": []}


def keys_in(account: Account) -> list[str]:
    folder = account.settings.home / "gcp" / "keys"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_rules_stay_until_the_machine_is_gone(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, remains: Remains, account: Account
) -> None:
    ref = provider.launch(order).ref
    provider.terminate(ref)
    assert keys_in(account) == ["ct-token-1"]
    assert "ct-token-1-shut" in cloud.gcp.account.firewalls
    assert remains() == {"machines": [], "rules": ["ct-token-1-in", "ct-token-1-shut"], "disks": []}
    provider.terminate(ref)
    assert remains() == NOTHING
    assert keys_in(account) == []


def test_ending_is_two_calls_and_cleaning_up_five(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    cloud.gcp.forget_calls()
    provider.terminate(ref)
    assert cloud.named() == ["compute.instances.get", "compute.instances.delete"]
    cloud.gcp.advance(60)
    cloud.gcp.forget_calls()
    provider.terminate(ref)
    looks = ["compute.instances.get", "compute.instances.aggregatedList"]
    assert cloud.named() == [*looks, "compute.firewalls.list", *["compute.firewalls.delete"] * 2]


def test_a_machine_that_went_between_the_look_and_the_order_is_ended(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, monkeypatch: pytest.MonkeyPatch, remains: Remains
) -> None:
    ref = provider.launch(order).ref
    seen = ending.find(ref, provider._account)
    provider.terminate(ref)
    cloud.gcp.advance(60)
    find = ending.find
    looks = iter([lambda *_: seen, find])
    monkeypatch.setattr(ending, "find", lambda ref, account: next(looks)(ref, account))
    provider.terminate(ref)
    assert remains() == NOTHING


def test_a_machine_keeps_its_rules_when_google_says_that_it_is_not_there_and_it_is(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, remains: Remains, account: Account
) -> None:
    ref = provider.launch(order).ref
    cloud.fail("compute.instances.delete", code="notFound")
    with pytest.raises(ProviderError):
        provider.terminate(ref)
    assert remains()["rules"] == ["ct-token-1-in", "ct-token-1-shut"]
    assert keys_in(account) == ["ct-token-1"]
    assert cloud.gcp.violations() == []


def test_a_machine_that_switched_itself_off_is_ended_with_its_disk(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, remains: Remains, account: Account
) -> None:
    ref = provider.launch(order).ref
    cloud.gcp.power_off(ref.id)
    seen = wait_until(provider, ref, (InstanceState.STOPPED,), account.settings.clock, 600)
    assert (seen.state, seen.usd_per_month_stopped) == (InstanceState.STOPPED, 10.0)
    provider.terminate(ref)
    assert (remains()["machines"], remains()["disks"]) == ([], [])


def test_a_machine_is_found_without_its_zone(provider: GcpProvider, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    assert provider.get(replace(ref, zone="", region="")).ref == ref
    with pytest.raises(InstanceNotFoundError):
        provider.get(InstanceRef("gcp", "another"))


def test_silence_is_no_absence(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    cloud.fail("compute.instances.get", times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.get(ref)
    with pytest.raises(ProviderUnavailableError):
        provider.terminate(ref)


def test_all_of_ours_in_every_zone_are_one_call_and_one_for_tpus(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    provider.launch(order)
    there = replace(order.offer, region="europe-west4", zone="europe-west4-a")
    provider.launch(replace(order, token="ct-token-2", offer=there))
    cloud.gcp.forget_calls()
    assert {instance.ref.zone for instance in provider.list_owned()} == {ZONE, "europe-west4-a"}
    assert sorted(cloud.named()) == ["compute.instances.aggregatedList", "tpu.projects.locations.queuedResources.list"]


def test_what_a_living_machine_has_is_no_leftover(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    cloud.gcp.advance(600)
    assert list(provider.leftovers()) == []
    provider.stop(ref)
    cloud.gcp.advance(60)
    assert list(provider.leftovers()) == []


def test_rules_and_keys_of_a_machine_that_is_gone_are_left_over(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, clock: FakeClock, account: Account, remains: Remains
) -> None:
    provider.terminate(provider.launch(order).ref)
    cloud.gcp.advance(60)
    assert list(provider.leftovers()) == []  # so young, they may be those of a machine that is just being made
    clock.advance(180)
    cloud.gcp.forget_calls()
    [left] = provider.leftovers()
    assert left == Leftover("gcp", "group", "ct-token-1", "", 0.0, "Alice@laptop", "ct-token-1")
    assert sorted(cloud.named()) == [
        "compute.disks.aggregatedList",
        "compute.firewalls.list",
        "compute.instances.aggregatedList",
        "iam.projects.serviceAccounts.list",
        "tpu.projects.locations.queuedResources.list",
        "tpu.projects.locations.queuedResources.list",
    ]
    provider.remove(left)
    assert remains() == NOTHING
    assert keys_in(account) == []
    provider.remove(left)


def test_keys_alone_are_left_over(provider: GcpProvider, cloud: Cloud, clock: FakeClock, account: Account) -> None:
    account.keys.made_for("ct-old", clock.now())
    clock.advance(180)
    [left] = provider.leftovers()
    assert (left.kind, left.id, left.usd_per_month) == ("keys", "ct-old", 0.0)
    provider.remove(left)
    assert keys_in(account) == []


def test_a_disk_that_outlived_its_machine_is_left_over_with_its_price(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    ref = provider.launch(order).ref
    cloud.gcp.machines()[0].body["disks"][0]["autoDelete"] = False
    provider.terminate(ref)
    cloud.gcp.advance(60)
    provider.terminate(ref)
    cloud.gcp.advance(60)
    [left] = provider.leftovers()
    assert left == Leftover("gcp", "disk", f"{ZONE}/ct-token-1", "us-central1", 10.0, "Alice@laptop", "ct-token-1")
    provider.remove(left)
    cloud.gcp.advance(60)
    assert list(provider.leftovers()) == []
    provider.remove(left)


def test_a_strangers_rule_that_is_named_like_ours_is_not_ours(provider: GcpProvider, cloud: Cloud, clock: FakeClock) -> None:
    usual = cloud.gcp.account.firewalls["default-allow-ssh"]
    cloud.gcp.account.firewalls["web-in"] = {**usual, "name": "web-in", "targetTags": ["web"], "description": "mine"}
    clock.advance(600)
    assert list(provider.leftovers()) == []
    provider.terminate(InstanceRef("gcp", "web", zone=ZONE))
    provider.remove(Leftover("gcp", "group", "web"))
    cloud.gcp.advance(60)
    assert "web-in" in cloud.gcp.account.firewalls


@pytest.mark.parametrize("odd", [Leftover("aws", "disk", "vol-1"), Leftover("gcp", "address", "x")])
def test_what_a_launch_does_not_leave_is_not_removed(provider: GcpProvider, odd: Leftover) -> None:
    with pytest.raises(ProviderError):
        provider.remove(odd)
