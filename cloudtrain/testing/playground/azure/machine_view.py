"""How a machine is shown: its description, and what it is doing now."""

from collections.abc import Mapping

from .account import Account
from .errors import ArmError
from .things import Body, Machine

STATES = {"Succeeded": "succeeded", "Creating": "creating", "Updating": "updating", "Deleting": "deleting", "Failed": "failed"}


def shown(account: Account, machine: Machine, expand: str) -> Body:
    """Return a machine as replies show it; `expand` is "instanceview", "userdata" or ""."""
    properties = dict(machine.properties)
    if "instanceview" in expand:
        properties["instanceView"] = instance_view(account, machine)
    if "userdata" in expand and machine.user_data_text:
        properties["userData"] = machine.user_data_text
    return {**machine.resource.body, "properties": properties}


def check_list(query: Mapping[str, str]) -> None:
    """Refuse what a list of machines does not take.

    Raises:
        ArmError: it asks for what machines are doing by `$expand`, which is for those of one scale set, or says neither yes nor
            no to having nothing else.
    """
    if query.get("$expand") and not query.get("$filter"):
        text = "'$expand' can only be specified if a valid '$filter' option is specified."
        raise ArmError("InvalidParameter", text, target="$expand")
    if query.get("statusOnly", "false").lower() not in ("true", "false"):
        raise ArmError("InvalidParameter", "The value of parameter 'statusOnly' is invalid.", target="statusOnly")


def listed(account: Account, machine: Machine, query: Mapping[str, str]) -> Body:
    """Return a machine as lists show it, its group's name in capitals: without its view, or with little else."""
    group, id = machine.resource.group, machine.resource.id
    id = id.replace(f"/resourceGroups/{group}/", f"/resourceGroups/{group.upper()}/")
    if query.get("statusOnly", "").lower() != "true":
        return {**shown(account, machine, ""), "id": id}
    properties = {"vmId": machine.properties["vmId"], "instanceView": instance_view(account, machine)}
    return {"id": id, "name": machine.name, "type": machine.resource.type, "location": machine.region, "properties": properties}


def instance_view(account: Account, machine: Machine) -> Body:
    """Return what a machine is doing: its provisioning and its power state, the latter only when it has hardware or had."""
    time = account.now_text()
    statuses: list[Body] = [_provisioning(machine, time)]
    if machine.power:
        statuses.append({"code": f"PowerState/{machine.power}", "level": "Info", "displayStatus": f"VM {machine.power}"})
    view: Body = {
        "statuses": statuses,
        "hyperVGeneration": "V2",
        "disks": [{"name": machine.properties["storageProfile"]["osDisk"]["name"], "statuses": []}],
    }
    if machine.power == "running":
        ready = {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Ready", "time": time}
        view["vmAgent"] = {"vmAgentVersion": "2.14.0.1", "statuses": [ready]}
    return view


def _provisioning(machine: Machine, time: str) -> Body:
    state = STATES[str(machine.properties["provisioningState"])]
    error: ArmError | None = machine.failure
    if state == "failed" and error is not None:
        return {
            "code": f"ProvisioningState/failed/{error.code}",
            "level": "Error",
            "displayStatus": "Provisioning failed",
            "message": error.message,
            "time": time,
        }
    words = {"succeeded": "Provisioning succeeded", "failed": "Provisioning failed"}
    return {
        "code": f"ProvisioningState/{state}",
        "level": "Error" if state == "failed" else "Info",
        "displayStatus": words.get(state, state.capitalize()),
        "time": time,
    }
