"""Who may call, and what for: tokens, permissions, services that are switched off."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..recorder import Record
from .account import Account, Body
from .errors import GoogleError, error_info
from .operations import USER
from .wire import GoogleCall

LITERAL = "playground"
LIFETIME_S = 3600.0
SIGN_IN = "Expected OAuth 2 access token, login cookie or other valid authentication credential. See "
SIGN_IN += "https://developers.google.com/identity/sign-in/web/devconsole-project."
SERVICE_NAMES = {
    "compute": "Compute Engine",
    "tpu": "Cloud TPU",
    "cloudbilling": "Cloud Billing",
    "cloudquotas": "Cloud Quotas",
    "cloudresourcemanager": "Cloud Resource Manager",
    "iam": "Identity and Access Management (IAM)",
    "iamcredentials": "IAM Service Account Credentials",
    "serviceusage": "Service Usage",
    "storage": "Cloud Storage",
}
VERBS = {"insert": "create", "aggregatedList": "list", "patch": "update", "wait": "get", "getFromFamily": "getFromFamily"}
NAMES = {
    "cloudquotas.projects.locations.services.quotaInfos.list": "cloudquotas.quotas.get",
    "cloudquotas.projects.locations.services.quotaInfos.get": "cloudquotas.quotas.get",
    "iamcredentials.projects.serviceAccounts.signBlob": "iam.serviceAccounts.signBlob",
    "iamcredentials.projects.serviceAccounts.generateAccessToken": "iam.serviceAccounts.getAccessToken",
    "storage.objects.insert": "storage.objects.create",
    # Google's page of TPU permissions has none for requests: whoever may do it to nodes may do it to those.
    **{f"tpu.projects.locations.queuedResources.{do}": f"tpu.nodes.{do}" for do in ("create", "delete", "get", "list")},
    "cloudresourcemanager.projects.get": "resourcemanager.projects.get",
}
FREE = ("cloudbilling", "oauth2", "")
"""Services that everybody may ask who is somebody."""


@dataclass
class Tokens:
    """The tokens that the double gave, and whose they are."""

    account: Account
    _given: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def give(self, email: str = USER) -> str:
        """Return a new token; it is good for an hour of the cloud's time."""
        token = f"ya29.{secrets.token_urlsafe(32)}"
        self._given[token] = (email, self.account.timeline.now() + timedelta(seconds=LIFETIME_S))
        return token

    def owner(self, token: str) -> str:
        """Return whose token it is, "" when it is nobody's or too old."""
        if token == LITERAL:
            return USER
        if token.startswith("machine-"):
            return token.removeprefix("machine-")
        email, until = self._given.get(token, ("", datetime.min))
        return email if email and until > self.account.timeline.now() else ""

    def check(self, call: GoogleCall) -> str:
        """Return who calls.

        Raises:
            GoogleError: 401; nobody that is known here.
        """
        kind, _, token = str(call.environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if kind.lower() != "bearer" or not token:
            text = f"Request is missing required authentication credential. {SIGN_IN}"
            detail = error_info(
                "CREDENTIALS_MISSING", "googleapis.com", method=call.action, service=f"{call.service}.googleapis.com"
            )
            raise GoogleError(401, "required", text, details=[detail], location="Authorization")
        owner = self.owner(token.strip())
        if not owner:
            text = f"Request had invalid authentication credentials. {SIGN_IN}"
            detail = error_info(
                "ACCESS_TOKEN_EXPIRED", "googleapis.com", method=call.action, service=f"{call.service}.googleapis.com"
            )
            raise GoogleError(401, "authError", text, details=[detail], location="Authorization")
        return owner


def check_allowed(account: Account, call: GoogleCall) -> None:
    """Refuse what the caller may not do.

    Raises:
        GoogleError: 403; the service is off, or a permission is denied.
    """
    host = f"{call.service}.googleapis.com"
    if host in account.disabled_services:
        raise _disabled(account, call.service, host)
    for permission in permissions_of(call.service, call.action, call.resource):
        if permission in account.denied:
            raise _denied(account, call, permission)


def permissions(records: Iterable[Record]) -> list[str]:
    """Return the permissions that these calls needed, sorted."""
    return sorted({name for one in records for name in permissions_of(one.service, one.action, one.parameters.get("body", {}))})


def permissions_of(service: str, action: str, body: Body) -> Iterator[str]:
    """Yield the permissions that a call needs, as cloud.google.com/compute/docs/access/iam-permissions lists them."""
    if service in FREE or action.endswith("testIamPermissions"):
        return
    if action in NAMES:
        yield NAMES[action]
        return
    words = [word for word in action.split(".") if word not in ("projects", "locations")]
    # What stands below the project in a path has a name of its own; compute.projects.get has not.
    yield ".".join([*words[:-1], VERBS.get(words[-1], words[-1])]) if len(words) > 2 else "compute.projects.get"
    if action == "compute.instances.insert":
        yield from _of_an_insert(body)
    if action.startswith("compute.firewalls.") and words[-1] in ("insert", "patch", "update", "delete"):
        yield "compute.networks.updatePolicy"


def _of_an_insert(given: Body) -> Iterator[str]:
    yield from ("compute.disks.create", "compute.subnetworks.use")
    if any(nic.get("accessConfigs") for nic in given.get("networkInterfaces", [])):
        yield "compute.subnetworks.useExternalIp"
    for part, permission in (("labels", "setLabels"), ("metadata", "setMetadata"), ("tags", "setTags")):
        if given.get(part):
            yield f"compute.instances.{permission}"
    if any(disk.get("initializeParams", {}).get("labels") for disk in given.get("disks", [])):
        yield "compute.disks.setLabels"
    if given.get("serviceAccounts"):
        yield "iam.serviceAccounts.actAs"


def _denied(account: Account, call: GoogleCall, permission: str) -> GoogleError:
    resource = call.path_text.partition("/v1/")[2] if call.service == "compute" else f"projects/{account.project}"
    if call.service == "compute":
        return GoogleError(403, "forbidden", f"Required '{permission}' permission for '{resource}'")
    text = f"Permission '{permission}' denied on resource '//{call.service}.googleapis.com/{resource}' (or it may not exist)."
    detail = error_info("IAM_PERMISSION_DENIED", "iam.googleapis.com", permission=permission, resource=resource)
    return GoogleError(403, "forbidden", text, details=[detail])


def _disabled(account: Account, service: str, host: str) -> GoogleError:
    name = SERVICE_NAMES.get(service, service)
    link = f"https://console.developers.google.com/apis/api/{host}/overview?project={account.project}"
    text = (
        f"{name} API has not been used in project {account.project} before or it is disabled. Enable it by visiting {link} "
        "then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    )
    detail = error_info(
        "SERVICE_DISABLED", "googleapis.com", service=host, consumer=f"projects/{account.project}", activationUrl=link
    )
    return GoogleError(403, "accessNotConfigured", text, details=[detail])
