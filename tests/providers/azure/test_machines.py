"""Looking at all machines: a few lists of the whole subscription, and what they leave out is no machine that is gone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cloudtrain.model.errors import PermissionDeniedError, ProviderUnavailableError
from cloudtrain.model.instance import InstanceState, LaunchOrder
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.provider import AzureProvider
from cloudtrain.testing.clock import FakeClock

from .conftest import Cloud

GROUPS = "Microsoft.Resources:resourceGroups/LIST"
MACHINES = "Microsoft.Compute:virtualMachines/LIST"
ADDRESSES = "Microsoft.Network:publicIPAddresses/LIST"
RIGHTS = "Microsoft.Authorization:roleAssignments/LIST"
ONE_MACHINE, ONE_ADDRESS = "Microsoft.Compute:virtualMachines/GET", "Microsoft.Network:publicIPAddresses/GET"
HOUR_S = 3600.0

LISTS: Mapping[str, Callable[[str, Mapping[str, str]], bool]] = {
    "machines": lambda path, query: path.endswith("/virtualMachines") and not query,
    "views": lambda path, query: query.get("statusOnly") == "true",
    "addresses": lambda path, query: path.endswith("/publicIPAddresses"),
}
"""Which list is which, by its path and its query."""


@pytest.fixture
def three(provider: AzureProvider, cloud: Cloud, order: LaunchOrder) -> list[str]:
    """Launch three machines; return their names."""
    orders = [replace(order, token=f"ct-Token-{number}") for number in range(3)]
    names = [provider.launch(each).ref.id for each in orders]
    cloud.azure.forget_calls()
    return names


def changed(
    monkeypatch: pytest.MonkeyPatch, account: Account, which: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> None:
    """Let one of the lists show what `change` makes of each thing; None leaves it out."""
    real = account.arm.pages

    def pages(act: str, path: str, *, api: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        for thing in real(act, path, api=api, query=query or {}):
            shown = change(thing) if LISTS[which](path, query or {}) else thing
            if shown is not None:
                yield shown

    monkeypatch.setattr(account.arm, "pages", pages)


def test_all_machines_are_looked_at_by_four_lists(provider: AzureProvider, cloud: Cloud, three: list[str]) -> None:
    seen = {instance.ref.id: instance for instance in provider.list_owned()}
    assert sorted(cloud.named()) == sorted([GROUPS, MACHINES, MACHINES, ADDRESSES])
    assert seen == {name: provider.get(seen[name].ref) for name in three}
    assert len({instance.address for instance in seen.values()}) == 3


def test_leftovers_are_looked_for_by_two_lists_and_one_of_rights(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, three: list[str]
) -> None:
    clock.sleep(HOUR_S)
    assert provider.leftovers() == []
    assert sorted(cloud.named()) == sorted([RIGHTS, GROUPS, MACHINES])


def test_where_there_is_no_group_of_ours_nothing_else_is_asked(provider: AzureProvider, cloud: Cloud) -> None:
    assert (provider.list_owned(), provider.leftovers()) == ((), [])
    assert sorted(name for name in cloud.named() if "Entra" not in name) == sorted([GROUPS, RIGHTS, GROUPS])


def test_each_machine_is_shown_in_its_own_state(provider: AzureProvider, cloud: Cloud, three: list[str]) -> None:
    off, deallocated, on = three
    provider.stop(provider.list_owned()[three.index(deallocated)].ref)
    cloud.azure.power_off(cloud.azure.account.machine(off).id)
    cloud.azure.advance(600)
    assert {instance.ref.id: instance.state for instance in provider.list_owned()} == {
        off: InstanceState.POWERED_OFF,
        deallocated: InstanceState.STOPPED,
        on: InstanceState.RUNNING,
    }


def test_nothing_on_a_later_page_is_lost(provider: AzureProvider, cloud: Cloud, clock: FakeClock, three: list[str]) -> None:
    whole = provider.list_owned()
    cloud.azure.forget_calls()
    cloud.azure.account.page_size = 2
    assert provider.list_owned() == whole
    assert sorted(cloud.named()) == sorted([GROUPS, MACHINES, MACHINES, ADDRESSES] * 2)
    clock.sleep(HOUR_S)
    assert provider.leftovers() == []


@pytest.mark.parametrize(("which", "again"), [("machines", ONE_MACHINE), ("views", ONE_MACHINE), ("addresses", ONE_ADDRESS)])
def test_what_a_list_leaves_out_is_asked_for_by_its_name(
    provider: AzureProvider,
    cloud: Cloud,
    account: Account,
    three: list[str],
    monkeypatch: pytest.MonkeyPatch,
    which: str,
    again: str,
) -> None:
    whole = provider.list_owned()
    cloud.azure.forget_calls()
    late = three[1].lower()
    changed(monkeypatch, account, which, lambda thing: None if late in str(thing["id"]).lower() else thing)
    assert provider.list_owned() == whole
    assert [name for name in cloud.named() if name.endswith("/GET")] == [again]


def test_a_machine_of_which_a_list_does_not_say_what_it_does_is_asked(
    provider: AzureProvider, cloud: Cloud, account: Account, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = provider.list_owned()
    cloud.azure.forget_calls()
    changed(monkeypatch, account, "views", lambda thing: {**thing, "properties": {"instanceView": {}}})
    assert provider.list_owned() == whole
    assert cloud.counted(ONE_MACHINE) == 3


def test_a_machine_that_no_list_shows_yet_is_no_leftover(
    provider: AzureProvider, cloud: Cloud, account: Account, clock: FakeClock, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.sleep(HOUR_S)
    changed(monkeypatch, account, "machines", lambda thing: None)
    assert provider.leftovers() == []
    assert cloud.counted(ONE_MACHINE) == 3


def test_a_machine_that_is_gone_is_shown_by_nobody(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, three: list[str]
) -> None:
    gone = three[0]
    clock.sleep(HOUR_S)
    cloud.azure._router._clear(cloud.azure.account.machine(gone).resource)
    assert {instance.ref.id for instance in provider.list_owned()} == {*three} - {gone}
    assert [left.id for left in provider.leftovers()] == [gone]


@pytest.mark.parametrize(
    ("name", "which"),
    [(GROUPS, ""), (MACHINES, "virtualMachines\napi-version"), (MACHINES, "statusOnly=true"), (ADDRESSES, "")],
)
def test_a_list_that_fails_is_an_error_on_each_of_its_pages(
    provider: AzureProvider, cloud: Cloud, three: list[str], name: str, which: str
) -> None:
    cloud.azure.account.page_size = 2
    for page in ("", "skiptoken=2"):
        for code, http, error in (("AuthorizationFailed", 403, PermissionDeniedError), ("", 0, ProviderUnavailableError)):
            cloud.azure.faults.clear()
            cloud.fail(name, code, http=http, times=99, match=f"(?s){which}.*{page}")
            with pytest.raises(error):
                provider.list_owned()


@pytest.mark.parametrize("name", [GROUPS, MACHINES])
def test_leftovers_are_not_told_by_a_list_that_fails(
    provider: AzureProvider, cloud: Cloud, clock: FakeClock, three: list[str], name: str
) -> None:
    clock.sleep(HOUR_S)
    cloud.azure.account.page_size = 2
    cloud.fail(name, "AuthorizationFailed", http=403, match="skiptoken=2")
    with pytest.raises(PermissionDeniedError):
        provider.leftovers()
