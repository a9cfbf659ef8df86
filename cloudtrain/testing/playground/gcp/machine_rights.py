"""What a machine may do with the token of its service account: what its scopes and the buckets' policies say."""

from collections.abc import Iterator

from .account import Account, Body
from .bucket_policies import BucketPolicies
from .buckets import Bucket
from .errors import GoogleError, error_info
from .wire import GoogleCall

TOKEN = "machine-"
"""How a machine's token begins; its service account's address is the rest."""

SCOPES = "https://www.googleapis.com/auth/"
READING = ("cloud-platform", "devstorage.read_only", "devstorage.read_write", "devstorage.full_control")
WRITING = ("cloud-platform", "devstorage.read_write", "devstorage.full_control")
READS = ("storage.objects.get", "storage.objects.list")


class MachineRights:
    """Lets machines do what they may. What anybody else may is said elsewhere."""

    def __init__(self, account: Account, policies: BucketPolicies) -> None:
        self._account, self._policies = account, policies

    def check_service(self, call: GoogleCall) -> None:
        """Refuse a machine every service but Cloud Storage.

        Raises:
            GoogleError: 403.
        """
        if machine_account(call) and call.service not in ("storage", ""):
            raise _out_of_scope(call)

    def check(self, call: GoogleCall, permission: str, bucket: Bucket, name: str = "", prefix: str = "") -> None:
        """Refuse a machine what it may not do in a bucket.

        Raises:
            GoogleError: 401 for an account that is gone; 403.
        """
        email = machine_account(call)
        if not email:
            return
        if email not in self._account.identities:
            raise GoogleError(401, "authError", "Invalid Credentials", location="Authorization")
        allowed = READING if permission in READS else WRITING
        if not {f"{SCOPES}{scope}" for scope in allowed}.intersection(self._scopes(email)):
            raise _out_of_scope(call)
        if not self._policies.allows(email, permission, bucket, name, prefix):
            what = "object" if name else "bucket"
            text = f"{email} does not have {permission} access to the Google Cloud Storage {what}. "
            text += f"Permission '{permission}' denied on resource (or it may not exist)."
            raise GoogleError(403, "forbidden", text)

    def _scopes(self, email: str) -> set[str]:
        return {scope for given in given_accounts(self._account) if given["email"] == email for scope in given["scopes"]}


def machine_account(call: GoogleCall) -> str:
    """Return the address of the service account a machine calls in the name of; "" for who is no machine."""
    token = str(call.environ.get("HTTP_AUTHORIZATION", "")).partition(" ")[2].strip()
    return token.removeprefix(TOKEN) if token.startswith(TOKEN) else ""


def given_accounts(account: Account) -> Iterator[Body]:
    """Yield the service accounts, with their scopes, that machines and TPU nodes have."""
    for machine in account.machines.values():
        yield from machine.body.get("serviceAccounts", [])
    for node in account.tpu_nodes.values():
        yield from of_node(node)


def of_node(node: Body) -> list[Body]:
    """Return the service account that a TPU node was asked for with, as instances have it."""
    given = node.get("serviceAccount", {})
    return [{"email": given["email"], "scopes": given.get("scope", [])}] if given.get("email") else []


def _out_of_scope(call: GoogleCall) -> GoogleError:
    detail = error_info(
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com", method=call.action, service=f"{call.service}.googleapis.com"
    )
    return GoogleError(403, "insufficientPermissions", "Request had insufficient authentication scopes.", details=[detail])
