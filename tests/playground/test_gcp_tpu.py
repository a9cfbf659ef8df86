"""TPU machines: asked for in a queue, ended by the limit that was asked for, and by nothing else."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from cloudtrain.testing.playground.gcp import GcpCloud

from .google_calls import Google, refused

ZONE = "us-west4-a"
NODE = {"acceleratorType": "v5litepod-1", "runtimeVersion": "v2-alpha-tpuv5-lite", "metadata": {"user-data": "#!/bin/sh\n"}}


def below(google: Google, version: str = "v2alpha1") -> str:
    return f"/{version}/projects/{google.project}/locations/{ZONE}"


def queue(google: Google, version: str = "v2alpha1", **changes: Any) -> dict[str, Any]:
    node = NODE | {"networkConfig": {"enableExternalIps": True}} | changes.pop("node", {})
    parent = f"projects/{google.project}/locations/{ZONE}"
    body = {"tpu": {"nodeSpec": [{"parent": parent, "nodeId": "pod", "node": node}]}, **changes}
    return google.call("POST", f"{below(google, version)}/queuedResources", body, queuedResourceId="request")


def state(google: Google) -> str:
    return str(google.call("GET", f"{below(google)}/queuedResources/request")["state"]["state"])


def active(google: Google, **changes: Any) -> None:
    queue(google, **changes)
    assert [state(google) for _ in "123"] == ["WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]


def test_a_request_becomes_a_node_that_runs(google: Google, hypervisor: Any) -> None:
    active(google, runDuration={"maxRunDuration": "3600s"})
    node = google.call("GET", f"{below(google)}/nodes/pod")
    assert (node["state"], node["networkEndpoints"][0]["accessConfig"]["externalIp"]) == ("READY", "127.0.1.1")
    assert (hypervisor.orders[0].id, hypervisor.orders[0].user_data) == ("tpu-pod", b"#!/bin/sh\n")
    assert [one["name"] for one in google.call("GET", f"{below(google)}/nodes")["nodes"]] == [node["name"]]
    for version, has_limit in (("v2", False), ("v2alpha1", True)):
        listed = google.call("GET", f"{below(google, version)}/queuedResources")["queuedResources"]
        assert ["runDuration" in one for one in listed] == [has_limit]


def test_its_limit_ends_it(gcp: GcpCloud, google: Google, hypervisor: Any) -> None:
    active(google, runDuration={"maxRunDuration": "3600s"}, spot={})
    assert gcp.violations() == []
    gcp.advance(3600)
    assert (state(google), hypervisor.told) == ("SUSPENDED", [("destroy", "tpu-pod")])
    with refused(404, "NOT_FOUND"):
        google.call("GET", f"{below(google)}/nodes/pod")
    google.call("DELETE", f"{below(google)}/queuedResources/request")
    with refused(404, "NOT_FOUND"):
        google.call("GET", f"{below(google)}/queuedResources/request")


def test_without_a_limit_it_runs_for_ever_and_the_watch_says_so(gcp: GcpCloud, google: Google) -> None:
    active(google)
    gcp.advance(30 * 86400)
    assert state(google) == "ACTIVE"
    google.call("POST", f"{below(google)}/nodes", NODE, nodeId="alone")
    assert {one.what for one in gcp.violations()} == {"this TPU has no maxRunDuration, so nothing ends it"}


def test_the_version_without_a_limit_does_not_take_one(google: Google) -> None:
    with refused(400, "INVALID_ARGUMENT", "Unknown name \"runDuration\" at 'resource'"):
        queue(google, "v2", runDuration={"maxRunDuration": "3600s"})


def test_switching_itself_off_ends_nothing_that_is_paid_for(gcp: GcpCloud, google: Google) -> None:
    active(google)
    gcp.power_off("tpu-pod")
    gcp.settle()
    assert google.call("GET", f"{below(google)}/nodes/pod")["state"] == "READY"


def test_a_request_with_a_node_goes_by_force_alone(google: Google) -> None:
    active(google)
    with refused(400, "INVALID_ARGUMENT", "while it has nodes"):
        google.call("DELETE", f"{below(google)}/queuedResources/request")
    operation = google.call("DELETE", f"{below(google)}/queuedResources/request", force="true")
    assert google.call("GET", f"/v2alpha1/{operation['name']}")["done"] is True
    assert google.call("GET", f"{below(google)}/nodes")["nodes"] == []


def test_an_operation_ends_when_what_it_makes_is_there(google: Google) -> None:
    operation = google.call("POST", f"{below(google, 'v2')}/nodes", NODE, nodeId="pod")
    path = f"/v2/{operation['name']}"
    assert [google.call("GET", path)["done"] for _ in "12"] == [False, True]
    assert google.call("GET", path)["response"]["state"] == "READY"
    google.call("DELETE", f"{below(google, 'v2')}/nodes/pod")
    with refused(404, "NOT_FOUND"):
        google.call("GET", f"{below(google, 'v2')}/nodes/pod")


@pytest.mark.parametrize(
    ("node", "text"),
    [({"acceleratorType": "v6e-1"}, "not available in us-west4-a"), ({"runtimeVersion": "tf-2"}, "Invalid runtimeVersion")],
)
def test_what_a_zone_does_not_have_is_refused(google: Google, node: dict[str, Any], text: str) -> None:
    with refused(400, "INVALID_ARGUMENT", text):
        queue(google, node=node)


def test_a_spot_node_is_taken_back(gcp: GcpCloud, google: Google) -> None:
    active(google, spot={}, runDuration={"maxRunDuration": "3600s"})
    gcp.reclaim("tpu-pod")
    assert (google.call("GET", f"{below(google)}/nodes/pod")["state"], state(google)) == ("PREEMPTED", "SUSPENDED")


def test_what_kinds_there_are(google: Google) -> None:
    kinds = [one["type"] for one in google.call("GET", f"{below(google)}/acceleratorTypes")["acceleratorTypes"]]
    assert "v5litepod-1" in kinds
    versions = google.call("GET", f"{below(google)}/runtimeVersions")["runtimeVersions"]
    assert NODE["runtimeVersion"] in {one["version"] for one in versions}
    assert google.call("GET", f"/v2/projects/{google.project}/locations")["locations"][0]["locationId"]


def test_the_newer_version_shows_when_its_limit_ends_it(gcp: GcpCloud, google: Google) -> None:
    active(google, runDuration={"maxRunDuration": "3600s"})
    ends = google.call("GET", f"{below(google)}/nodes/pod")["schedulingConfig"]["terminationTimestamp"]
    left = datetime.fromisoformat(ends) - gcp.account.timeline.now()
    assert timedelta(seconds=3590) < left <= timedelta(seconds=3600)
    assert "terminationTimestamp" not in google.call("GET", f"{below(google, 'v2')}/nodes/pod")["schedulingConfig"]


def test_a_request_may_fail_at_once_or_when_it_has_waited_long_enough(gcp: GcpCloud, google: Google) -> None:
    gcp.account.tpu_troubles[ZONE] = {"code": 8, "message": "no capacity"}
    queue(google)
    assert [state(google) for _ in "12"] == ["WAITING_FOR_RESOURCES", "FAILED"]
    failed = google.call("GET", f"{below(google)}/queuedResources/request")["state"]["failedData"]
    assert failed == {"error": {"code": 8, "message": "no capacity"}}
    google.call("DELETE", f"{below(google)}/queuedResources/request")
    gcp.account.tpu_troubles[ZONE] = {}
    queue(google, queueingPolicy={"validUntilDuration": "300s"})
    gcp.advance(299)
    assert state(google) == "WAITING_FOR_RESOURCES"
    gcp.advance(1)
    assert state(google) == "FAILED"


def test_who_may_not_touch_nodes_may_not_touch_requests(gcp: GcpCloud, google: Google) -> None:
    gcp.account.denied = {"tpu.nodes.list"}
    with refused(403, "PERMISSION_DENIED"):
        google.call("GET", f"{below(google)}/queuedResources")
