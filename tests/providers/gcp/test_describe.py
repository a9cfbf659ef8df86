"""Google's description of a machine in the contract's words."""

from datetime import UTC, datetime, timedelta

import pytest

from cloudtrain.model.instance import InstanceState
from cloudtrain.model.spec import Market
from cloudtrain.providers.gcp import notes
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.describe import AHEAD, deadline_of, latest_of, shown, state_of

DEADLINE = datetime(2026, 11, 21, 14, tzinfo=UTC)


def machine(
    status: str = "RUNNING", noted: str = DEADLINE.isoformat(), ends: datetime | None = DEADLINE - AHEAD, **more: object
) -> dict:
    end = {"terminationTimestamp": ends.isoformat()} if ends is not None else {}
    return {
        "name": "ct-1",
        "zone": "https://host/compute/v1/projects/p/zones/us-central1-a",
        "machineType": "https://host/compute/v1/projects/p/zones/us-central1-a/machineTypes/g2-standard-4",
        "status": status,
        "metadata": {"items": [{"key": "cloudtrain", "value": notes.text({"deadline": noted, "name": "mine"})}]},
        "resourceStatus": {"scheduling": end},
        **more,
    }


@pytest.mark.parametrize(
    ("status", "state", "bills"),
    [
        ("PROVISIONING", InstanceState.PENDING, True),
        ("STAGING", InstanceState.PENDING, True),
        ("RUNNING", InstanceState.RUNNING, True),
        ("PENDING_STOP", InstanceState.STOPPING, True),
        ("STOPPING", InstanceState.STOPPING, True),
        ("SUSPENDING", InstanceState.STOPPING, True),
        ("SUSPENDED", InstanceState.POWERED_OFF, True),
        ("TERMINATED", InstanceState.STOPPED, False),
        ("DEPROVISIONING", InstanceState.TERMINATING, True),
        ("REPAIRING", InstanceState.UNKNOWN, True),
        ("A_NEW_WORD", InstanceState.UNKNOWN, True),
        ("", InstanceState.UNKNOWN, True),
    ],
)
def test_a_state_is_what_google_names_and_a_word_nobody_knows_may_bill(status: str, state: InstanceState, bills: bool) -> None:
    assert state_of({"status": status}) is state
    assert state.bills_compute is bills


def test_the_deadline_is_the_noted_one_where_google_has_an_end() -> None:
    assert deadline_of(machine()) == DEADLINE
    assert latest_of(machine()) == DEADLINE


def test_without_an_end_of_googles_there_is_no_deadline_whatever_is_noted() -> None:
    assert deadline_of(machine(ends=None)) is None


def test_an_end_before_the_noted_one_counts_and_so_does_a_noted_one_before_the_end() -> None:
    assert deadline_of(machine(ends=DEADLINE - timedelta(hours=1))) == DEADLINE - timedelta(hours=1) + AHEAD
    assert deadline_of(machine(ends=DEADLINE + timedelta(hours=1))) == DEADLINE


def test_a_note_that_somebody_spoilt_leaves_googles_end() -> None:
    assert deadline_of(machine(noted="soon")) == DEADLINE


def test_a_machine_that_is_coming_has_the_end_that_was_asked_for() -> None:
    asked = {"terminationTime": (DEADLINE - AHEAD).isoformat()}
    assert deadline_of(machine("STAGING", ends=None, scheduling=asked)) == DEADLINE
    assert deadline_of(machine("STAGING", ends=None, scheduling={})) is None


def test_a_stopped_machine_has_none() -> None:
    assert deadline_of(machine("TERMINATED")) is None


@pytest.mark.parametrize(
    ("interface", "address"),
    [
        ({"accessConfigs": [{"natIP": "203.0.113.5"}], "networkIP": "10.0.0.5"}, "203.0.113.5"),
        ({"accessConfigs": [{}], "networkIP": "10.0.0.5"}, "10.0.0.5"),
        ({"ipv6AccessConfigs": [{"externalIpv6": "2001:db8::5"}], "networkIP": "10.0.0.5"}, "2001:db8::5"),
        ({}, ""),
    ],
)
def test_the_public_address_is_the_one_to_type(account: Account, interface: dict, address: str) -> None:
    assert shown(machine(networkInterfaces=[interface]), account).address == address


@pytest.mark.parametrize("scheduling", [{"provisioningModel": "SPOT"}, {"preemptible": True}])
def test_spot_is_what_google_calls_so(account: Account, scheduling: dict) -> None:
    assert shown(machine(scheduling=scheduling), account).market is Market.SPOT
    assert shown(machine(), account).market is Market.ON_DEMAND


def test_when_google_itself_ends_it_is_shown_beside_the_deadline_it_keeps(account: Account) -> None:
    seen = shown(machine(), account)
    assert (seen.cloud_ends_at, seen.deadline) == (DEADLINE - AHEAD, DEADLINE)


def test_a_machine_without_our_note_is_shown_as_far_as_it_is_known(account: Account) -> None:
    seen = shown({**machine(), "metadata": {}}, account)
    assert (seen.name, seen.instance_type, seen.usd_per_hour, seen.owner, seen.token) == ("ct-1", "g2-standard-4", None, "", "")
    assert (seen.ref.region, seen.ref.zone, seen.endpoint) == ("us-central1", "us-central1-a", None)


def test_the_console_is_where_the_machine_is(account: Account) -> None:
    address = shown(machine(), account).console_url
    assert address.endswith("/zones/us-central1-a/instances/ct-1?project=cloudtrain-playground")


@pytest.mark.parametrize("written", ["", "[]", "{", "1"])
def test_a_note_that_is_none_is_empty(written: str) -> None:
    assert notes.read(written) == {}
