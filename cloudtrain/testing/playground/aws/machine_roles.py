"""What a machine with an instance profile finds and may: its role's credentials, and of S3 what the role's policy says."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .account import Account, Machine
from .policy import may_with
from .wire import ApiCall, CloudError

LIFE = timedelta(hours=6)
_PLACE = "meta-data/iam/security-credentials/"
_KEY = re.compile(r"Credential=(ASIA[A-Z0-9]+)/")
_NEEDS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListObjectsV2": "s3:ListBucket",
}
"""The action that each of S3's calls takes; no role of ours may do another."""


def credential_pages(machine: Machine) -> dict[str, str]:
    """Return what its metadata service says of its role, by path below `/latest/`; nothing where it has none."""
    role = _role_of(machine)
    if role is None:
        return {}
    now = datetime.now(UTC).replace(microsecond=0)  # by the machine's own clock, whatever hours have passed here at once
    told = {
        "Code": "Success",
        "LastUpdated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "Type": "AWS-HMAC",
        "AccessKeyId": _key_of(machine),
        "SecretAccessKey": f"secret-of-{machine.id}",
        "Token": f"token-of-{machine.id}",
        "Expiration": f"{now + LIFE:%Y-%m-%dT%H:%M:%SZ}",
    }
    return {_PLACE: role.name, f"{_PLACE}{role.name}": json.dumps(told)}


def check_role(call: ApiCall, account: Account) -> None:
    """Refuse a call in the name of a machine's role that this role may not make.

    Raises:
        CloudError: in S3's words.
    """
    found = _KEY.search(str(call.environ.get("HTTP_AUTHORIZATION", "")))
    if found is None:
        return
    machine = next((one for one in account.machines.values() if _key_of(one) == found[1]), None)
    if machine is None or call.environ.get("HTTP_X_AMZ_SECURITY_TOKEN") != f"token-of-{machine.id}":
        raise CloudError("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403)
    role, action = _role_of(machine), _NEEDS.get(call.action, "")
    if role is None or not action or not may_with(role, action, _resource(call), _facts(call)):
        text = f"User: {machine.id} is not authorized to perform: {action or f'{call.service}:{call.action}'}"
        raise CloudError("AccessDenied", text, 403)


def _key_of(machine: Machine) -> str:
    return "ASIA" + machine.id.removeprefix("i-").upper()[-16:].rjust(16, "0")


def _role_of(machine: Machine) -> Any:
    held = machine.instance.ec2_backend.iam_instance_profile_associations.get(machine.id)
    return next(iter(held.iam_instance_profile.roles), None) if held is not None else None


def _resource(call: ApiCall) -> str:
    bucket, key = call.parameters.get("Bucket", ""), call.parameters.get("Key", "")
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def _facts(call: ApiCall) -> Mapping[str, str]:
    return {"s3:prefix": str(call.parameters.get("prefix", ""))}
