"""What goes wrong on order between a caller and the pretend Google Cloud."""

from typing import Any

import pytest

from cloudtrain.testing.playground.faults import When
from cloudtrain.testing.playground.gcp import GcpCloud

from .google_calls import ZONE, Google, refused

LOST = (ConnectionError, OSError)


def insert_fails(gcp: GcpCloud, **fault: Any) -> None:
    gcp.faults.add("compute", "compute.instances.insert", **fault)


@pytest.mark.parametrize("code", ["ZONE_RESOURCE_POOL_EXHAUSTED", "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "stockout"])
def test_a_stock_out_is_told_in_the_operation_and_leaves_nothing(gcp: GcpCloud, google: Google, code: str) -> None:
    insert_fails(gcp, code=code, message="The zone does not have enough resources.")
    operation = google.insert()
    assert "error" not in operation
    ended = google.done(operation)
    assert ended["error"]["errors"] == [{"code": code, "message": "The zone does not have enough resources."}]
    assert (ended["httpErrorStatusCode"], gcp.machines(), gcp.account.disks) == (503, [], {})
    google.running()


def test_a_failure_after_the_effect_leaves_a_machine(gcp: GcpCloud, google: Google) -> None:
    insert_fails(gcp, code="UNSUPPORTED_OPERATION", after=True)
    ended = google.done(google.insert())
    assert ended["error"]["errors"][0]["code"] == "UNSUPPORTED_OPERATION"
    assert google.state() == "RUNNING"


def test_a_refusal_at_once_has_its_status(gcp: GcpCloud, google: Google) -> None:
    insert_fails(gcp, code="rateLimitExceeded", message="Rate Limit Exceeded")
    with refused(403, "rateLimitExceeded", "Rate Limit Exceeded"):
        google.insert()
    insert_fails(gcp, code="QUOTA_EXCEEDED", http=403)
    with refused(403, "QUOTA_EXCEEDED"):
        google.insert()
    gcp.faults.add("*", "*.list", code="backendError", times=2)
    for _ in "12":
        with refused(503, "backendError"):
            google.instances()
    assert "items" not in google.instances()


def test_a_fault_meets_what_its_body_matches(gcp: GcpCloud, google: Google) -> None:
    insert_fails(gcp, code="backendError", match='"name": "b"')
    google.insert("a")
    with refused(503, "backendError"):
        google.insert("b")


def test_a_lost_reply_is_found_again_by_the_request_id(gcp: GcpCloud, google: Google) -> None:
    insert_fails(gcp, reset=True, after=True)
    with pytest.raises(LOST):
        google.insert(request_id="7f3b1f3e-5a0c-4b7e-9f50-0b0b8b8d8f11")
    google.done(google.insert(request_id="7f3b1f3e-5a0c-4b7e-9f50-0b0b8b8d8f11"))
    assert len(gcp.machines()) == 1
    assert [call.outcome for call in gcp.calls()] == ["lost", "ok", "ok"]


def test_a_caller_is_killed_before_or_after_its_call(gcp: GcpCloud, google: Google) -> None:
    killed = []
    gcp.faults.killpoint(1, When.BEFORE, lambda: killed.append("before"))
    with pytest.raises(LOST):
        google.insert()
    assert (killed, gcp.machines()) == (["before"], [])
    gcp.faults.killpoint(1, When.AFTER, lambda: killed.append("after"))
    with pytest.raises(LOST):
        google.insert()
    assert (killed, len(gcp.machines())) == (["before", "after"], 1)


def test_a_machine_just_made_may_not_be_known_yet(gcp: GcpCloud, google: Google) -> None:
    gcp.faults.stale_reads = 2
    google.done(google.insert())
    with refused(404, "notFound", "instances/vm"):
        google.instances("/vm")
    assert "items" not in google.instances()
    assert google.state() == "RUNNING"


def test_a_firewall_rule_that_fails_is_not_there(gcp: GcpCloud, google: Google) -> None:
    gcp.faults.add("compute", "compute.firewalls.insert", code="RESOURCE_OPERATION_RATE_EXCEEDED")
    rule = {"name": "mine", "allowed": [{"IPProtocol": "tcp", "ports": ["22"]}], "sourceRanges": ["192.0.2.1/32"]}
    ended = google.done(google.compute("POST", "global/firewalls", rule))
    assert ended["error"]["errors"][0]["code"] == "RESOURCE_OPERATION_RATE_EXCEEDED"
    assert "mine" not in gcp.account.firewalls


def test_reading_an_operation_is_refused_at_once(gcp: GcpCloud, google: Google) -> None:
    operation = google.insert()
    gcp.faults.add("compute", "compute.zoneOperations.*", code="RESOURCE_NOT_READY", http=0)
    with refused(400, "RESOURCE_NOT_READY"):
        google.compute("GET", f"zones/{ZONE}/operations/{operation['name']}")
