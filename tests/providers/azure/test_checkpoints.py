"""A machine's right to one container: given only when its order asks for it, found again, and taken back with the machine."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from cloudtrain.model.errors import ConfigError, PermissionDeniedError, ProviderError
from cloudtrain.model.instance import Instance, InstanceRef, LaunchOrder, Leftover
from cloudtrain.model.lease import GuestEnd, Lease
from cloudtrain.providers.azure import checkpoints
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.permissions import EVERYDAY, FOR_CHECKPOINTS, FOR_OWN_END, is_held
from cloudtrain.providers.azure.provider import AzureProvider
from cloudtrain.testing.clock import FakeClock

from .conftest import Cloud, make_container

WRITE = "Microsoft.Authorization/roleAssignments/write"
PUT, DELETE = "Microsoft.Authorization:roleAssignments/PUT", "Microsoft.Authorization:roleAssignments/DELETE"


@pytest.fixture
def container(cloud: Cloud, account: Account) -> str:
    """Make the storage account `digits` with the container `data`; return the container's path."""
    found = make_container(cloud.azure, account.arm)
    cloud.azure.account.allowed_scopes.add(found)
    cloud.azure.forget_calls()
    return found


@pytest.fixture
def asking(order: LaunchOrder, container: str) -> LaunchOrder:
    return replace(order, checkpoints="az://digits/data/runs/")


def rights(cloud: Cloud) -> list[tuple[str, str]]:
    """Return where somebody may write blobs, and who."""
    return [(one.scope, one.principal) for one in cloud.assignments() if one.role == checkpoints.ROLE_NAME]


def gone_by_itself(cloud: Cloud) -> None:
    """Let the machine delete itself; its group is left."""
    cloud.azure._router._clear(cloud.machine().resource)


def later(cloud: Cloud) -> None:
    """Let so much time go by, here and there, that nothing is young any more."""
    cloud.azure.account.timeline._clock.advance(660)
    cloud.azure.advance(1)


class TestGiving:
    def test_a_machine_is_given_one_container_and_ends_as_any_other(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder, container: str
    ) -> None:
        made = provider.launch(asking)
        assert rights(cloud) == [(container, cloud.machine().principal)]
        assert cloud.azure.account.groups[made.ref.id].tags["cloudtrain:checkpoints"] == "somebody-s/digits/data"
        assert made.guest_end is GuestEnd.NONE
        assert cloud.azure.violations() == []

    def test_an_order_that_asks_for_nothing_has_no_identity(
        self, provider: AzureProvider, cloud: Cloud, order: LaunchOrder, container: str
    ) -> None:
        provider.launch(order)
        assert (rights(cloud), cloud.machine().principal) == ([], "")
        assert "Microsoft.Storage:storageAccounts/LIST" not in cloud.named()

    def test_beside_the_right_to_end_itself(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder, container: str
    ) -> None:
        provider.prepare_account()
        made = provider.launch(asking)
        assert made.guest_end is GuestEnd.DELETE
        assert sorted(one.scope for one in cloud.assignments()) == sorted([container, cloud.machine().resource.id])
        assert len({one.principal for one in cloud.assignments()}) == 1

    def test_a_machine_that_may_not_end_itself_keeps_its_identity_all_the_same(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder, container: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.prepare_account()
        may = cloud.azure._router.access.may

        def but_for_machines(principal: str, action: str, scope: str) -> bool:
            return not (action == WRITE and "/virtualMachines/" in scope) and may(principal, action, scope)

        monkeypatch.setattr(cloud.azure._router.access, "may", but_for_machines)
        assert provider.launch(asking).guest_end is GuestEnd.NONE
        assert rights(cloud) == [(container, cloud.machine().principal)]

    def test_asked_again_it_gives_no_second_one(self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder) -> None:
        first = provider.launch(asking)
        assert provider.launch(asking).ref == first.ref
        assert len(rights(cloud)) == 1

    def test_a_launch_that_was_broken_off_before_it_was_given_is_finished(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder, container: str
    ) -> None:
        provider.launch(asking)
        cloud.azure._router.access.assignments.clear()
        provider.launch(asking)
        assert rights(cloud) == [(container, cloud.machine().principal)]

    def test_what_it_was_made_for_stands_on_it(self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder) -> None:
        made = provider.launch(asking)
        [one] = cloud.assignments()
        assert json.loads(one.description) == {
            "cloudtrain": "1",
            "machine": made.ref.id,
            "token": "ct-token-1",
            "owner": "Alice@laptop",
        }


class TestRefusals:
    @pytest.mark.parametrize(
        ("url", "kind", "why"),
        [
            ("s3://bucket/x", ConfigError, "cannot reach s3://bucket/x"),
            ("az://numbers/data/", ProviderError, "no storage account numbers"),
            ("az://digits/other/", ProviderError, "no container other in digits"),
        ],
    )
    def test_a_place_that_is_none_is_refused_before_anything_is_made(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder, url: str, kind: type[Exception], why: str
    ) -> None:
        with pytest.raises(kind, match=why):
            provider.launch(replace(asking, checkpoints=url))
        assert cloud.azure.machines() == []
        assert list(cloud.azure.account.groups) == ["somebody-s"]
        assert provider._account.keys.made_before(provider._account.now() + timedelta(days=1)) == set()

    def test_who_may_not_give_it_is_told_and_nothing_is_left(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder
    ) -> None:
        cloud.azure.account.denied = {WRITE}
        with pytest.raises(PermissionDeniedError, match="The machine's right to az://digits/data/runs/") as raised:
            provider.launch(asking)
        assert WRITE in raised.value.message
        assert "leave `checkpoints` out" in raised.value.hint
        cloud.azure.advance(300)
        assert (cloud.azure.machines(), list(cloud.azure.account.groups)) == ([], ["somebody-s"])

    def test_a_launch_that_fails_later_takes_it_back(self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder) -> None:
        cloud.fail("Microsoft.Compute:virtualMachines/PUT", "AllocationFailed")
        with pytest.raises(ProviderError, match="AllocationFailed"):
            provider.launch(asking)
        assert cloud.counted(PUT) == 1
        assert rights(cloud) == []


class TestTakingBack:
    def test_it_goes_with_the_machine(self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder) -> None:
        made = provider.launch(asking)
        provider.terminate(made.ref)
        assert rights(cloud) == []
        cloud.azure.advance(600)
        assert (cloud.azure.machines(), list(cloud.azure.account.groups)) == ([], ["somebody-s"])
        assert provider.leftovers() == []

    def test_it_stays_while_the_machine_is_off_and_on_again(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder, clock: FakeClock
    ) -> None:
        made = provider.launch(asking)
        provider.stop(made.ref)
        cloud.azure.advance(600)
        provider.start(made.ref, Lease((clock.now() + timedelta(hours=5)).replace(microsecond=0), 0.5))
        assert len(rights(cloud)) == 1

    @pytest.mark.parametrize("how", ["unanswered", "denied"])
    def test_a_machine_ends_though_its_right_cannot_be_taken_back_and_it_is_found_later(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder, how: str
    ) -> None:
        made = provider.launch(asking)
        cloud.fail(DELETE, "" if how == "unanswered" else "AuthorizationFailed", http=403 if how == "denied" else 0, times=9)
        provider.terminate(made.ref)
        later(cloud)
        assert cloud.azure.machines() == []
        cloud.azure.faults.clear()
        [left] = provider.leftovers()
        assert (left.kind, left.token, left.owner, left.usd_per_month) == ("role", "ct-token-1", "Alice@laptop", 0.0)
        provider.remove(left)
        provider.remove(left)
        assert (rights(cloud), provider.leftovers()) == ([], [])

    def test_that_of_a_machine_that_deleted_itself_goes_with_its_group(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder
    ) -> None:
        provider.launch(asking)
        gone_by_itself(cloud)
        later(cloud)
        [left] = provider.leftovers()
        assert left.kind == "group"
        provider.remove(left)
        assert rights(cloud) == []

    def test_that_of_a_machine_that_lives_is_no_leftover_nor_one_just_given(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder, make_left: Callable[[], Leftover]
    ) -> None:
        provider.launch(asking)
        later(cloud)
        assert provider.leftovers() == []
        left = make_left()
        assert left.token == "ct-token-9"

    @pytest.fixture
    def make_left(self, cloud: Cloud, provider: AzureProvider, container: str) -> Callable[[], Leftover]:
        """Give a right to a machine that nobody knows any more, and find it when it is old enough."""

        def make() -> Leftover:
            mark = json.dumps({"cloudtrain": "1", "machine": "ct-token-9", "token": "ct-token-9", "owner": "Bob"})
            assign(provider._account, container, mark)
            assert provider.leftovers() == []
            later(cloud)
            [left] = provider.leftovers()
            return left

        return make

    @pytest.mark.parametrize("described", ["", "the web server's", "{}", '{"cloudtrain": "2", "machine": "x"}', "[]"])
    def test_somebody_else_s_is_never_touched(
        self, provider: AzureProvider, cloud: Cloud, container: str, described: str
    ) -> None:
        id = assign(provider._account, container, described)
        later(cloud)
        assert provider.leftovers() == []
        with pytest.raises(ProviderError, match="not given to a machine of ours"):
            provider.remove(Leftover("azure", "role", id))
        assert len(cloud.assignments()) == 1

    @pytest.mark.parametrize("id", ["x", "/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/" + "0" * 36])
    def test_what_is_no_right_to_a_container_is_not_removed_as_one(
        self, provider: AzureProvider, cloud: Cloud, id: str
    ) -> None:
        with pytest.raises(ProviderError, match="nothing that a launch on Azure leaves"):
            provider.remove(Leftover("azure", "role", id))
        assert cloud.named() == []

    def test_who_may_not_list_rights_sees_the_other_leftovers(
        self, provider: AzureProvider, cloud: Cloud, asking: LaunchOrder
    ) -> None:
        provider.launch(asking)
        gone_by_itself(cloud)
        later(cloud)
        cloud.azure.account.denied = {"Microsoft.Authorization/roleAssignments/read"}
        assert [left.kind for left in provider.leftovers()] == ["group"]


def assign(account: Account, container: str, description: str) -> str:
    """Give somebody who is no machine the role, described so; return its id."""
    id = f"{container}/providers/Microsoft.Authorization/roleAssignments/44444444-4444-4444-8444-444444444444"
    role = account.arm.below(f"providers/Microsoft.Authorization/roleDefinitions/{checkpoints.ROLE_NAME}")
    given = {"roleDefinitionId": role, "principalId": "somebody", "principalType": "User", "description": description}
    account.arm.call("w", "PUT", id, api="2022-04-01", body={"properties": given})
    return id


def test_the_page_s_rights_are_enough_and_hold_nothing_needless(
    provider: AzureProvider, cloud: Cloud, asking: LaunchOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    allowed = [{"actions": [*EVERYDAY, *FOR_CHECKPOINTS]}]

    def may(principal: str, action: str, scope: str) -> bool:
        seen.add(action)
        return is_held(action, allowed)

    monkeypatch.setattr(cloud.azure._router.access, "may", may)
    provider.region_of(asking.checkpoints)
    made: Instance = provider.launch(asking)
    provider.terminate(made.ref)
    later(cloud)
    provider.leftovers()
    assert rights(cloud) == []
    # That it has none to end itself is looked up, too.
    assert seen <= {*EVERYDAY, *FOR_CHECKPOINTS, *FOR_OWN_END}
    assert seen >= set(FOR_CHECKPOINTS)


def test_another_subscription_s_machine_is_not_looked_for(provider: AzureProvider, cloud: Cloud, asking: LaunchOrder) -> None:
    made = provider.launch(asking)
    provider.terminate(InstanceRef("azure", "ct-nobody", "eastus"))
    assert rights(cloud) != []
    provider.terminate(made.ref)
    assert rights(cloud) == []
