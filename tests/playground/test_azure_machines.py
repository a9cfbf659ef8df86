"""What a machine of the pretend Azure goes through, what of it bills, and what can go wrong."""

import json
from typing import Any

import pytest

from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.playground.azure import AzureCloud

from .arm_calls import NETWORK, RESOURCES, Arm, refused, request, spot, ssh_rule, vm

RUNS = ["ProvisioningState/succeeded", "PowerState/running"]


def test_a_machine_is_created_while_somebody_waits(arm: Arm, azure: AzureCloud, hypervisor: Any) -> None:
    nic = arm.ground()
    made = arm.call("PUT", vm(), request(nic, identity={"type": "SystemAssigned"}))
    assert (made.status, made.body["properties"]["provisioningState"]) == (201, "Creating")
    assert made.headers["Retry-After"] == "0"
    assert arm.state() == ["ProvisioningState/creating"]
    asked = [arm.raw("GET", made.headers["Azure-AsyncOperation"]).body["status"] for _ in range(2)]
    assert asked == ["Succeeded", "Succeeded"]
    assert arm.state() == RUNS
    shown = arm.get(vm(), **{"$expand": "instanceView"})
    assert [one["code"] for one in shown["properties"]["instanceView"]["statuses"]] == RUNS
    assert "userData" not in shown["properties"]
    assert arm.get(vm(), **{"$expand": "userData"})["properties"]["userData"].startswith("I2Nsb3Vk")
    assert len(shown["identity"]["principalId"]) == 36
    (order,) = hypervisor.orders
    assert (order.user, order.user_data, order.gpu, order.gpu_count) == ("azureuser", b"#cloud-config\n{}\n", "Tesla T4", 1)
    address = arm.get("/resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/address", NETWORK)
    assert address["properties"]["ipAddress"] == "127.0.1.1"


def test_nobody_need_look_for_it_to_run(arm: Arm, azure: AzureCloud) -> None:
    azure.durations.create = 60
    nic = arm.ground()
    arm.call("PUT", vm(), request(nic))
    azure.advance(59)
    assert azure.machines()[0].state == "creating"
    azure.advance(10)
    assert azure.machines()[0].state == "running"


def test_what_is_switched_off_bills_and_what_is_deallocated_does_not(arm: Arm, azure: AzureCloud, hypervisor: Any) -> None:
    arm.create()
    azure.advance(3600)
    assert azure.billed_hours("vm") == pytest.approx(1, abs=0.01)
    arm.do("POST", f"{vm()}/powerOff")
    assert arm.state() == ["ProvisioningState/succeeded", "PowerState/stopped"]
    azure.advance(3600)
    assert azure.billed_hours("vm") == pytest.approx(2, abs=0.01)
    arm.deallocate()
    assert arm.state() == ["ProvisioningState/succeeded", "PowerState/deallocated"]
    azure.advance(36000)
    assert azure.billed_hours("vm") == pytest.approx(2, abs=0.01)
    arm.do("POST", f"{vm()}/start")
    azure.advance(3600)
    assert azure.billed_hours("vm") == pytest.approx(3, abs=0.01)
    arm.do("DELETE", vm())
    azure.advance(3600)
    assert azure.billed_hours("vm") == pytest.approx(3, abs=0.01)
    assert [what for what, *_ in hypervisor.told] == ["switch_off", "switch_off", "destroy", "destroy"]


def test_a_guest_that_switches_itself_off_goes_on_billing(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    azure.power_off("vm")
    assert arm.state() == ["ProvisioningState/succeeded", "PowerState/stopped"]
    azure.advance(7200)
    assert azure.billed_hours("vm") == pytest.approx(2, abs=0.01)
    assert "goes on billing" in azure.account.events[-1]


def test_what_is_deleted_takes_its_own_with_it(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    azure.account.resources["/x"] = next(iter(azure.account.of_type("Microsoft.Network/virtualNetworks")))
    arm.do("DELETE", vm())
    left = {resource.type.partition("/")[2] for resource in azure.account.resources.values()}
    assert left == {"networkSecurityGroups", "virtualNetworks"}
    assert arm.call("DELETE", vm()).status == 204
    with refused("ResourceNotFound", "virtualMachines/vm"):
        arm.get(vm())


def test_what_is_not_to_go_with_it_stays(arm: Arm, azure: AzureCloud) -> None:
    nic = arm.ground()
    body = request(nic)
    body["properties"]["networkProfile"]["networkInterfaces"] = [{"id": nic}]
    body["properties"]["storageProfile"]["osDisk"].pop("deleteOption")
    arm.do("PUT", vm(), body)
    assert {v.what for v in azure.violations()} == {"its disk outlives it", "its network interface outlives it"}
    arm.do("DELETE", vm())
    left = sorted(resource.type.partition("/")[2] for resource in azure.account.resources.values())
    assert left == ["disks", "networkInterfaces", "networkSecurityGroups", "publicIPAddresses", "virtualNetworks"]
    (disk,) = arm.get("/providers/Microsoft.Compute/disks")["value"]
    assert disk["properties"]["diskState"] == "Unattached"
    arm.do("DELETE", f"/resourceGroups/g/providers/Microsoft.Compute/disks/{disk['name']}")
    assert arm.get("/providers/Microsoft.Compute/disks")["value"] == []


def test_one_deletion_takes_the_whole_group(arm: Arm, azure: AzureCloud, hypervisor: Any) -> None:
    arm.create()
    gone = arm.call("DELETE", "/resourceGroups/g", api=RESOURCES)
    assert (gone.status, arm.get("/resourceGroups/g", RESOURCES)["properties"]["provisioningState"]) == (202, "Deleting")
    with refused("ResourceGroupBeingDeleted", status=409):
        arm.call("PUT", vm("late"), request("nic"))
    assert arm.wait(gone) == "Succeeded"
    assert (azure.account.resources, azure.account.groups, azure.machines()) == ({}, {}, [])
    assert ("destroy", "vm") in hypervisor.told
    with refused("ResourceGroupNotFound"):
        arm.get("/resourceGroups/g", RESOURCES)


def test_capacity_that_is_not_there_leaves_a_failed_machine_behind(arm: Arm, azure: AzureCloud, hypervisor: Any) -> None:
    nic = arm.ground()
    azure.faults.add("Microsoft.Compute", "virtualMachines/PUT", code="AllocationFailed")
    accepted = arm.call("PUT", vm(), request(nic))
    assert accepted.status == 201
    with refused("AllocationFailed", "sufficient capacity", status=200):
        arm.wait(accepted)
    assert arm.get(vm())["properties"]["provisioningState"] == "Failed"
    assert arm.state() == ["ProvisioningState/failed/AllocationFailed"]
    assert (azure.machines()[0].state, azure.billed_hours("vm"), hypervisor.orders) == ("failed", 0.0, [])
    arm.do("PUT", vm(), request(nic))
    assert arm.state() == RUNS
    azure.faults.add("Microsoft.Compute", "virtualMachines/start", code="ZonalAllocationFailed")
    arm.deallocate()
    with refused("ZonalAllocationFailed"):
        arm.do("POST", f"{vm()}/start")
    assert arm.state() == ["ProvisioningState/failed/ZonalAllocationFailed", "PowerState/deallocated"]


def test_a_fault_after_the_effect_is_a_lost_reply(arm: Arm, azure: AzureCloud) -> None:
    nic = arm.ground()
    azure.faults.add("Microsoft.Compute", "virtualMachines/PUT", code="AllocationFailed", http=409, after=True)
    with refused("AllocationFailed", status=409):
        arm.call("PUT", vm(), request(nic))
    azure.advance(60)
    assert arm.state() == RUNS
    arm.do("DELETE", vm())
    azure.faults.add("Microsoft.Compute", "virtualMachines/PUT", code="OSProvisioningTimedOut", after=True)
    with refused("OSProvisioningTimedOut"):
        arm.create()
    assert arm.state() == RUNS
    azure.faults.add("Microsoft.Compute", "virtualMachines/deallocate", code="InternalExecutionError", after=True)
    with refused("InternalExecutionError"):
        arm.do("POST", f"{vm()}/deallocate")
    assert arm.state() == ["ProvisioningState/succeeded", "PowerState/deallocated"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("TooManyRequests", 429),
        ("ReadOnlyDisabledSubscription", 409),
        ("RequestDisallowedByPolicy", 403),
        ("SkuNotAvailable", 409),
        ("OperationNotAllowed", 409),
        ("InternalServerError", 500),
    ],
)
def test_what_is_refused_at_once(code: str, status: int, arm: Arm, azure: AzureCloud) -> None:
    nic = arm.ground()
    azure.faults.add("Microsoft.Compute", "virtualMachines/PUT", code=code)
    with refused(code, status=status) as caught:
        arm.call("PUT", vm(), request(nic))
    assert ("Retry-After" in caught.value.headers) is (status == 429)
    assert azure.machines() == []
    assert azure.calls()[-1].outcome == code


@pytest.mark.parametrize(
    ("quota", "market", "words"),
    [
        ("standardNCASv3_T4Family", {}, "standardNCASv3_T4Family Cores quota"),
        ("Standard NCASv3_T4 Family", {}, "standardNCASv3_T4Family Cores quota"),
        ("cores", {}, "Total Regional Cores quota"),
        ("lowPriorityCores", spot(), "LowPriorityCores quota"),
    ],
)
def test_a_quota_is_refused_in_azures_words(quota: str, market: Any, words: str, arm: Arm, azure: AzureCloud) -> None:
    nic = arm.ground()
    azure.set_quota(quota, 3, ["eastus"])
    with refused(
        "OperationNotAllowed", f"{words}.*Location: eastus, Current Limit: 3, Current Usage: 0, Additional Required: 4"
    ):
        arm.call("PUT", vm(), request(nic, properties=market))
    azure.set_quota(quota, 4, ["eastus"])
    arm.do("PUT", vm(), request(nic, properties=market))
    used = {
        one["name"]["value"]: one["currentValue"]
        for one in arm.get("/providers/Microsoft.Compute/locations/eastus/usages")["value"]
    }
    assert used["lowPriorityCores" if market else "cores"] == 4
    with pytest.raises(KeyError):
        azure.set_quota("coresOfNobody", 1)


def test_a_deallocated_machine_gives_its_cores_back_and_may_not_get_them_again(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    azure.set_quota("cores", 4)
    arm.deallocate()
    azure.set_quota("cores", 0)
    with refused("OperationNotAllowed", "Current Usage: 0"):
        arm.call("POST", f"{vm()}/start")


def test_an_evicted_machine_is_told_first(arm: Arm, azure: AzureCloud, hypervisor: Any) -> None:
    arm.create(properties=spot("Deallocate"))
    azure.reclaim("vm", 30)
    document = json.loads(hypervisor.metadata["vm"]["scheduledevents"])
    (event,) = document["Events"]
    assert (event["EventType"], event["Resources"], event["NotBefore"]) == ("Preempt", ["vm"], "Sat, 21 Nov 2026 12:00:30 GMT")
    azure.advance(29)
    assert azure.machines()[0].state == "running"
    azure.advance(10)
    assert azure.machines()[0].state == "deallocated"
    arm.do("POST", f"{vm()}/start")
    assert arm.call("POST", f"{vm()}/simulateEviction").status == 204
    azure.advance(40)
    assert azure.machines()[0].state == "deallocated"


def test_an_evicted_machine_may_be_deleted(arm: Arm, azure: AzureCloud) -> None:
    arm.create(properties=spot("Delete"))
    azure.reclaim("vm", 30)
    azure.advance(31)
    assert azure.machines() == []
    assert azure.billed_hours("vm") == pytest.approx(30 / 3600, abs=0.001)


def test_only_a_running_spot_machine_is_evicted(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    with pytest.raises(ValueError, match="no running Spot machine"):
        azure.reclaim("vm")
    with refused("OperationNotAllowed", "Simulate eviction"):
        arm.call("POST", f"{vm()}/simulateEviction")


def test_a_later_operation_takes_an_earlier_ones_place(arm: Arm, azure: AzureCloud) -> None:
    azure.durations.create = 600
    nic = arm.ground()
    creating = arm.call("PUT", vm(), request(nic))
    arm.do("DELETE", vm())
    with refused("OperationPreempted"):
        arm.wait(creating)
    assert azure.machines() == []


def test_a_put_may_be_repeated_and_changes_what_may_change(arm: Arm, azure: AzureCloud, hypervisor: Any) -> None:
    nic = arm.ground()
    arm.do("PUT", vm(), request(nic))
    again = arm.do("PUT", vm(), request(nic))
    assert (again.status, len(hypervisor.orders), arm.state()) == (200, 1, RUNS)
    arm.do("PATCH", vm(), {"tags": {"cloudtrain-owner": "you"}, "identity": {"type": "SystemAssigned"}})
    shown = arm.get(vm())
    assert (shown["tags"], shown["identity"]["type"]) == ({"cloudtrain-owner": "you"}, "SystemAssigned")
    with refused("PropertyChangeNotAllowed", "osProfile.adminUsername"):
        arm.call("PUT", vm(), request(nic, properties={"osProfile": {"computerName": "vm", "adminUsername": "other"}}))
    arm.deallocate()
    arm.do("PATCH", vm(), {"properties": {"hardwareProfile": {"vmSize": "Standard_NC8as_T4_v3"}}})
    assert arm.get(vm())["properties"]["hardwareProfile"]["vmSize"] == "Standard_NC8as_T4_v3"


def test_a_machine_may_bring_its_own_interface(arm: Arm, azure: AzureCloud) -> None:
    nic = arm.get(f"{arm.ground()}", NETWORK)
    subnet = nic["properties"]["ipConfigurations"][0]["properties"]["subnet"]
    address = {"name": "own", "sku": {"name": "Standard"}, "properties": {"deleteOption": "Delete"}}
    part = {"name": "ip", "properties": {"subnet": subnet, "publicIPAddressConfiguration": address}}
    own = {"name": "nic2", "properties": {"deleteOption": "Delete", "primary": True, "ipConfigurations": [part]}}
    profile = {"networkApiVersion": "2022-11-01", "networkInterfaceConfigurations": [own]}
    arm.do("PUT", vm(), request("", properties={"networkProfile": profile}))
    (one,) = arm.get(vm())["properties"]["networkProfile"]["networkInterfaces"]
    shown = arm.get(one["id"], NETWORK)["properties"]["ipConfigurations"][0]["properties"]["publicIPAddress"]
    assert arm.get(shown["id"], NETWORK)["properties"]["ipAddress"] == "127.0.1.1"
    arm.do("DELETE", vm())
    assert [one.name for one in azure.account.of_type("Microsoft.Network/networkInterfaces")] == ["nic"]


def test_what_is_in_use_stays(arm: Arm) -> None:
    arm.create()
    root = "/resourceGroups/g/providers/Microsoft.Network"
    for path, code in (
        ("networkInterfaces/nic", "NicInUse"),
        ("publicIPAddresses/address", "PublicIPAddressCannotBeDeleted"),
        ("networkSecurityGroups/guard", "InUseNetworkSecurityGroupCannotBeDeleted"),
        ("virtualNetworks/net", "InUseSubnetCannotBeDeleted"),
        ("virtualNetworks/net/subnets/s", "InUseSubnetCannotBeDeleted"),
    ):
        with refused(code, status=400):
            arm.call("DELETE", f"{root}/{path}", api=NETWORK)
    arm.do("DELETE", vm())
    for path in ("networkSecurityGroups/guard", "virtualNetworks/net"):
        arm.do("DELETE", f"{root}/{path}", api=NETWORK)


def test_a_machine_that_does_not_boot_has_failed(arm: Arm, azure: AzureCloud, hypervisor: Any) -> None:
    hypervisor.boots_nothing = True
    with refused("OSProvisioningInternalError"):
        arm.create()
    assert (azure.machines()[0].state, azure.billed_hours("vm")) == ("failed", 0.0)
    assert any("no room on this computer" in event for event in azure.account.events)


def test_reads_may_lag_behind(arm: Arm, azure: AzureCloud) -> None:
    nic = arm.ground()
    azure.faults.stale_reads = 2
    arm.call("PUT", vm(), request(nic))
    with refused("ResourceNotFound"):
        arm.get(vm())
    assert arm.get("/providers/Microsoft.Compute/virtualMachines")["value"] == []
    assert arm.get(vm())["name"] == "vm"


def test_machines_are_found_everywhere_by_their_tags(arm: Arm, clock: FakeClock) -> None:
    arm.create()
    arm.create("far", "g2", location="westeurope")
    everywhere = arm.get("/providers/Microsoft.Compute/virtualMachines", statusOnly="false")["value"]
    assert [(one["name"], one["location"]) for one in everywhere] == [("vm", "eastus"), ("far", "westeurope")]
    assert len(arm.get(vm("", "g2").rstrip("/"))["value"]) == 1
    views = arm.get("/providers/Microsoft.Compute/virtualMachines", statusOnly="true")["value"]
    assert {one["properties"]["instanceView"]["statuses"][1]["code"] for one in views} == {"PowerState/running"}
    found = arm.get("/resources", RESOURCES, **{"$filter": "tagName eq 'cloudtrain-owner' and tagValue eq 'me'"})["value"]
    assert sum(one["type"] == "Microsoft.Compute/virtualMachines" for one in found) == 2
    assert arm.get("/resourcegroups", RESOURCES, **{"$filter": "tagName eq 'nobody'"})["value"] == []


def test_port_22_is_open_to_the_caller_alone(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    assert azure.may_reach("127.0.0.1", "vm")
    assert not azure.may_reach("198.51.100.7", "vm")
    assert not azure.may_reach("127.0.0.1", "vm", 23)
    rule = "/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/guard/securityRules/wide"
    arm.do("PUT", rule, ssh_rule("*", priority=200), NETWORK)
    assert azure.may_reach("198.51.100.7", "vm")
    assert "port 22 is open to 198.51.100.77" in {violation.what for violation in azure.violations()}
    deny = ssh_rule("Internet", priority=150, access="Deny")
    arm.do("PUT", rule.replace("wide", "deny"), deny, NETWORK)
    assert not azure.may_reach("198.51.100.7", "vm")
    arm.do("DELETE", rule.replace("wide", "deny"), api=NETWORK)
    arm.do("DELETE", rule, api=NETWORK)
    assert not azure.may_reach("198.51.100.7", "vm")
