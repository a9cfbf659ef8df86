"""What one service account may do in a bucket: the right to one folder, in the bucket's own policy."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...model.errors import ProviderError
from .account import Account
from .iam import again_while, asked, is_unknown
from .storage import Address
from .translate import is_absent, is_passing, status_of

ROLE = "roles/storage.objectUser"
"""To list, read, write and replace objects: Google has replacing as deleting, so that is in it."""


def refuse_without_conditions(address: Address, account: Account) -> None:
    """Refuse a bucket with rights for single objects: Google takes no conditions there.

    Raises:
        ProviderError: it is one, or it cannot be looked at.
    """
    query = {"fields": "iamConfiguration/uniformBucketLevelAccess/enabled"}
    try:
        found = asked(account, "storage.buckets.get", "GET", address.path, query=query)
    except ProviderError as error:
        if not is_absent(error):
            raise
        raise ProviderError(
            f"There is no bucket {address.bucket}: {address.url}", "Correct the address: gcloud storage buckets list"
        ) from error.__cause__
    uniform = found.get("iamConfiguration", {}).get("uniformBucketLevelAccess", {}).get("enabled")
    if address.folder and not uniform:
        raise ProviderError(
            f"{address.bucket} has access lists of single objects, and Google limits no right to a folder in such a bucket",
            f"Switch them off: gcloud storage buckets update gs://{address.bucket} --uniform-bucket-level-access\n"
            "Or give the whole of a bucket of its own: checkpoints: gs://BUCKET",
        )


def let_in(email: str, address: Address, account: Account) -> None:
    """Give an account the right to the folder an address names; it may have it already.

    Raises:
        ProviderError: Google refused.
    """

    def once() -> None:
        policy = _policy(address.path, account)
        bindings = policy.get("bindings", [])
        if any(_is_of(email, member) for binding in bindings for member in binding.get("members", ())):
            return
        right: dict[str, Any] = {"role": ROLE, "members": [f"serviceAccount:{email}"]}
        if address.folder:
            right["condition"] = condition(address)
        _write_policy(address.path, policy, [*bindings, right], account)

    again_while(lambda error: _has_changed(error) or is_unknown(error), once, account)


def shut_out(email: str, bucket: str, account: Account) -> None:
    """Take every right in a bucket from an account; a bucket that is gone gives none.

    Raises:
        ProviderError: Google refused.
    """
    again_while(_has_changed, lambda: _shut_out(email, Address("", bucket, ""), account), account)


def condition(address: Address) -> dict[str, str]:
    """Return what limits a right on a bucket to one folder in it, in IAM's own language."""
    folder = _literal(address.folder)
    below = f"resource.name.startsWith({_literal(f'projects/_/buckets/{address.bucket}/objects/{address.folder}')})"
    listed = f'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith({folder})'
    return {
        "title": "cloudtrain: the checkpoints of one machine",
        "description": "Removed with the machine",
        "expression": f"{below} || {listed}",
    }


def _shut_out(email: str, address: Address, account: Account) -> None:
    try:
        policy = _policy(address.path, account)
    except ProviderError as error:
        if is_absent(error):
            return
        raise
    before = policy.get("bindings", [])
    after = [
        {**binding, "members": [member for member in binding.get("members", ()) if not _is_of(email, member)]}
        for binding in before
    ]
    if after != before:
        _write_policy(address.path, policy, [binding for binding in after if binding["members"]], account)


def _policy(bucket_path: str, account: Account) -> dict[str, Any]:
    query = {"optionsRequestedPolicyVersion": "3"}  # an older form leaves conditions out, and whoever writes it loses them
    return asked(account, "storage.buckets.getIamPolicy", "GET", f"{bucket_path}/iam", query=query)


def _write_policy(bucket_path: str, policy: Mapping[str, Any], bindings: Sequence[Mapping[str, Any]], account: Account) -> None:
    body = {"version": 3, "etag": policy.get("etag", ""), "bindings": list(bindings)}
    asked(account, "storage.buckets.setIamPolicy", "PUT", f"{bucket_path}/iam", body=body)


def _has_changed(error: ProviderError) -> bool:
    """Say whether somebody else wrote the policy meanwhile, or whether ours came is not known: it is read again then."""
    return status_of(error) in (409, 412) or is_passing(error)


def _is_of(email: str, member: str) -> bool:
    return member == f"serviceAccount:{email}" or member.startswith(f"deleted:serviceAccount:{email}?")


def _literal(text: str) -> str:
    """Write a text as the language of conditions reads it as it is."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'
