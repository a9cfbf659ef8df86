"""What a launch would make, told for free."""

from dataclasses import replace

import pytest

from cloudtrain.model.errors import ProviderError
from cloudtrain.model.offer import Offer
from cloudtrain.model.spec import MachineSpec
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.outlook import outlook

from .conftest import Cloud


def test_image_disk_quota_and_what_a_deallocated_machine_costs(
    cloud: Cloud, account: Account, machine: MachineSpec, offer: Offer
) -> None:
    found = outlook(machine, replace(offer, vcpus=4), account.arm)
    assert found.image == "microsoft-dsvm:ubuntu-hpc:2404:24.04.2026092201"
    assert found.disk_gb == 100
    # An E10 disk of 128 GiB at $0.075, and an address at $0.005 an hour.
    assert found.usd_per_month_stopped == pytest.approx(9.60 + 3.65)
    assert found.quota.endswith("Family vCPUs used in eastus")
    assert found.enough_quota
    assert not [name for name in cloud.named() if "/PUT" in name]


def test_a_disk_is_never_smaller_than_its_image(account: Account, machine: MachineSpec, offer: Offer) -> None:
    assert outlook(replace(machine, disk_gb=10), offer, account.arm).disk_gb == 64
    assert outlook(replace(machine, disk_gb=None), offer, account.arm).disk_gb == 64


def test_too_small_a_limit_is_told(cloud: Cloud, account: Account, machine: MachineSpec, offer: Offer) -> None:
    cloud.azure.set_quota("cores", 2)
    found = outlook(machine, replace(offer, vcpus=4), account.arm)
    assert not found.enough_quota
    assert found.quota == "0 of 2 Total Regional vCPUs used in eastus, 4 needed"


def test_an_image_that_is_not_there_is_an_error(account: Account, machine: MachineSpec, offer: Offer) -> None:
    with pytest.raises(ProviderError, match="has no image"):
        outlook(replace(machine, image="Nobody:nothing:none:latest"), offer, account.arm)
