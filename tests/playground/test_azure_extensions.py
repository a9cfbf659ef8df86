"""Extensions of machines on the pretend Azure: the one that installs NVIDIA's driver, and a machine that restarts for it."""

from typing import Any

import pytest

from cloudtrain.testing.playground.azure import AzureCloud

from .arm_calls import Arm, refused, request, vm

A10 = "Standard_NV36ads_A10_v5"
NAME = "NvidiaGpuDriverLinux"
DRIVER = {"publisher": "Microsoft.HpcCompute", "type": NAME, "typeHandlerVersion": "1.6", "autoUpgradeMinorVersion": True}


def extension(location: str = "eastus", **changes: Any) -> dict[str, Any]:
    return {"location": location, "properties": {**DRIVER, **changes}}


def place(name: str = NAME, machine: str = "vm") -> str:
    return f"{vm(machine)}/extensions/{name}"


@pytest.fixture
def a10(arm: Arm) -> None:
    arm.do("PUT", vm(), request(arm.ground(), A10))


@pytest.mark.usefixtures("a10")
def test_the_driver_of_an_a10_comes_with_the_extension_and_the_machine_restarts_once(
    arm: Arm, azure: AzureCloud, hypervisor: Any
) -> None:
    assert [order.gpu for order in hypervisor.orders] == [""], "what is on the image does not drive it"
    azure.durations.driver = 300
    asked = arm.call("PUT", place(), extension())
    assert (asked.status, asked.body["properties"]["provisioningState"]) == (201, "Creating")
    assert hypervisor.told == []
    azure.advance(305)
    assert arm.get(place())["properties"]["provisioningState"] == "Succeeded"
    assert hypervisor.told == [("reboot", "vm")]
    assert [order.gpu for order in hypervisor.orders] == ["", "NVIDIA A10-24Q"]
    assert arm.call("PUT", place(), extension()).status == 200
    azure.advance(305)
    assert len(hypervisor.told) == 1


@pytest.mark.parametrize(
    ("given", "code", "match"),
    [
        (extension(publisher="Somebody.Else"), "ArtifactNotFound", "was not found"),
        (extension(typeHandlerVersion="9.0"), "ArtifactNotFound", "was not found"),
        (extension("westus2"), "InvalidParameter", "where its machine is"),
    ],
)
@pytest.mark.usefixtures("a10")
def test_what_azure_does_not_have_is_refused(arm: Arm, given: dict[str, Any], code: str, match: str) -> None:
    with refused(code, match):
        arm.call("PUT", place(), given)
    with refused("ResourceNotFound"):
        arm.get(place())


@pytest.mark.usefixtures("a10")
def test_a_machine_that_does_not_run_takes_none(arm: Arm) -> None:
    arm.do("POST", f"{vm()}/deallocate")
    with refused("OperationNotAllowed", "not running"):
        arm.call("PUT", place(), extension())
    with refused("ResourceNotFound"):
        arm.call("PUT", place(machine="other"), extension())


@pytest.mark.usefixtures("a10")
def test_one_that_fails_leaves_a_machine_that_runs_and_is_said_to_have_failed(
    arm: Arm, azure: AzureCloud, hypervisor: Any
) -> None:
    azure.faults.add("Microsoft.Compute", "virtualMachines/extensions/PUT", code="VMExtensionProvisioningError", times=1)
    asked = arm.call("PUT", place(), extension())
    with refused("VMExtensionProvisioningError"):
        arm.wait(asked)
    assert arm.get(vm())["properties"]["provisioningState"] == "Failed"
    assert (azure.machines()[0].power, len(hypervisor.orders)) == ("running", 1)
