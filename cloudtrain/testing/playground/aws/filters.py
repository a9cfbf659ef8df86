"""EC2's filters: which names a call has, and which machines they let through."""

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from moto.core.utils import get_service_model

from .account import Machine
from .wire import ApiCall, CloudError

NAME = re.compile(r"<li>\s*<p>\s*<code>([^<]+)</code>")

_READ: dict[str, Callable[[Machine], Any]] = {
    "architecture": lambda machine: machine.instance.architecture,
    "availability-zone": lambda machine: machine.instance.availability_zone,
    "client-token": lambda machine: machine.instance.client_token,
    "dns-name": lambda machine: machine.instance.public_dns_name,
    "image-id": lambda machine: machine.instance.image_id,
    "instance-id": lambda machine: machine.id,
    "instance-lifecycle": lambda machine: machine.instance.lifecycle,
    "instance-state-code": lambda machine: machine.instance.state_code,
    "instance-state-name": lambda machine: machine.state,
    "instance-type": lambda machine: machine.instance.instance_type,
    "instance.group-id": lambda machine: [group.id for group in machine.instance.security_groups],
    "instance.group-name": lambda machine: [group.name for group in machine.instance.security_groups],
    "ip-address": lambda machine: machine.instance.public_ip,
    "key-name": lambda machine: machine.instance.key_name,
    "metadata-options.http-tokens": lambda machine: machine.instance.metadata_options.http_tokens,
    "private-ip-address": lambda machine: machine.instance.private_ip,
    "root-device-name": lambda machine: machine.instance.root_device_name,
    "spot-instance-request-id": lambda machine: machine.spot_request,
    "state-reason-code": lambda machine: machine.instance.state_reason.code,
    "subnet-id": lambda machine: machine.instance.subnet_id,
    "tag-key": lambda machine: list(machine.tags),
    "tag-value": lambda machine: list(machine.tags.values()),
    "vpc-id": lambda machine: machine.instance.vpc_id,
}


def check_filters(call: ApiCall) -> None:
    """Refuse a filter that the call does not have.

    Raises:
        CloudError: the name is unknown, or a filter has no values.
    """
    given = call.parameters.get("Filters") or []
    if not given:
        return
    known = _documented(call.action)
    for item in given:
        name = str(item.get("Name") or "null")
        if known and name not in known and not (name.startswith("tag:") and "tag" in known):
            raise CloudError("InvalidParameterValue", f"The filter '{name}' is invalid")
        if not item.get("Values"):
            raise CloudError("InvalidParameterValue", f"The filter '{name}' has no values")


def passes(machine: Machine, filters: list[Mapping[str, Any]]) -> bool:
    """Say whether a machine passes every filter; `*` and `?` in a value stand for anything.

    Raises:
        CloudError: the playground does not know how to read that filter.
    """
    for item in filters:
        read = _value(machine, str(item["Name"]))
        values = [str(value) for value in (read if isinstance(read, list) else [read]) if value not in (None, "")]
        if not any(fnmatchcase(value, _pattern(str(wanted))) for value in values for wanted in item["Values"]):
            return False
    return True


def _value(machine: Machine, name: str) -> Any:
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return machine.tags.get(key)
    if name not in _READ:
        raise CloudError("UnsupportedOperation", f"The playground cannot filter instances by '{name}'")
    return _READ[name](machine)


def _pattern(text: str) -> str:
    """Return EC2's pattern as one of `fnmatch`, for which `[` is special and a backslash is not."""
    return re.sub(r"\\(.)", r"\1", text.replace("[", "[[]"))


@cache
def _documented(action: str) -> frozenset[str]:
    """Return the filter names in the SDK's own description of a call; empty when it describes none."""
    shape = get_service_model("ec2").operation_model(action).input_shape
    filters = getattr(shape, "members", {}).get("Filters")
    return frozenset(name.strip().partition(":")[0] for name in NAME.findall(filters.documentation)) if filters else frozenset()
