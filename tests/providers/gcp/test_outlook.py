"""What a launch would make, told for free by the pretend cloud."""

from dataclasses import replace

import pytest

from cloudtrain.model.errors import ProviderError
from cloudtrain.model.instance import Outlook
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec, Market
from cloudtrain.providers.base import Foreseeing
from cloudtrain.providers.gcp.account import Account
from cloudtrain.providers.gcp.outlook import outlook
from cloudtrain.providers.gcp.provider import GcpProvider

from .conftest import Cloud

IMAGE = "common-cu129-ubuntu-2404-nvidia-580-v20260626"


def test_google_foresees(provider: GcpProvider, machine: MachineSpec, offer: Offer) -> None:
    assert isinstance(provider, Foreseeing)
    assert provider.outlook(machine, offer).image == IMAGE


def test_image_disk_quota_and_what_a_stopped_machine_costs(
    account: Account, machine: MachineSpec, offer: Offer, cloud: Cloud
) -> None:
    cloud.gcp.set_quota("NVIDIA_L4_GPUS", 4)
    assert outlook(machine, offer, account.rest) == Outlook(IMAGE, 100, 10.0, "0 of 4 L4 GPUs used in us-central1", True)


def test_a_disk_is_never_smaller_than_its_image(account: Account, machine: MachineSpec, offer: Offer) -> None:
    for asked in (None, 20):
        told = outlook(replace(machine, disk_gb=asked), offer, account.rest)
        assert (told.disk_gb, told.usd_per_month_stopped) == (50, 5.0)


def test_a_quota_that_is_too_small_is_told(account: Account, machine: MachineSpec, offer: Offer, cloud: Cloud) -> None:
    cloud.gcp.set_quota("GPUS_ALL_REGIONS", 0)
    told = outlook(machine, offer, account.rest)
    assert (told.quota, told.enough_quota) == ("0 of 0 GPUs used in all regions, 1 needed", False)


def test_newer_gpus_are_told_by_cloud_quotas(account: Account, machine: MachineSpec, offer: Offer, cloud: Cloud) -> None:
    cloud.gcp.set_quota("NVIDIA_H100", 4)
    h100 = replace(offer, instance_type="a3-highgpu-8g", gpu="H100", gpu_count=8)
    told = outlook(machine, h100, account.rest)
    assert (told.quota, told.enough_quota) == ("4 H100 GPUs allowed in us-central1, 8 needed", False)
    one = replace(h100, instance_type="a3-highgpu-1g", gpu_count=1, market=Market.SPOT)
    assert "spot H100 GPUs allowed in us-central1" in outlook(machine, one, account.rest).quota


def test_a_machine_without_a_gpu(account: Account, machine: MachineSpec, offer: Offer) -> None:
    plain = replace(offer, instance_type="e2-standard-4", gpu="", gpu_count=0, vcpus=4)
    told = outlook(replace(machine, disk_gb=30), plain, account.rest)
    assert told.image.startswith("ubuntu-2404-noble-amd64-v")
    assert (told.disk_gb, told.usd_per_month_stopped, told.enough_quota) == (30, 3.0, True)


def test_a_gpu_before_turing_is_told_with_a_doubt(account: Account, machine: MachineSpec, offer: Offer) -> None:
    v100 = replace(offer, instance_type="n1-standard-8+nvidia-tesla-v100", gpu="V100")
    assert outlook(machine, v100, account.rest).image == f"{IMAGE} (whether its driver still drives a V100 has not been seen)"


def test_an_image_that_is_not_there_is_said(account: Account, machine: MachineSpec, offer: Offer) -> None:
    with pytest.raises(ProviderError, match="There is no image absent"):
        outlook(replace(machine, image="absent"), offer, account.rest)


def test_nothing_is_made(account: Account, machine: MachineSpec, offer: Offer, cloud: Cloud) -> None:
    outlook(machine, offer, account.rest)
    assert set(cloud.named()) == {"compute.images.list", "compute.projects.get", "compute.regions.get"}
