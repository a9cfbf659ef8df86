"""A client that knows nothing of us: Microsoft's own libraries at work on the pretend Azure."""

import importlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential, DefaultAzureCredential

from cloudtrain.testing.playground.azure import AzureCloud

from .arm_calls import TAGS, request, spot, ssh_rule

KINDS = {
    "compute": ("azure.mgmt.compute", "ComputeManagementClient"),
    "network": ("azure.mgmt.network", "NetworkManagementClient"),
    "resource": ("azure.mgmt.resource.resources", "ResourceManagementClient"),
    "authorization": ("azure.mgmt.authorization", "AuthorizationManagementClient"),
    "schedule": ("azure.mgmt.computeschedule", "ComputeScheduleMgmtClient"),
    "lab": ("azure.mgmt.devtestlabs", "DevTestLabsClient"),
}
"""Imported when a test runs: to import them all takes seconds, and every run of the suite collects this file."""


class Clients:
    """One client of each library. What Azure says about waiting is that there is no need to."""

    def __init__(self, cloud: AzureCloud) -> None:
        account = cloud.account
        self._credential = ClientSecretCredential(
            account.tenant, account.client, "playground", authority=cloud.url, disable_instance_discovery=True
        )
        scopes = [f"{cloud.url}/.default"]
        self._made = {}
        for name, (module, kind) in KINDS.items():
            make = getattr(importlib.import_module(module), kind)
            self._made[name] = make(
                self._credential, cloud.subscription, base_url=cloud.url, credential_scopes=scopes, polling_interval=0
            )

    def __getattr__(self, name: str) -> Any:
        return self._made[name]

    def close(self) -> None:
        for client in self._made.values():
            client.close()
        self._credential.close()


@pytest.fixture
def sdk_of(azure: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(azure.certificate))
    clients = Clients(azure)
    yield clients
    clients.close()


def ground(clients: Clients) -> str:
    """Make what a machine needs, each by its own operation; return the interface's id."""
    clients.resource.resource_groups.create_or_update("g", {"location": "eastus", "tags": TAGS})
    network = clients.network
    guard = network.network_security_groups.begin_create_or_update(
        "g", "guard", {"location": "eastus", "properties": {"securityRules": [ssh_rule()]}}
    ).result()
    net = network.virtual_networks.begin_create_or_update(
        "g",
        "net",
        {
            "location": "eastus",
            "properties": {
                "addressSpace": {"addressPrefixes": ["10.0.0.0/24"]},
                "subnets": [{"name": "s", "properties": {"addressPrefix": "10.0.0.0/24"}}],
            },
        },
    ).result()
    address = network.public_ip_addresses.begin_create_or_update(
        "g",
        "address",
        {
            "location": "eastus",
            "sku": {"name": "Standard"},
            "properties": {"publicIPAllocationMethod": "Static", "deleteOption": "Delete"},
        },
    ).result()
    part = {"name": "ip", "properties": {"subnet": {"id": net.properties.subnets[0].id}, "publicIPAddress": {"id": address.id}}}
    properties = {"networkSecurityGroup": {"id": guard.id}, "ipConfigurations": [part]}
    made = network.network_interfaces.begin_create_or_update("g", "nic", {"location": "eastus", "properties": properties})
    return str(made.result().id)


def codes(clients: Clients) -> list[str]:
    return [status.code for status in clients.compute.virtual_machines.instance_view("g", "vm").statuses]


def test_from_a_login_to_the_last_deletion(sdk_of: Clients, azure: AzureCloud) -> None:
    nic, machines = ground(sdk_of), sdk_of.compute.virtual_machines
    made = machines.begin_create_or_update("g", "vm", request(nic, properties=spot("Deallocate"))).result()
    assert (made.properties.provisioning_state, made.properties.priority) == ("Succeeded", "Spot")
    assert codes(sdk_of) == ["ProvisioningState/succeeded", "PowerState/running"]
    machines.begin_power_off("g", "vm").result()
    assert codes(sdk_of)[-1] == "PowerState/stopped"
    machines.begin_deallocate("g", "vm").result()
    assert codes(sdk_of)[-1] == "PowerState/deallocated"
    machines.begin_start("g", "vm").result()
    machines.begin_restart("g", "vm").result()
    assert machines.get("g", "vm", expand="instanceView").properties.instance_view.statuses[-1].code == "PowerState/running"
    assert [one.name for one in machines.list_all(status_only="true")] == ["vm"]
    machines.simulate_eviction("g", "vm")
    azure.advance(60)
    assert codes(sdk_of)[-1] == "PowerState/deallocated"
    address = sdk_of.network.public_ip_addresses.get("g", "address")
    assert address.properties.ip_configuration.id.endswith("/nic/ipConfigurations/ip")
    found = sdk_of.resource.resources.list(filter="tagName eq 'cloudtrain-owner' and tagValue eq 'me'")
    assert {one.type for one in found} == {"Microsoft.Compute/virtualMachines", "Microsoft.Compute/disks"}
    machines.begin_delete("g", "vm").result()
    with pytest.raises(ResourceNotFoundError):
        machines.get("g", "vm")
    sdk_of.resource.resource_groups.begin_delete("g").result()
    assert not sdk_of.resource.resource_groups.check_existence("g")
    assert (azure.account.resources, azure.account.groups) == ({}, {})
    assert {call.outcome for call in azure.calls()} == {"ok", "ResourceNotFound", "http 404"}


def test_a_poller_is_taken_up_again_by_another(sdk_of: Clients, azure: AzureCloud) -> None:
    nic = ground(sdk_of)
    azure.durations.create = 60
    first = sdk_of.compute.virtual_machines.begin_create_or_update("g", "vm", request(nic), polling=True)
    token = first.continuation_token()
    azure.advance(61)
    again = sdk_of.compute.virtual_machines.begin_create_or_update("g", "vm", request(nic), continuation_token=token)
    assert again.result().name == "vm"
    first.wait(60)


def test_capacity_and_quota_as_the_sdk_tells_them(sdk_of: Clients, azure: AzureCloud) -> None:
    nic, machines = ground(sdk_of), sdk_of.compute.virtual_machines
    azure.faults.add("Microsoft.Compute", "virtualMachines/PUT", code="AllocationFailed")
    with pytest.raises(HttpResponseError) as caught:
        machines.begin_create_or_update("g", "vm", request(nic)).result()
    assert (caught.value.status_code, caught.value.error.code) == (200, "AllocationFailed")
    assert machines.get("g", "vm").properties.provisioning_state == "Failed"
    azure.set_quota("cores", 0)
    with pytest.raises(HttpResponseError) as caught:
        machines.begin_create_or_update("g", "vm", request(nic))
    assert (caught.value.status_code, caught.value.error.code) == (409, "OperationNotAllowed")


def test_throttling_is_retried_by_the_sdk(sdk_of: Clients, azure: AzureCloud) -> None:
    azure.faults.add("Microsoft.Resources", "resourceGroups/LIST", code="TooManyRequests", times=2)
    assert list(sdk_of.resource.resource_groups.list()) == []
    assert [call.outcome for call in azure.calls()][-3:] == ["TooManyRequests", "TooManyRequests", "ok"]


def test_roles_and_schedules_by_the_sdk(sdk_of: Clients, azure: AzureCloud) -> None:
    nic = ground(sdk_of)
    body = request(nic, identity={"type": "SystemAssigned"})
    made = sdk_of.compute.virtual_machines.begin_create_or_update("g", "vm", body).result()
    role = next(iter(sdk_of.authorization.role_definitions.list(made.id, filter="roleName eq 'Reader'")))
    properties = {
        "roleDefinitionId": role.id,
        "principalId": made.identity.principal_id,
        "principalType": "ServicePrincipal",
    }
    given = io.BytesIO(json.dumps({"properties": properties}).encode())
    name = "11111111-1111-4111-8111-111111111111"
    assigned = sdk_of.authorization.role_assignments.create(made.id, name, given)
    assert assigned.principal_id == made.identity.principal_id
    wanted = {
        "schedule": {"deadline": "2026-11-21T13:00:00Z", "timezone": "UTC", "deadlineType": "InitiateAt"},
        "executionParameters": {"retryPolicy": {"retryCount": 1, "retryWindowInMinutes": 10}},
        "resources": {"ids": [made.id]},
        "correlationid": name,
    }
    scheduled = sdk_of.schedule.scheduled_actions.virtual_machines_submit_deallocate("eastus", wanted)
    assert scheduled.results[0].operation.state == "Scheduled"
    daily = {
        "location": "eastus",
        "properties": {
            "status": "Enabled",
            "taskType": "ComputeVmShutdownTask",
            "dailyRecurrence": {"time": "1230"},
            "timeZoneId": "UTC",
            "targetResourceId": made.id,
        },
    }
    shown = sdk_of.lab.global_schedules.create_or_update("g", "shutdown-computevm-vm", io.BytesIO(json.dumps(daily).encode()))
    assert shown.daily_recurrence.time == "1230"
    assert [f"{end:%H:%M}" for end in azure.ends_of("vm")] == ["12:30", "13:00"]


def test_the_default_chain_finds_what_the_environment_says(azure: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    account = azure.account
    for name, value in {
        "REQUESTS_CA_BUNDLE": str(azure.certificate),
        "AZURE_AUTHORITY_HOST": azure.url,
        "AZURE_TENANT_ID": account.tenant,
        "AZURE_CLIENT_ID": account.client,
        "AZURE_CLIENT_SECRET": "playground",
    }.items():
        monkeypatch.setenv(name, value)
    with DefaultAzureCredential(disable_instance_discovery=True) as credential:
        assert credential.get_token("https://management.azure.com/.default").token.count(".") == 2
