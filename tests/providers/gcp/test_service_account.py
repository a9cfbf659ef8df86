"""The service account of one machine: made only when asked for, for one folder, and gone with the machine."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.model.errors import (
    ConfigError,
    NoCapacityError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
)
from cloudtrain.model.instance import InstanceState, LaunchOrder, Leftover
from cloudtrain.model.plan import Attempt, Plan
from cloudtrain.model.spec import JobSpec, Market
from cloudtrain.preflight import look_at_storage
from cloudtrain.providers.gcp import bucket_right, iam, notes, service_account
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.provider import GcpProvider
from cloudtrain.providers.gcp.storage import address_of
from cloudtrain.providers.object_storage import ObjectStorage
from cloudtrain.testing.clock import FakeClock

from .conftest import Cloud

BUCKET, URL = "my-bucket", "gs://my-bucket/prefix"
ID = service_account.id_of("ct-token-1")
MAKING = ("iam.projects.serviceAccounts.create", "storage.buckets.getIamPolicy", "storage.buckets.setIamPolicy")
INSERT = "compute.instances.insert"
UNKNOWN = "The resource 'x' of type 'serviceAccount' was not found."
Remains = Callable[[], dict[str, list[str]]]
NOTHING = {"machines": [], "rules": [], "disks": []}


@pytest.fixture(autouse=True)
def bucket(cloud: Cloud) -> Any:
    made = cloud.gcp.make_bucket(BUCKET)
    made.bindings = [{"role": "roles/storage.objectViewer", "members": ["user:somebody@example.com"]}]
    return made


@pytest.fixture
def asking(order: LaunchOrder) -> LaunchOrder:
    return replace(order, checkpoints=URL)


def accounts(cloud: Cloud) -> list[str]:
    return [email.partition("@")[0] for email in cloud.gcp.account.identities]


def strangers_alone(bucket: Any) -> bool:
    return [binding["members"] for binding in bucket.bindings] == [["user:somebody@example.com"]]


def end(provider: GcpProvider, cloud: Cloud, ref: Any) -> None:
    provider.terminate(ref)
    cloud.gcp.advance(120)
    provider.terminate(ref)


def test_nobody_who_does_not_ask_gets_one(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    ref = provider.launch(order).ref
    assert "serviceAccounts" not in cloud.bodies()[0]
    end(provider, cloud, ref)
    assert [name for name in cloud.named() if name.startswith(("iam", "storage"))] == []


def test_the_machine_has_one_of_its_own(provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, bucket: Any) -> None:
    provider.launch(asking)
    [body] = cloud.bodies()
    email = f"{ID}@{cloud.gcp.project}.iam.gserviceaccount.com"
    assert body["serviceAccounts"] == [{"email": email, "scopes": [service_account.SCOPE]}]
    [identity] = cloud.gcp.account.identities.values()
    assert (identity.email, identity.display_name) == (email, "ct-token-1")
    assert bucket.bindings[0]["members"] == ["user:somebody@example.com"]
    assert bucket.bindings[1:] == [
        {
            "role": "roles/storage.objectUser",
            "members": [f"serviceAccount:{email}"],
            "condition": bucket_right.condition(address_of(URL)),
        }
    ]
    calls = cloud.named()
    assert max(calls.index(name) for name in MAKING) < calls.index(INSERT)
    assert cloud.gcp.violations() == []


def test_before_money_is_spent_it_is_said_what_would_be_made(provider: GcpProvider, cloud: Cloud) -> None:
    assert isinstance(provider, ObjectStorage)
    said = provider.right_to(URL)
    for word in (URL, "service account", "roles/storage.objectUser", "go with the machine"):
        assert word in said
    assert cloud.named() == []


def test_a_plan_for_a_job_with_checkpoints_says_it(provider: GcpProvider, cloud: Cloud, order: LaunchOrder) -> None:
    plan = Plan(order.machine, (Attempt((order.offer,), order.lease),))
    job = JobSpec("digits", Path(), "true", checkpoints=URL)
    told, usd = look_at_storage(job, plan, provider)
    assert (list(told), usd) == ([provider.right_to(URL)], 0.0)
    assert look_at_storage(replace(job, checkpoints=""), plan, provider)[0] == []


def test_the_condition_is_exactly_this() -> None:
    said = bucket_right.condition(address_of('gs://b/a"b\\c'))["expression"]
    assert said == (
        'resource.name.startsWith("projects/_/buckets/b/objects/a\\"b\\\\c/") || '
        'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("a\\"b\\\\c/")'
    )
    same = bucket_right.condition(address_of("gs://b/x/"))
    assert same == bucket_right.condition(address_of("gs://b/x"))


def test_a_bucket_as_a_whole_needs_no_condition(provider: GcpProvider, cloud: Cloud, order: LaunchOrder, bucket: Any) -> None:
    bucket.is_uniform = False
    provider.launch(replace(order, checkpoints=f"gs://{BUCKET}"))
    assert "condition" not in bucket.bindings[1]


def test_the_name_is_the_machine_s_and_fits(account: Account) -> None:
    for name in ("ct-token-1", "x" * 50):
        assert len(service_account.id_of(name)) == 30
        assert service_account.is_ours(service_account.id_of(name))
    assert service_account.id_of("a") != service_account.id_of("b")
    assert not service_account.is_ours("cloudtrain-admin")
    account.rest._found_project = "example.com:mine"
    assert service_account.email_of("x", account) == "x@mine.example.com.iam.gserviceaccount.com"


def test_asked_again_it_is_the_same_one(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, account: Account, bucket: Any
) -> None:
    service_account.make(asking, account)
    service_account.make(asking, account)
    assert (accounts(cloud), len(bucket.bindings)) == ([ID], 2)
    first = provider.launch(asking)
    assert provider.launch(asking).ref == first.ref
    assert (accounts(cloud), len(bucket.bindings)) == ([ID], 2)


def test_a_description_that_is_too_long_loses_the_owner_and_no_more(
    cloud: Cloud, asking: LaunchOrder, account: Account, bucket: Any
) -> None:
    service_account.make(replace(asking, owner="ü" * 200), account)
    [found] = service_account.made(account)
    assert (found.token, found.owner, found.machine) == ("ct-token-1", "", "ct-token-1")
    service_account.remove(ID, account)
    assert (accounts(cloud), strangers_alone(bucket)) == ([], True)


def test_a_machine_that_google_makes_before_it_knows_the_account_is_asked_for_again(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, account: Account
) -> None:
    cloud.fail(INSERT, "RESOURCE_NOT_FOUND", UNKNOWN, times=3)
    began = account.settings.clock.monotonic()
    assert provider.launch(asking).state in (InstanceState.PENDING, InstanceState.RUNNING)
    inserts = [record.parameters for record in cloud.gcp.calls() if record.name == INSERT]
    assert len(inserts) == 4
    assert len({each["requestId"] for each in inserts}) == 4
    assert account.settings.clock.monotonic() - began >= 3 * iam.PAUSE_S
    assert len(cloud.gcp.machines()) == 1


def test_one_that_never_becomes_known_ends_the_launch_and_leaves_nothing(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, remains: Remains, bucket: Any, account: Account
) -> None:
    cloud.fail(INSERT, "RESOURCE_NOT_FOUND", UNKNOWN, times=999)
    with pytest.raises(ProviderError, match="serviceAccount"):
        provider.launch(asking)
    assert remains() == NOTHING
    assert (accounts(cloud), strangers_alone(bucket)) == ([], True)
    assert account.keys.keys_of("ct-token-1") is None


@pytest.mark.parametrize(
    ("code", "text"), [("invalid", "Service account x does not exist."), ("conditionNotMet", ""), ("backendError", "")]
)
def test_a_policy_that_is_not_taken_yet_is_written_again(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, bucket: Any, code: str, text: str
) -> None:
    cloud.fail("storage.buckets.setIamPolicy", code, text, times=4)
    provider.launch(asking)
    assert len(bucket.bindings) == 2


def test_what_somebody_else_wrote_meanwhile_stays(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = bucket_right._write_policy
    theirs = {"role": "roles/storage.objectViewer", "members": ["user:b@example.com"]}

    def meanwhile(path: str, policy: Any, bindings: Any, account: Account) -> None:
        if theirs not in bucket.bindings:
            bucket.bindings, bucket.policy_changes = [*bucket.bindings, theirs], bucket.policy_changes + 1
        written(path, policy, bindings, account)

    monkeypatch.setattr(bucket_right, "_write_policy", meanwhile)
    ref = provider.launch(asking).ref
    assert theirs in bucket.bindings
    assert len(bucket.bindings) == 3
    end(provider, cloud, ref)
    assert bucket.bindings[1:] == [theirs]


def test_an_answer_that_was_lost_makes_no_second_right(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, bucket: Any
) -> None:
    cloud.fail("storage.buckets.setIamPolicy", after=True)
    provider.launch(asking)
    assert len(bucket.bindings) == 2


@pytest.mark.parametrize("method_id", [*MAKING, "storage.buckets.get"])
def test_what_is_denied_is_named_and_nothing_is_left(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, account: Account, remains: Remains, bucket: Any, method_id: str
) -> None:
    cloud.fail(method_id, "forbidden", "no", times=1)
    with pytest.raises(PermissionDeniedError, match=method_id.rpartition(".")[0]) as caught:
        provider.launch(asking)
    assert "checkpoints" in caught.value.hint
    assert remains() == NOTHING
    assert (accounts(cloud), strangers_alone(bucket)) == ([], True)
    assert account.keys.keys_of("ct-token-1") is None
    assert INSERT not in cloud.named()


def test_an_iam_that_is_switched_off_is_told_with_the_line_to_type(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder
) -> None:
    cloud.gcp.account.disabled_services = {"iam.googleapis.com"}
    with pytest.raises(PermissionDeniedError) as caught:
        provider.launch(asking)
    assert "gcloud services enable iam.googleapis.com" in caught.value.hint


@pytest.mark.parametrize(
    ("method_id", "code", "kind"),
    [
        ("compute.firewalls.insert", "forbidden", PermissionDeniedError),
        (INSERT, "forbidden", PermissionDeniedError),
        (INSERT, "ZONE_RESOURCE_POOL_EXHAUSTED", NoCapacityError),
    ],
)
def test_a_launch_that_fails_leaves_no_account(
    provider: GcpProvider,
    cloud: Cloud,
    asking: LaunchOrder,
    remains: Remains,
    bucket: Any,
    method_id: str,
    code: str,
    kind: type[ProviderError],
) -> None:
    cloud.fail(method_id, code)
    with pytest.raises(kind):
        provider.launch(asking)
    assert remains() == NOTHING
    assert (accounts(cloud), strangers_alone(bucket)) == ([], True)


@pytest.mark.parametrize("url", ["s3://my-bucket/prefix", "az://account/box", "gs:///x"])
def test_another_storage_is_refused_before_anything_is_asked(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, url: str
) -> None:
    with pytest.raises(ConfigError):
        provider.launch(replace(order, checkpoints=url))
    assert cloud.named() == []


def test_a_bucket_that_is_not_there_or_takes_no_conditions_is_refused(
    provider: GcpProvider, cloud: Cloud, order: LaunchOrder, bucket: Any, remains: Remains
) -> None:
    with pytest.raises(ProviderError, match="no bucket other"):
        provider.launch(replace(order, checkpoints="gs://other/x"))
    bucket.is_uniform = False
    with pytest.raises(ProviderError, match="access lists of single objects") as caught:
        provider.launch(replace(order, checkpoints=URL))
    assert "--uniform-bucket-level-access" in caught.value.hint
    assert remains() == NOTHING
    assert accounts(cloud) == []


def test_it_goes_when_the_machine_is_gone_and_not_before(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, bucket: Any, remains: Remains
) -> None:
    ref = provider.launch(asking).ref
    provider.terminate(ref)
    assert accounts(cloud) == [ID]
    cloud.gcp.advance(120)
    provider.terminate(ref)
    assert (accounts(cloud), strangers_alone(bucket)) == ([], True)
    assert remains() == NOTHING
    provider.terminate(ref)


def test_a_machine_that_was_stopped_and_started_keeps_it_to_its_end_with_new_rules_too(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, bucket: Any, clock: FakeClock
) -> None:
    ref = provider.launch(asking).ref
    provider.stop(ref)
    cloud.gcp.advance(120)
    lease = replace(asking.lease, deadline=(clock.now() + timedelta(hours=3)).replace(microsecond=0))
    for name in ("ct-token-1-in", "ct-token-1-shut"):
        del cloud.gcp.account.firewalls[name]
    provider.start(ref, lease)  # which makes the rules anew
    assert cloud.bodies()[0]["serviceAccounts"][0]["email"].startswith(ID)
    end(provider, cloud, ref)
    assert (accounts(cloud), strangers_alone(bucket)) == ([], True)


def test_one_that_google_keeps_is_told_and_found_again(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, bucket: Any
) -> None:
    ref = provider.launch(asking).ref
    provider.terminate(ref)
    cloud.gcp.advance(120)
    cloud.fail("iam.projects.serviceAccounts.delete", "forbidden", "no")
    with pytest.raises(PermissionDeniedError, match="serviceAccounts"):
        provider.terminate(ref)
    provider.terminate(ref)
    assert (accounts(cloud), strangers_alone(bucket)) == ([], True)


def test_that_of_a_machine_that_ended_by_itself_goes_with_its_rules(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, bucket: Any, remains: Remains, clock: FakeClock
) -> None:
    provider.launch(asking)
    clock.advance(3 * 3600)
    cloud.gcp.advance(120)
    assert cloud.gcp.machines() == []
    [left] = provider.leftovers()
    assert (left.kind, left.id) == ("group", "ct-token-1")
    provider.remove(left)
    assert (accounts(cloud), strangers_alone(bucket), remains()) == ([], True, NOTHING)


def test_one_that_was_left_alone_is_a_leftover(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, account: Account, bucket: Any, clock: FakeClock
) -> None:
    service_account.make(asking, account)
    provider.launch(replace(asking, token="ct-lives"))
    assert [each.kind for each in provider.leftovers()] == []  # so young, it may be of a machine that is just being made
    clock.advance(180)
    [left] = provider.leftovers()
    assert left == Leftover("gcp", "service-account", ID, "", 0.0, "Alice@laptop", "ct-token-1")
    provider.remove(left)
    provider.remove(left)
    assert accounts(cloud) == [service_account.id_of("ct-lives")]
    assert [binding["members"][0].split("@")[0] for binding in bucket.bindings[1:]] == [
        f"serviceAccount:{service_account.id_of('ct-lives')}"
    ]
    assert list(provider.leftovers()) == []


def test_half_an_account_is_found_and_removed(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, clock: FakeClock
) -> None:
    cloud.fail("storage.buckets.setIamPolicy", times=99)
    cloud.fail("iam.projects.serviceAccounts.get", times=99)
    with pytest.raises(ProviderUnavailableError):
        provider.launch(asking)
    cloud.gcp.faults.clear()
    clock.advance(180)
    cloud.gcp.advance(60)  # the rules are gone in their own time
    assert [left.kind for left in provider.leftovers()] == ["service-account"]
    provider.remove(provider.leftovers()[0])
    assert accounts(cloud) == []


def test_a_right_whose_bucket_or_account_is_gone_keeps_nothing(
    cloud: Cloud, asking: LaunchOrder, account: Account, bucket: Any
) -> None:
    service_account.make(asking, account)
    del cloud.gcp.account.buckets[BUCKET]
    service_account.remove(ID, account)
    assert accounts(cloud) == []
    cloud.gcp.account.buckets[BUCKET] = bucket
    bucket.bindings = [{"role": "r", "members": [f"deleted:serviceAccount:{service_account.email_of(ID, account)}?uid=1"]}]
    service_account.make(asking, account)
    service_account.remove(ID, account)
    assert bucket.bindings == []


def test_who_may_not_list_accounts_sees_none(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, account: Account, clock: FakeClock
) -> None:
    service_account.make(asking, account)
    clock.advance(180)
    cloud.fail("iam.projects.serviceAccounts.list", "forbidden")
    assert list(provider.leftovers()) == []
    cloud.gcp.account.disabled_services = {"iam.googleapis.com"}
    assert list(provider.leftovers()) == []
    cloud.gcp.account.disabled_services = set()
    assert len(provider.leftovers()) == 1


@pytest.mark.parametrize("id", ["admin", "cloudtrain-admin", f"{ID}x"])
def test_other_people_s_accounts_are_not_removed(provider: GcpProvider, cloud: Cloud, id: str) -> None:
    with pytest.raises(ProviderError):
        provider.remove(Leftover("gcp", "service-account", id))
    assert cloud.named() == []


def test_a_tpu_machine_has_one_as_well(
    provider: GcpProvider, cloud: Cloud, asking: LaunchOrder, bucket: Any, cloud_sleeps_too: None
) -> None:
    spot = replace(asking.offer, instance_type="v5litepod-1", zone="us-central1-a", market=Market.SPOT, gpu_count=0)
    ref = provider.launch(replace(asking, offer=spot)).ref
    [node] = cloud.gcp.account.tpu_nodes.values()
    assert node["serviceAccount"]["email"].startswith(f"{ID}@")
    assert service_account.SCOPE in node["serviceAccount"]["scope"]
    cloud.gcp.settle()
    pages = cloud.hypervisor.orders[-1].metadata
    assert pages["instance/service-accounts/default/email"] == node["serviceAccount"]["email"]
    end(provider, cloud, ref)
    assert (accounts(cloud), strangers_alone(bucket)) == ([], True)


def test_what_a_machine_remembers_says_that_it_has_one(asking: LaunchOrder, order: LaunchOrder) -> None:
    assert notes.of_thing(asking)[notes.ACCOUNT]
    assert notes.ACCOUNT not in notes.of_thing(order)
