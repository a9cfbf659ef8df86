"""TPU machines: queued with an end of Google's, looked at, ended, and refused where nothing would end them."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from cloudtrain.model.errors import (
    ConfigError,
    InstanceNotFoundError,
    NoCapacityError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from cloudtrain.model.instance import Instance, InstanceState, LaunchOrder, Leftover, SshEndpoint
from cloudtrain.model.lease import GuestEnd, Lease
from cloudtrain.model.spec import MachineSpec, Market, OnFinish, Resources, SshSettings
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.providers.gcp.tpu_request import COMING_S, QUEUE_S
from cloudtrain.stages import shut_down
from cloudtrain.testing.clock import FakeClock

from .conftest import Cloud

TYPE, ZONE, ELSEWHERE = "v5litepod-4", "us-west4-a", "us-central1-a"
BELOW = "tpu.projects.locations"
Remains = Callable[[], dict[str, list[str]]]


@pytest.fixture
def machine(cloud: Cloud) -> MachineSpec:
    allowed = SshSettings(allow_from=("198.51.100.7/32",))
    return MachineSpec("gcp-tpu", "gcp", regions=("us-west4",), instance_types=(TYPE,), endpoint_url=cloud.gcp.url, ssh=allowed)


@pytest.fixture
def order(provider: GcpProvider, machine: MachineSpec, clock: FakeClock) -> LaunchOrder:
    [offer] = [each for each in provider.offers(Resources()) if each.named_by(machine)]
    lease = Lease((clock.now() + timedelta(hours=2)).replace(microsecond=0), 4.8)
    return LaunchOrder("ct-token-1", machine, offer, lease, "Alice@laptop", run_id="run-7")


def request_of(cloud: Cloud) -> dict:
    [request] = cloud.gcp.account.queued.values()
    return request


def node_of(cloud: Cloud) -> dict:
    return request_of(cloud)["tpu"]["nodeSpec"][0]["node"]


def running(provider: GcpProvider, order: LaunchOrder) -> Instance:
    ref = provider.launch(order).ref
    seen = [provider.get(ref) for _ in range(3)]
    assert seen[-1].state is InstanceState.RUNNING
    return seen[-1]


def elsewhere(order: LaunchOrder, market: Market = Market.ON_DEMAND, *, attended: bool = False) -> LaunchOrder:
    offer = replace(order.offer, region="us-central1", zone=ELSEWHERE, market=market)
    return replace(order, offer=offer, machine=replace(order.machine, attended=attended))


@pytest.mark.usefixtures("cloud_sleeps_too")
def test_a_tpu_is_asked_for_with_an_end_that_keeps_the_lease_however_long_it_waits(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    cloud.gcp.durations.tpu = 20
    launched = provider.launch(order)
    request = request_of(cloud)
    assert request["provisioningModel"] == "FLEX_START"
    assert request["queueingPolicy"] == {"validUntilDuration": "300s"}
    assert request["runDuration"] == {"maxRunDuration": f"{7200 - QUEUE_S - COMING_S:.0f}s"}
    assert (launched.ref.id, launched.ref.zone, launched.state) == ("tpu/ct-token-1", ZONE, InstanceState.PENDING)
    assert launched.deadline == order.lease.deadline
    assert cloud.gcp.violations() == []


def test_a_tpu_runs_with_the_keys_of_its_order_and_shows_the_end_google_has_set(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, clock: FakeClock
) -> None:
    seen = running(provider, order)
    assert isinstance(seen.endpoint, SshEndpoint)
    assert (seen.name, seen.token, seen.owner, seen.instance_type) == ("gcp-tpu", "ct-token-1", "Alice@laptop", TYPE)
    assert (seen.gpu_count, seen.usd_per_hour, seen.guest_end) == (4, 4.8, GuestEnd.NONE)
    assert seen.deadline == clock.now() + timedelta(seconds=7200 - QUEUE_S - COMING_S)
    [booted] = cloud.hypervisor.orders
    assert seen.endpoint.host_keys[0].encode() in booted.user_data
    assert b"shutdown -h" not in booted.user_data  # switching itself off would end nothing that is paid for


def test_a_tpu_has_our_note_our_labels_little_right_and_a_shut_port(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    provider.launch(order)
    node = node_of(cloud)
    assert node["labels"]["cloudtrain"] == "1"
    assert json.loads(node["metadata"]["cloudtrain"])["token"] == "ct-token-1"
    assert node["serviceAccount"] == {"scope": ["https://www.googleapis.com/auth/logging.write"]}
    assert node["metadata"]["block-project-ssh-keys"] == "TRUE"
    assert node["tags"] == ["ct-token-1"]
    rules = {name: rule for name, rule in cloud.gcp.account.firewalls.items() if not name.startswith("default-")}
    assert sorted(rules) == ["ct-token-1-in", "ct-token-1-shut"]
    assert all(rule["targetTags"] == node["tags"] for rule in rules.values())


def test_the_startup_script_leaves_the_pinned_host_key_alone_in_place(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, account: Account
) -> None:
    provider.launch(order)
    script, keys = node_of(cloud)["metadata"]["startup-script"], account.keys.keys_of("ct-token-1")
    assert keys is not None
    assert keys.host_key.strip() in script
    assert keys.host_public_key.strip() in script
    assert script.index("rm -f /etc/ssh/ssh_host_*_key") < script.index("mv /etc/ssh/ssh_host_ed25519_key.new")


def test_googles_own_end_ends_it_and_what_is_left_costs_nothing_and_goes(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, clock: FakeClock, remains: Remains
) -> None:
    ref = running(provider, order).ref
    cloud.gcp.advance(7200)
    assert provider.get(ref).state is InstanceState.TERMINATED
    assert provider.list_owned() == ()
    clock.advance(7200)
    left = {each.kind: each for each in provider.leftovers()}
    assert left.pop("tpu-request") == Leftover(
        "gcp", "tpu-request", f"{ZONE}/ct-token-1", "us-west4", 0.0, "Alice@laptop", "ct-token-1"
    )
    assert list(left) == ["group"]
    for each in provider.leftovers():
        provider.remove(each)
    assert remains() == {"machines": [], "rules": [], "disks": []}
    assert list(provider.leftovers()) == []
    assert cloud.gcp.account.queued == {}


def test_a_launch_asked_again_makes_no_second_tpu(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    first = provider.launch(order)
    assert provider.launch(order).ref == first.ref
    assert len(cloud.gcp.account.queued) == 1
    assert [each.ref for each in provider.list_owned()] == [first.ref]


def test_what_a_living_tpu_has_is_no_leftover(provider: GcpProvider, order: LaunchOrder, clock: FakeClock) -> None:
    running(provider, order)
    clock.advance(600)
    assert list(provider.leftovers()) == []


def test_terminate_ends_it_and_then_takes_its_rules_and_keys(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, account: Account, remains: Remains
) -> None:
    ref = running(provider, order).ref
    provider.terminate(ref)
    with pytest.raises(InstanceNotFoundError):
        provider.get(ref)
    assert cloud.gcp.account.tpu_nodes == {}
    provider.terminate(ref)
    provider.terminate(ref)
    assert remains()["rules"] == []
    assert account.keys.keys_of("ct-token-1") is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"code": 8, "message": "There is no more capacity in the zone."}, NoCapacityError),
        ({"code": 3, "message": "Preempted during creation"}, NoCapacityError),
        ({"code": 9, "message": "The reservation is full"}, NoCapacityError),
        (
            {"code": 8, "message": "Quota 'TPUV5sPreemptibleLitepodPerProjectPerZone' exhausted. Limit 0 in zone"},
            QuotaExceededError,
        ),
        ({"code": 13, "message": "Internal"}, ProviderError),
        ({}, NoCapacityError),
    ],
)
@pytest.mark.usefixtures("cloud_sleeps_too")
def test_a_request_that_comes_to_nothing_leaves_nothing(
    provider: GcpProvider,
    cloud: Cloud,
    order: LaunchOrder,
    account: Account,
    remains: Remains,
    status: dict,
    kind: type[ProviderError],
) -> None:
    cloud.gcp.account.tpu_troubles[ZONE] = status
    with pytest.raises(kind):
        provider.launch(order)
    assert cloud.gcp.account.queued == {}
    assert remains()["rules"] == []
    assert account.keys.keys_of("ct-token-1") is None


@pytest.mark.usefixtures("cloud_sleeps_too")
def test_a_request_google_never_answers_for_is_given_up(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    cloud.gcp.durations.tpu = 3600
    with pytest.raises(NoCapacityError, match="within 5 minutes"):
        provider.launch(order)
    assert cloud.gcp.account.queued == {}


def test_a_launch_nobody_answered_is_found_by_its_token(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    cloud.fail(f"{BELOW}.queuedResources.create", after=True, times=9)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(order)
    [found] = provider.list_owned()
    assert found.token == order.token
    assert found.deadline is not None
    assert found.deadline <= order.lease.deadline


def test_a_tpu_that_shows_no_end_is_ended_at_once(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudtrain.providers.gcp.tpu_request._bought", lambda *_: {"spot": {}})
    with pytest.raises(ProviderError, match="shows no end where an end by"):
        provider.launch(order)
    assert cloud.gcp.account.queued == {}


def test_where_google_ends_none_the_launch_is_refused_and_says_why(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    cloud.gcp.forget_calls()
    with pytest.raises(ProviderError, match="without this computer nothing would end it") as refused:
        provider.launch(elsewhere(order))
    assert "--attended" in refused.value.hint
    assert "regions: [us-west4]" in refused.value.hint
    assert cloud.named() == []


def test_google_refusing_an_end_is_told_as_such(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    cloud.fail(f"{BELOW}.queuedResources.create", "badRequest", "Invalid value: max_run_duration is not supported here")
    with pytest.raises(ProviderError, match="Google does not take an end for this TPU") as refused:
        provider.launch(order)
    assert "--attended" in refused.value.hint


def test_an_attended_tpu_is_rented_without_an_end_and_shows_its_own(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    launched = provider.launch(elsewhere(order, attended=True))
    assert "runDuration" not in request_of(cloud)
    assert launched.deadline == order.lease.deadline


def test_a_spot_tpu_has_an_end_wherever_it_is_also_when_it_is_attended(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    launched = provider.launch(elsewhere(order, Market.SPOT, attended=True))
    assert request_of(cloud)["spot"] == {}
    assert "maxRunDuration" in request_of(cloud)["runDuration"]
    assert launched.market is Market.SPOT


def test_a_spot_tpu_that_was_taken_back_is_over(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    ref = running(provider, elsewhere(order, Market.SPOT)).ref
    cloud.gcp.reclaim("tpu-ct-token-1")
    assert provider.get(ref).state is InstanceState.TERMINATED
    assert provider.list_owned() == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"at_deadline": OnFinish.STOP}, "not stopped and kept"),
    ],
)
def test_what_no_tpu_does_is_refused_before_anything_is_asked(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, changes: dict, why: str
) -> None:
    cloud.gcp.forget_calls()
    with pytest.raises(ProviderError, match=why):
        provider.launch(replace(order, **changes))
    with pytest.raises(ProviderError, match="v6e-8"):
        provider.launch(replace(order, offer=replace(order.offer, instance_type="v5litepod-256")))
    assert cloud.named() == []


def test_a_tpu_keeps_its_deadline_and_is_not_paused(provider: GcpProvider, order: LaunchOrder) -> None:
    seen = running(provider, order)
    assert seen.deadline is not None
    provider.extend(seen.ref, replace(order.lease, deadline=seen.deadline))
    with pytest.raises(ProviderError, match="moves the end of no TPU"):
        provider.extend(seen.ref, replace(order.lease, deadline=seen.deadline + timedelta(hours=1)))
    for ask in (
        lambda: provider.stop(seen.ref),
        lambda: provider.start(seen.ref, order.lease),
        lambda: provider.resize(seen.ref, order.offer),
    ):
        with pytest.raises(ConfigError, match="can be ended and not stopped") as caught:
            ask()
        assert caught.value.hint == "End it, disk included: cloudtrain terminate gcp-tpu"
    with pytest.raises(InstanceNotFoundError):
        provider.stop(replace(seen.ref, id="tpu/ct-token-2"))


def test_stopping_one_is_refused_at_once_and_not_called_a_failure(
    provider: GcpProvider, order: LaunchOrder, clock: FakeClock
) -> None:
    seen, before = running(provider, order), clock.monotonic()
    with pytest.raises(ConfigError, match="can be ended and not stopped") as caught:
        shut_down.stop(seen, provider, clock, lambda event: None)
    assert clock.monotonic() == before
    assert "again:" not in str(caught.value)


def test_a_new_address_of_the_caller_is_let_in(
    make_account: Callable[[MachineSpec | None], Account], provider: GcpProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    ref = running(provider, order).ref
    moved = replace(order.machine, ssh=SshSettings(allow_from=("203.0.113.9/32",)))
    GcpProvider(make_account(moved).settings).let_in(ref)
    assert cloud.gcp.account.firewalls["ct-token-1-in"]["sourceRanges"] == ["203.0.113.9/32"]


@pytest.mark.parametrize("denial", ["disabled", "denied"])
def test_who_has_no_tpu_service_sees_machines_and_rents_no_tpu(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, denial: str
) -> None:
    if denial == "disabled":
        cloud.gcp.account.disabled_services = {"tpu.googleapis.com"}
    else:
        cloud.gcp.account.denied = {"tpu.nodes.list"}
    assert provider.list_owned() == ()
    assert list(provider.leftovers()) == []
    with pytest.raises(PermissionDeniedError):
        provider.launch(order)
    assert cloud.gcp.account.queued == {}


def test_offers_have_a_price_where_one_is_known_and_a_chip_for_a_gpu(provider: GcpProvider, machine: MachineSpec) -> None:
    found = {(each.zone, each.market): each for each in provider.offers(Resources()) if each.instance_type == TYPE}
    here = found[ZONE, Market.ON_DEMAND]
    assert (here.usd_per_hour, str(here.priced_on), here.source) == (4.8, "2026-08-19", "gpuhunt")
    assert (here.gpu, here.gpu_count, here.gpu_memory_gib, here.vcpus) == ("TPU-v5e", 4, 16, 112)
    assert found["us-east1-c", Market.SPOT].usd_per_hour is None


def test_who_wants_a_gpu_is_offered_no_tpu(make_account: Callable[[MachineSpec | None], Account]) -> None:
    provider = GcpProvider(make_account(None).settings)
    assert [each for each in provider.offers(Resources(gpus=1)) if each.gpu.startswith("TPU")] == []
    assert {each.gpu for each in provider.offers(Resources(gpu="TPU-v6e"))} == {"TPU-v6e"}


def test_an_outlook_names_the_software(provider: GcpProvider, order: LaunchOrder) -> None:
    outlook = provider.outlook(order.machine, order.offer)
    assert (outlook.image, outlook.usd_per_month_stopped) == ("v2-alpha-tpuv5-lite", 0.0)
