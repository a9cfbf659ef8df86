"""Which image a machine boots from."""

from dataclasses import replace

import pytest

from cloudtrain.model.errors import NoCapacityError, ProviderError
from cloudtrain.model.offer import Offer
from cloudtrain.providers.aws import image
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.driver import installing
from cloudtrain.providers.aws.image import find_image, parameters
from cloudtrain.providers.aws.provider import AwsProvider

from .conftest import REGION, Cloud

LEARNING = "/aws/service/deeplearning/ami/{}/{}/latest/ami-id"
GPU = Offer("aws", "g5.xlarge", REGION, gpu="A10G", gpu_count=1, compute_capability="8.6")
V100 = Offer("aws", "p3.2xlarge", REGION, gpu="V100", gpu_count=1, compute_capability="7.0")
K80 = Offer("aws", "p2.xlarge", REGION, gpu="K80", gpu_count=1, compute_capability="3.7")
CPU = Offer("aws", "t3.medium", REGION)


def test_a_gpu_takes_the_image_with_the_open_driver_newest_system_first() -> None:
    assert parameters(GPU) == tuple(
        LEARNING.format("x86_64", f"base-oss-nvidia-driver-gpu-{system}")
        for system in ("ubuntu-24.04", "ubuntu-22.04", "amazon-linux-2023")
    )


def test_a_gpu_before_turing_takes_the_proprietary_driver_or_none() -> None:
    *proprietary, last = parameters(V100)
    assert all("base-proprietary-nvidia-driver" in name for name in proprietary)
    assert last == "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id"
    assert parameters(replace(V100, compute_capability="")) == parameters(V100)
    assert parameters(replace(GPU, compute_capability="")) == parameters(GPU)


def test_a_machine_without_a_gpu_takes_plain_ubuntu() -> None:
    assert parameters(CPU)[0] == "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"


@pytest.mark.parametrize(
    "arm", ["t4g.small", "m7g.large", "c7gn.large", "im4gn.large", "a1.large", "x2gd.large", "hpc7g.4xlarge"]
)
def test_arm_is_known_by_its_name(arm: str) -> None:
    assert all("arm64" in name for name in parameters(replace(CPU, instance_type=arm)))


@pytest.mark.parametrize(
    "intel", ["g4dn.xlarge", "g6.xlarge", "gr6f.4xlarge", "g4ad.xlarge", "p4de.24xlarge", "u-6tb1.metal", "m7i.large"]
)
def test_what_is_no_arm_is_not_taken_for_it(intel: str) -> None:
    assert all("arm64" not in name for name in parameters(replace(CPU, instance_type=intel)))


@pytest.mark.parametrize("arm", ["g5g.xlarge", "p6e-gb200.36xlarge"])
def test_an_arm_machine_with_a_gpu_takes_the_arm_image_with_a_driver(arm: str) -> None:
    first = parameters(replace(GPU, instance_type=arm))[0]
    assert first == LEARNING.format("arm64", "base-oss-nvidia-driver-gpu-ubuntu-24.04")


def test_the_image_says_disk_root_device_and_user(account: Account, cloud: Cloud) -> None:
    found = find_image("auto", GPU, account.clients)
    assert (found.disk_gb, found.root_device, found.user, found.remark) == (75, "/dev/sda1", "ubuntu", "")
    assert "Ubuntu 24.04" in found.name
    assert cloud.named() == ["GetParameters", "DescribeImages"]


def test_the_next_parameter_is_taken_where_the_first_is_missing(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    amazon = LEARNING.format("x86_64", "base-oss-nvidia-driver-gpu-amazon-linux-2023")
    monkeypatch.setattr(image, "parameters", lambda offer: ("/aws/service/none/such", amazon))
    found = find_image("auto", GPU, account.clients)
    assert (found.user, found.root_device) == ("ec2-user", "/dev/xvda")


def test_an_image_that_was_withdrawn_is_passed_over(account: Account, cloud: Cloud) -> None:
    cloud.fail("DescribeImages", "InvalidAMIID.NotFound")
    assert "22.04" in find_image("auto", GPU, account.clients).name


def test_a_refusal_is_not_passed_over(account: Account, cloud: Cloud) -> None:
    cloud.fail("DescribeImages", "UnauthorizedOperation")
    with pytest.raises(ProviderError, match="DescribeImages"):
        find_image("auto", GPU, account.clients)


def test_a_region_without_any_of_them_is_named(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "parameters", lambda offer: ("/aws/service/none/such",))
    with pytest.raises(NoCapacityError, match="us-east-1 has no image"):
        find_image("auto", GPU, account.clients)


def test_an_image_may_be_named_by_id_name_or_parameter(account: Account) -> None:
    known = find_image("auto", CPU, account.clients)
    assert find_image(known.id, CPU, account.clients) == known
    assert find_image(known.name, CPU, account.clients) == known
    assert find_image(parameters(CPU)[0], CPU, account.clients) == known


@pytest.mark.parametrize("wanted", ["ami-00000000000000000", "no such image", "/aws/service/none/such"])
def test_an_image_that_is_not_there_is_named(account: Account, wanted: str) -> None:
    with pytest.raises(ProviderError, match=wanted):
        find_image(wanted, CPU, account.clients)


def test_the_outlook_says_what_an_old_gpu_gets(provider: AwsProvider, order, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = provider.outlook(replace(order.machine, disk_gb=None), V100)
    assert "V100" in seen.image
    assert "driver" in seen.image
    plain = parameters(V100)[-1:]
    monkeypatch.setattr(image, "parameters", lambda offer: plain)
    seen = provider.outlook(replace(order.machine, disk_gb=None), V100)
    assert "NVIDIA's driver 535 for the V100 is installed at the first boot" in seen.image
    assert seen.disk_gb == 30


def test_a_kepler_boots_plain_ubuntu_with_the_last_driver_it_has(account: Account) -> None:
    assert [name.split("/")[6] for name in parameters(K80)] == ["22.04"]
    assert parameters(replace(K80, compute_capability="")) == parameters(K80)
    found = find_image("auto", K80, account.clients)
    assert "driver 470 for the K80 is installed at the first boot" in found.remark
    assert found.first_boot == installing("470-server")
    named = find_image(found.id, K80, account.clients)
    assert (named.first_boot, "your setup must bring it" in named.remark) == ("", True)
    assert find_image("auto", GPU, account.clients).first_boot == ""


def test_the_outlook_of_a_current_gpu(provider: AwsProvider, order) -> None:
    seen = provider.outlook(order.machine, order.offer)
    assert (seen.disk_gb, seen.usd_per_month_stopped) == (100, 8.0)
    assert "Ubuntu 24.04" in seen.image
    assert "vCPU" in seen.quota
