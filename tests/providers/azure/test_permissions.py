"""What is called, what that needs, and the page that says so: one list."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloudtrain.model.errors import ProviderUnavailableError
from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.lease import GuestEnd, Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Resources
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.permissions import (
    BESIDE,
    CALLED,
    EVERYDAY,
    FOR_OWN_END,
    FOR_SETUP,
    is_held,
    permission_findings,
    role,
)
from cloudtrain.providers.azure.provider import AzureProvider
from cloudtrain.testing.clock import FakeClock

from .answers import Answers, denied
from .conftest import OTHER_SIZE, Cloud

ROOT = Path(__file__).resolve().parents[3]
LIST = "Microsoft.Authorization/permissions/read"

OWNER = {"actions": ["*"], "notActions": []}
CONTRIBUTOR = {
    "actions": ["*"],
    "notActions": [
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.Blueprint/blueprintAssignments/write",
    ],
}
READER = {"actions": ["*/read"], "notActions": []}


def findings(*roles: dict) -> list:
    found = permission_findings(Answers({LIST: {"value": list(roles)}}))
    assert [finding for finding in found if not finding.ok and not finding.hint] == []
    return found


def test_an_owner_has_all_of_them() -> None:
    everyday, own_end = findings(OWNER)
    assert (everyday.ok, everyday.message) == (True, f"all {len(EVERYDAY)} that cloudtrain needs are held")
    assert own_end.ok
    assert "cloudtrain setup azure" in own_end.message


def test_a_contributor_cannot_let_machines_end_themselves_and_is_told() -> None:
    everyday, own_end = findings(CONTRIBUTOR)
    assert everyday.ok
    assert own_end.ok
    assert "Microsoft.Authorization/roleAssignments/write not held" in own_end.message
    assert "schedules alone" in own_end.message


def test_a_reader_is_told_what_is_missing() -> None:
    everyday, _ = findings(READER)
    assert not everyday.ok
    missing = [action for action in EVERYDAY if not action.endswith("/read")]
    assert everyday.message == f"{len(missing)} of {len(EVERYDAY)} are not held: {', '.join(missing)}"


def test_roles_add_up_and_take_away_only_from_themselves() -> None:
    half = {"actions": list(EVERYDAY[::2]), "notActions": []}
    other_half = {"actions": [action.upper() for action in EVERYDAY[1::2]], "notActions": list(EVERYDAY[::2])}
    assert findings(half, other_half)[0].ok
    assert not findings(half)[0].ok


@pytest.mark.parametrize(
    ("pattern", "is_meant"),
    [
        ("*", True),
        ("Microsoft.Compute/*", True),
        ("microsoft.compute/virtualmachines/*/action", True),
        ("Microsoft.Compute/virtualMachines/start/action", True),
        ("Microsoft.Compute/virtualMachines/start", False),
        ("Microsoft_Compute/virtualMachines/start/action", False),
        ("*/read", False),
    ],
)
def test_a_star_stands_for_anything_and_a_dot_for_itself(pattern: str, is_meant: bool) -> None:
    assert is_held("Microsoft.Compute/virtualMachines/start/action", [{"actions": [pattern]}]) is is_meant
    assert (
        is_held("Microsoft.Compute/virtualMachines/start/action", [{"actions": ["*"], "notActions": [pattern]}]) is not is_meant
    )


@pytest.mark.parametrize("error", [denied(LIST), ProviderUnavailableError("no answer")])
def test_permissions_that_cannot_be_looked_at_are_a_finding(error: Exception) -> None:
    [found] = permission_findings(Answers({LIST: error}))
    assert not found.ok
    assert "cannot be looked at" in found.message
    assert found.hint


def test_actions_are_in_azure_s_words_and_each_stands_once() -> None:
    everything = [*CALLED, *BESIDE, *FOR_OWN_END, *FOR_SETUP]
    assert [each for each in everything if not re.fullmatch(r"Microsoft\.\w+(/\w+)+/(read|write|delete|action)", each)] == []
    assert len(set(everything)) == len(everything)
    assert list(EVERYDAY) == sorted(EVERYDAY, key=str.lower)


def test_nobody_switches_a_machine_off_without_deallocating_it() -> None:
    assert not [each for each in EVERYDAY if "poweroff" in each.lower()]


class TestOnThePretendCloud:
    """A login that has just the role of the page, and what it can do with it."""

    @pytest.fixture
    def asked(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> set[str]:
        """Hold the login to the roles of the page; return the actions that it asked for."""
        access, seen = cloud.azure._router.access, set()
        # The pretend cloud calls it by another name than Azure's own list of operations does.
        own_words = {"Microsoft.Resources/providers/read": "Microsoft.Resources/subscriptions/providers/read"}
        allowed = [{"actions": [*EVERYDAY, *FOR_OWN_END, *FOR_SETUP]}]

        def may(principal: str, action: str, scope: str) -> bool:
            seen.add(own_words.get(action, action))
            return is_held(own_words.get(action, action), allowed)

        monkeypatch.setattr(access, "may", may)
        return seen

    def test_the_page_s_roles_are_enough_for_every_verb_and_hold_nothing_needless(
        self, asked: set[str], cloud: Cloud, provider: AzureProvider, order: LaunchOrder, offer: Offer, clock: FakeClock
    ) -> None:
        provider.prepare_account()
        made = provider.launch(order)
        assert made.guest_end is GuestEnd.DELETE
        # The one with a driver to be brought; without it nothing is put into a machine.
        a10 = Offer("azure", "Standard_NV36ads_A10_v5", offer.region, usd_per_hour=3.2, gpu="A10", gpu_count=1)
        provider.terminate(provider.launch(replace(order, token="ct-a10", offer=a10)).ref)
        cloud.azure.advance(600)
        provider.check()
        provider.offers(Resources())
        provider.outlook(order.machine, offer)
        assert provider.list_owned()
        provider.leftovers()
        later = Lease((clock.now() + timedelta(hours=5)).replace(microsecond=0), 0.5)
        provider.extend(made.ref, later)
        provider.let_in(made.ref)
        provider.stop(made.ref)
        cloud.azure.advance(600)
        provider.resize(made.ref, replace(offer, instance_type=OTHER_SIZE))
        provider.start(made.ref, Lease(later.deadline, 0.5))
        clock.advance(900)
        cloud.azure._router._clear(cloud.machine().resource)  # it has deleted itself, and its group is left
        [left] = provider.leftovers()
        assert left.kind == "group"
        provider.terminate(made.ref)
        cloud.azure.advance(600)
        provider.terminate(made.ref)
        assert cloud.azure.machines() == []
        # A sweep looks for rights to checkpoints, too; who may not look sees none.
        assert asked <= {*EVERYDAY, *FOR_OWN_END, *FOR_SETUP, "Microsoft.Authorization/roleAssignments/read"}
        assert asked >= {*CALLED, *FOR_OWN_END, *FOR_SETUP}

    @pytest.mark.parametrize(("role", "may"), [("Owner", "may be given"), ("Contributor", "cannot be given")])
    def test_what_azure_says_of_its_own_roles(self, cloud: Cloud, account: Account, role: str, may: str) -> None:
        cloud.azure.account.caller_role = role
        everyday, own_end = permission_findings(account.arm)
        assert everyday.ok
        assert f"machines {may} the right to end themselves" in own_end.message


def test_a_role_is_written_as_the_cli_reads_it() -> None:
    written = json.loads(role("cloudtrain", "why", ("B/c/read", "a/b/write")))
    assert written["Actions"] == ["a/b/write", "B/c/read"]
    assert (written["Name"], written["IsCustom"], written["AssignableScopes"]) == (
        "cloudtrain",
        True,
        ["/subscriptions/SUBSCRIPTION"],
    )
