"""Who ends a machine of the pretend Azure without a laptop: the cloud's schedules, and the machine itself by its role."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudtrain.testing.clock import NOON
from cloudtrain.testing.playground.azure import AzureCloud

from .arm_calls import AUTHORIZATION, COMPUTE, DAILY, RESOURCES, SCHEDULE, Arm, refused, vm

ONCE = "/providers/Microsoft.ComputeSchedule/locations/eastus"
DEADLINE = NOON + timedelta(hours=2)
CONTRIBUTOR = "9980e02c-c2be-4d73-94e8-173b1dc7cf3c"


def submit(arm: Arm, due: datetime = DEADLINE, name: str = "vm", **changes: Any) -> dict[str, Any]:
    body = {
        "schedule": {"deadline": due.isoformat(), "timezone": "UTC", "deadlineType": "InitiateAt", **changes},
        "executionParameters": {"retryPolicy": {"retryCount": 3, "retryWindowInMinutes": 30}},
        "resources": {"ids": [f"{arm.root}{vm(name)}"]},
        "correlationid": str(uuid.uuid4()),
    }
    found: dict[str, Any] = arm.call("POST", f"{ONCE}/virtualMachinesSubmitDeallocate", body, SCHEDULE).body["results"][0]
    return found


def ask(arm: Arm, verb: str, id: str) -> dict[str, Any]:
    body = {"operationIds": [id], "correlationid": "c"}
    return arm.call("POST", f"{ONCE}/virtualMachines{verb}", body, SCHEDULE).body["results"][0]


def daily(arm: Arm, time: str = "1400", name: str = "shutdown-computevm-vm", **changes: Any) -> None:
    properties = {
        "status": "Enabled",
        "taskType": "ComputeVmShutdownTask",
        "dailyRecurrence": {"time": time},
        "timeZoneId": "UTC",
        "targetResourceId": f"{arm.root}{vm()}",
        "notificationSettings": {"status": "Disabled"},
        **changes,
    }
    path = f"/resourceGroups/g/providers/Microsoft.DevTestLab/schedules/{name}"
    arm.call("PUT", path, {"location": "eastus", "properties": properties}, DAILY)


def test_a_machine_is_deallocated_at_its_deadline(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    operation = submit(arm)["operation"]
    assert (operation["state"], operation["opType"]) == ("Scheduled", "Deallocate")
    assert datetime.fromisoformat(operation["deadline"]) == DEADLINE
    assert azure.ends_of("vm") == [DEADLINE]
    azure.advance(7199)
    assert azure.machines()[0].state == "running"
    azure.advance(10)
    assert azure.machines()[0].state == "deallocated"
    assert azure.billed_hours("vm") == pytest.approx(2, abs=0.01)
    seen = ask(arm, "GetOperationStatus", operation["operationId"])["operation"]
    assert (seen["state"], azure.ends_of("vm")) == ("Succeeded", [])


def test_a_schedule_may_be_cancelled(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    id = submit(arm)["operation"]["operationId"]
    assert ask(arm, "CancelOperations", id)["operation"]["state"] == "Cancelled"
    azure.advance(10000)
    assert azure.machines()[0].state == "running"
    assert ask(arm, "GetOperationStatus", "unknown")["errorCode"] == "OperationNotFound"


def test_a_schedule_of_a_machine_that_is_gone_fails(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    id = submit(arm)["operation"]["operationId"]
    arm.do("DELETE", vm())
    azure.advance(7300)
    assert ask(arm, "GetOperationStatus", id)["operation"]["state"] == "Failed"
    body = {"operationIds": [id]}
    errors = arm.call("POST", f"{ONCE}/virtualMachinesGetOperationErrors", body, SCHEDULE).body["results"]
    assert errors[0]["operationErrors"][0]["errorCode"] == "ResourceNotFound"
    assert submit(arm, azure.account.timeline.now())["errorCode"] == "ResourceNotFound"


@pytest.mark.parametrize(
    ("due", "changes", "code"),
    [
        (NOON + timedelta(days=15), {}, "InvalidDeadline"),
        (NOON - timedelta(hours=1), {}, "InvalidDeadline"),
        (DEADLINE, {"deadlineType": "CompleteBy"}, "InvalidParameter"),
        (DEADLINE, {"deadlineType": "Whenever"}, "InvalidRequestContent"),
        (DEADLINE, {"timezone": "Mars"}, "InvalidParameter"),
    ],
)
def test_a_deadline_that_is_refused(due: datetime, changes: Any, code: str, arm: Arm) -> None:
    arm.create()
    with refused(code):
        submit(arm, due, **changes)


def test_every_day_at_the_same_time(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    daily(arm)
    assert azure.ends_of("vm") == [DEADLINE]
    azure.advance(2 * 3600 + 10)
    assert azure.machines()[0].state == "deallocated"
    arm.do("POST", f"{vm()}/start")
    assert azure.ends_of("vm") == [DEADLINE + timedelta(days=1)]
    azure.advance(24 * 3600)
    assert azure.machines()[0].state == "deallocated"
    path = "/resourceGroups/g/providers/Microsoft.DevTestLab/schedules/shutdown-computevm-vm"
    assert arm.get(path, DAILY)["properties"]["dailyRecurrence"]["time"] == "1400"
    daily(arm, status="Disabled")
    assert azure.ends_of("vm") == []
    arm.call("DELETE", path, api=DAILY)
    with refused("ResourceNotFound"):
        arm.get(path, DAILY)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "my-schedule"}, "InvalidScheduleName"),
        ({"time": "2560"}, "InvalidScheduleTime"),
        ({"timeZoneId": "W. Europe Standard Time"}, "InvalidTimeZoneId"),
        ({"taskType": "Dance"}, "InvalidScheduleTaskType"),
        ({"targetResourceId": "/subscriptions/s/x/vm"}, "InvalidScheduleTargetResourceId"),
    ],
)
def test_a_daily_schedule_that_is_refused(changes: Any, code: str, arm: Arm) -> None:
    arm.create()
    with refused(code):
        daily(arm, **changes)


def test_schedules_go_with_their_group(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    daily(arm)
    arm.do("DELETE", "/resourceGroups/g", api=RESOURCES)
    azure.advance(86400)
    assert not [event for event in azure.account.events if "DevTestLab" in event]


def test_a_machine_that_nothing_ends_is_a_violation(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    azure.advance(30)
    assert azure.violations() == []
    azure.advance(60)
    (found,) = azure.violations()
    assert (found.resource, found.what[:36]) == ("vm", "it bills and nothing will end that, ")


def test_a_machine_with_an_end_in_the_cloud_is_none(arm: Arm, azure: AzureCloud) -> None:
    arm.create()
    submit(arm)
    azure.advance(3600)
    assert azure.violations() == []


def test_what_is_not_tagged_is_a_violation(arm: Arm, azure: AzureCloud) -> None:
    arm.create(tags={})
    arm.call("PATCH", "/resourceGroups/g", {"tags": {}}, RESOURCES)
    assert {violation.what for violation in azure.violations()} == {
        "it carries no tag of ours",
        "the group holds something and carries no tag of ours",
    }


def role(arm: Arm, *actions: str, name: str = "cloudtrain-end") -> str:
    """Make a role that may be given in this subscription, and return its id."""
    guid = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    path = f"{arm.root}/providers/Microsoft.Authorization/roleDefinitions/{guid}"
    permissions = [{"actions": list(actions), "notActions": []}]
    properties = {"roleName": name, "permissions": permissions, "assignableScopes": [arm.root], "type": "CustomRole"}
    return str(arm.call("PUT", path, {"properties": properties}, AUTHORIZATION).body["id"])


def assign(arm: Arm, role: str, principal: str, scope: str, **more: str) -> str:
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    properties = {"roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal", **more}
    arm.call("PUT", path, {"properties": {key: value for key, value in properties.items() if value}}, AUTHORIZATION)
    return path


@pytest.fixture
def guest(arm: Arm, azure: AzureCloud, hypervisor: Any) -> Arm:
    """Calls with the token of a machine's own identity, as its metadata service gives it."""
    arm.create(identity={"type": "SystemAssigned"})
    token = json.loads(hypervisor.metadata["vm"]["identity/oauth2/token"])["access_token"]
    return Arm(azure, token)


def test_a_machine_may_do_what_its_role_allows_and_no_more(arm: Arm, azure: AzureCloud, guest: Arm) -> None:
    with refused("AuthorizationFailed", "virtualMachines/deallocate/action"):
        guest.call("POST", f"{vm()}/deallocate")
    may_end = role(arm, "Microsoft.Compute/virtualMachines/read", "Microsoft.Compute/virtualMachines/deallocate/action")
    assign(arm, may_end, azure.machines()[0].principal, f"{arm.root}{vm()}")
    assert guest.get(vm())["name"] == "vm"
    with refused("AuthorizationFailed", "virtualMachines/delete"):
        guest.call("DELETE", vm())
    with refused("AuthorizationFailed"):
        guest.get("/resourcegroups", RESOURCES)
    guest.deallocate()
    assert azure.machines()[0].state == "deallocated"
    assert azure.violations() == []
    arm.do("DELETE", vm())
    assert azure._router.access.assignments == {}


def test_a_role_needs_its_time(arm: Arm, azure: AzureCloud, guest: Arm) -> None:
    azure.durations.role = 600
    principal = azure.machines()[0].principal
    end = role(arm, "Microsoft.Compute/virtualMachines/deallocate/action")
    with refused("PrincipalNotFound", principal):
        assign(arm, end, principal, f"{arm.root}{vm()}", principalType="")
    assign(arm, end, principal, f"{arm.root}{vm()}")
    azure.advance(599)
    with refused("AuthorizationFailed", "recently granted"):
        guest.call("POST", f"{vm()}/deallocate")
    azure.advance(1)
    guest.call("POST", f"{vm()}/deallocate")


def test_a_machine_that_may_do_more_than_end_itself_is_a_violation(arm: Arm, azure: AzureCloud, guest: Arm) -> None:
    principal = azure.machines()[0].principal
    given = f"{arm.root}/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}"
    assign(arm, given, principal, f"{arm.root}{vm()}")
    assign(arm, given, principal, f"{arm.root}/resourceGroups/g")
    assert {violation.what for violation in azure.violations()} == {
        "its identity may do anything with itself, and needs to deallocate and read alone",
        f"its identity has a role at {arm.root}/resourceGroups/g, which is more than itself",
    }


def test_a_machine_that_may_end_itself_needs_no_schedule(arm: Arm, azure: AzureCloud, guest: Arm) -> None:
    end = role(arm, "Microsoft.Compute/virtualMachines/deallocate/action")
    assign(arm, end, azure.machines()[0].principal, f"{arm.root}{vm()}")
    azure.advance(3600)
    assert azure.violations() == []


def test_a_role_that_was_asked_for_is_none(arm: Arm, azure: AzureCloud, guest: Arm) -> None:
    scope = f"{arm.root}/resourceGroups/g"
    azure.account.allowed_scopes = {scope}
    assign(arm, role(arm, "Microsoft.Storage/storageAccounts/*"), azure.machines()[0].principal, scope)
    assert azure.violations() == []


def test_contributors_give_no_roles(arm: Arm, azure: AzureCloud, guest: Arm) -> None:
    azure.account.caller_role = "Contributor"
    with refused("AuthorizationFailed", "Microsoft.Authorization/roleAssignments/write", status=403):
        assign(arm, CONTRIBUTOR, azure.machines()[0].principal, f"{arm.root}{vm()}")
    assert arm.get(vm(), COMPUTE)["name"] == "vm"


def test_the_caller_may_ask_what_it_may(arm: Arm, azure: AzureCloud, guest: Arm) -> None:
    path = "/providers/Microsoft.Authorization/permissions"
    assert arm.get(path, AUTHORIZATION)["value"] == [{"actions": ["*"], "notActions": []}]
    azure.account.caller_role, azure.account.denied = "Contributor", {"Microsoft.Compute/disks/read"}
    (one,) = arm.get(path, AUTHORIZATION)["value"]
    assert {"Microsoft.Compute/disks/read", "Microsoft.Authorization/*/Write"} < set(one["notActions"])
    with refused("AuthorizationFailed"):
        guest.get(path, AUTHORIZATION)


def test_assignments_and_roles_have_rules(arm: Arm, azure: AzureCloud, guest: Arm) -> None:
    principal, scope = azure.machines()[0].principal, f"{arm.root}{vm()}"
    end = role(arm, "Microsoft.Compute/virtualMachines/deallocate/action")
    path = assign(arm, end, principal, scope)
    with refused("RoleAssignmentExists", status=409):
        assign(arm, end, principal, scope)
    assert arm.get(path, AUTHORIZATION)["properties"]["principalId"] == principal
    listed = f"{scope}/providers/Microsoft.Authorization/roleAssignments"
    found = arm.get(listed, AUTHORIZATION, **{"$filter": f"principalId eq '{principal}'"})["value"]
    assert [one["id"] for one in found] == [path]
    body = {"properties": {"roleDefinitionId": end, "principalId": str(uuid.uuid4()), "principalType": "ServicePrincipal"}}
    with refused("RoleAssignmentUpdateNotPermitted"):
        arm.call("PUT", path, body, AUTHORIZATION)
    with refused("RoleDefinitionDoesNotExist"):
        assign(arm, str(uuid.uuid4()), principal, scope)
    with refused("RoleDefinitionHasAssignments"):
        arm.call("DELETE", end, api=AUTHORIZATION)
    arm.call("DELETE", path, api=AUTHORIZATION)
    assert arm.call("DELETE", path, api=AUTHORIZATION).status == 204
    roles = f"{arm.root}/providers/Microsoft.Authorization/roleDefinitions"
    named = arm.get(roles, AUTHORIZATION, **{"$filter": "roleName eq 'cloudtrain-end'"})["value"]
    assert [one["properties"]["type"] for one in named] == ["CustomRole"]
    arm.call("DELETE", end, api=AUTHORIZATION)
    with refused("RoleDefinitionDoesNotExist"):
        arm.get(end, AUTHORIZATION)


def test_the_cloud_goes_by_its_own_clock(azure: AzureCloud) -> None:
    assert azure.account.timeline.now() == NOON.astimezone(UTC)
    with pytest.raises(ValueError, match="back"):
        azure.advance(-1)
