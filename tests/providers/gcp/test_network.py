"""Where in the network a machine stands."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cloudtrain.model.errors import NoCapacityError, ProviderError
from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.spec import MachineSpec, SshSettings
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.network import Place, find_place, owner_of

from .conftest import REGION, Cloud


def place_of(order: LaunchOrder, account: Account, **changes: object) -> Place:
    return find_place(replace(order.machine, **changes), order.offer, account)


def test_the_default_network_is_used_in_the_offers_region(cloud: Cloud, order: LaunchOrder, account: Account) -> None:
    project = cloud.gcp.project
    assert place_of(order, account) == Place(
        f"projects/{project}/global/networks/default", f"projects/{project}/regions/{REGION}/subnetworks/default", True
    )
    assert cloud.named() == ["compute.networks.get"]


def test_without_one_it_says_how_to_make_or_name_one(cloud: Cloud, order: LaunchOrder, account: Account) -> None:
    cloud.gcp.account.networks.clear()
    with pytest.raises(ProviderError) as caught:
        place_of(order, account)
    assert "cloudtrain start gcp-mine --create-network" in caught.value.hint
    assert cloud.named() == ["compute.networks.get", "compute.networks.get"]


def test_one_is_made_when_it_is_asked_for_and_used_from_then_on(cloud: Cloud, order: LaunchOrder, account: Account) -> None:
    cloud.gcp.account.networks.clear()
    made = place_of(order, account, create_network=True)
    assert made.network.endswith("/global/networks/cloudtrain")
    assert f"/regions/{REGION}/" in made.subnetwork
    assert place_of(order, account) == made
    assert cloud.named().count("compute.networks.insert") == 1


def test_none_is_made_where_there_is_one(cloud: Cloud, order: LaunchOrder, account: Account) -> None:
    assert place_of(order, account, create_network=True).network.endswith("/global/networks/default")
    assert cloud.named() == ["compute.networks.get"]


@pytest.mark.parametrize("name", ["nowhere", "projects/cloudtrain-playground/global/networks/nowhere"])
def test_a_named_network_that_is_not_there_is_said(order: LaunchOrder, account: Account, name: str) -> None:
    with pytest.raises(ProviderError, match="There is no network") as caught:
        place_of(order, account, network=name)
    assert "gcloud compute networks list" in caught.value.hint


def test_a_network_may_be_named_by_its_path(cloud: Cloud, order: LaunchOrder, account: Account) -> None:
    path = f"projects/{cloud.gcp.project}/global/networks/default"
    assert place_of(order, account, network=path).network == path
    assert place_of(order, account, network=f"https://host/compute/v1/{path}").network == path


def test_what_is_no_network_is_said(order: LaunchOrder, account: Account) -> None:
    with pytest.raises(ProviderError, match="names no network"):
        place_of(order, account, network="a/b")


def test_behind_a_proxy_a_named_network_needs_no_public_address(order: LaunchOrder, account: Account) -> None:
    behind = SshSettings(proxy_command="ssh -W %h:%p bastion")
    assert not place_of(order, account, network="default", ssh=behind).is_public
    assert place_of(order, account, ssh=behind).is_public


def test_a_network_without_a_subnetwork_there_has_no_room(order: LaunchOrder, account: Account) -> None:
    with pytest.raises(NoCapacityError, match="no subnetwork in mars-north1"):
        find_place(order.machine, replace(order.offer, region="mars-north1"), account)


def test_a_network_of_another_project_has_its_rules_there(make_account: Callable[..., Account]) -> None:
    assert owner_of(MachineSpec("m", "gcp", network="projects/host/global/networks/n")) == "host"
    assert owner_of(MachineSpec("m", "gcp", network="n")) == owner_of(None) == ""
