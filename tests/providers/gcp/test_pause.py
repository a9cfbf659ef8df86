"""Off, on and resized: what is kept, what is told, what Google refuses."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from cloudtrain.model.errors import (
    InstanceNotFoundError,
    NoCapacityError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
)
from cloudtrain.model.instance import Instance, InstanceState, LaunchOrder
from cloudtrain.model.lease import Lease
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Market
from cloudtrain.providers.gcp import notes
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.describe import AHEAD
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.testing.clock import FakeClock

from .conftest import Cloud

Stopped = Callable[..., Instance]


@pytest.fixture
def stopped(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> Stopped:
    def stop(**changes: object) -> Instance:
        launched = provider.launch(replace(order, **changes) if changes else order)
        provider.stop(launched.ref)
        cloud.gcp.advance(60)
        cloud.gcp.forget_calls()
        return provider.get(launched.ref)

    return stop


@pytest.fixture
def lease(clock: FakeClock) -> Lease:
    return Lease((clock.now() + timedelta(hours=9)).replace(microsecond=0), 0.724)


def test_a_stopped_machine_costs_its_disk_and_has_no_deadline(stopped: Stopped, cloud: Cloud) -> None:
    seen = stopped()
    assert (seen.state, seen.state.bills_compute, seen.deadline, seen.usd_per_month_stopped) == (
        InstanceState.STOPPED,
        False,
        None,
        10.0,
    )
    cloud.gcp.advance(30 * 3600)
    assert len(cloud.gcp.machines()) == 1


def test_a_stopped_machine_has_no_address_also_after_it_was_given_another_type(
    stopped: Stopped, provider: GcpProvider, order: LaunchOrder
) -> None:
    seen = stopped()
    assert (seen.address, seen.endpoint) == ("", None)
    provider.resize(seen.ref, replace(order.offer, instance_type="g2-standard-8", zone=""))
    assert provider.get(seen.ref).address == ""


def test_a_stopped_machine_is_not_stopped_again(stopped: Stopped, provider: GcpProvider, cloud: Cloud) -> None:
    ref = stopped().ref
    provider.stop(ref)
    assert "compute.instances.stop" not in cloud.named()


def test_a_spot_machine_can_be_stopped_and_kept(stopped: Stopped, order: LaunchOrder) -> None:
    assert stopped(offer=replace(order.offer, market=Market.SPOT)).state is InstanceState.STOPPED


def test_a_machine_that_is_stopping_is_not_started(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, lease: Lease
) -> None:
    cloud.gcp.durations.stopping = 30.0
    ref = provider.launch(order).ref
    provider.stop(ref)
    assert provider.get(ref).state is InstanceState.STOPPING
    with pytest.raises(ProviderUnavailableError, match="still stopping"):
        provider.start(ref, lease)


def test_a_started_machine_has_its_end_moved_before_it_runs(
    stopped: Stopped, provider: GcpProvider, cloud: Cloud, lease: Lease, account: Account, clock: FakeClock
) -> None:
    before = stopped()
    clock.advance(100)
    started = provider.start(before.ref, lease)
    assert (started.state, started.deadline, started.ref) == (InstanceState.RUNNING, lease.deadline, before.ref)
    named = cloud.named()
    order = [named.index(f"compute.instances.{verb}") for verb in ("setMetadata", "setScheduling", "start")]
    assert order == sorted(order)
    [made] = cloud.bodies()
    assert made["scheduling"]["terminationTime"] == (lease.deadline - AHEAD).isoformat()
    said = notes.metadata(made)
    assert str(int(lease.deadline.timestamp())) in said["user-data"]
    assert account.keys.keys_of(before.ref.id).host_key.splitlines()[2] in said["user-data"]
    assert notes.of_machine(made)["issued"] == clock.now().isoformat()
    assert cloud.gcp.violations() == []


def test_a_started_machine_lets_the_caller_in_as_of_now(
    provider: GcpProvider,
    cloud: Cloud,
    order: LaunchOrder,
    lease: Lease,
    make_account: Callable[..., Account],
) -> None:
    ref = provider.launch(order).ref
    provider.stop(ref)
    cloud.gcp.advance(60)
    elsewhere = replace(order.machine, ssh=replace(order.machine.ssh, allow_from=("203.0.113.9/32",)))
    GcpProvider(make_account(elsewhere).settings).start(ref, lease)
    assert cloud.gcp.may_reach("203.0.113.9", ref.id)
    assert not cloud.gcp.may_reach("198.51.100.7", ref.id)


def test_a_machine_the_caller_would_not_reach_is_not_started(
    stopped: Stopped, provider: GcpProvider, cloud: Cloud, lease: Lease
) -> None:
    ref = stopped().ref
    cloud.fail("compute.firewalls.list", "forbidden")
    with pytest.raises(PermissionDeniedError):
        provider.start(ref, lease)
    assert "compute.instances.start" not in cloud.named()


def test_no_room_leaves_the_machine_stopped(stopped: Stopped, provider: GcpProvider, cloud: Cloud, lease: Lease) -> None:
    ref = stopped().ref
    cloud.fail("compute.instances.start", "ZONE_RESOURCE_POOL_EXHAUSTED")
    with pytest.raises(NoCapacityError):
        provider.start(ref, lease)
    cloud.gcp.advance(60)
    assert provider.get(ref).state is InstanceState.STOPPED


def test_a_machine_whose_keys_are_elsewhere_is_not_started(
    stopped: Stopped, provider: GcpProvider, account: Account, lease: Lease
) -> None:
    ref = stopped().ref
    account.keys.forget(ref.id)
    with pytest.raises(ProviderError, match="rented from another computer"):
        provider.start(ref, lease)


def test_a_stopped_machine_has_no_deadline_to_move(stopped: Stopped, provider: GcpProvider, lease: Lease) -> None:
    with pytest.raises(ProviderError, match="no deadline to move"):
        provider.extend(stopped().ref, lease)


def test_a_refused_extension_changes_nothing(provider: GcpProvider, cloud: Cloud, order: LaunchOrder, lease: Lease) -> None:
    launched = provider.launch(order)
    before = cloud.bodies()[0]["scheduling"]
    with pytest.raises(ProviderError) as caught:
        provider.extend(launched.ref, lease)
    assert "cloudtrain stop gcp-mine" in caught.value.hint
    assert cloud.bodies()[0]["scheduling"] == before
    assert provider.get(launched.ref).deadline == order.lease.deadline


def test_trouble_at_an_extension_is_not_taken_for_a_refusal(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, lease: Lease
) -> None:
    launched = provider.launch(order)
    cloud.fail("compute.instances.setScheduling", "backendError", times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.extend(launched.ref, lease)


def test_a_deadline_that_google_moves_all_the_same_is_moved(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudtrain.providers.gcp import leasing
    from cloudtrain.providers.gcp.machines import Found

    def allowed(found: Found, deadline: object, account: Account) -> None:
        shown = (lease.deadline - AHEAD).isoformat()
        cloud.gcp.machines()[0].body["resourceStatus"]["scheduling"]["terminationTimestamp"] = shown

    launched = provider.launch(order)
    monkeypatch.setattr(leasing, "schedule_end", allowed)
    provider.extend(launched.ref, lease)
    assert provider.get(launched.ref).deadline == lease.deadline


def test_a_stopped_machine_takes_another_size_and_its_price(stopped: Stopped, provider: GcpProvider, cloud: Cloud) -> None:
    before = stopped()
    larger = Offer("gcp", "g2-standard-8", before.ref.region, zone=before.ref.zone, usd_per_hour=0.85, gpu="L4", gpu_count=1)
    provider.resize(before.ref, larger)
    cloud.gcp.forget_calls()
    provider.resize(before.ref, larger)
    assert "compute.instances.setMachineType" not in cloud.named()
    seen = provider.get(before.ref)
    assert (seen.instance_type, seen.usd_per_hour, seen.state) == ("g2-standard-8", 0.85, InstanceState.STOPPED)
    assert cloud.bodies()[0]["machineType"].endswith("/g2-standard-8")


def test_gpus_that_are_attached_stay_as_they_are(stopped: Stopped, provider: GcpProvider, order: LaunchOrder) -> None:
    before = stopped(offer=replace(order.offer, instance_type="n1-standard-4+nvidia-tesla-t4"))
    one = Offer("gcp", "n1-standard-8+nvidia-tesla-t4", before.ref.region, usd_per_hour=0.9)
    provider.resize(before.ref, one)
    for other in ("n1-standard-8+2xnvidia-tesla-t4", "n1-standard-8", "n1-standard-8+nvidia-tesla-p100"):
        with pytest.raises(ProviderError, match="other GPUs attached"):
            provider.resize(before.ref, replace(one, instance_type=other))
    assert provider.get(before.ref).instance_type == "n1-standard-8+nvidia-tesla-t4"


def test_a_disk_does_not_move(stopped: Stopped, provider: GcpProvider, order: LaunchOrder) -> None:
    ref = stopped().ref
    with pytest.raises(ProviderError, match="a disk does not move to europe-west4"):
        provider.resize(ref, replace(order.offer, region="europe-west4", zone=""))


def test_a_machine_that_is_none_of_ours_is_not_touched(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    cloud.gcp.machines()[0].body["labels"].clear()
    with pytest.raises(InstanceNotFoundError, match="of ours"):
        provider.stop(ref)
    provider.terminate(ref)
    assert len(cloud.gcp.machines()) == 1


def test_what_only_moves_in_maintenance_and_what_never_does_are_not_made_of_one_another(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, stopped: Stopped
) -> None:
    with_gpu = order.offer
    small = replace(with_gpu, instance_type="e2-standard-4", gpu="", gpu_count=0)
    for has, wanted, token in ((small, with_gpu, "ct-token-8"), (with_gpu, small, "ct-token-9")):
        before = stopped(offer=has, token=token)
        with pytest.raises(ProviderError, match="go through its maintenance in different ways"):
            provider.resize(before.ref, wanted)
        assert provider.get(before.ref).instance_type == has.instance_type
    assert "compute.instances.setMachineType" not in cloud.named()
    before = stopped(offer=small, token="ct-token-7")
    provider.resize(before.ref, replace(small, instance_type="e2-standard-8"))
    assert provider.get(before.ref).instance_type == "e2-standard-8"
