"""instances.insert refuses what Compute Engine refuses, fills in what it fills in, and happens once."""

from datetime import timedelta
from typing import Any

import pytest

from cloudtrain.testing.clock import NOON
from cloudtrain.testing.playground.gcp import GcpCloud

from .google_calls import LABELS, ZONE, Google, disk, instance, refused, scheduling, spot

ID = "7f3b1f3e-5a0c-4b7e-9f50-0b0b8b8d8f11"
L4 = f"zones/{ZONE}/acceleratorTypes/nvidia-l4"
T4 = f"zones/{ZONE}/acceleratorTypes/nvidia-tesla-t4"


def test_a_machine_comes_up_through_every_state(google: Google, hypervisor: Any) -> None:
    operation = google.insert()
    assert (operation["status"], operation["operationType"]) == ("PENDING", "insert")
    assert [google.state() for _ in "123"] == ["PROVISIONING", "STAGING", "RUNNING"]
    shown = google.instances("/vm")
    assert shown["networkInterfaces"][0]["accessConfigs"][0]["natIP"] == "127.0.1.1"
    assert shown["networkInterfaces"][0]["networkIP"].startswith("10.128.")
    end = (NOON + timedelta(hours=1)).isoformat(timespec="milliseconds")
    assert shown["resourceStatus"]["scheduling"]["terminationTimestamp"] == end
    order = hypervisor.orders[0]
    assert (order.id, order.user_data, order.user, order.gpu) == ("vm", b"#!/bin/sh\n", "ubuntu", "")


def test_an_operation_that_is_looked_at_goes_on(google: Google) -> None:
    operation = google.insert()
    path = f"zones/{ZONE}/operations/{operation['name']}"
    assert [google.compute("GET", path)["status"] for _ in "123"] == ["PENDING", "RUNNING", "DONE"]
    assert google.compute("GET", f"zones/{ZONE}/operations", filter="status=DONE")["items"][0]["name"] == operation["name"]
    with refused(404, "notFound", operation["name"]):
        google.compute("GET", f"global/operations/{operation['name']}")


def test_a_transition_lasts_as_long_as_it_is_told(gcp: GcpCloud, google: Google) -> None:
    gcp.durations.provisioning, gcp.durations.staging = 10, 20
    operation = google.insert()
    path = f"zones/{ZONE}/operations/{operation['name']}/wait"
    assert [google.compute("POST", path)["status"] for _ in "12"] == ["PENDING", "PENDING"]
    gcp.advance(10)
    assert (google.compute("POST", path)["status"], google.state()) == ("RUNNING", "STAGING")
    gcp.advance(20)
    assert (google.compute("POST", path)["status"], google.state()) == ("DONE", "RUNNING")


def test_without_anybody_looking_a_machine_comes_up_too(gcp: GcpCloud, google: Google) -> None:
    google.insert()
    gcp.advance(10)
    assert [machine.state for machine in gcp.machines()] == ["RUNNING"]


def test_the_same_request_makes_one_machine(gcp: GcpCloud, google: Google, hypervisor: Any) -> None:
    first = google.insert(request_id=ID)
    google.done(first)
    again = google.insert(request_id=ID)
    assert (again["name"], again["status"], len(hypervisor.orders)) == (first["name"], "DONE", 1)
    with refused(400, "invalid", "used by a different request"):
        google.insert("other", request_id=ID)
    with refused(409, "alreadyExists", f"projects/{google.project}/zones/{ZONE}/instances/vm' already exists"):
        google.insert()
    gcp.advance(3601)
    with refused(409, "alreadyExists"):
        google.insert("kept", disks=[disk(diskName="vm")], request_id=ID)


def test_what_nobody_said_is_filled_in_as_google_does(google: Google) -> None:
    shown = google.running(scheduling=None, labels=None, tags=None, metadata=None)
    assert shown["scheduling"] == {
        "provisioningModel": "STANDARD",
        "preemptible": False,
        "automaticRestart": True,
        "onHostMaintenance": "MIGRATE",
    }
    assert (shown["resourceStatus"]["scheduling"], shown.get("serviceAccounts")) == ({}, None)


def test_a_disk_is_kept_unless_it_was_said(google: Google) -> None:
    kept = disk()
    del kept["autoDelete"]
    assert google.running(disks=[kept])["disks"][0]["autoDelete"] is False
    google.done(google.instances("/vm", "DELETE"))
    left = google.compute("GET", f"zones/{ZONE}/disks/vm")
    assert (left["labels"], left.get("users", [])) == (LABELS, [])
    google.done(google.compute("DELETE", f"zones/{ZONE}/disks/vm"))
    assert "items" not in google.compute("GET", f"zones/{ZONE}/disks")


def test_a_disk_goes_with_its_machine_when_it_was_said(google: Google) -> None:
    google.running()
    with refused(400, "resourceInUseByAnotherResource", "instances/vm"):
        google.compute("DELETE", f"zones/{ZONE}/disks/vm")
    google.done(google.instances("/vm", "DELETE"))
    with refused(404, "notFound"):
        google.compute("GET", f"zones/{ZONE}/disks/vm")
    with refused(404, "notFound"):
        google.instances("/vm")


def machine(**changes: Any) -> dict[str, Any]:
    return changes


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (machine(disks=[disk(diskSizeGb="5")]), "Requested disk size cannot be smaller than the image size (10 GB)"),
        (machine(disks=[disk(diskType=f"zones/{ZONE}/diskTypes/hyperdisk-balanced")]), "features are not compatible"),
        (machine(disks=[disk(diskType="pd-fast")]), "diskType resource cannot be found"),
        (machine(disks=[]), "No disks are specified"),
        (machine(networkInterfaces=[]), "At least one network interface is required"),
        (machine(size="n1-standard-3"), "Machine type with name 'n1-standard-3' does not exist in zone"),
        (machine(machineType="n1-standard-4"), "The URL is malformed"),
        (machine(machineType="zones/us-east1-b/machineTypes/n1-standard-4"), f"must be in zone {ZONE}"),
        (machine(labels={"cloudtrain:owner": "me"}), "Label key 'cloudtrain:owner' violates format constraints"),
        (machine(labels={"owner": "Me"}), "Label value 'Me' violates format constraints"),
        (machine(labels={"a" * 64: ""}), "violates format constraints"),
        (machine(labels={f"a{n}": "" for n in range(65)}), "exceeds the maximum of 64"),
        (machine(tags={"items": ["Web"]}), "resource.tags.items[0]"),
        (machine(metadata={"items": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}), "duplicate keys: a"),
        (machine(metadata={"items": [{"key": "a", "value": "x" * (256 * 1024 + 1)}]}), "exceeds the maximum length"),
        (machine(size="g2-standard-4", scheduling=scheduling(onHostMaintenance=None)), "do not support live migration"),
        (machine(size="g2-standard-4", guestAccelerators=[{"acceleratorType": L4, "acceleratorCount": 1}]), "not compatible"),
        (machine(size="e2-standard-4", guestAccelerators=[{"acceleratorType": T4, "acceleratorCount": 1}]), "not compatible"),
        (machine(guestAccelerators=[{"acceleratorType": T4, "acceleratorCount": 3}]), "power of two, at most 4"),
        (machine(guestAccelerators=[{"acceleratorType": T4, "acceleratorCount": 8}]), "power of two, at most 4"),
        (machine(size="e2-standard-4"), "E2 machine family only support live migration"),
        (machine(size="a3-highgpu-1g"), "not available with the STANDARD provisioning model"),
        (machine(scheduling=spot(automaticRestart=True)), "preemptible be false when AutomaticRestart is true"),
        (machine(scheduling=spot(onHostMaintenance="MIGRATE")), "OnHostMaintenance isn't TERMINATE"),
        (machine(scheduling=spot(preemptionNoticeDuration={"seconds": "60"})), "must be 0 or 120 seconds"),
        (machine(scheduling=scheduling(preemptionNoticeDuration={"seconds": "120"})), "SPOT provisioning model"),
        (machine(scheduling=scheduling(maxRunDuration={"seconds": "29"})), "between 30 seconds and 120 days"),
        (machine(scheduling=scheduling(maxRunDuration={"seconds": str(120 * 86400 + 1)})), "between 30 seconds and 120 days"),
        (machine(scheduling=scheduling(maxRunDuration=None)), "instanceTerminationAction can only be set for"),
        (machine(scheduling=scheduling(terminationTime="2026-12-01T00:00:00Z")), "Only one of maxRunDuration and"),
        (machine(scheduling=scheduling(maxRunDuration=None, terminationTime="2026-11-21T11:59:59Z")), "in the future"),
        (machine(scheduling=scheduling(maxRunDuration=None, terminationTime="soon")), "in RFC3339 text format"),
        (machine(scheduling=scheduling(preemptible=True)), "not supported for legacy preemptible"),
    ],
)  # fmt: skip
def test_what_google_refuses_at_once(gcp: GcpCloud, google: Google, changes: dict[str, Any], text: str) -> None:
    with refused(400, "invalid", text):
        google.insert(**changes)
    assert (gcp.machines(), gcp.account.disks) == ([], {})


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        (machine(disks=[disk(sourceImage="projects/ubuntu-os-cloud/global/images/family/ubuntu-1804-lts")]), "ubuntu-1804-lts"),
        (machine(networkInterfaces=[{"network": "global/networks/mine"}]), "global/networks/mine"),
        (machine(networkInterfaces=[{"subnetwork": "regions/us-central1/subnetworks/x"}]), "subnetworks/x"),
        (
            machine(guestAccelerators=[{"acceleratorType": f"zones/{ZONE}/acceleratorTypes/h", "acceleratorCount": 1}]),
            "Types/h",
        ),
    ],
)
def test_what_is_not_there_is_named(google: Google, changes: dict[str, Any], path: str) -> None:
    with refused(404, "notFound", path):
        google.insert(**changes)


@pytest.mark.parametrize(
    ("changes", "gpu", "count"),
    [
        (machine(size="g2-standard-48"), "NVIDIA L4", 4),
        (machine(size="n1-standard-8", guestAccelerators=[{"acceleratorType": T4, "acceleratorCount": 2}]), "Tesla T4", 2),
        (machine(size="a3-highgpu-1g", scheduling=spot()), "NVIDIA H100 80GB HBM3", 1),
        (machine(size="n1-standard-1"), "", 0),
    ],
)
def test_a_machine_shows_its_gpus(google: Google, hypervisor: Any, changes: dict[str, Any], gpu: str, count: int) -> None:
    google.running(**changes)
    assert (hypervisor.orders[0].gpu, hypervisor.orders[0].gpu_count) == (gpu, count)


@pytest.mark.parametrize(
    ("metric", "changes", "where"),
    [
        ("NVIDIA_L4_GPUS", machine(), "in region us-central1"),
        ("GPUS_ALL_REGIONS", machine(), "globally"),
        ("PREEMPTIBLE_NVIDIA_L4_GPUS", machine(scheduling=spot()), "in region us-central1"),
        ("NVIDIA_H100", machine(size="a3-highgpu-8g"), "in region us-central1"),
        ("IN_USE_ADDRESSES", machine(), "in region us-central1"),
        ("SSD_TOTAL_GB", machine(), "in region us-central1"),
    ],
)
def test_a_quota_is_told_in_the_operation(
    gcp: GcpCloud, google: Google, metric: str, changes: dict[str, Any], where: str
) -> None:
    gcp.set_quota(metric, 0)
    ended = google.done(google.insert(**({"size": "g2-standard-4"} | changes)))
    error = ended["error"]["errors"][0]
    assert (error["code"], ended["httpErrorStatusCode"]) == ("QUOTA_EXCEEDED", 403)
    assert error["message"] == f"Quota '{metric}' exceeded.  Limit: 0.0 {where}."
    assert (gcp.machines(), gcp.account.disks) == ([], {})


def test_spot_does_not_use_up_what_is_for_on_demand(gcp: GcpCloud, google: Google) -> None:
    gcp.set_quota("NVIDIA_L4_GPUS", 0)
    gcp.set_quota("GPUS_ALL_REGIONS", 0)
    google.running(size="g2-standard-4", scheduling=spot())
    quotas = {one["metric"]: one for one in google.compute("GET", "regions/us-central1")["quotas"]}
    assert quotas["PREEMPTIBLE_NVIDIA_L4_GPUS"] == {"metric": "PREEMPTIBLE_NVIDIA_L4_GPUS", "limit": 16.0, "usage": 1.0}
    assert quotas["NVIDIA_L4_GPUS"]["usage"] == 0.0


def test_there_is_no_such_quota(gcp: GcpCloud) -> None:
    with pytest.raises(KeyError):
        gcp.set_quota("NVIDIA_L40_GPUS", 1)


def test_a_machine_that_does_not_boot_ends_its_operation(google: Google, gcp: GcpCloud, hypervisor: Any) -> None:
    hypervisor.boots_nothing = True
    ended = google.done(google.insert())
    assert ended["error"]["errors"][0]["code"] == "INTERNAL_ERROR"
    assert (google.state(), "did not boot" in gcp.account.events[0]) == ("TERMINATED", True)


def test_two_zones_may_have_machines_of_one_name(gcp: GcpCloud, google: Google) -> None:
    google.running()
    google.running(zone="us-west1-a")
    assert [machine.id for machine in gcp.machines()] == ["vm", "vm.us-west1-a"]


def test_the_request_of_the_tests_breaks_no_rule(gcp: GcpCloud, google: Google) -> None:
    """But that the default network lets everybody in at port 22."""
    assert instance()["name"] == "vm"
    google.running()
    assert [violation.what for violation in gcp.violations()] == ["port 22 is open to 198.51.100.77"]


def test_a_machine_with_an_account_that_is_not_there_fails_in_its_operation(gcp: GcpCloud, google: Google) -> None:
    email = f"cloudtrain-1@{gcp.project}.iam.gserviceaccount.com"
    operation = google.done(google.insert(serviceAccounts=[{"email": email, "scopes": []}]))
    [error] = operation["error"]["errors"]
    assert (error["code"], error["message"]) == (
        "RESOURCE_NOT_FOUND",
        f"The resource '{email}' of type 'serviceAccount' was not found.",
    )
    assert gcp.machines() == []
    gcp.make_service_account("cloudtrain-1")
    google.running(serviceAccounts=[{"email": email, "scopes": []}])
