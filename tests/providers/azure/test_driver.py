"""The driver of a GPU that no image has one for: Microsoft's extension brings it, and to no other machine."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cloudtrain.model.errors import NoCapacityError, PermissionDeniedError
from cloudtrain.model.instance import LaunchOrder
from cloudtrain.model.offer import Offer
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.launch import launch
from cloudtrain.providers.azure.outlook import outlook
from cloudtrain.providers.azure.provider import AzureProvider

from .conftest import REGION, Cloud

PUT = "Microsoft.Compute:virtualMachines/extensions/PUT"


@pytest.fixture
def a10(order: LaunchOrder) -> LaunchOrder:
    size = "Standard_NV36ads_A10_v5"
    return replace(order, offer=Offer("azure", size, REGION, usd_per_hour=3.2, gpu="A10", gpu_count=1), disk_gb=None)


def test_an_a10_boots_plain_ubuntu_and_its_driver_comes_after_its_ends_are_armed(
    provider: AzureProvider, cloud: Cloud, a10: LaunchOrder
) -> None:
    provider.prepare_account()
    made = provider.launch(a10)
    assert cloud.named()[-1] == PUT
    assert made.deadline == a10.lease.deadline
    machine = cloud.machine()
    assert machine.properties["storageProfile"]["imageReference"]["publisher"] == "Canonical"
    assert machine.properties["storageProfile"]["osDisk"]["diskSizeGB"] == 64
    (extension,) = cloud.azure.account.of_type("Microsoft.Compute/virtualMachines/extensions", made.ref.id)
    told = {key: extension.properties[key] for key in ("publisher", "type", "typeHandlerVersion", "autoUpgradeMinorVersion")}
    assert told == {
        "publisher": "Microsoft.HpcCompute",
        "type": "NvidiaGpuDriverLinux",
        "typeHandlerVersion": "1.6",
        "autoUpgradeMinorVersion": True,
    }
    cloud.azure.advance(60)
    assert [order.gpu for order in cloud.hypervisor.orders] == ["", "NVIDIA A10-24Q"]
    assert cloud.azure.violations() == []


def test_a_person_is_told_before_money_is_spent(account: Account, a10: LaunchOrder) -> None:
    found = outlook(a10.machine, a10.offer, account.arm)
    assert "Canonical:ubuntu-24_04-lts" in found.image
    assert "is installed at the first boot, which takes about ten minutes more" in found.image
    other = replace(a10.offer, instance_type="Standard_NC4as_T4_v3", gpu="RTXPRO6000")
    assert "is not the GRID driver that this GPU wants" in outlook(a10.machine, other, account.arm).image


def test_no_other_machine_is_brought_one(provider: AzureProvider, cloud: Cloud, a10: LaunchOrder, order: LaunchOrder) -> None:
    provider.launch(order)
    provider.launch(
        replace(a10, token="ct-own-image", machine=replace(a10.machine, image="Canonical:ubuntu-24_04-lts:server:latest"))
    )
    assert PUT not in cloud.named()


def test_who_may_not_bring_one_is_told_and_nothing_is_left(
    provider: AzureProvider, cloud: Cloud, a10: LaunchOrder, remains: Callable[[], list[str]]
) -> None:
    cloud.fail(PUT, "AuthorizationFailed", http=403)
    with pytest.raises(PermissionDeniedError):
        provider.launch(a10)
    assert remains() == []


def test_a_launch_that_was_broken_off_before_it_brings_it_when_it_goes_on(
    provider: AzureProvider, account: Account, cloud: Cloud, a10: LaunchOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cloudtrain.providers.azure.launch.bring_driver", die)
        with pytest.raises(KeyboardInterrupt):
            launch(a10, account)
    assert PUT not in cloud.named()
    first = provider.launch(a10)
    assert provider.launch(a10).ref == first.ref
    cloud.azure.advance(60)
    assert cloud.hypervisor.orders[-1].gpu
    assert len(cloud.hypervisor.orders) == 2, "asked for again, it is installed once"


def test_a_machine_whose_driver_cannot_be_installed_is_not_gone_on_with(
    provider: AzureProvider, cloud: Cloud, a10: LaunchOrder, remains: Callable[[], list[str]]
) -> None:
    cloud.azure.faults.add("Microsoft.Compute", "virtualMachines/extensions/PUT", code="VMExtensionProvisioningError", times=1)
    provider.launch(a10)
    cloud.azure.advance(60)
    assert not cloud.hypervisor.orders[-1].gpu
    with pytest.raises(NoCapacityError, match="VMExtensionProvisioningError"):
        provider.launch(a10)
    assert remains() == []
