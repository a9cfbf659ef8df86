"""What a machine of the pretend AWS may do by itself: what its role's policy says, and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cloudtrain.providers.aws.profile import policy
from cloudtrain.testing.playground.aws import AwsCloud

from .conftest import Client
from .launching import running

PLACE = "meta-data/iam/security-credentials/"
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


@pytest.fixture
def machine(client: Client, ec2: Any) -> str:
    """Run a machine with the role that cloudtrain gives one which copies its outputs to s3://ours/jobs/."""
    client("s3").create_bucket(Bucket="ours")
    iam = client("iam")
    iam.create_role(RoleName="one", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="one", PolicyName="p", PolicyDocument=json.dumps(policy("s3://ours/jobs/")))
    iam.create_instance_profile(InstanceProfileName="one")
    iam.add_role_to_instance_profile(InstanceProfileName="one", RoleName="one")
    return str(running(ec2, IamInstanceProfile={"Name": "one"}))


def shown(hypervisor: Any, id: str) -> dict[str, str]:
    """Return the credentials that a machine's metadata service has."""
    pages = hypervisor.metadata[id]
    return dict(json.loads(pages[PLACE + pages[PLACE]]))


@pytest.fixture
def s3(cloud: AwsCloud, hypervisor: Any, machine: str) -> Iterator[Any]:
    """Return S3 as the machine's own SDK has it."""
    told = shown(hypervisor, machine)
    made = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=hypervisor.orders[0].environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=told["AccessKeyId"],
        aws_secret_access_key=told["SecretAccessKey"],
        aws_session_token=told["Token"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    yield made
    made.close()


def test_it_reads_writes_and_lists_its_own_folder(s3: Any, hypervisor: Any, cloud: AwsCloud) -> None:
    s3.put_object(Bucket="ours", Key="jobs/a/model", Body=b"weights")
    assert s3.get_object(Bucket="ours", Key="jobs/a/model")["Body"].read() == b"weights"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="ours", Prefix="jobs/a/")["Contents"]] == ["jobs/a/model"]
    upload = s3.create_multipart_upload(Bucket="ours", Key="jobs/a/large")["UploadId"]
    s3.abort_multipart_upload(Bucket="ours", Key="jobs/a/large", UploadId=upload)
    assert hypervisor.orders[0].reaches == (cloud.account.port,)


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("get_object", {"Key": "others/model"}),
        ("put_object", {"Key": "others/model", "Body": b""}),
        ("put_object", {"Key": "jobs", "Body": b""}),
        ("delete_object", {"Key": "jobs/a/model"}),
        ("list_objects_v2", {"Prefix": "others/"}),
        ("list_objects_v2", {}),
        ("get_bucket_policy", {}),
    ],
)
def test_nothing_else_of_the_bucket_is_its_own(s3: Any, operation: str, asked: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        getattr(s3, operation)(Bucket="ours", **asked)


def test_who_is_no_machine_or_one_that_has_ended_is_let_in_nowhere(s3: Any, ec2: Any, machine: str) -> None:
    s3.put_object(Bucket="ours", Key="jobs/a", Body=b"")
    strange = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=s3.meta.endpoint_url,
        aws_access_key_id="ASIANOBODYSMACHINE00",
        aws_secret_access_key="x",
        aws_session_token="x",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        strange.put_object(Bucket="ours", Key="jobs/a", Body=b"")
    strange.close()
    ec2.terminate_instances(InstanceIds=[machine])
    ec2.describe_instances()
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket="ours", Key="jobs/a", Body=b"")


def test_a_machine_without_a_role_finds_none(ec2: Any, hypervisor: Any) -> None:
    assert not [page for page in hypervisor.metadata[running(ec2)] if page.startswith(PLACE)]
