"""Which IAM actions calls need."""

from collections.abc import Iterable

from ..recorder import Record

PERMISSION_PREFIXES = {"service-quotas": "servicequotas"}
PERMISSION_NAMES = {"s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket", "s3:HeadBucket": "s3:ListBucket"}


def permissions(records: Iterable[Record]) -> list[str]:
    """Return the IAM actions that these calls need, sorted."""
    known = {(record.service, record.action) for record in records if record.action}
    names = {f"{PERMISSION_PREFIXES.get(service, service)}:{action}" for service, action in known}
    return sorted({PERMISSION_NAMES.get(name, name) for name in names})
