"""Every request is held to Google's own descriptions, and so is every reply; who may not call is told so in Google's words."""

from typing import Any

import pytest

from cloudtrain.testing.playground.gcp import GcpCloud
from cloudtrain.testing.playground.gcp.access import permissions
from cloudtrain.testing.playground.gcp.discovery import find_method
from cloudtrain.testing.playground.gcp.filters import matches

from .google_calls import ZONE, Google, Refused, disk, instance, refused, scheduling


def test_a_path_that_no_service_has_is_refused_and_not_taken_for_an_absent_resource(google: Google) -> None:
    with refused(400, "badRequest", "/compute/v1/projects/x/zone/y"):
        google.call("GET", "/compute/v1/projects/x/zone/y")
    with refused(400, "badRequest", "POST /compute/v1/projects/p/zones"):
        google.call("POST", "/compute/v1/projects/p/zones", {})


@pytest.mark.parametrize(
    ("changes", "reason", "text"),
    [
        ({"machine_type": "x"}, "badRequest", "Unknown name \"machine_type\" at 'resource': Cannot find field."),
        ({"labels": ["a"]}, "badRequest", "Invalid value at 'resource.labels' (message)"),
        ({"labels": {"a": 1}}, "badRequest", "Invalid value at 'resource.labels.a' (TYPE_STRING), 1"),
        ({"disks": {"boot": True}}, "badRequest", "Invalid value at 'resource.disks' (repeated)"),
        ({"disks": [{"boot": "yes"}]}, "badRequest", "Invalid value at 'resource.disks[0].boot' (TYPE_BOOL), \"yes\""),
        ({"disks": [disk(diskSizeGb="50 GB")]}, "badRequest", 'diskSizeGb\' (TYPE_INT64), "50 GB"'),
        ({"scheduling": scheduling(maxRunDuration={"seconds": "1h"})}, "badRequest", "seconds' (TYPE_INT64)"),
        ({"scheduling": scheduling(onHostMaintenance="STOP")}, "invalid", 'onHostMaintenance\' (TYPE_ENUM), "STOP"'),
        ({"scheduling": scheduling(minNodeCpus=2**31)}, "badRequest", "minNodeCpus' (TYPE_INT32)"),
        ({"name": "Vm"}, "invalid", "'resource.name': 'Vm'. Must be a match of regex"),
        ({"name": "a" * 64}, "invalid", "Must be a match of regex"),
        ({"name": None}, "required", "Required field 'resource.name' not specified"),
        ({"metadata": {"items": [{"key": "a b", "value": ""}]}}, "invalid", "'resource.metadata.items[0].key'"),
    ],
)
def test_a_body_is_held_to_its_schema(google: Google, changes: dict[str, Any], reason: str, text: str) -> None:
    with refused(400, reason, text):
        google.insert(**changes)


def test_a_query_is_held_to_its_description(google: Google) -> None:
    with refused(400, "badRequest", 'Unknown name "foo": Cannot bind query parameter.'):
        google.instances(foo="1")
    with refused(400, "invalidParameter", "'ten'"):
        google.instances(maxResults="ten")
    with refused(400, "invalidParameter", "range"):
        google.instances(maxResults="-1")
    with refused(400, "invalid", "requestId"):
        google.insert(request_id="00000000-0000-0000-0000-000000000000")
    with refused(400, "invalid", "'zone': 'Z'"):
        google.instances(zone="Z")


def test_a_body_that_is_no_json_is_refused(google: Google) -> None:
    with pytest.raises(Refused, match="Parse Error"):
        google.raw("POST", f"/compute/v1/projects/{google.project}/zones/{ZONE}/instances", b"{")


def test_long_numbers_may_be_written_either_way_and_come_back_as_text(google: Google) -> None:
    changed = scheduling(maxRunDuration={"seconds": 7200, "nanos": "0"})
    shown = google.running(scheduling=changed, disks=[disk(diskSizeGb=60)])
    assert shown["scheduling"]["maxRunDuration"] == {"seconds": "7200", "nanos": 0}
    assert shown["disks"][0]["diskSizeGb"] == "60"


def test_a_reply_that_is_not_as_google_describes_it_is_a_fault_of_the_double_and_says_so(gcp: GcpCloud, google: Google) -> None:
    google.running()
    gcp.machines()[0].body["status"] = "SLEEPING"
    with refused(500, "internalError", "not as Google describes it"):
        google.instances("/vm")
    assert "broke on compute.instances.get" in gcp.account.events.pop()


def test_a_method_that_google_has_and_the_double_does_not_is_said(google: Google) -> None:
    with refused(501, "notImplemented", "compute.instances.suspend"):
        google.instances("/vm/suspend", "POST")


def test_a_call_without_a_token_or_with_anybodys_is_turned_away(gcp: GcpCloud) -> None:
    with refused(401, "required", "Request is missing required authentication credential"):
        Google(gcp.url, gcp.project, token="").compute("GET", "zones")
    with refused(401, "authError", "Request had invalid authentication credentials") as caught:
        Google(gcp.url, gcp.project, token="ya29.mine").compute("GET", "zones")
    assert caught.value.error["status"] == "UNAUTHENTICATED"


def test_a_denied_permission_is_named(gcp: GcpCloud, google: Google) -> None:
    gcp.account.denied = {"compute.instances.create", "compute.disks.setLabels", "tpu.nodes.list"}
    with refused(403, "forbidden", f"Required 'compute.instances.create' permission for 'projects/{gcp.project}/zones/{ZONE}"):
        google.insert()
    gcp.account.denied -= {"compute.instances.create"}
    with refused(403, "forbidden", "compute.disks.setLabels"):
        google.insert()
    asked = {"permissions": ["compute.instances.create", "compute.disks.setLabels"]}
    answer = google.call("POST", f"/v1/projects/{gcp.project}:testIamPermissions", asked)
    assert answer == {"permissions": ["compute.instances.create"]}
    with refused(403, "PERMISSION_DENIED", "Permission 'tpu.nodes.list' denied") as caught:
        google.call("GET", f"/v2/projects/{gcp.project}/locations/{ZONE}/nodes")
    assert caught.value.error["details"][0]["reason"] == "IAM_PERMISSION_DENIED"


def test_a_service_that_is_off_says_where_it_is_switched_on(gcp: GcpCloud, google: Google) -> None:
    gcp.account.disabled_services = {"compute.googleapis.com"}
    with refused(403, "accessNotConfigured", "Enable it by visiting https://console.developers.google.com") as caught:
        google.compute("GET", "zones")
    assert caught.value.error["details"][0]["reason"] == "SERVICE_DISABLED"


def test_another_project_is_not_found(google: Google) -> None:
    with refused(404, "notFound", "projects/somebody-elses"):
        google.call("GET", "/compute/v1/projects/somebody-elses/zones")


def test_a_list_comes_in_pages(google: Google) -> None:
    first = google.compute("GET", "zones", maxResults="12")
    second = google.compute("GET", "zones", maxResults="12", pageToken=first["nextPageToken"])
    names = [zone["name"] for page in (first, second) for zone in page["items"]]
    assert (len(names), len(set(names)), "nextPageToken" in second) == (19, 19, False)
    with refused(400, "invalid", "pageToken"):
        google.compute("GET", "zones", pageToken="x")


def test_a_list_of_all_zones_says_which_have_nothing(google: Google) -> None:
    google.running("one")
    google.running("two", "us-west1-a")
    items = google.compute("GET", "aggregated/instances", filter="labels.cloudtrain-owner=me")["items"]
    full = {scope: [one["name"] for one in found["instances"]] for scope, found in items.items() if "instances" in found}
    assert full == {f"zones/{ZONE}": ["one"], "zones/us-west1-a": ["two"]}
    assert items["zones/us-east1-b"]["warning"]["code"] == "NO_RESULTS_ON_PAGE"


def test_only_what_was_asked_for_is_sent(google: Google) -> None:
    google.running()
    assert google.instances(fields="items(name,scheduling/preemptible)") == {
        "items": [{"name": "vm", "scheduling": {"preemptible": False}}]
    }
    assert google.instances("/vm", fields="status,tags/items") == {"status": "RUNNING", "tags": {"items": ["cloudtrain-vm"]}}
    with refused(400, "invalidParameter", "Invalid field selection items("):
        google.instances(fields="items(")


RESOURCE = {"name": "web-1", "status": "RUNNING", "labels": {"owner": "me", "run": "7"}, "disks": [{"boot": True}], "n": 5}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("name=web-1", True),
        ("name=web-2", False),
        ("name = web-*", True),
        ("name:eb", True),
        ("name != web-1", False),
        ('name eq "web-.*"', True),
        ('name eq "web"', False),
        ("name ne web-1", False),
        ("labels.owner=me AND labels.run=7", True),
        ("labels.owner=me labels.run=8", False),
        ("(labels.owner=me) (status = RUNNING)", True),
        ("labels.owner=you OR labels.run:*", True),
        ("NOT labels.gone:*", True),
        ("labels.gone:*", False),
        ('labels.owner = "me"', True),
        ("disks.boot=true", True),
        ("n>=5", True),
        ("n<5", False),
    ],
)
def test_filters(text: str, found: bool) -> None:
    assert matches(text, RESOURCE) is found


@pytest.mark.parametrize("text", ["name", "name=", "(name=a", "name ~ a", "name=a)", "AND"])
def test_what_is_no_filter_is_refused(google: Google, text: str) -> None:
    with refused(400, "invalid", "Invalid list filter expression"):
        google.running()
        google.instances(filter=text)


def test_calls_are_known_by_googles_method_ids(gcp: GcpCloud, google: Google) -> None:
    google.running()
    assert [(call.name, call.outcome) for call in gcp.calls()] == [
        ("compute.instances.insert", "ok"),
        ("compute.zoneOperations.wait", "ok"),
        ("compute.instances.get", "ok"),
    ]
    assert gcp.calls()[0].region == "us-central1"
    assert permissions(gcp.calls()) == [
        "compute.disks.create",
        "compute.disks.setLabels",
        "compute.instances.create",
        "compute.instances.get",
        "compute.instances.setLabels",
        "compute.instances.setMetadata",
        "compute.instances.setTags",
        "compute.subnetworks.use",
        "compute.subnetworks.useExternalIp",
        "compute.zoneOperations.get",
    ]
    assert gcp.calls()[0].parameters["body"]["name"] == instance()["name"]
    gcp.forget_calls()
    assert gcp.calls() == []


def test_where_two_services_describe_a_path_the_newer_one_has_it() -> None:
    found = find_method("POST", "/v1/projects/-/serviceAccounts/a%40b:signBlob")
    assert found is not None
    assert (found[0].id, found[1]["name"]) == (
        "iamcredentials.projects.serviceAccounts.signBlob",
        "projects/-/serviceAccounts/a@b",
    )
