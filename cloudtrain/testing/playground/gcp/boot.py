"""What a machine finds when it boots: its metadata, as Google's metadata server has it, and its GPUs."""

from collections.abc import Sequence

from ..machine import MachineOrder
from .account import Account, Body, Machine
from .hardware import ACCELERATORS, accelerators_of, last
from .machine_rights import TOKEN


def boot_order(account: Account, machine: Machine) -> MachineOrder:
    """Return what the hypervisor is to boot."""
    gpus = [(ACCELERATORS[name], count) for name, count in accelerators_of(machine.body)]
    one, count = gpus[0] if gpus else (None, 0)
    return MachineOrder(
        id=machine.id,
        user_data=machine.user_data,
        user=machine.user,
        metadata=pages(account, machine),
        metadata_service="google",
        gpu=one.shown if one else "",
        gpu_count=count,
        gpu_memory_mib=one.memory_mib if one else 0,
        compute_capability=one.compute_capability if one else "",
        environment=storage_there(account),
        reaches=(account.port,),
    )


def storage_there(account: Account) -> dict[str, str]:
    """Return what tells a machine where Cloud Storage is, as Google's own libraries are told."""
    return {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{account.port}"}


def pages(account: Account, machine: Machine) -> dict[str, str]:
    """Return what its metadata server answers, by path below `/computeMetadata/v1/`."""
    place = f"projects/{account.number}"
    found = {
        "instance/id": str(machine.body["id"]),
        "instance/name": machine.name,
        "instance/hostname": f"{machine.name}.{machine.zone}.c.{account.project}.internal",
        "instance/zone": f"{place}/zones/{machine.zone}",
        "instance/machine-type": f"{place}/machineTypes/{last(machine.body['machineType'])}",
        "instance/preempted": "FALSE",
        "instance/maintenance-event": "NONE",
        "instance/scheduling/automatic-restart": str(machine.scheduling["automaticRestart"]).upper(),
        "instance/scheduling/on-host-maintenance": str(machine.scheduling["onHostMaintenance"]),
        "instance/scheduling/preemptible": str(machine.is_spot).upper(),
        "project/project-id": account.project,
        "project/numeric-project-id": account.number,
    }
    found |= {f"instance/attributes/{key}": value for key, value in machine.metadata.items()}
    found |= {f"project/attributes/{key}": value for key, value in account.project_metadata.items()}
    return found | of_service_accounts(machine.body.get("serviceAccounts", []))


def of_service_accounts(accounts: Sequence[Body]) -> dict[str, str]:
    """Return what a machine without a service account does not have: its address, its scopes and its token."""
    found = {}
    for given in accounts:
        for name in ("default", given["email"]):
            below = f"instance/service-accounts/{name}"
            found[f"{below}/email"] = given["email"]
            found[f"{below}/scopes"] = "".join(f"{scope}\n" for scope in given.get("scopes", []))
            found[f"{below}/aliases"] = "default"
            found[f"{below}/token"] = f'{{"access_token":"{TOKEN}{given["email"]}","expires_in":3599,"token_type":"Bearer"}}'
    return found
