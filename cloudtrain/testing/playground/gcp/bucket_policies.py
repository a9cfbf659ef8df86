"""The policies of buckets: who may do what with which objects, conditions included, as far as they are about a folder.

As cloud.google.com/storage/docs/access-control/iam and …/iam/docs/conditions-attribute-reference have it.
"""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from .account import Account, Body, Handler
from .buckets import Bucket
from .errors import GoogleError
from .wire import GoogleCall

WITH_CONDITIONS = 3
ROLES = {
    "roles/storage.objectUser": ("create", "delete", "get", "list", "update"),
    "roles/storage.objectAdmin": ("create", "delete", "get", "list", "update", "getIamPolicy", "setIamPolicy"),
    "roles/storage.objectViewer": ("get", "list"),
    "roles/storage.objectCreator": ("create",),
}
"""What these roles allow with objects."""

_STRING = r'"(?:[^"\\]|\\.)*"'
_BELOW = re.compile(rf"resource\.name\.startsWith\(({_STRING})\)")
_LISTED = re.compile(rf'api\.getAttribute\("storage\.googleapis\.com/objectListPrefix", ""\)\.startsWith\(({_STRING})\)')
_TERM = re.compile(rf"\s*(?:{_BELOW.pattern}|{_LISTED.pattern})\s*(\|\||$)")


class BucketPolicies:
    """Answers what is about buckets' policies, and says what they allow."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {"storage.buckets.getIamPolicy": self._get, "storage.buckets.setIamPolicy": self._set}

    def allows(self, email: str, permission: str, bucket: Bucket, name: str = "", prefix: str = "") -> bool:
        """Say whether a bucket's policy gives a service account a permission on an object, or on a list of a prefix."""
        resource = f"projects/_/buckets/{bucket.name}" + (f"/objects/{name}" if name else "")
        verb = permission.removeprefix("storage.objects.")
        return any(
            f"serviceAccount:{email}" in binding["members"]
            and verb in ROLES.get(binding["role"], ())
            and _holds(binding.get("condition"), resource, prefix)
            for binding in bucket.bindings
        )

    def _get(self, call: GoogleCall) -> Body:
        return _policy(self._bucket(call), int(call.query.get("optionsRequestedPolicyVersion", 1)))

    def _set(self, call: GoogleCall) -> Body:
        bucket, given = self._bucket(call), call.resource
        if given.get("etag") and given["etag"] != _etag(bucket):
            raise GoogleError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        bindings = list(given.get("bindings", []))
        for binding in bindings:
            self._check(binding, bucket, int(given.get("version", 1)))
        bucket.bindings, bucket.policy_changes = bindings, bucket.policy_changes + 1
        return _policy(bucket, WITH_CONDITIONS)

    def _check(self, binding: Body, bucket: Bucket, version: int) -> None:
        for member in binding.get("members", []):
            email = str(member).removeprefix("serviceAccount:")
            if email.endswith(f"@{self._account.project}.iam.gserviceaccount.com") and email not in self._account.identities:
                raise GoogleError(400, "invalid", f"Service account {email} does not exist.")
        condition = binding.get("condition")
        if condition is None:
            return
        if version < WITH_CONDITIONS:
            raise GoogleError(400, "invalid", "Policies with conditions must specify version 3.")
        if not bucket.is_uniform:
            text = "Uniform bucket-level access must be enabled on the bucket to set a policy with conditions."
            raise GoogleError(412, "conditionNotMet", text)
        if not condition.get("title") or len(condition["title"]) > 100:
            raise GoogleError(400, "invalid", "The condition's title must have 1 to 100 characters.")
        list(_terms(str(condition.get("expression", ""))))

    def _bucket(self, call: GoogleCall) -> Bucket:
        name = call.path["bucket"]
        if name not in self._account.buckets:
            raise GoogleError(404, "notFound", "The specified bucket does not exist.")
        return self._account.buckets[name]


def _holds(condition: Body | None, resource: str, prefix: str) -> bool:
    if condition is None:
        return True
    return any((resource if is_name else prefix).startswith(text) for is_name, text in _terms(condition["expression"]))


def _terms(expression: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a condition, one of which must hold: whether it is about a name, and how that must begin.

    Raises:
        GoogleError: it is another one than the playground understands.
    """
    at, more = 0, "||"
    while more:
        found = _TERM.match(expression, at)
        if found is None:
            raise GoogleError(400, "invalid", f"Invalid expression, or one the playground does not know: {expression[at:]}")
        yield found[1] is not None, json.loads(found[1] or found[2])
        at, more = found.end(), found[3]


def _etag(bucket: Bucket) -> str:
    return base64.b64encode(f"policy {bucket.policy_changes}".encode()).decode()


def _policy(bucket: Bucket, version: int) -> Body:
    has_conditions = any("condition" in binding for binding in bucket.bindings)
    shown: dict[str, Any] = {
        "kind": "storage#policy",
        "resourceId": f"projects/_/buckets/{bucket.name}",
        "version": WITH_CONDITIONS if has_conditions and version >= WITH_CONDITIONS else 1,
        "etag": _etag(bucket),
    }
    bindings = bucket.bindings
    if version < WITH_CONDITIONS:  # an older form has no conditions: it names the role otherwise, so that it cannot be given
        bindings = [
            {"role": binding["role"] + "_withcond_0", "members": binding["members"]} if "condition" in binding else binding
            for binding in bindings
        ]
    return shown | ({"bindings": bindings} if bindings else {})
