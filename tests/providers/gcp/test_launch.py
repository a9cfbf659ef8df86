"""A launch: what is asked for, exactly; asked twice; and failing at every call."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from cloudtrain.guest.notice import GcpNotice
from cloudtrain.model.errors import (
    CloudQuotaExceededError,
    NoCapacityError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from cloudtrain.model.instance import InstanceState, LaunchOrder, SshEndpoint
from cloudtrain.model.lease import GuestEnd
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import Market, OnFinish, SshSettings
from cloudtrain.providers.boot import BootOrder, cloud_config
from cloudtrain.providers.gcp import notes
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.describe import AHEAD
from cloudtrain.providers.gcp.insert import scheduling
from cloudtrain.providers.gcp.provider import GcpProvider
from tests.shares import one_in

from .conftest import HERE, REGION, ZONE, Cloud

LOOKS = {"compute.instances.aggregatedList", "compute.networks.get", "compute.images.list"}
ASKED = {"compute.firewalls.insert", "compute.instances.insert"}
BEFORE = {"compute.firewalls.insert", "compute.globalOperations.wait"}
FOLLOWED = {"compute.zoneOperations.wait", "compute.instances.get"}
CALLS = LOOKS | ASKED | BEFORE | FOLLOWED
NOTHING = {"machines": [], "rules": [], "disks": []}
Remains = Callable[[], dict[str, list[str]]]


def keys_in(account: Account) -> list[str]:
    folder = account.settings.home / "gcp" / "keys"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def machine_of(cloud: Cloud) -> dict:
    [body] = cloud.bodies()
    return body


def test_the_machine_is_exactly_this(provider: GcpProvider, cloud: Cloud, order: LaunchOrder, account: Account) -> None:
    launched = provider.launch(order)
    keys = account.keys.keys_of("ct-token-1")
    made = machine_of(cloud)
    assert made["machineType"].endswith(f"zones/{ZONE}/machineTypes/g2-standard-4")
    assert made["tags"]["items"] == ["ct-token-1"]
    assert made["labels"] == {
        "cloudtrain": "1",
        "cloudtrain-name": "gcp-mine",
        "cloudtrain-token": "ct-token-1",  # and no owner: "Alice@laptop" can be no label
        "cloudtrain-run": "run-7",
        "cloudtrain-at-deadline": "terminate",
    }
    said = notes.metadata(made)
    assert json.loads(said.pop("cloudtrain")) == {
        "name": "gcp-mine",
        "token": "ct-token-1",
        "owner": "Alice@laptop",
        "run": "run-7",
        "deadline": order.lease.deadline.isoformat(),
        "issued": keys.issued_at.isoformat(),
        "instance-type": "g2-standard-4",
        "usd-per-hour": "0.706",
        "beside-usd-per-hour": "0.018",
        "gpu-count": "1",
        "at-deadline": "terminate",
        "user": "ubuntu",
        "disk-gb": "100",
    }
    told = BootOrder(
        deadline=order.lease.deadline,
        issued_at=keys.issued_at,
        guest_end=GuestEnd.POWEROFF,
        authorized_key=keys.authorized_key,
        host_key=keys.host_key,
        host_public_key=keys.host_public_key,
    )
    assert said.pop("user-data").encode() == cloud_config(told)
    assert said == {
        "ssh-keys": f"ubuntu:{keys.authorized_key}",
        "block-project-ssh-keys": "TRUE",
        "enable-oslogin": "FALSE",
    }
    assert "serviceAccounts" not in made
    assert "guestAccelerators" not in made or made["guestAccelerators"][0]["acceleratorType"].endswith("nvidia-l4")
    assert launched.state is InstanceState.RUNNING


def test_the_machine_is_bought_with_its_end_in_the_same_request(
    cloud: Cloud, provider: GcpProvider, order: LaunchOrder
) -> None:
    provider.launch(order)
    made = machine_of(cloud)
    bought = {key: made["scheduling"][key] for key in scheduling(order)}
    assert bought == {
        "provisioningModel": "STANDARD",
        "automaticRestart": False,
        "onHostMaintenance": "TERMINATE",
        "instanceTerminationAction": "DELETE",
        "terminationTime": (order.lease.deadline - AHEAD).isoformat(),
    }
    assert cloud.gcp.violations() == []


def test_google_ends_the_machine_and_its_disk_before_it_could_only_switch_itself_off(
    cloud: Cloud, provider: GcpProvider, order: LaunchOrder, remains: Remains
) -> None:
    provider.launch(order)
    cloud.gcp.advance(2 * 3600 - 44)
    assert remains()["machines"] == []
    assert remains()["disks"] == []


def test_a_deadline_may_stop_instead(cloud: Cloud, provider: GcpProvider, order: LaunchOrder, remains: Remains) -> None:
    launched = provider.launch(replace(order, at_deadline=OnFinish.STOP))
    cloud.gcp.advance(2 * 3600)
    seen = provider.get(launched.ref)
    assert (seen.state, seen.deadline, seen.usd_per_month_stopped) == (InstanceState.STOPPED, None, 10.0)
    assert remains()["disks"] == ["ct-token-1"]


def test_the_disk_goes_with_the_machine_and_bears_our_note(cloud: Cloud, provider: GcpProvider, order: LaunchOrder) -> None:
    provider.launch(order)
    [attached] = machine_of(cloud)["disks"]
    assert (attached["boot"], attached["autoDelete"]) == (True, True)
    [disk] = cloud.gcp.account.disks.values()
    assert (disk["sizeGb"], disk["type"].rpartition("/")[2], disk["labels"]["cloudtrain"]) == ("100", "pd-balanced", "1")
    assert json.loads(disk["description"]) == {"name": "gcp-mine", "token": "ct-token-1", "owner": "Alice@laptop"}


def test_the_disk_is_never_smaller_than_the_image(cloud: Cloud, provider: GcpProvider, order: LaunchOrder) -> None:
    provider.launch(replace(order, disk_gb=1))
    [disk] = cloud.gcp.account.disks.values()
    assert int(disk["sizeGb"]) >= 10


def test_a_spot_machine_hears_of_its_end_two_minutes_before(cloud: Cloud, provider: GcpProvider, order: LaunchOrder) -> None:
    launched = provider.launch(replace(order, offer=replace(order.offer, market=Market.SPOT), at_deadline=OnFinish.STOP))
    bought = machine_of(cloud)["scheduling"]
    assert (bought["provisioningModel"], bought["preemptionNoticeDuration"]) == ("SPOT", {"seconds": "120"})
    assert bought["instanceTerminationAction"] == "DELETE"
    assert {"key": GcpNotice.NOTICE_ATTRIBUTE, "value": "120"} in machine_of(cloud)["metadata"]["items"]
    assert launched.market is Market.SPOT


def test_where_google_does_not_know_the_notice_the_machine_is_bought_without(
    cloud: Cloud, provider: GcpProvider, order: LaunchOrder
) -> None:
    told = "Invalid value for field 'resource.scheduling.preemptionNoticeDuration': not here."
    cloud.fail("compute.instances.insert", "invalid", told)
    provider.launch(replace(order, offer=replace(order.offer, market=Market.SPOT)))
    assert "preemptionNoticeDuration" not in machine_of(cloud)["scheduling"]
    assert GcpNotice.NOTICE_ATTRIBUTE not in {item["key"] for item in machine_of(cloud)["metadata"]["items"]}


@pytest.mark.parametrize(
    ("instance_type", "count"), [("n1-standard-4+nvidia-tesla-t4", 1), ("n1-standard-8+2xnvidia-tesla-t4", 2)]
)
def test_gpus_are_attached_to_a_general_machine(
    cloud: Cloud, provider: GcpProvider, order: LaunchOrder, instance_type: str, count: int
) -> None:
    launched = provider.launch(replace(order, offer=replace(order.offer, instance_type=instance_type)))
    made = machine_of(cloud)
    assert made["machineType"].rpartition("/")[2] == instance_type.partition("+")[0]
    [attached] = made["guestAccelerators"]
    assert (attached["acceleratorType"].rpartition("/")[2], attached["acceleratorCount"]) == ("nvidia-tesla-t4", count)
    assert launched.instance_type == instance_type


def test_a_small_machine_on_demand_moves_instead_of_ending(cloud: Cloud, provider: GcpProvider, order: LaunchOrder) -> None:
    small = Offer("gcp", "e2-standard-4", REGION, zone=ZONE, usd_per_hour=0.134)
    provider.launch(replace(order, offer=small))
    assert machine_of(cloud)["scheduling"]["onHostMaintenance"] == "MIGRATE"


def test_newer_families_boot_from_hyperdisk(cloud: Cloud, provider: GcpProvider, order: LaunchOrder) -> None:
    provider.launch(replace(order, offer=replace(order.offer, instance_type="g4-standard-48", zone="us-central1-b")))
    [disk] = cloud.gcp.account.disks.values()
    assert disk["type"].rpartition("/")[2] == "hyperdisk-balanced"


def test_local_disks_are_discarded_where_the_deadline_stops(order: LaunchOrder) -> None:
    large = replace(order, offer=replace(order.offer, instance_type="a3-highgpu-8g"), at_deadline=OnFinish.STOP)
    assert scheduling(large)["onInstanceStopAction"] == {"discardLocalSsd": True}
    assert "onInstanceStopAction" not in scheduling(replace(large, at_deadline=OnFinish.TERMINATE))


def test_a_launch_is_ten_calls_and_what_needs_nothing_goes_first(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder
) -> None:
    provider.launch(order)
    named = cloud.named()
    assert set(named) == CALLS
    assert set(named[:3]) == LOOKS
    assert named[3:] == [
        "compute.firewalls.insert",
        "compute.firewalls.insert",
        "compute.globalOperations.wait",
        "compute.globalOperations.wait",
        "compute.instances.insert",
        "compute.zoneOperations.wait",
        "compute.instances.get",
    ]


def test_what_was_launched_is_shown_with_its_keys_pinned(provider: GcpProvider, order: LaunchOrder, account: Account) -> None:
    seen = provider.launch(order)
    keys = account.keys.keys_of("ct-token-1")
    assert seen.endpoint == SshEndpoint(
        host=seen.address, host_keys=(keys.host_public_key,), user="ubuntu", identity_file=keys.identity_file
    )
    assert (seen.usd_per_hour, seen.beside_usd_per_hour, seen.gpu_count) == (0.706, 0.018, 1)
    assert (seen.usd_per_month_stopped, seen.guest_end, seen.ref.zone) == (10.0, GuestEnd.POWEROFF, ZONE)
    assert (seen.ref.id, seen.ref.region, seen.deadline) == ("ct-token-1", REGION, order.lease.deadline)


def test_an_order_that_was_heard_is_not_asked_again(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    first = provider.launch(order)
    cloud.gcp.forget_calls()
    assert provider.launch(order).ref == first.ref
    assert not ASKED & set(cloud.named())


@pytest.mark.parametrize(("method_id", "code"), one_in(3, product(sorted(CALLS), ("", "rateLimitExceeded", "backendError"))))
def test_trouble_of_the_moment_is_asked_again_with_the_same_request_id(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, method_id: str, code: str, remains: Remains
) -> None:
    cloud.fail(method_id, code, times=2)
    assert provider.launch(order).state is InstanceState.RUNNING
    assert len(remains()["machines"]) == 1
    assert len(remains()["rules"]) == 2


@pytest.mark.parametrize("method_id", sorted(ASKED))
def test_a_reply_lost_on_the_way_makes_no_second_thing(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, remains: Remains, method_id: str
) -> None:
    cloud.fail(method_id, after=True)
    launched = provider.launch(order)
    assert remains()["machines"] == [launched.ref.id]
    assert remains()["rules"] == ["ct-token-1-in", "ct-token-1-shut"]
    assert cloud.gcp.violations() == []


@pytest.mark.usefixtures("cloud_sleeps_too")
@pytest.mark.parametrize(
    ("method_id", "code"), one_in(3, product(sorted(CALLS), ("forbidden", "brandNewTrouble", "backendError")))
)
def test_a_launch_that_fails_leaves_nothing(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, account: Account, remains: Remains, method_id: str, code: str
) -> None:
    cloud.fail(method_id, code, times=99)
    with pytest.raises(ProviderError):
        provider.launch(order)
    assert method_id in cloud.named()
    assert remains() == NOTHING
    assert keys_in(account) == []


@pytest.mark.usefixtures("cloud_sleeps_too")
@pytest.mark.parametrize("method_id", sorted(LOOKS | BEFORE))
def test_a_launch_whose_line_broke_before_it_asked_for_a_machine_made_none(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, account: Account, remains: Remains, method_id: str
) -> None:
    cloud.fail(method_id, times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(order)
    assert remains() == NOTHING
    assert keys_in(account) == []


@pytest.mark.parametrize("method_id", sorted(FOLLOWED | {"compute.instances.insert"}))
def test_a_launch_nobody_heard_back_from_keeps_what_the_machine_would_need(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, account: Account, remains: Remains, method_id: str
) -> None:
    cloud.fail(method_id, times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(order)
    assert keys_in(account) == ["ct-token-1"]
    assert len(remains()["rules"]) == 2


def test_a_machine_that_could_not_be_ended_is_said_to_exist(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    cloud.fail("compute.instances.get", "forbidden", times=99)
    cloud.fail("compute.instances.delete", "forbidden", times=99)
    with pytest.raises(ProviderUnavailableError, match="ct-token-1 may exist all the same"):
        provider.launch(order)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ZONE_RESOURCE_POOL_EXHAUSTED", NoCapacityError),
        ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", NoCapacityError),
        ("UNSUPPORTED_OPERATION", NoCapacityError),
        ("QUOTA_EXCEEDED", QuotaExceededError),
    ],
)
def test_what_google_says_after_it_accepted_is_heard(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, remains: Remains, code: str, kind: type[ProviderError]
) -> None:
    cloud.fail("compute.instances.insert", code)
    with pytest.raises(kind):
        provider.launch(order)
    assert cloud.named().count("compute.instances.insert") == 1
    assert remains() == NOTHING


def test_a_quota_of_the_whole_project_says_so(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    cloud.gcp.set_quota("GPUS_ALL_REGIONS", 0)
    with pytest.raises(CloudQuotaExceededError) as caught:
        provider.launch(order)
    assert "GPUS_ALL_REGIONS" in caught.value.message
    assert "in every region" in caught.value.hint
    assert f"quotas?project={cloud.gcp.project}" in caught.value.hint


def test_without_a_zone_the_next_one_of_the_region_is_tried(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, remains: Remains
) -> None:
    cloud.fail("compute.instances.insert", "ZONE_RESOURCE_POOL_EXHAUSTED")
    launched = provider.launch(replace(order, offer=replace(order.offer, zone="")))
    assert launched.ref.zone.startswith(f"{REGION}-")
    assert launched.ref.zone != ZONE
    assert remains()["machines"] == ["ct-token-1"]


def test_a_region_without_the_type_has_no_capacity(provider: GcpProvider, order: LaunchOrder, remains: Remains) -> None:
    with pytest.raises(NoCapacityError, match="No zone of us-central1 has no-such-type"):
        provider.launch(replace(order, offer=replace(order.offer, zone="", instance_type="no-such-type")))
    assert remains() == NOTHING


def test_an_order_whose_machine_has_ended_makes_no_other_one(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, remains: Remains
) -> None:
    provider.terminate(provider.launch(order).ref)
    cloud.gcp.advance(120)
    with pytest.raises(NoCapacityError, match="an order makes one machine"):
        provider.launch(order)
    assert remains()["machines"] == []


def test_a_machine_without_an_end_is_ended_and_refused(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, remains: Remains, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudtrain.providers.gcp import launch

    def without(order: LaunchOrder, ready: object, zone: str, account: Account) -> dict:
        body = asked(order, ready, zone, account)
        del body["scheduling"]["terminationTime"]
        del body["scheduling"]["instanceTerminationAction"]
        return body

    asked = launch.request
    monkeypatch.setattr(launch, "request", without)
    with pytest.raises(ProviderError, match="shows no end"):
        provider.launch(order)
    assert remains() == NOTHING


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0"])
def test_nobody_opens_a_machine_to_everybody(
    provider: GcpProvider, order: LaunchOrder, remains: Remains, everybody: str
) -> None:
    open_to_all = replace(order, machine=replace(order.machine, ssh=SshSettings(allow_from=(everybody,))))
    with pytest.raises(ProviderError, match="everybody"):
        provider.launch(open_to_all)
    assert remains() == NOTHING


def test_a_denied_permission_is_named(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    cloud.gcp.account.denied = {"compute.instances.create"}
    with pytest.raises(PermissionDeniedError, match=r"may not do compute\.instances\.create on projects/"):
        provider.launch(order)


def test_a_service_that_is_off_says_how_to_switch_it_on(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    cloud.gcp.account.disabled_services = {"compute.googleapis.com"}
    with pytest.raises(PermissionDeniedError) as caught:
        provider.launch(order)
    assert caught.value.hint == f"Switch it on: gcloud services enable compute.googleapis.com --project {cloud.gcp.project}"


@pytest.mark.parametrize("token", ["CT-Upper", "9-begins-with-a-digit", "x" * 64, "ends-with-"])
def test_a_token_that_is_no_name_of_googles_still_names_one_machine(
    provider: GcpProvider, order: LaunchOrder, remains: Remains, token: str
) -> None:
    launched = provider.launch(replace(order, token=token))
    assert launched.token == token
    assert provider.launch(replace(order, token=token)).ref == launched.ref
    assert remains()["machines"] == [notes.name_of(token)]
    assert provider.get(launched.ref).endpoint is not None


def test_the_private_host_key_is_in_the_user_data_and_nowhere_else(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    shown = provider.get(provider.launch(order).ref)
    keys = account.keys.keys_of("ct-token-1")
    secret = keys.host_key.splitlines()[2]
    said = notes.metadata(machine_of(cloud))
    assert secret in said.pop("user-data")
    assert secret not in repr(said) + repr(shown) + repr(keys) + caplog.text
    assert keys.identity_file.read_text().splitlines()[2] not in repr(cloud.bodies())


def test_here_alone_is_let_in(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    launched = provider.launch(order)
    assert cloud.gcp.may_reach(HERE.partition("/")[0], launched.ref.id, 22)
    assert not cloud.gcp.may_reach("203.0.113.9", launched.ref.id, 22)
    assert not cloud.gcp.may_reach("10.128.0.9", launched.ref.id, 22)
    assert not cloud.gcp.may_reach(HERE.partition("/")[0], launched.ref.id, 3389)
