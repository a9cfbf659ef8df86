"""What a machine finds when it boots: its instance metadata, its identity, and its GPUs."""

import json
import uuid
from datetime import datetime

from ..machine import MachineOrder
from .account import Account
from .entra import STORAGE, Entra
from .images import find_image
from .sizes import A10, SIZES
from .things import Machine

CERTIFICATE = "/usr/local/share/ca-certificates/cloudtrain-playground.crt"
"""Where a machine has what it must trust to call Resource Manager here."""


def boot_order(account: Account, entra: Entra, machine: Machine) -> MachineOrder:
    """Return what the hypervisor is to boot."""
    size = SIZES[machine.size]
    has_gpus = size.gpus > 0 and _driver_loads(machine)
    return MachineOrder(
        id=machine.id,
        user_data=machine.user_data,
        user=machine.user,
        metadata=pages(account, entra, machine),
        metadata_service="azure",
        gpu=size.gpu.name if has_gpus else "",
        gpu_count=size.gpus if has_gpus else 0,
        gpu_memory_mib=size.gpu.memory_mib if has_gpus else 0,
        compute_capability=size.gpu.compute_capability if has_gpus else "",
        files={CERTIFICATE: account.certificate},
        environment={
            "CLOUDTRAIN_RESOURCE_MANAGER_URL": account.url,
            "CLOUDTRAIN_BLOB_URL": f"{account.url}/blob",
            "SSL_CERT_FILE": f"{{root}}{CERTIFICATE}",
        },
        reaches=(account.port,),
    )


def pages(account: Account, entra: Entra, machine: Machine) -> dict[str, str]:
    """Return what its metadata service has, by path below `/metadata/`."""
    found = {
        "instance": json.dumps(instance(account, machine)),
        "scheduledevents": json.dumps({"DocumentIncarnation": 1, "Events": []}),
    }
    if machine.principal:
        found |= {
            "identity/oauth2/token": identity_token(entra, machine, "https://management.azure.com/"),
            f"identity/oauth2/token?resource={STORAGE}": identity_token(entra, machine, f"{STORAGE}/"),
        }
    return found


def identity_token(entra: Entra, machine: Machine, resource: str) -> str:
    """Return what the identity endpoint answers, but for `resource`: the token of the machine's own identity."""
    client = str(uuid.uuid5(uuid.NAMESPACE_URL, machine.principal))
    return json.dumps(
        {
            "access_token": entra.give(machine.principal, resource, client),
            "client_id": client,
            "expires_in": "86399",
            "ext_expires_in": "86399",
            "token_type": "Bearer",
        }
    )


def instance(account: Account, machine: Machine) -> dict[str, object]:
    """Return the document at `/metadata/instance`."""
    properties = machine.properties
    image = properties["storageProfile"]["imageReference"]
    tags = [{"name": key, "value": value} for key, value in machine.tags.items()]
    keys = ((properties["osProfile"].get("linuxConfiguration") or {}).get("ssh") or {}).get("publicKeys", [])
    compute = {
        "azEnvironment": "AzurePublicCloud",
        "evictionPolicy": properties.get("evictionPolicy", ""),
        "location": machine.region,
        "name": machine.name,
        "offer": image["offer"],
        "osType": "Linux",
        "priority": properties.get("priority", "Regular"),
        "provider": "Microsoft.Compute",
        "publicKeys": keys,
        "publisher": image["publisher"],
        "resourceGroupName": machine.resource.group,
        "resourceId": machine.resource.id,
        "sku": image["sku"],
        "subscriptionId": account.subscription,
        "tags": ";".join(f"{tag['name']}:{tag['value']}" for tag in tags),
        "tagsList": tags,
        "userData": machine.user_data_text,
        "version": image.get("exactVersion", ""),
        "vmId": properties["vmId"],
        "vmSize": machine.size,
        "zone": (machine.resource.body.get("zones") or [""])[0],
    }
    return {"compute": compute, "network": {"interface": [_interface(account, id) for id in machine.nics]}}


def scheduled_event(machine: Machine, end: datetime) -> str:
    """Return the document at `/metadata/scheduledevents` that says a machine is evicted."""
    event = {
        "EventId": str(uuid.uuid4()).upper(),
        "EventStatus": "Scheduled",
        "EventType": "Preempt",
        "ResourceType": "VirtualMachine",
        "Resources": [machine.name],
        "NotBefore": f"{end:%a, %d %b %Y %H:%M:%S} GMT",
        "Description": "",
        "EventSource": "Platform",
        "DurationInSeconds": -1,
    }
    return json.dumps({"DocumentIncarnation": 2, "Events": [event]})


def _interface(account: Account, id: str) -> dict[str, object]:
    nic = account.find(id)
    configurations = nic.properties["ipConfigurations"] if nic else []
    addresses = [{"privateIpAddress": one["properties"]["privateIPAddress"], "publicIpAddress": ""} for one in configurations]
    mac = str(nic.properties["macAddress"]).replace("-", "") if nic else ""
    return {"ipv4": {"ipAddress": addresses, "subnet": []}, "ipv6": {"ipAddress": []}, "macAddress": mac}


def _driver_loads(machine: Machine) -> bool:
    """Say whether NVIDIA's driver is there: it is on the image, or was brought; Secure Boot refuses what it has not signed.

    What an image has is not the driver that a shared-out GPU wants.
    """
    profile = machine.properties.get("securityProfile") or {}
    image = find_image({**machine.properties["storageProfile"]["imageReference"], "version": "latest"})[0]
    is_locked = bool((profile.get("uefiSettings") or {}).get("secureBootEnabled"))
    is_there = machine.has_own_driver or (image.has_driver and SIZES[machine.size].gpu is not A10)
    return is_there and not is_locked
