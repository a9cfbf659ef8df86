"""Disks: what a launch asks for is completed from the image, and what is in use stays."""

from typing import Any

from .wire import CloudError


def set_delete_on_termination(instance: Any, device: str, goes: bool) -> None:
    """Let a disk go with its machine, or stay; moto writes it on the machine's side only."""
    kept = instance.block_device_mapping[device]
    kept.delete_on_termination = instance.ec2_backend.volumes[kept.volume_id].attachment.delete_on_termination = goes


def complete_mappings(given: dict[str, Any], backend: Any) -> None:
    """Write into the request what EC2 takes from the image: the root disk, its size, its type, its end.

    Raises:
        CloudError: a disk is smaller than its snapshot.
    """
    image = backend.amis[given["ImageId"]]
    root = image.root_device_name
    mappings = {str(mapping["DeviceName"]): dict(mapping) for mapping in given.get("BlockDeviceMappings") or []}
    mappings.setdefault(root, {"DeviceName": root})
    own = image.block_device_mappings[0]["Ebs"]
    for name, mapping in mappings.items():
        disk = dict(mapping.get("Ebs") or {})
        template = own if name == root else {}
        smallest = template.get("VolumeSize", 0)
        if int(disk.get("VolumeSize") or smallest) < smallest:
            text = f"Volume of size {disk['VolumeSize']}GB is smaller than snapshot '{own['SnapshotId']}'"
            raise CloudError("InvalidBlockDeviceMapping", f"{text}, expect size>= {smallest}GB")
        disk.setdefault("VolumeSize", smallest or None)
        disk.setdefault("VolumeType", template.get("VolumeType", "gp2"))
        disk.setdefault("DeleteOnTermination", template.get("DeleteOnTermination", False))
        mapping["Ebs"] = {key: value for key, value in disk.items() if value is not None}
    given["BlockDeviceMappings"] = list(mappings.values())
