"""Operations: followed to their end, at Google's pace, and known again when they are asked for twice."""

import pytest

from cloudtrain.model.errors import ProviderError, ProviderUnavailableError, QuotaExceededError
from cloudtrain.model.instance import LaunchOrder
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.operations import (
    PACE_S,
    TIMEOUT_S,
    Accepted,
    asked,
    request_id,
    until_all_done,
    until_done,
)
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.testing.clock import FakeClock

from .conftest import Cloud


@pytest.fixture
def rule(account: Account, cloud: Cloud) -> dict:
    return {
        "name": "ct-x-in",
        "network": account.below("global/networks/default"),
        "sourceRanges": ["203.0.113.7/32"],
        "allowed": [{"IPProtocol": "tcp", "ports": ["22"]}],
    }


def ask(account: Account, rule: dict, known_by: str = "") -> Accepted:
    path = account.below("global/firewalls")
    return asked(account, "compute.firewalls.insert", "POST", path, body=rule, known_by=known_by)


def test_an_operation_is_waited_for_where_it_is(account: Account, cloud: Cloud, rule: dict) -> None:
    until_done(ask(account, rule), account)
    assert cloud.named() == ["compute.firewalls.insert", "compute.globalOperations.wait"]
    assert "ct-x-in" in cloud.gcp.account.firewalls


def test_one_that_is_done_is_not_asked_for(account: Account, cloud: Cloud) -> None:
    until_done(Accepted("compute.firewalls.insert", "x", {"name": "op", "status": "DONE"}), account)
    until_all_done([], account)
    assert cloud.named() == []


def test_a_wait_that_comes_back_at_once_is_asked_no_faster_than_google_advises(
    account: Account, cloud: Cloud, clock: FakeClock, rule: dict
) -> None:
    cloud.gcp.durations.operation = 7.0
    until_done(ask(account, rule), account)
    assert 7.0 <= clock.monotonic() <= 7.0 + 2 * PACE_S
    assert cloud.named().count("compute.globalOperations.wait") <= 1 + clock.monotonic() / PACE_S


def test_one_that_never_ends_is_let_go(account: Account, cloud: Cloud, clock: FakeClock, rule: dict) -> None:
    cloud.gcp.durations.operation = 1e9
    with pytest.raises(ProviderUnavailableError, match="is not done after 600 s"):
        until_done(ask(account, rule), account)
    assert TIMEOUT_S <= clock.monotonic() <= TIMEOUT_S + 2 * PACE_S


def test_its_own_error_is_read(account: Account, cloud: Cloud, rule: dict) -> None:
    cloud.fail("compute.firewalls.insert", "QUOTA_EXCEEDED", "Quota 'FIREWALLS' exceeded.  Limit: 100.0 globally.")
    with pytest.raises(QuotaExceededError, match="Quota 'FIREWALLS' exceeded"):
        until_done(ask(account, rule), account)


def test_the_same_words_are_the_same_request(account: Account, cloud: Cloud, rule: dict) -> None:
    first, second = ask(account, rule, "token"), ask(account, rule, "token")
    assert first.operation["name"] == second.operation["name"]
    until_done(first, account)
    with pytest.raises(ProviderError, match="alreadyExists"):
        ask(account, rule)


def test_a_request_id_is_a_uuid_that_its_words_give() -> None:
    assert request_id("a", "b") == request_id("a", "b") != request_id("a", "c")
    assert len(request_id("a")) == 36


def test_a_machine_in_the_making_is_waited_for(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, clock: FakeClock
) -> None:
    cloud.gcp.durations.provisioning, cloud.gcp.durations.staging = 20.0, 20.0
    began = clock.monotonic()
    launched = provider.launch(order)
    assert clock.monotonic() - began >= 40.0
    assert launched.deadline == order.lease.deadline
