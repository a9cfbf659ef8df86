"""What the pretend Azure refuses: callers, requests that are not as the SDK has them, and machines Azure would not make."""

import base64
import http.client
import json
import os
import socket
import threading
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.testing.playground.azure import AzureCloud, wheels
from cloudtrain.testing.playground.azure.routes import find_operation
from cloudtrain.testing.playground.azure.schema import check_reply
from cloudtrain.testing.playground.faults import When

from .arm_calls import NETWORK, RESOURCES, Arm, refused, request, spot, ssh_rule, vm

SPACE = {"addressPrefixes": ["10.0.0.0/24"]}
OUTSIDE = {"name": "s", "properties": {"addressPrefix": "10.9.0.0/24"}}
NOWHERE = {"name": "i", "properties": {"subnet": {"id": "/no"}}}
GROUP = {"location": "eastus", "tags": {"cloudtrain-owner": "me"}}


def test_nobody_is_let_in_without_a_token_of_ours(arm: Arm, azure: AzureCloud) -> None:
    url = f"{azure.url}{arm.root}/resourcegroups?api-version={RESOURCES}"
    arm.token = ""
    answer = arm.raw("GET", url)
    assert (answer.status, answer.body["error"]["code"]) == (401, "AuthenticationFailed")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    arm.token = "made.up.here"
    assert arm.raw("GET", url).body["error"]["code"] == "InvalidAuthenticationToken"
    arm.token = arm.log_in("https://storage.azure.com/.default")
    assert arm.raw("GET", url).body["error"]["code"] == "InvalidAuthenticationTokenAudience"
    arm.token = arm.log_in(f"{azure.url}/.default")
    assert arm.raw("GET", url).status == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "nobody"}, "unauthorized_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": "everything"}, "invalid_scope"),
    ],
)
def test_a_login_that_is_wrong(changes: Any, error: str, arm: Arm, azure: AzureCloud) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": azure.account.client,
        "client_secret": "playground",
        "scope": "https://management.azure.com/.default",
    }
    url = f"{azure.url}/{azure.account.tenant}/oauth2/v2.0/token"
    answer = arm.raw("POST", url, urllib.parse.urlencode(form | changes).encode())
    assert (answer.status >= 400, answer.body["error"]) == (True, error)
    assert azure.calls()[-1].name == "Entra:token"


def test_what_the_caller_may_not_do_is_named(arm: Arm, azure: AzureCloud) -> None:
    arm.ground()
    azure.account.denied = {"Microsoft.Compute/virtualMachines/write"}
    with refused(
        "AuthorizationFailed", r"perform action 'Microsoft.Compute/virtualMachines/write' over scope '.*/virtualMachines/vm'"
    ):
        arm.call("PUT", vm(), request("nic"))
    azure.account.denied = {"Microsoft.Network/*/delete"}
    with refused("AuthorizationFailed", "networkSecurityGroups/delete", status=403):
        arm.call("DELETE", "/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/guard", api=NETWORK)


@pytest.mark.parametrize(
    ("verb", "path", "body", "api", "code"),
    [
        ("GET", "/resourcegroups", None, "", "MissingApiVersionParameter"),
        ("GET", "/resourcegroups", None, "2099-01-01", "NoRegisteredProviderFound"),
        ("GET", "/providers/Microsoft.Compute/toasters", None, NETWORK, "InvalidResourceType"),
        ("POST", "/resourcegroups", {}, RESOURCES, "HttpMethodNotSupported"),
        ("GET", "/providers/Microsoft.Compute/availabilitySets", None, "2024-11-01", "NotImplemented"),
        ("PUT", "/resourcegroups/g", {"location": "eastus", "colour": "red"}, RESOURCES, "InvalidRequestContent"),
        ("PUT", "/resourcegroups/g", {"location": ["eastus"]}, RESOURCES, "InvalidRequestContent"),
        ("PUT", "/resourcegroups/g", {"tags": {}}, RESOURCES, "InvalidParameter"),
        ("PUT", "/resourcegroups/g", {"location": "the moon"}, RESOURCES, "LocationNotAvailableForResourceGroup"),
        ("PUT", "/resourcegroups/g", None, RESOURCES, "MissingRequestBody"),
        ("PUT", "/resourcegroups/g", {**GROUP, "tags": {"a/b": "c"}}, RESOURCES, "InvalidTagNameCharacters"),
        ("GET", "/resourcegroups/none", None, RESOURCES, "ResourceGroupNotFound"),
        ("GET", "/subscriptions/other/resourcegroups", None, RESOURCES, "SubscriptionNotFound"),
        ("GET", "/providers/Microsoft.Nothing", None, RESOURCES, "InvalidResourceNamespace"),
    ],
)
def test_what_no_service_takes(verb: str, path: str, body: Any, api: str, code: str, arm: Arm) -> None:
    with refused(code):
        arm.call(verb, path, body, api)


def test_a_query_that_the_operation_does_not_know(arm: Arm) -> None:
    with refused("InvalidQueryParameter", r"\$orderby"):
        arm.get("/resourcegroups", RESOURCES, **{"$orderby": "name"})


def machine(**changes: Any) -> dict[str, Any]:
    """Return what changes in the properties of a request."""
    return {"properties": changes}


def login(**changes: Any) -> dict[str, Any]:
    key = {"path": "/home/azureuser/.ssh/authorized_keys", "keyData": "ssh-ed25519 A b"}
    linux = {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [key]}}
    return machine(osProfile={"computerName": "vm", "adminUsername": "azureuser", "linuxConfiguration": linux, **changes})


def image(sku: str = "2204", disk: Any = None, **reference: str) -> dict[str, Any]:
    named = {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": sku, "version": "latest", **reference}
    return machine(storageProfile={"imageReference": named, "osDisk": {"createOption": "FromImage", **(disk or {})}})


@pytest.mark.parametrize(
    ("changes", "code", "match"),
    [
        ({"size": "Standard_Nothing"}, "InvalidParameter", "VM size"),
        ({"size": "Standard_NC6s_v3"}, "InvalidParameter", "VM size"),
        ({"zones": ["3"]}, "SkuNotAvailable", "zones '3'"),
        ({"location": "westeurope", "size": "Standard_NC40ads_H100_v5"}, "SkuNotAvailable", "Capacity Restrictions"),
        (machine(priority="Cheap"), "InvalidRequestContent", "Cheap"),
        (machine(priority="Spot", evictionPolicy="Keep"), "InvalidRequestContent", "Keep"),
        (
            machine(toaster=1),
            "InvalidRequestContent",
            "Could not find member 'toaster' on object of type 'VirtualMachineProperties'",
        ),
        (machine(evictionPolicy="Delete"), "InvalidParameter", "only for Azure Spot"),
        ({"size": "Standard_B2s", **machine(**spot())}, "AzureSpotIsNotSupportedForThisVMSize", "B2s"),
        (
            machine(**spot(billingProfile={"maxPrice": 0.01})),
            "SpotPriceGreaterThanProvidedMaxPrice",
            "current spot price '0.149174 USD'",
        ),
        (machine(**spot(billingProfile={"maxPrice": 0})), "MaxPriceValueInvalid", "-1"),
        (image("1604"), "PlatformImageNotFound", "microsoft-dsvm:ubuntu-hpc:1604:latest"),
        (
            image(disk={"diskSizeGB": 30}),
            "InvalidParameter",
            "smaller than the size of the corresponding disk in the VM image: 64 GB",
        ),
        (image(disk={"createOption": "Melt"}), "InvalidRequestContent", "Melt"),
        (
            image("ngc-base-version-26_3_1_gen2", publisher="nvidia", offer="ngc_azure_17_11"),
            "VMMarketplaceInvalidInput",
            "Plan",
        ),
        (login(adminUsername="root"), "InvalidParameter", "Username"),
        (login(linuxConfiguration={}), "InvalidParameter", "Authentication"),
        (login(adminUsername="other"), "InvalidParameter", "/home/other/.ssh/authorized_keys"),
        (login(customData="not base64!"), "InvalidParameter", "Base64"),
        (machine(userData=base64.b64encode(bytes(70000)).decode()), "InvalidParameter", "too long"),
        (machine(securityProfile={"uefiSettings": {"secureBootEnabled": False}}), "InvalidParameter", "TrustedLaunch"),
        (machine(networkProfile={"networkInterfaces": []}), "InvalidParameter", "at least one network interface"),
        (machine(networkProfile={"networkInterfaces": [{"id": "/nowhere"}]}), "InvalidResourceReference", "/nowhere"),
    ],
)
def test_a_machine_that_azure_would_not_make(changes: Any, code: str, match: str, arm: Arm, azure: AzureCloud) -> None:
    nic = arm.ground(location=changes.get("location", "eastus"))
    with refused(code, match):
        arm.call("PUT", vm(), request(nic, **changes))
    assert azure.machines() == []


def test_an_interface_has_one_machine(arm: Arm) -> None:
    arm.create()
    nic = arm.get(vm())["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
    with refused("NicInUse"):
        arm.call("PUT", vm("other"), request(nic))


@pytest.mark.parametrize(
    ("path", "properties", "more", "code"),
    [
        ("publicIPAddresses/p", {"publicIPAllocationMethod": "Static"}, {}, "IPv4BasicSkuPublicIpCountLimitReached"),
        (
            "publicIPAddresses/p",
            {"publicIPAllocationMethod": "Dynamic"},
            {"sku": {"name": "Standard"}},
            "PublicIPAddressWithStandardSkuMustHaveStaticAllocation",
        ),
        ("virtualNetworks/n", {"addressSpace": SPACE, "subnets": [OUTSIDE]}, {}, "NetcfgInvalidSubnet"),
        ("networkSecurityGroups/n", {"securityRules": [ssh_rule(priority=7)]}, {}, "SecurityRuleInvalidPriority"),
        ("networkSecurityGroups/n", {"securityRules": [ssh_rule("10.0.0.1/8")]}, {}, "SecurityRuleInvalidAddressPrefix"),
        ("networkSecurityGroups/n", {"securityRules": [ssh_rule(), {**ssh_rule(), "name": "b"}]}, {}, "SecurityRuleConflict"),
        ("networkSecurityGroups/n", {"securityRules": [ssh_rule(access="Perhaps")]}, {}, "InvalidRequestContent"),
        ("networkInterfaces/n", {"ipConfigurations": [NOWHERE]}, {}, "InvalidResourceReference"),
    ],
)  # fmt: skip
def test_a_network_that_azure_would_not_make(path: str, properties: Any, more: Any, code: str, arm: Arm) -> None:
    arm.call("PUT", "/resourcegroups/g", GROUP, RESOURCES)
    with refused(code):
        arm.put("g", path, "eastus", properties, **more)


def test_an_address_has_one_interface(arm: Arm) -> None:
    nic = arm.get(arm.ground(), NETWORK)
    with refused("PublicIPAddressInUse"):
        arm.put("g", "networkInterfaces/other", "eastus", {"ipConfigurations": nic["properties"]["ipConfigurations"]})


def test_a_namespace_that_is_not_registered(arm: Arm, azure: AzureCloud) -> None:
    arm.ground()
    azure.account.registered.discard("Microsoft.Compute")
    azure.durations.register = 10
    with refused("MissingSubscriptionRegistration", "namespace 'Microsoft.Compute'", status=409):
        arm.call("PUT", vm(), request("nic"))
    where = "/providers/Microsoft.Compute"
    assert arm.get(where, RESOURCES)["registrationState"] == "NotRegistered"
    assert arm.call("POST", f"{where}/register", None, RESOURCES).body["registrationState"] == "Registering"
    azure.advance(10)
    assert arm.get(where, RESOURCES)["registrationState"] == "Registered"
    with refused("InvalidResourceReference"):
        arm.call("PUT", vm(), request("nic"))


def test_a_connection_can_be_reset_and_a_caller_killed(arm: Arm, azure: AzureCloud) -> None:
    azure.faults.add("Microsoft.Resources", "resourceGroups/PUT", reset=True)
    with pytest.raises((ConnectionError, http.client.BadStatusLine)):
        arm.call("PUT", "/resourcegroups/g", GROUP, RESOURCES)
    assert azure.calls()[-1].outcome == "lost"
    with refused("ResourceGroupNotFound"):
        arm.get("/resourcegroups/g", RESOURCES)
    killed: list[str] = []
    azure.faults.killpoint(1, When.AFTER, lambda: killed.append("killed"))
    with pytest.raises((ConnectionError, http.client.BadStatusLine)):
        arm.call("PUT", "/resourcegroups/g", GROUP, RESOURCES)
    assert (killed, arm.get("/resourcegroups/g", RESOURCES)["name"]) == (["killed"], "g")


def test_a_fault_may_ask_for_a_name(arm: Arm, azure: AzureCloud) -> None:
    azure.faults.add("*", "resourceGroups/*", code="TooManyRequests", match="resourcegroups/one")
    arm.call("PUT", "/resourcegroups/two", GROUP, RESOURCES)
    with refused("TooManyRequests"):
        arm.call("PUT", "/resourcegroups/one", GROUP, RESOURCES)


def test_who_says_nothing_keeps_nobody_waiting(arm: Arm, azure: AzureCloud) -> None:
    place = ("127.0.0.1", azure.account.port)
    with socket.create_connection(place), socket.create_connection(place) as rude:
        rude.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert Arm(azure).get("/resourcegroups", RESOURCES)["value"] == []


def test_many_callers_at_once(arm: Arm, azure: AzureCloud) -> None:
    failed: list[BaseException] = []

    def make(number: int) -> None:
        try:
            arm.call("PUT", f"/resourcegroups/g{number}", GROUP, RESOURCES)
        except BaseException as error:
            failed.append(error)
        finally:
            arm.close()

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (failed, len(azure.account.groups)) == ([], 8)


def test_replies_are_held_to_the_models_too() -> None:
    found = find_operation("GET", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v")
    assert found is not None
    assert check_reply(found[0], {"location": "eastus", "properties": {"vmId": "x"}}) == []
    assert "toaster" in check_reply(found[0], {"location": "eastus", "toaster": 1})[0]
    assert "vmId" in check_reply(found[0], {"location": "eastus", "properties": {"vmId": 3}})[0]


def test_the_models_are_read_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTRAIN_CACHE", str(tmp_path))
    monkeypatch.setattr(wheels, "WHEELS", wheels.WHEELS[3:4])
    made = wheels.read_wheels()
    (kept,) = (tmp_path / "playground").iterdir()
    assert wheels.read_wheels() == made
    kept.write_text(json.dumps({"operations": ["kept"], "models": {}}))
    assert wheels.read_wheels()["operations"] == ["kept"]
    kept.write_text("spoilt")
    assert wheels.read_wheels() == made
    model = made["models"]["azure-mgmt-computeschedule"]["SubmitDeallocateRequest"]
    assert model["members"]["schedule"] == {"type": "Schedule", "required": True, "readonly": False}


def test_a_cache_that_cannot_be_written_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setenv("CLOUDTRAIN_CACHE", str(in_the_way))
    monkeypatch.setattr(wheels, "WHEELS", wheels.WHEELS[3:4])
    assert len(wheels.read_wheels()["operations"]) > 10


def test_the_key_is_nobody_elses(azure: AzureCloud) -> None:
    assert os.stat(azure.certificate.parent / "key.pem").st_mode & 0o077 == 0
