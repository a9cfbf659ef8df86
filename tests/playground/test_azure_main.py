"""The pretend Azure as a person starts it: the lines it prints work, and Ctrl-C ends it."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.testing.playground.azure import AzureCloud, pace_as_azure
from cloudtrain.testing.playground.hypervisor import open_hypervisor

from .arm_calls import COMPUTE, NETWORK, RESOURCES, Arm, refused
from .test_aws_main import banner

COMMAND = [sys.executable, "-m", "cloudtrain.testing.playground", "azure", "--loopback-hosts"]
TIMEOUT_S = 60
ELSEWHERE = """\
import json, os, ssl, sys, urllib.parse, urllib.request
manager, tenant = os.environ["CLOUDTRAIN_RESOURCE_MANAGER_URL"], os.environ["AZURE_TENANT_ID"]
print(urllib.request.urlopen(os.environ["CLOUDTRAIN_ADDRESS_SERVICE"], timeout=30).read().decode())
print(len(json.load(urllib.request.urlopen(os.environ["CLOUDTRAIN_AZURE_PRICES_URL"], timeout=30))["Items"]))
from azure.identity import DefaultAzureCredential
credential = DefaultAzureCredential(disable_instance_discovery=True)
token = credential.get_token("https://management.azure.com/.default").token
url = f"{manager}/subscriptions/{os.environ['AZURE_SUBSCRIPTION_ID']}/resourcegroups?api-version=2022-09-01"
asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
print(json.load(urllib.request.urlopen(asked, timeout=30)))
"""


def test_the_printed_lines_lead_to_azure_and_ctrl_c_ends_it(tmp_path: Path, no_account: Any) -> None:
    arguments = [*COMMAND, "--folder", str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            while lines[-1] and not lines[-1].startswith("cloudtrain start"):
                lines.append(process.stdout.readline())
            assert lines[-1] == "cloudtrain start azure-t4\n"
            exports = dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
            environ = {**os.environ, **exports}
            done = subprocess.run(
                [sys.executable, "-c", ELSEWHERE], env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
            )
            assert done.stdout.splitlines()[0] == "127.0.0.1"
            assert int(done.stdout.splitlines()[1]) > 100
            assert json.loads(done.stdout.splitlines()[2].replace("'", '"')) == {"value": []}
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=TIMEOUT_S)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


def test_a_machine_of_the_playground_answers_ssh(tmp_path: Path) -> None:
    hypervisor = open_hypervisor(tmp_path, lambda id: cloud.power_off(id), kind="loopback")
    with AzureCloud(hypervisor) as cloud:
        arm = Arm(cloud)
        arm.create()
        address = arm.get("/resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/address", NETWORK)
        connect = [sys.executable, "-m", "cloudtrain.testing.playground.connect", str(tmp_path), "%h", "%p"]
        assert banner(shlex.join(connect), address["properties"]["ipAddress"]).startswith(b"SSH-2.0-")
        arm.close()
    hypervisor.close()


def test_what_can_be_turned_from_another_process(arm: Arm, azure: AzureCloud) -> None:
    def turn(name: str, **given: Any) -> int:
        return arm.raw("POST", f"{azure.url}/_playground/{name}", json.dumps(given).encode()).status

    arm.create()
    turn("deny", actions=["Microsoft.Compute/virtualMachines/read"])
    with refused("AuthorizationFailed"):
        arm.get("/providers/Microsoft.Compute/virtualMachines", COMPUTE)
    turn("deny", actions=[])
    turn("unregister", namespaces=["Microsoft.Network"])
    turn("stale", reads=2)
    turn("quota", code="cores", value=3)
    turn("faults", service="*", action="resourceGroups/LIST", code="TooManyRequests")
    account = azure.account
    assert ("Microsoft.Network" in account.registered, account.faults.stale_reads) == (False, 2)
    assert account.quotas["eastus", "cores"] == 3
    with refused("TooManyRequests"):
        arm.get("/resourcegroups", RESOURCES)
    turn("advance", seconds=3600)
    turn("power-off", id="vm")
    (described,) = arm.raw("GET", f"{azure.url}/_playground/instances").body
    assert (described["state"], described["address"], described["billed_hours"]) == ("stopped", "", 1.0)
    assert "vm" in str(arm.raw("GET", f"{azure.url}/_playground/events").body)
    assert turn("nonsense") == 404


def test_what_a_role_would_have_to_allow(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    arm.deallocate()
    arm.state()
    arm.call("POST", "/providers/Microsoft.Compute/register", None, RESOURCES)
    assert arm.raw("GET", f"{azure.url}/_playground/permissions").body == [
        "Microsoft.Compute/register/action",
        "Microsoft.Compute/virtualMachines/deallocate/action",
        "Microsoft.Compute/virtualMachines/instanceView/read",
        "Microsoft.Compute/virtualMachines/write",
        "Microsoft.Network/networkInterfaces/read",
        "Microsoft.Network/networkInterfaces/write",
        "Microsoft.Network/networkSecurityGroups/read",
        "Microsoft.Network/networkSecurityGroups/write",
        "Microsoft.Network/publicIPAddresses/read",
        "Microsoft.Network/publicIPAddresses/write",
        "Microsoft.Network/virtualNetworks/read",
        "Microsoft.Network/virtualNetworks/write",
        "Microsoft.Resources/subscriptions/resourceGroups/write",
    ]


def test_people_wait_as_long_as_on_azure(azure: AzureCloud) -> None:
    pace_as_azure(azure)
    assert (azure.durations.role, azure.durations.retry_after) == (600, 1)


def test_a_port_that_is_taken_leaves_nothing_behind(azure: AzureCloud, hypervisor: Any) -> None:
    with pytest.raises(OSError, match="in use"):
        AzureCloud(hypervisor, port=azure.account.port)
