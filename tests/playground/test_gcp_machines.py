"""Machines change and end as Compute Engine's do: by users, by themselves, by their time limit, by preemption."""

from typing import Any

import pytest

from cloudtrain.testing.playground.gcp import GcpCloud

from .google_calls import LABELS, ZONE, Google, disk, refused, scheduling, spot

T4 = f"zones/{ZONE}/acceleratorTypes/nvidia-tesla-t4"


def stop(google: Google) -> None:
    google.done(google.instances("/vm/stop", "POST"))
    assert google.state() == "TERMINATED"


def test_a_stopped_machine_keeps_its_disk_and_starts_again(google: Google, hypervisor: Any) -> None:
    google.running()
    operation = google.instances("/vm/stop", "POST")
    assert google.state() == "STOPPING"
    google.done(operation)
    shown = google.instances("/vm")
    assert (shown["status"], "natIP" in shown["networkInterfaces"][0]["accessConfigs"][0]) == ("TERMINATED", False)
    assert shown["resourceStatus"]["scheduling"] == {}
    assert google.compute("GET", f"zones/{ZONE}/disks/vm")["users"] == [shown["selfLink"]]
    google.done(google.instances("/vm/start", "POST"))
    assert google.instances("/vm")["networkInterfaces"][0]["accessConfigs"][0]["natIP"] == "127.0.1.2"
    assert hypervisor.told == [("switch_off", "vm")]


def test_the_time_limit_begins_anew_with_every_start(gcp: GcpCloud, google: Google) -> None:
    google.running()
    gcp.advance(3000)
    stop(google)
    google.done(google.instances("/vm/start", "POST"))
    gcp.advance(3599)
    assert google.state() == "RUNNING"
    gcp.advance(2)
    assert google.state() == "STOPPING"


def test_the_time_limit_deletes_a_machine_and_its_disk(gcp: GcpCloud, google: Google, hypervisor: Any) -> None:
    google.running()
    gcp.advance(3611)
    assert (gcp.machines(), gcp.account.disks) == ([], {})
    assert hypervisor.told == [("switch_off", "vm"), ("destroy", "vm")]
    ended = google.compute("GET", f"zones/{ZONE}/operations", filter="operationType=delete")["items"]
    assert [one["user"] for one in ended] == ["system"]


def test_the_time_limit_stops_a_machine_when_that_was_asked(gcp: GcpCloud, google: Google) -> None:
    google.running(scheduling=scheduling(instanceTerminationAction="STOP"))
    gcp.advance(3611)
    assert google.state() == "TERMINATED"


def test_a_moment_may_be_the_limit_and_keeps_a_machine_off_when_it_has_passed(gcp: GcpCloud, google: Google) -> None:
    moment = scheduling(maxRunDuration=None, terminationTime="2026-11-21T13:00:00Z", instanceTerminationAction="STOP")
    google.running(scheduling=moment)
    gcp.advance(3611)
    assert google.state() == "TERMINATED"
    with refused(400, "invalid", "must be a time in the future"):
        google.instances("/vm/start", "POST")
    google.done(google.instances("/vm/setScheduling", "POST", {"terminationTime": None, "maxRunDuration": {"seconds": 60}}))
    google.done(google.instances("/vm/start", "POST"))
    assert google.state() == "RUNNING"


def test_a_machine_that_switches_itself_off_is_stopped_and_never_deleted(gcp: GcpCloud, google: Google) -> None:
    google.running()
    gcp.power_off("vm")
    gcp.settle()
    assert google.state() == "STOPPING"
    gcp.advance(10)
    assert google.state() == "TERMINATED"
    kinds = [one["operationType"] for one in google.compute("GET", f"zones/{ZONE}/operations")["items"]]
    assert kinds == ["insert", "compute.instances.guestTerminate"]


def test_preemption_without_notice(gcp: GcpCloud, google: Google, hypervisor: Any) -> None:
    google.running(scheduling=spot())
    assert hypervisor.metadata["vm"]["instance/preempted"] == "FALSE"
    gcp.reclaim("vm")
    assert hypervisor.metadata["vm"]["instance/preempted"] == "TRUE"
    gcp.advance(29)
    assert google.state() == "RUNNING"
    gcp.advance(1)
    assert google.state() == "STOPPING"
    gcp.advance(10)
    assert gcp.machines() == []
    kinds = [one["operationType"] for one in google.compute("GET", f"zones/{ZONE}/operations")["items"]]
    assert kinds == ["insert", "compute.instances.preempted"]


def test_preemption_with_the_notice_that_was_asked_for(gcp: GcpCloud, google: Google, hypervisor: Any) -> None:
    asked = {"preemptionNoticeDuration": {"seconds": "120"}, "instanceTerminationAction": "STOP"}
    google.running(scheduling=spot(**asked))
    gcp.reclaim("vm")
    assert hypervisor.metadata["vm"]["instance/preempted"] == "TRUE"
    gcp.advance(149)
    assert google.state() == "RUNNING"
    gcp.advance(11)
    assert google.state() == "TERMINATED"


def test_only_a_running_spot_machine_is_preempted(gcp: GcpCloud, google: Google) -> None:
    google.running()
    with pytest.raises(ValueError, match="no running Spot"):
        gcp.reclaim("vm")
    with pytest.raises(KeyError):
        gcp.reclaim("other")


def test_a_machine_may_be_deleted_in_the_middle_of_anything(gcp: GcpCloud, google: Google, hypervisor: Any) -> None:
    operation = google.insert()
    google.done(google.instances("/vm", "DELETE"))
    ended = google.done(operation)
    assert ended["error"]["errors"][0]["code"] == "OPERATION_CANCELED_BY_USER"
    gcp.advance(3600)
    assert (gcp.machines(), hypervisor.orders) == ([], [])
    with refused(404, "notFound"):
        google.instances("/vm", "DELETE")


def test_deleting_twice_spares_the_next_of_that_name(gcp: GcpCloud, google: Google) -> None:
    google.running()
    first = google.instances("/vm", "DELETE")
    second = google.instances("/vm", "DELETE")
    assert google.done(first)["error"]["errors"][0]["code"] == "OPERATION_CANCELED_BY_USER"
    google.done(second)
    google.running()
    gcp.advance(60)
    assert google.state() == "RUNNING"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"maxRunDuration": {"seconds": "7200"}}, "maxRunDuration"),
        ({"maxRunDuration": None, "terminationTime": "2026-12-01T00:00:00Z"}, "maxRunDuration"),
        ({"instanceTerminationAction": "STOP"}, "instanceTerminationAction"),
        ({"provisioningModel": "SPOT"}, "provisioningModel"),
        ({"minNodeCpus": 2}, "minNodeCpus"),
    ],
)
def test_what_cannot_be_changed_of_a_machine_that_runs(google: Google, change: dict[str, Any], field: str) -> None:
    google.running()
    with refused(400, "invalid", f"{field} cannot be changed while the instance is running"):
        google.instances("/vm/setScheduling", "POST", change)


def test_what_can_be_changed_of_a_machine_that_runs_and_what_of_one_that_is_off(gcp: GcpCloud, google: Google) -> None:
    google.running()
    google.done(google.instances("/vm/setScheduling", "POST", {"onHostMaintenance": "MIGRATE", "automaticRestart": True}))
    shown = google.instances("/vm")["scheduling"]
    assert (shown["onHostMaintenance"], shown["maxRunDuration"]) == ("MIGRATE", {"seconds": "3600"})
    stop(google)
    google.done(google.instances("/vm/setScheduling", "POST", {"maxRunDuration": {"seconds": "7200"}}))
    google.done(google.instances("/vm/start", "POST"))
    gcp.advance(7199)
    assert google.state() == "RUNNING"


def test_labels_change_by_their_fingerprint(google: Google) -> None:
    shown = google.running()
    change = {"labels": {"a": "b"}, "labelFingerprint": shown["labelFingerprint"]}
    google.done(google.instances("/vm/setLabels", "POST", change))
    assert google.instances("/vm")["labels"] == {"a": "b"}
    with refused(412, "conditionNotMet"):
        google.instances("/vm/setLabels", "POST", change)
    with refused(400, "required"):
        google.instances("/vm/setLabels", "POST", {"labels": LABELS})


def test_metadata_and_tags_change_by_their_fingerprints(google: Google, hypervisor: Any) -> None:
    shown = google.running()
    items = [{"key": "ssh-keys", "value": "me:ssh-ed25519 AAAA"}]
    change = {"items": items, "fingerprint": shown["metadata"]["fingerprint"]}
    google.done(google.instances("/vm/setMetadata", "POST", change))
    assert google.instances("/vm")["metadata"]["items"] == items
    assert hypervisor.metadata["vm"]["instance/attributes/ssh-keys"] == "me:ssh-ed25519 AAAA"
    assert hypervisor.metadata["vm"]["instance/attributes/user-data"] is None
    with refused(412, "conditionNotMet", "metadata fingerprint"):
        google.instances("/vm/setMetadata", "POST", change)
    google.done(google.instances("/vm/setTags", "POST", {"items": ["b", "a"], "fingerprint": shown["tags"]["fingerprint"]}))
    assert google.instances("/vm")["tags"]["items"] == ["a", "b"]
    with refused(412, "conditionNotMet", "tags fingerprint"):
        google.instances("/vm/setTags", "POST", {"items": [], "fingerprint": shown["tags"]["fingerprint"]})


def test_a_size_changes_while_the_machine_is_off_and_its_gpus_fit(google: Google, hypervisor: Any) -> None:
    google.running(guestAccelerators=[{"acceleratorType": T4, "acceleratorCount": 1}])
    other = {"machineType": f"zones/{ZONE}/machineTypes/n1-standard-8"}
    with refused(400, "invalid", "only be changed when the instance is stopped"):
        google.instances("/vm/setMachineType", "POST", other)
    stop(google)
    with refused(400, "invalid", "[g2-standard-4, nvidia-tesla-t4] features are not compatible"):
        google.instances("/vm/setMachineType", "POST", {"machineType": f"zones/{ZONE}/machineTypes/g2-standard-4"})
    google.done(google.instances("/vm/setMachineType", "POST", other))
    google.done(google.instances("/vm/start", "POST"))
    assert google.instances("/vm")["machineType"].endswith("/n1-standard-8")
    assert hypervisor.orders[1].gpu == "Tesla T4"


def test_a_size_that_does_not_take_the_disk_is_refused(google: Google) -> None:
    google.running(disks=[disk(diskType=f"zones/{ZONE}/diskTypes/pd-standard")])
    stop(google)
    with refused(400, "invalid", "[g2-standard-4, pd-standard] features are not compatible"):
        google.instances("/vm/setMachineType", "POST", {"machineType": f"zones/{ZONE}/machineTypes/g2-standard-4"})


def test_a_quota_may_keep_a_machine_from_starting_again(gcp: GcpCloud, google: Google) -> None:
    google.running(size="g2-standard-4")
    stop(google)
    gcp.set_quota("NVIDIA_L4_GPUS", 0)
    ended = google.done(google.instances("/vm/start", "POST"))
    assert (ended["error"]["errors"][0]["code"], google.state()) == ("QUOTA_EXCEEDED", "TERMINATED")


def test_a_protected_machine_is_not_deleted(google: Google) -> None:
    google.running(deletionProtection=True)
    with refused(400, "invalidUsage", "protected against deletion"):
        google.instances("/vm", "DELETE")


def test_stopping_and_starting_again_and_again_is_a_success(google: Google) -> None:
    google.running()
    google.done(google.instances("/vm/start", "POST"))
    stop(google)
    stop(google)


def test_what_the_guest_has_written_is_there_when_that_is_switched_on(google: Google) -> None:
    on = {"key": "enable-guest-attributes", "value": "TRUE"}
    google.running("on", metadata={"items": [on]})
    found = google.instances("/on/getGuestAttributes", queryPath="hostkeys/")
    assert found["queryValue"]["items"] == [{"namespace": "hostkeys", "key": "ssh-ed25519", "value": "AAAA"}]
    google.running()
    with refused(404, "notFound"):
        google.instances("/vm/getGuestAttributes", queryPath="hostkeys/")


def test_an_attached_disk_stays_what_it_was(google: Google) -> None:
    google.running()
    google.done(google.instances("/vm/setDiskAutoDelete", "POST", autoDelete="false", deviceName="persistent-disk-0"))
    google.done(google.instances("/vm", "DELETE"))
    attached = {"boot": True, "source": f"zones/{ZONE}/disks/vm"}
    assert google.running("next", disks=[attached])["disks"][0]["autoDelete"] is False
    with refused(400, "resourceInUseByAnotherResource", "already being used by 'next'"):
        google.insert("third", disks=[attached])
