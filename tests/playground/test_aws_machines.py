"""Machines change as EC2's do: by way of the states in between, for the reasons EC2 gives, with what is underneath."""

import json
from typing import Any

import pytest

from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.playground.aws import AwsCloud

from .launching import TAGS, launch, look, refused, request, running, spot, state

GONE = "i-0123456789abcdef0"


def stop(ec2: Any, id: str) -> None:
    """Stop a machine and see it through."""
    ec2.stop_instances(InstanceIds=[id])
    assert [state(ec2, id), state(ec2, id)] == ["stopping", "stopped"]


def test_a_stopped_machine_starts_again_with_its_disk_and_new_user_data(ec2: Any, hypervisor: Any) -> None:
    id = running(ec2)
    disks = [disk["VolumeId"] for disk in ec2.describe_volumes()["Volumes"]]
    with refused("IncorrectInstanceState", "stopped"):
        ec2.modify_instance_attribute(InstanceId=id, UserData={"Value": b"later"})
    with refused("IncorrectInstanceState", "stopped"):
        ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": "t3.small"})
    stop(ec2, id)
    assert "PublicIpAddress" not in look(ec2, id)
    ec2.modify_instance_attribute(InstanceId=id, UserData={"Value": b"later"})
    ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": "p3.2xlarge"})
    ec2.modify_instance_attribute(InstanceId=id, InstanceInitiatedShutdownBehavior={"Value": "stop"})
    assert ec2.describe_instance_attribute(InstanceId=id, Attribute="userData")["UserData"]["Value"] == "bGF0ZXI="
    assert ec2.start_instances(InstanceIds=[id])["StartingInstances"][0]["PreviousState"]["Name"] == "stopped"
    assert [state(ec2, id), state(ec2, id)] == ["pending", "running"]
    again = hypervisor.orders[1]
    assert (again.id, again.user_data, again.gpu) == (id, b"later", "Tesla V100")
    assert look(ec2, id)["PublicIpAddress"] == "127.0.1.2"
    assert [disk["VolumeId"] for disk in ec2.describe_volumes()["Volumes"]] == disks
    assert hypervisor.told == [("switch_off", id)]


def test_what_a_state_does_not_allow_is_refused(ec2: Any) -> None:
    id = running(ec2)
    ec2.stop_instances(InstanceIds=[id])
    with refused("IncorrectInstanceState", "stopping"):
        ec2.start_instances(InstanceIds=[id])
    with refused("IncorrectInstanceState", "stopping"):
        ec2.reboot_instances(InstanceIds=[id])
    ec2.terminate_instances(InstanceIds=[id])
    for call in (ec2.start_instances, ec2.stop_instances):
        with refused("IncorrectInstanceState", "shutting-down"):
            call(InstanceIds=[id])
    assert [state(ec2, id), state(ec2, id)] == ["shutting-down", "terminated"]
    with refused("IncorrectInstanceState", "terminated"):
        ec2.start_instances(InstanceIds=[id])
    assert ec2.terminate_instances(InstanceIds=[id])["TerminatingInstances"][0]["CurrentState"]["Name"] == "terminated"


@pytest.mark.parametrize(
    "call", ["describe_instances", "start_instances", "stop_instances", "terminate_instances", "reboot_instances"]
)
def test_a_machine_that_is_not_there_is_not_found(ec2: Any, call: str) -> None:
    with refused("InvalidInstanceID.NotFound", GONE):
        getattr(ec2, call)(InstanceIds=[GONE])
    with refused("InvalidInstanceID.Malformed"):
        getattr(ec2, call)(InstanceIds=["i-mine"])


def test_a_transition_lasts_as_long_as_it_is_told(ec2: Any, cloud: AwsCloud) -> None:
    cloud.durations.pending = 30
    id = launch(ec2)
    assert [state(ec2, id) for _ in "123"] == ["pending"] * 3
    cloud.advance(29)
    assert state(ec2, id) == "pending"
    cloud.advance(1)
    assert state(ec2, id) == "running"


def test_a_machine_boots_though_nobody_looks(ec2: Any, cloud: AwsCloud, hypervisor: Any) -> None:
    id = launch(ec2)
    cloud.advance(10)
    assert [order.id for order in hypervisor.orders] == [id]
    assert hypervisor.advanced == pytest.approx(10)
    assert state(ec2, id) == "running"


@pytest.mark.parametrize(
    ("behavior", "states", "undone"),
    [("stop", ["stopping", "stopped"], "switch_off"), ("terminate", ["shutting-down", "terminated"], "destroy")],
)
def test_a_machine_that_switches_itself_off_does_as_its_launch_asked(
    ec2: Any, cloud: AwsCloud, hypervisor: Any, behavior: str, states: list[str], undone: str
) -> None:
    id = running(ec2, InstanceInitiatedShutdownBehavior=behavior)
    cloud.power_off(id)
    assert [state(ec2, id), state(ec2, id)] == states
    reason = look(ec2, id)["StateReason"]
    assert reason["Code"] == "Client.InstanceInitiatedShutdown"
    assert reason["Message"].startswith("Client.InstanceInitiatedShutdown: ")
    assert hypervisor.told == [(undone, id)]


def test_a_reboot_keeps_the_machine_running(ec2: Any, hypervisor: Any) -> None:
    id = running(ec2)
    ec2.reboot_instances(InstanceIds=[id])
    assert hypervisor.told == [("reboot", id)]
    assert state(ec2, id) == "running"


def test_a_protected_machine_is_not_terminated(ec2: Any) -> None:
    id = running(ec2)
    ec2.modify_instance_attribute(InstanceId=id, DisableApiTermination={"Value": True})
    with refused("OperationNotPermitted", "disableApiTermination"):
        ec2.terminate_instances(InstanceIds=[id])


def test_an_ended_machine_is_forgotten_after_an_hour(ec2: Any, cloud: AwsCloud) -> None:
    id = running(ec2)
    ec2.terminate_instances(InstanceIds=[id])
    cloud.advance(60)
    assert look(ec2, id)["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    cloud.advance(3700)
    with refused("InvalidInstanceID.NotFound"):
        look(ec2, id)
    assert not ec2.describe_instances()["Reservations"]


def test_a_group_or_a_disk_in_use_stays(ec2: Any) -> None:
    group = ec2.create_security_group(GroupName="cloudtrain-x", Description="-")["GroupId"]
    id = running(ec2, SecurityGroupIds=[group])
    disk = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
    with refused("DependencyViolation", group):
        ec2.delete_security_group(GroupId=group)
    with refused("VolumeInUse", disk):
        ec2.delete_volume(VolumeId=disk)
    ec2.terminate_instances(InstanceIds=[id])
    with refused("DependencyViolation", group):
        ec2.delete_security_group(GroupId=group)
    assert [state(ec2, id), state(ec2, id)] == ["shutting-down", "terminated"]
    ec2.delete_security_group(GroupId=group)
    with refused("InvalidGroup.NotFound"):
        ec2.delete_security_group(GroupId=group)


def test_a_spot_machine_has_a_request_that_goes_with_it(ec2: Any) -> None:
    tags = [
        {"ResourceType": kind, "Tags": TAGS} for kind in ("instance", "volume", "network-interface", "spot-instances-request")
    ]
    made = ec2.run_instances(**spot(TagSpecifications=tags))["Instances"][0]
    id, request_id = made["InstanceId"], made["SpotInstanceRequestId"]
    assert made["InstanceLifecycle"] == "spot"
    assert request_id.startswith("sir-")
    (found,) = ec2.describe_spot_instance_requests(Filters=[{"Name": "tag:cloudtrain:owner", "Values": ["me"]}])[
        "SpotInstanceRequests"
    ]
    assert (found["State"], found["Status"]["Code"], found["InstanceId"]) == ("active", "fulfilled", id)
    assert ec2.describe_network_interfaces()["NetworkInterfaces"][0]["TagSet"] == TAGS
    with refused("UnsupportedOperation", "one-time"):
        ec2.stop_instances(InstanceIds=[id])
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    (found,) = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[request_id])["SpotInstanceRequests"]
    assert (found["State"], found["Status"]["Code"]) == ("cancelled", "request-canceled-and-instance-running")
    assert [state(ec2, id), state(ec2, id)] == ["pending", "running"]
    with refused("InvalidSpotInstanceRequestID.NotFound"):
        ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=["sir-00000000"])


def test_a_persistent_or_too_cheap_spot_request_is_refused(ec2: Any) -> None:
    with refused("UnsupportedOperation", "one-time"):
        launch(ec2, InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "persistent"}})
    cheap = {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time", "MaxPrice": "0.0001"}}
    with refused("SpotMaxPriceTooLow"):
        launch(ec2, InstanceMarketOptions=cheap, Placement={"AvailabilityZone": "us-east-1a"})


def test_a_reclaimed_machine_has_two_minutes(ec2: Any, cloud: AwsCloud, clock: FakeClock, hypervisor: Any) -> None:
    id = ec2.run_instances(**spot(InstanceInitiatedShutdownBehavior="stop"))["Instances"][0]["InstanceId"]
    assert [state(ec2, id), state(ec2, id)] == ["pending", "running"]
    cloud.reclaim(id)
    notice = json.loads(hypervisor.metadata[id]["meta-data/spot/instance-action"])
    assert notice == {"action": "terminate", "time": "2026-11-21T12:02:00Z"}
    cloud.advance(119)
    assert state(ec2, id) == "running"
    cloud.advance(1)
    assert [state(ec2, id), state(ec2, id)] == ["shutting-down", "terminated"]
    assert look(ec2, id)["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    (asked,) = ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert (asked["State"], asked["Status"]["Code"]) == ("closed", "instance-terminated-no-capacity")


def test_a_spot_machine_that_switches_itself_off_ends_whatever_was_asked(ec2: Any, cloud: AwsCloud) -> None:
    id = ec2.run_instances(**spot(InstanceInitiatedShutdownBehavior="stop"))["Instances"][0]["InstanceId"]
    assert [state(ec2, id), state(ec2, id)] == ["pending", "running"]
    cloud.power_off(id)
    assert [state(ec2, id), state(ec2, id)] == ["shutting-down", "terminated"]


def test_only_a_running_spot_machine_is_reclaimed(ec2: Any, cloud: AwsCloud) -> None:
    id = running(ec2)
    with pytest.raises(ValueError, match="no running spot instance"):
        cloud.reclaim(id)


def test_machines_are_found_by_filters_and_in_pages(ec2: Any) -> None:
    ids = [launch(ec2, InstanceType=kind) for kind in ("t3.micro", "t3.small", "t3.medium", "t3.large", "t3.micro", "t3.micro")]
    few = ec2.describe_instances(
        Filters=[{"Name": "instance-type", "Values": ["t3.m*"]}, {"Name": "tag:cloudtrain:owner", "Values": ["me"]}]
    )
    assert [one["Instances"][0]["InstanceId"] for one in few["Reservations"]] == [ids[0], ids[2], ids[4], ids[5]]
    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["Reservations"]) for page in pages] == [5, 1]
    assert ec2.describe_instances(Filters=[{"Name": "tag-key", "Values": ["other"]}])["Reservations"] == []
    with refused("InvalidParameterValue", "maxResults"):
        ec2.describe_instances(MaxResults=4)
    with refused("InvalidParameterCombination"):
        ec2.describe_instances(MaxResults=5, InstanceIds=ids[:1])


def test_an_unknown_filter_or_action_is_a_plain_refusal(ec2: Any) -> None:
    launch(ec2)
    for call in (
        ec2.describe_instances,
        ec2.describe_volumes,
        ec2.describe_security_groups,
        ec2.describe_instance_type_offerings,
    ):
        with refused("InvalidParameterValue", "'nonsense' is invalid"):
            call(Filters=[{"Name": "nonsense", "Values": ["x"]}])
    with refused("UnsupportedOperation", "cannot filter"):
        ec2.describe_instances(Filters=[{"Name": "affinity", "Values": ["x"]}])
    with refused("UnsupportedOperation", "GetSpotPlacementScores"):
        ec2.get_spot_placement_scores(TargetCapacity=1, InstanceTypes=["t3.micro"])


def test_instance_status_is_of_running_machines(ec2: Any) -> None:
    id = launch(ec2)
    assert ec2.describe_instance_status()["InstanceStatuses"] == []
    (one,) = ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert (one["InstanceId"], one["InstanceState"]["Name"]) == (id, "pending")
    (one,) = ec2.describe_instance_status()["InstanceStatuses"]
    assert one["InstanceState"]["Name"] == "running"


def test_tags_are_for_what_exists(ec2: Any) -> None:
    with refused("InvalidInstanceID.NotFound"):
        ec2.create_tags(Resources=[GONE], Tags=TAGS)
    id = launch(ec2, TagSpecifications=None)
    ec2.create_tags(Resources=[id], Tags=TAGS)
    assert look(ec2, id)["Tags"] == TAGS


def test_every_region_is_its_own(client: Any) -> None:
    near, far = client("ec2"), client("ec2", "us-west-2")
    id = far.run_instances(**request("us-west-2"))["Instances"][0]["InstanceId"]
    with refused("InvalidInstanceID.NotFound"):
        look(near, id)
    assert look(far, id)["Placement"]["AvailabilityZone"].startswith("us-west-2")
    names = {region["RegionName"] for region in near.describe_regions()["Regions"]}
    assert names == {"us-east-1", "us-east-2", "us-west-2", "eu-west-1"}
    everything = {region["RegionName"]: region["OptInStatus"] for region in near.describe_regions(AllRegions=True)["Regions"]}
    assert everything["af-south-1"] == "not-opted-in"
    with refused("AuthFailure"):
        client("ec2", "af-south-1").describe_instances()
