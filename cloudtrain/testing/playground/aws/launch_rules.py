"""What RunInstances may name: images, types, places, groups, keys and tags that exist and go together."""

import re
from typing import Any

from .hardware import exists, types_offered, zones_offering
from .wire import CloudError, strings

TAG_LIMIT, KEY_LENGTH, VALUE_LENGTH = 50, 128, 256
TAGGABLE = {"instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"}
IMAGE_ID = re.compile(r"ami-([0-9a-f]{8}|[0-9a-f]{17})")


def check_image(given: dict[str, Any], backend: Any) -> Any:
    """Return the image that is named."""
    image = str(given.get("ImageId") or "")
    if not image:
        raise CloudError("MissingParameter", "The request must contain the parameter ImageId")
    if not IMAGE_ID.fullmatch(image):
        raise CloudError("InvalidAMIID.Malformed", f'Invalid id: "{image}" (expecting "ami-...")')
    if image not in backend.amis:
        raise CloudError("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")
    return backend.amis[image]


def check_type(given: dict[str, Any], image: Any) -> None:
    """Refuse a type that does not exist or has another processor than the image."""
    name = str(given.get("InstanceType") or "")
    if not name:
        raise CloudError("MissingParameter", "The request must contain the parameter InstanceType")
    if not exists(name):
        raise CloudError("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
    arm = re.match(r"[a-z]+\d+[a-z]*g[a-z]*\.", name) is not None
    if arm != (image.architecture == "arm64"):
        has = "arm64" if arm else "x86_64"
        text = f"The architecture '{has}' of the specified instance type does not match that of the specified AMI."
        raise CloudError("InvalidParameterValue", text)


def check_place(given: dict[str, Any], region: str, backend: Any) -> str:
    """Return the zone that the request decides on, or "" when it leaves that to EC2; refuse one that lacks the type."""
    name = str(given["InstanceType"])
    zone = _asked_zone(given, backend)
    zones = zones_offering(region, name)
    if not zones or name not in types_offered(region):
        text = "The requested configuration is currently not supported. "
        text += "Please check the documentation for supported configurations."
        raise CloudError("Unsupported", text)
    if zone and zone not in {known.name for known in backend.zones[region]}:
        raise CloudError("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
    if zone and zone not in zones:
        text = f"Your requested instance type ({name}) is not supported in your requested Availability Zone ({zone}). "
        text += f"Please retry your request by not specifying an Availability Zone or choosing {', '.join(zones)}."
        raise CloudError("Unsupported", text)
    if not zone:
        given["Placement"] = {**(given.get("Placement") or {}), "AvailabilityZone": zones[0]}
    return zone


def check_groups(given: dict[str, Any], backend: Any) -> None:
    """Refuse groups that do not exist or belong to another network than the subnet."""
    interfaces = given.get("NetworkInterfaces") or []
    if interfaces and (given.get("SecurityGroupIds") or given.get("SubnetId")):
        text = "Network interfaces and an instance-level security groups or subnet ID may not be specified on the same request"
        raise CloudError("InvalidParameterCombination", text)
    groups = strings(given, "SecurityGroupIds") + [name for interface in interfaces for name in strings(interface, "Groups")]
    network = _network(given, backend)
    for name in groups:
        group = backend.get_security_group_from_id(name)
        if group is None:
            raise CloudError("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
        if network and group.vpc_id != network:
            raise CloudError("InvalidParameter", f"Security group {name} and subnet belong to different networks.")


def check_key(given: dict[str, Any], backend: Any) -> None:
    """Refuse a key pair that does not exist."""
    key = given.get("KeyName")
    if key and key not in backend.key_pairs:
        raise CloudError("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")


def check_profile(given: dict[str, Any], iam: Any) -> None:
    """Refuse an instance profile that does not exist."""
    asked = given.get("IamInstanceProfile") or {}
    known = {(profile.name, profile.arn) for profile in iam.instance_profiles.values()}
    for field, place in (("Name", 0), ("Arn", 1)):
        if asked.get(field) and asked[field] not in {profile[place] for profile in known}:
            raise CloudError(
                "InvalidParameterValue", f"Value ({asked[field]}) for parameter iamInstanceProfile.{field.lower()} is invalid."
            )


def check_tags(given: dict[str, Any]) -> None:
    """Refuse tags that EC2 would not take."""
    for spec in given.get("TagSpecifications") or []:
        kind, tags = str(spec.get("ResourceType") or ""), spec.get("Tags") or []
        if kind not in TAGGABLE:
            raise CloudError("InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation.")
        if kind == "spot-instances-request" and not given.get("InstanceMarketOptions"):
            text = "You cannot specify tags for Spot instances requests if there are none being created by the request."
            raise CloudError("InvalidParameterCombination", text)
        if len(tags) > TAG_LIMIT:
            raise CloudError("TagLimitExceeded", f"More than {TAG_LIMIT} tags specified")
        for tag in tags:
            _check_tag(str(tag.get("Key") or ""), str(tag.get("Value") or ""))


def _check_tag(key: str, value: str) -> None:
    if not key or len(key) > KEY_LENGTH:
        raise CloudError("InvalidParameterValue", f"Tag key exceeds the maximum length of {KEY_LENGTH} characters or is empty")
    if len(value) > VALUE_LENGTH:
        raise CloudError("InvalidParameterValue", f"Tag value exceeds the maximum length of {VALUE_LENGTH} characters")
    if key.lower().startswith("aws:"):
        raise CloudError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")


def _asked_zone(given: dict[str, Any], backend: Any) -> str:
    subnet = _subnet(given, backend)
    return str(subnet.availability_zone if subnet else (given.get("Placement") or {}).get("AvailabilityZone") or "")


def _network(given: dict[str, Any], backend: Any) -> str:
    subnet = _subnet(given, backend)
    if subnet is not None:
        return str(subnet.vpc_id)
    default = backend.get_default_vpc()
    if default is None:
        text = "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC."
        raise CloudError("VPCIdNotSpecified", text)
    return str(default.id)


def _subnet(given: dict[str, Any], backend: Any) -> Any:
    """Return the subnet that is named, or None."""
    interfaces = given.get("NetworkInterfaces") or []
    name = given.get("SubnetId") or next((item["SubnetId"] for item in interfaces if item.get("SubnetId")), None)
    if not name:
        return None
    found = [zones[name] for zones in backend.subnets.values() if name in zones]
    if not found:
        raise CloudError("InvalidSubnetID.NotFound", f"The subnet ID '{name}' does not exist")
    return found[0]
