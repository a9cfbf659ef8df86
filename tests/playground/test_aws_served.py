"""What the pretend AWS has to tell: images, types, prices, quotas, costs; and what it leaves to moto."""

import json
from typing import Any

import pytest

from cloudtrain.prices.table import rows
from cloudtrain.testing.clock import NOON
from cloudtrain.testing.playground.aws import AwsCloud
from cloudtrain.testing.playground.aws.images import BY_PARAMETER, DEEP_LEARNING, IMAGES
from cloudtrain.testing.playground.aws.moto_app import REGIONS

from .launching import launch, refused


def test_every_public_parameter_names_an_image_that_exists(client: Any) -> None:
    for region in REGIONS:
        names = list(BY_PARAMETER)
        told = {item["Name"]: item["Value"] for item in client("ssm", region).get_parameters(Names=names)["Parameters"]}
        answer = [told[name] for name in names]
        images = {image["ImageId"]: image for image in client("ec2", region).describe_images(ImageIds=answer)["Images"]}
        for name, id in zip(names, answer, strict=True):
            image, spec = images[id], BY_PARAMETER[name]
            (disk,) = image["BlockDeviceMappings"]
            assert (image["RootDeviceName"], disk["DeviceName"]) == (spec.root_device, spec.root_device)
            assert (disk["Ebs"]["VolumeSize"], image["Architecture"], image["State"]) == (spec.size_gib, "x86_64", "available")
            assert image["CreationDate"].startswith("2026-11-05")
            assert image["Name"] == spec.name


def test_public_parameters_are_found_by_path_and_others_are_motos(client: Any) -> None:
    ssm = client("ssm")
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=DEEP_LEARNING, Recursive=True, MaxResults=3)
    found = [[item["Name"] for item in page["Parameters"]] for page in pages]
    assert [len(names) for names in found] == [3, 1]
    assert ssm.get_parameters_by_path(Path=DEEP_LEARNING)["Parameters"] == []
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name=f"{DEEP_LEARNING}/base-oss-nvidia-driver-gpu-ubuntu-18.04/latest/ami-id")
    answer = ssm.get_parameters(Names=[IMAGES[0].parameters[0], "/aws/service/nothing"])
    assert (len(answer["Parameters"]), answer["InvalidParameters"]) == (1, ["/aws/service/nothing"])
    ssm.put_parameter(Name="/mine", Value="1", Type="String")
    assert ssm.get_parameter(Name="/mine")["Parameter"]["Value"] == "1"


def test_the_types_that_moto_lacks_are_there(ec2: Any) -> None:
    types = {
        item["InstanceType"]: item
        for item in ec2.describe_instance_types(InstanceTypes=["p2.xlarge", "p3.2xlarge"])["InstanceTypes"]
    }
    k80, v100 = types["p2.xlarge"], types["p3.2xlarge"]
    assert k80["GpuInfo"]["Gpus"][0] | {"Workloads": None} == {
        "Name": "K80",
        "Manufacturer": "NVIDIA",
        "Count": 1,
        "LogicalGpuCount": 1,
        "GpuPartitionSize": 1.0,
        "MemoryInfo": {"SizeInMiB": 12288},
        "Workloads": None,
    }
    assert (k80["VCpuInfo"]["DefaultVCpus"], k80["MemoryInfo"]["SizeInMiB"]) == (4, 61 * 1024)
    assert (v100["GpuInfo"]["TotalGpuMemoryInMiB"], v100["VCpuInfo"]["DefaultVCpus"]) == (16384, 8)
    with refused("InvalidInstanceType"):
        ec2.describe_instance_types(InstanceTypes=["p2.huge"])


def test_the_table_prices_only_types_that_exist(ec2: Any) -> None:
    names = sorted({offer.instance_type for offer in rows("aws")})
    described = [item["InstanceType"] for item in ec2.describe_instance_types(InstanceTypes=names)["InstanceTypes"]]
    assert sorted(described) == names


def test_offers_are_by_zone(ec2: Any) -> None:
    only = [{"Name": "instance-type", "Values": ["p3.2xlarge"]}]
    names = ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=only)["InstanceTypeOfferings"]
    assert [offer["Location"] for offer in names] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    ids = ec2.describe_instance_type_offerings(LocationType="availability-zone-id", Filters=only)["InstanceTypeOfferings"]
    known = {zone["ZoneName"]: zone["ZoneId"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
    assert [offer["Location"] for offer in ids] == [known[offer["Location"]] for offer in names]


def test_prices_come_in_the_real_shape(client: Any) -> None:
    def ask(region: str, **more: str) -> list[float]:
        fields = {"instanceType": "p3.2xlarge", "regionCode": region, "operatingSystem": "Linux", "tenancy": "Shared"} | more
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()]
        products = client("pricing").get_products(ServiceCode="AmazonEC2", Filters=filters)["PriceList"]
        terms = [term for product in products for term in json.loads(product)["terms"]["OnDemand"].values()]
        return [float(rate["pricePerUnit"]["USD"]) for term in terms for rate in term["priceDimensions"].values()]

    assert ask("us-east-1", capacitystatus="Used", preInstalledSw="NA") == [3.06]
    assert ask("us-west-2", capacitystatus="Used") == [pytest.approx(3.366)]
    assert sorted(ask("us-east-1")) == [0.0, 3.06]  # the real list has rows without a price too
    with refused("UnrecognizedClientException", "us-east-1"):
        client("pricing", "us-west-2").get_products(ServiceCode="AmazonEC2")


def test_the_spot_price_is_todays_and_by_zone(ec2: Any) -> None:
    answer = ec2.describe_spot_price_history(InstanceTypes=["p2.xlarge", "p3dn.24xlarge"], ProductDescriptions=["Linux/UNIX"])
    prices = {(item["InstanceType"], item["AvailabilityZone"]): float(item["SpotPrice"]) for item in answer["SpotPriceHistory"]}
    assert prices["p2.xlarge", "us-east-1a"] == pytest.approx(0.9 * 0.35)
    assert prices["p2.xlarge", "us-east-1b"] > prices["p2.xlarge", "us-east-1a"]
    assert {zone for kind, zone in prices if kind == "p3dn.24xlarge"} == {"us-east-1c", "us-east-1d"}
    assert {item["Timestamp"] for item in answer["SpotPriceHistory"]} == {NOON}
    one = ec2.describe_spot_price_history(InstanceTypes=["p2.xlarge"], AvailabilityZone="us-east-1b")["SpotPriceHistory"]
    assert [item["AvailabilityZoneId"] for item in one] == ["use1-az1"]
    assert not ec2.describe_spot_price_history(ProductDescriptions=["Windows"])["SpotPriceHistory"]


def test_quotas_are_told_and_set(client: Any, cloud: AwsCloud) -> None:
    quotas = client("service-quotas")
    told = quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-417A185B")["Quota"]
    assert (told["QuotaName"], told["Value"]) == ("Running On-Demand P instances", 1152.0)
    cloud.set_quota("L-417A185B", 0, ["us-west-2"])
    assert (
        client("service-quotas", "us-west-2").get_service_quota(ServiceCode="ec2", QuotaCode="L-417A185B")["Quota"]["Value"]
        == 0
    )
    assert {"L-7212CCBC", "L-C4BD4855", "L-DB2E81BA", "L-3819A6DF", "L-1216C47A", "L-34B43A08"} <= {
        quota["QuotaCode"] for quota in quotas.list_service_quotas(ServiceCode="ec2")["Quotas"]
    }
    with refused("NoSuchResourceException"):
        quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")
    assert quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode="L-417A185B")["Quota"]["Value"] == 0
    with pytest.raises(KeyError):
        cloud.set_quota("L-00000000", 1)


def test_costs_are_what_a_test_says(client: Any, cloud: AwsCloud) -> None:
    asked = {"TimePeriod": {"Start": "2026-11-01", "End": "2026-11-02"}, "Granularity": "DAILY", "Metrics": ["UnblendedCost"]}
    assert client("ce").get_cost_and_usage(**asked)["ResultsByTime"] == []
    day = {
        "TimePeriod": asked["TimePeriod"],
        "Total": {"UnblendedCost": {"Amount": "1.25", "Unit": "USD"}},
        "Groups": [],
        "Estimated": True,
    }
    cloud.set_costs({"ResultsByTime": [day]})
    assert client("ce").get_cost_and_usage(**asked)["ResultsByTime"] == [day]


def test_what_moto_does_well_is_motos(client: Any, sdk: Any) -> None:
    assert client("sts").get_caller_identity()["Account"] == "123456789012"
    s3 = client("s3")
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="a folder/x", Body=b"content" * 1000, Metadata={"of": "mine"})
    assert s3.get_object(Bucket="data", Key="a folder/x", Range="bytes=0-6")["Body"].read() == b"content"
    head = s3.head_object(Bucket="data", Key="a folder/x")
    assert (head["ContentLength"], head["Metadata"]) == (7000, {"of": "mine"})
    with refused("NoSuchBucket"):
        s3.list_objects_v2(Bucket="other")
    iam = client("iam")
    with refused("NoSuchEntity"):
        iam.get_role(RoleName="nobody")


def test_a_new_cloud_is_empty(ec2: Any, cloud: AwsCloud, hypervisor: Any, sdk: Any) -> None:
    launch(ec2)
    cloud.close()
    with AwsCloud(hypervisor) as other:
        fresh = sdk.client("ec2", region_name="us-east-1", endpoint_url=other.url)
        assert fresh.describe_instances()["Reservations"] == []
        assert fresh.describe_volumes()["Volumes"] == []
        fresh.close()
