"""How the tests launch: one request that breaks no rule, to be changed in the one thing that a test is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloudtrain.testing.playground.aws.images import IMAGES

DEEP_LEARNING, UBUNTU = IMAGES[0], IMAGES[4]
TAGS = [{"Key": "cloudtrain:owner", "Value": "me"}]


def request(region: str = "us-east-1", **changes: Any) -> dict[str, Any]:
    """Return the parameters of a RunInstances call; None in `changes` leaves a parameter out."""
    whole: dict[str, Any] = {
        "ImageId": UBUNTU.id(region),
        "InstanceType": "t3.micro",
        "MinCount": 1,
        "MaxCount": 1,
        "UserData": "#!/bin/sh\nshutdown -h +60\n",
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True}}],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": TAGS}],
    }
    return {key: value for key, value in (whole | changes).items() if value is not None}


def spot(**changes: Any) -> dict[str, Any]:
    """Return the parameters of a launch on the spot market."""
    options = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
    return request(InstanceMarketOptions={"MarketType": "spot", "SpotOptions": options}, **changes)


def launch(ec2: Any, **changes: Any) -> str:
    """Launch a machine and return its id; it is pending."""
    return str(ec2.run_instances(**request(**changes))["Instances"][0]["InstanceId"])


def look(ec2: Any, id: str) -> dict[str, Any]:
    """Return what DescribeInstances says of a machine."""
    found: dict[str, Any] = ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]
    return found


def state(ec2: Any, id: str) -> str:
    """Return a machine's state."""
    return str(look(ec2, id)["State"]["Name"])


def running(ec2: Any, **changes: Any) -> str:
    """Launch a machine and see it through to running."""
    id = launch(ec2, **changes)
    assert [state(ec2, id), state(ec2, id)] == ["pending", "running"]
    return id


@contextmanager
def refused(code: str, match: str = ".") -> Iterator[pytest.ExceptionInfo[ClientError]]:
    """Expect a refusal by its code."""
    with pytest.raises(ClientError, match=match) as caught:
        yield caught
    assert caught.value.response["Error"]["Code"] == code
