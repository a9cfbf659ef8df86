"""Identities and what they may do: service accounts, their tokens and signatures, the project's permissions and services."""

import base64
import re

from .access import SERVICE_NAMES, Tokens
from .account import Account, Body, Handler
from .errors import GoogleError, invalid
from .identities import Identity
from .wire import GoogleCall

ACCOUNTS = "iam.projects.serviceAccounts"
CREDENTIALS = "iamcredentials.projects.serviceAccounts"
TOKEN_LIFETIME_S = 3600
LONGEST_NAME, LONGEST_DESCRIPTION = 100, 256
LONGEST_PAGE, USUAL_PAGE = 100, 20


class Iam:
    """Answers what is about identities."""

    def __init__(self, account: Account, tokens: Tokens) -> None:
        self._account, self._tokens = account, tokens

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {
            f"{ACCOUNTS}.create": self._create,
            f"{ACCOUNTS}.get": lambda call: _shown(self._found(call)),
            f"{ACCOUNTS}.list": self._list,
            f"{ACCOUNTS}.delete": self._delete,
            f"{ACCOUNTS}.getIamPolicy": lambda call: _policy(self._found(call, "resource")),
            f"{ACCOUNTS}.setIamPolicy": self._set_policy,
            f"{CREDENTIALS}.generateAccessToken": self._token,
            f"{CREDENTIALS}.signBlob": self._sign,
            "cloudresourcemanager.projects.get": self._project,
            "cloudresourcemanager.projects.testIamPermissions": self._test,
            "compute.instances.testIamPermissions": self._test,
            "serviceusage.services.get": self._service,
            "serviceusage.services.list": self._services,
        }

    def _create(self, call: GoogleCall) -> Body:
        id = str(call.resource.get("accountId", ""))
        if not re.fullmatch(r"[a-z](?:[-a-z0-9]{4,28}[a-z0-9])", id):
            raise invalid("account_id", id, "It must be 6 to 30 lower-case letters, digits and dashes.")
        email = f"{id}@{self._account.project}.iam.gserviceaccount.com"
        if email in self._account.identities:
            text = f"Service account {id} already exists within project projects/{self._account.project}."
            raise GoogleError(409, "alreadyExists", text)
        identity = Identity(email, self._account.new_id(), self._account.project)
        given = call.resource.get("serviceAccount", {})
        identity.display_name, identity.description = str(given.get("displayName", "")), str(given.get("description", ""))
        if len(identity.display_name.encode()) > LONGEST_NAME or len(identity.description.encode()) > LONGEST_DESCRIPTION:
            raise GoogleError(400, "badRequest", "The display name or the description of a service account is too long.")
        self._account.identities[email] = identity
        return _shown(identity)

    def _found(self, call: GoogleCall, key: str = "name") -> Identity:
        email = call.path[key].rpartition("/")[2]
        if email not in self._account.identities:
            raise GoogleError(404, "notFound", f"Unknown service account: {email}")
        return self._account.identities[email]

    def _list(self, call: GoogleCall) -> Body:
        most = min(int(call.query.get("pageSize") or USUAL_PAGE), LONGEST_PAGE)
        left = sorted(email for email in self._account.identities if email > str(call.query.get("pageToken", "")))
        shown: Body = {"accounts": [_shown(self._account.identities[email]) for email in left[:most]]}
        return shown | ({"nextPageToken": left[most - 1]} if len(left) > most else {})

    def _delete(self, call: GoogleCall) -> Body:
        identity = self._found(call)
        del self._account.identities[identity.email]
        gone, left = f"serviceAccount:{identity.email}", f"deleted:serviceAccount:{identity.email}?uid={identity.unique_id}"
        for bucket in self._account.buckets.values():  # who is gone stays named in policies, by another name
            for binding in bucket.bindings:
                binding["members"] = [left if member == gone else member for member in binding["members"]]
        return {}

    def _set_policy(self, call: GoogleCall) -> Body:
        identity = self._found(call, "resource")
        identity.policy = list(call.resource.get("policy", {}).get("bindings", []))
        return _policy(identity)

    def _token(self, call: GoogleCall) -> Body:
        identity = self._found(call)
        until = self._account.timeline.now().timestamp() + TOKEN_LIFETIME_S
        moment = self._account.timeline.now().fromtimestamp(until, self._account.timeline.now().tzinfo)
        return {"accessToken": self._tokens.give(identity.email), "expireTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}

    def _sign(self, call: GoogleCall) -> Body:
        identity = self._found(call)
        signature = identity.sign(base64.b64decode(call.resource.get("payload", "")))
        return {"keyId": identity.key_id, "signedBlob": base64.b64encode(signature).decode()}

    def _test(self, call: GoogleCall) -> Body:
        granted = [one for one in call.resource.get("permissions", []) if one not in self._account.denied]
        return {"permissions": granted} if granted else {}

    def _project(self, call: GoogleCall) -> Body:
        shown: Body = {"projectId": self._account.project, "createTime": "2026-01-05T09:00:00Z"}
        if call.path_text.startswith("/v3/"):
            return shown | {"name": f"projects/{self._account.number}", "state": "ACTIVE", "displayName": "playground"}
        return shown | {"projectNumber": self._account.number, "lifecycleState": "ACTIVE", "name": "playground"}

    def _service(self, call: GoogleCall) -> Body:
        return self._shown_service(call.path["name"].rpartition("/")[2])

    def _services(self, call: GoogleCall) -> Body:
        found = [self._shown_service(f"{name}.googleapis.com") for name in SERVICE_NAMES]
        wanted = str(call.query.get("filter", "")).rpartition(":")[2]
        return {"services": [one for one in found if not wanted or one["state"] == wanted]}

    def _shown_service(self, host: str) -> Body:
        state = "DISABLED" if host in self._account.disabled_services else "ENABLED"
        parent = f"projects/{self._account.number}"
        return {"name": f"{parent}/services/{host}", "parent": parent, "state": state, "config": {"name": host}}


def _shown(identity: Identity) -> Body:
    return {
        "name": identity.name,
        "projectId": identity.project,
        "uniqueId": identity.unique_id,
        "email": identity.email,
        "displayName": identity.display_name,
        "description": identity.description,
        "etag": "MDEwMjE5MjA=",
        "oauth2ClientId": identity.unique_id,
    }


def _policy(identity: Identity) -> Body:
    return {"version": 1, "etag": "BwXhqQ==", **({"bindings": identity.policy} if identity.policy else {})}
