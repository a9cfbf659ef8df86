"""Reading and changing what an instance was launched with."""

import base64
from typing import Any

from moto.ec2.utils import parse_user_data

from .account import Account, Handler, Machine, refuse_dry_run
from .disks import set_delete_on_termination
from .hardware import exists
from .instances import Instances
from .launch import USER_DATA_LIMIT
from .wire import ApiCall, CloudError

WHEN_STOPPED = ("InstanceType", "UserData", "Kernel", "Ramdisk", "EbsOptimized")
PLAIN = {
    "InstanceInitiatedShutdownBehavior": "instance_initiated_shutdown_behavior",
    "DisableApiTermination": "disable_api_termination",
    "DisableApiStop": "disable_api_stop",
    "SourceDestCheck": "source_dest_check",
    "EbsOptimized": "ebs_optimized",
    "InstanceType": "instance_type",
}


class Attributes:
    """Answers for an instance's attributes."""

    def __init__(self, account: Account, instances: Instances) -> None:
        self._account, self._instances = account, instances

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return the calls this answers."""
        return {
            ("ec2", "DescribeInstanceAttribute"): self._describe,
            ("ec2", "ModifyInstanceAttribute"): self._modify,
            ("ec2", "ModifyInstanceMetadataOptions"): self._modify_metadata,
        }

    def _describe(self, call: ApiCall) -> object:
        self._named(call)
        refuse_dry_run(call)
        return self._account.moto.answer(call)

    def _modify_metadata(self, call: ApiCall) -> object:
        self._named(call)
        refuse_dry_run(call)
        return self._account.moto.answer(call)

    def _modify(self, call: ApiCall) -> object:
        machine, changes = self._named(call), _changes(call)
        for name, value in changes.items():
            _check(machine, name, value)
        refuse_dry_run(call)
        for name, value in changes.items():
            self._change(call.region, machine, name, value)
        return {}

    def _named(self, call: ApiCall) -> Machine:
        return self._instances.named(call, str(call.parameters.get("InstanceId") or ""))[0]

    def _change(self, region: str, machine: Machine, name: str, value: Any) -> None:
        backend = self._account.moto.ec2(region)
        if name == "UserData":
            backend.modify_instance_attribute(machine.id, "user_data", parse_user_data(base64.b64encode(value)))
        elif name == "Groups":
            backend.modify_instance_security_groups(machine.id, value)
        elif name == "BlockDeviceMappings":
            for mapping in value:
                goes = bool((mapping.get("Ebs") or {}).get("DeleteOnTermination"))
                set_delete_on_termination(machine.instance, mapping["DeviceName"], goes)
        else:
            backend.modify_instance_attribute(machine.id, PLAIN[name], value)
            machine.behavior_given = machine.behavior_given or name == "InstanceInitiatedShutdownBehavior"


def _changes(call: ApiCall) -> dict[str, Any]:
    """Return what is to be changed, one attribute as a rule; both spellings of the call are read."""
    given = call.parameters
    changes = {name: value for name, value in given.items() if name not in ("InstanceId", "DryRun", "Attribute", "Value")}
    if given.get("Attribute"):
        name = str(given["Attribute"])
        changes[name[0].upper() + name[1:]] = given.get("Value")
    changes = {name: value.get("Value") if isinstance(value, dict) else value for name, value in changes.items()}
    if len(changes) != 1:
        what = "Fields for multiple attribute types specified" if changes else "No attributes specified"
        raise CloudError("InvalidParameterCombination", what)
    return changes


def _check(machine: Machine, name: str, value: Any) -> None:
    if name not in PLAIN and name not in ("UserData", "Groups", "BlockDeviceMappings"):
        raise CloudError("UnsupportedOperation", f"The playground cannot change the attribute '{name}'")
    if name in WHEN_STOPPED and machine.state != "stopped":
        raise CloudError("IncorrectInstanceState", f"The instance '{machine.id}' is not in the 'stopped' state.")
    if name == "InstanceType" and not exists(str(value)):
        raise CloudError("InvalidInstanceAttributeValue", f"Invalid value '{value}' for InstanceType.")
    if name == "InstanceInitiatedShutdownBehavior" and value not in ("stop", "terminate"):
        raise CloudError("InvalidParameterValue", f"Invalid value '{value}' for InstanceInitiatedShutdownBehavior.")
    if name == "UserData" and len(value or b"") > USER_DATA_LIMIT:
        raise CloudError("InvalidParameterValue", f"User data is limited to {USER_DATA_LIMIT} bytes")
    if name == "BlockDeviceMappings" and any(item["DeviceName"] not in machine.instance.block_device_mapping for item in value):
        raise CloudError("InvalidInstanceAttributeValue", "No device is currently mapped at the specified device name")
