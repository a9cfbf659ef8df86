"""RunInstances is as strict as EC2's own."""

from typing import Any

import pytest

from cloudtrain.testing.playground.aws import AwsCloud

from .launching import DEEP_LEARNING, TAGS, launch, look, refused, request, running, spot, state


def test_a_machine_boots_with_what_its_launch_said(ec2: Any, hypervisor: Any) -> None:
    id = running(
        ec2,
        ImageId=DEEP_LEARNING.id("us-east-1"),
        InstanceType="p2.8xlarge",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"Encrypted": True}}],
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"},
    )
    (order,) = hypervisor.orders
    assert (order.id, order.user, order.user_data) == (id, "ubuntu", b"#!/bin/sh\nshutdown -h +60\n")
    assert (order.gpu, order.gpu_count, order.gpu_memory_mib, order.compute_capability) == ("Tesla K80", 8, 12288, "3.7")
    known = hypervisor.metadata[id]
    assert known["meta-data/instance-id"] == id
    assert known["meta-data/placement/availability-zone"] == "us-east-1a"
    assert known["meta-data/placement/region"] == "us-east-1"
    assert known["meta-data/instance-type"] == "p2.8xlarge"
    assert known["meta-data/ami-id"] == DEEP_LEARNING.id("us-east-1")
    assert known["meta-data/tags/instance/cloudtrain:owner"] == "me"
    assert known["meta-data/public-ipv4"] == "127.0.1.1" == look(ec2, id)["PublicIpAddress"]


def test_a_machine_has_no_address_before_it_runs(ec2: Any) -> None:
    reply = ec2.run_instances(**request())["Instances"][0]
    assert reply["State"]["Name"] == "pending"
    assert "PublicIpAddress" not in reply
    assert "PublicIpAddress" not in look(ec2, reply["InstanceId"])


def test_the_same_token_makes_one_machine(ec2: Any) -> None:
    first, again = (ec2.run_instances(**request(ClientToken="one"))["Instances"][0] for _ in range(2))
    assert first["InstanceId"] == again["InstanceId"]
    assert len(ec2.describe_instances()["Reservations"]) == 1
    assert ec2.describe_instances(Filters=[{"Name": "client-token", "Values": ["one"]}])["Reservations"]


def test_the_same_token_with_other_words_is_refused(ec2: Any) -> None:
    launch(ec2, ClientToken="one")
    with refused("IdempotentParameterMismatch"):
        launch(ec2, ClientToken="one", InstanceType="t3.small")


def test_a_token_is_good_for_each_zone_that_is_named(ec2: Any) -> None:
    ids = {launch(ec2, ClientToken="one", Placement={"AvailabilityZone": f"us-east-1{zone}"}) for zone in "aab"}
    assert len(ids) == 2


def test_a_token_of_a_terminated_machine_answers_that_machine(ec2: Any, cloud: AwsCloud) -> None:
    id = launch(ec2, ClientToken="one")
    ec2.terminate_instances(InstanceIds=[id])
    assert [state(ec2, id), state(ec2, id)] == ["shutting-down", "terminated"]
    again = ec2.run_instances(**request(ClientToken="one"))["Instances"][0]
    assert (again["InstanceId"], again["State"]["Name"]) == (id, "terminated")
    cloud.account.token_of_terminated_is_error = True
    with refused("IdempotentInstanceTerminated"):
        launch(ec2, ClientToken="one")


@pytest.mark.parametrize(
    ("changes", "code", "match"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound", "."),
        ({"ImageId": "ubuntu"}, "InvalidAMIID.Malformed", "."),
        ({"InstanceType": "p2.huge"}, "InvalidParameterValue", "InstanceType"),
        ({"InstanceType": "g5g.xlarge"}, "InvalidParameterValue", "arm64"),
        ({"InstanceType": "p2.xlarge", "Placement": {"AvailabilityZone": "us-east-1f"}}, "Unsupported", "choosing us-east-1a"),
        ({"Placement": {"AvailabilityZone": "us-west-2a"}}, "InvalidParameterValue", "zone"),
        ({"KeyName": "mine"}, "InvalidKeyPair.NotFound", "."),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound", "."),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound", "."),
        ({"UserData": "x" * 16385}, "InvalidParameterValue", "16384"),
        ({"MaxCount": 1, "MinCount": 2}, "InvalidParameterValue", "minCount"),
        ({"ClientToken": "x" * 65}, "InvalidParameterValue", "token"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 7}}]},
            "InvalidBlockDeviceMapping",
            "Volume of size 7GB is smaller than snapshot 'snap-.*', expect size>= 8GB",
        ),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "k" * 129, "Value": ""}]}]},
            "InvalidParameterValue",
            "key",
        ),
        ({"TagSpecifications": [{"ResourceType": "spot-instances-request", "Tags": TAGS}]}, "InvalidParameterCombination", "."),
        ({"LaunchTemplate": {"LaunchTemplateName": "mine"}}, "UnsupportedOperation", "."),
        ({"IamInstanceProfile": {"Name": "nobody"}}, "InvalidParameterValue", "nobody"),
    ],
)
def test_a_launch_that_ec2_refuses_makes_nothing(ec2: Any, changes: dict[str, Any], code: str, match: str) -> None:
    with refused(code, match):
        launch(ec2, **changes)
    assert not ec2.describe_instances()["Reservations"]
    assert not ec2.describe_volumes()["Volumes"]


def test_user_data_of_the_full_size_is_taken(ec2: Any, hypervisor: Any) -> None:
    running(ec2, UserData="x" * 16384)
    assert len(hypervisor.orders[0].user_data) == 16384


def test_a_type_that_a_region_lacks_is_unsupported(client: Any) -> None:
    ec2 = client("ec2", "us-east-2")
    with refused("Unsupported", "not supported"):
        launch(ec2, ImageId=DEEP_LEARNING.id("us-east-2"), InstanceType="p3dn.24xlarge", BlockDeviceMappings=None)


def test_a_group_of_another_network_is_refused(ec2: Any) -> None:
    network = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="other", Description="-", VpcId=network)["GroupId"]
    with refused("InvalidParameter", "different networks"):
        launch(ec2, SecurityGroupIds=[group])


def test_without_a_default_network_there_is_no_launch(ec2: Any, cloud: AwsCloud) -> None:
    network = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=network)
    with refused("VPCIdNotSpecified", "No default VPC"):
        launch(ec2)


def test_the_disk_is_as_the_image_says_where_nothing_else_is_said(ec2: Any) -> None:
    id = launch(ec2, BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 30}}])
    disks = {disk["Attachments"][0]["Device"]: disk for disk in ec2.describe_volumes()["Volumes"]}
    assert (disks["/dev/sda1"]["Size"], disks["/dev/sda1"]["VolumeType"]) == (8, "gp3")
    assert disks["/dev/sda1"]["Attachments"][0]["DeleteOnTermination"]
    assert not disks["/dev/sdf"]["Attachments"][0]["DeleteOnTermination"]
    ec2.terminate_instances(InstanceIds=[id])
    assert [state(ec2, id), state(ec2, id)] == ["shutting-down", "terminated"]
    assert [disk["VolumeId"] for disk in ec2.describe_volumes()["Volumes"]] == [disks["/dev/sdf"]["VolumeId"]]


def test_dry_run_says_yes_and_makes_nothing(ec2: Any) -> None:
    with refused("DryRunOperation"):
        launch(ec2, DryRun=True)
    with refused("InvalidAMIID.NotFound"):
        launch(ec2, DryRun=True, ImageId="ami-0123456789abcdef0")
    with refused("DryRunOperation"):
        ec2.create_security_group(GroupName="g", Description="-", DryRun=True)
    assert not ec2.describe_instances()["Reservations"]
    assert {group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]} == {"default"}


def test_as_many_machines_are_made_as_the_quota_has_room_for(ec2: Any, cloud: AwsCloud) -> None:
    cloud.set_quota("L-1216C47A", 6)
    made = ec2.run_instances(**request(MinCount=1, MaxCount=5))["Instances"]
    assert len(made) == 3
    with refused("VcpuLimitExceeded", "vCPU limit of 6"):
        launch(ec2)
    ec2.terminate_instances(InstanceIds=[made[0]["InstanceId"]])
    assert [state(ec2, made[0]["InstanceId"]) for _ in "12"] == ["shutting-down", "terminated"]
    launch(ec2)


def test_the_spot_quota_is_another_one(ec2: Any, cloud: AwsCloud) -> None:
    cloud.set_quota("L-34B43A08", 1)
    with refused("MaxSpotInstanceCountExceeded"):
        ec2.run_instances(**spot())
    launch(ec2)


def test_machines_are_made_by_run_instances_only(ec2: Any) -> None:
    with refused("UnsupportedOperation", "RunInstances only"):
        ec2.request_spot_instances(SpotPrice="1")


def test_a_machine_that_does_not_boot_ends(ec2: Any, hypervisor: Any) -> None:
    hypervisor.boots_nothing = True
    id = launch(ec2)
    assert [state(ec2, id) for _ in "123"] == ["pending", "shutting-down", "terminated"]
    assert look(ec2, id)["StateReason"]["Code"] == "Server.InternalError"
