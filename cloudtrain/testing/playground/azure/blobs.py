"""Storage accounts, and their blobs below `/blob/ACCOUNT/CONTAINER/NAME`, as far as inputs and checkpoints need them."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from ..calls import Reply
from .access import Access
from .account import Account, Handler, page
from .entra import Entra
from .errors import ArmError
from .signatures import Signatures
from .things import Body, Resource
from .wire import ArmCall, blob_error, write_result

TYPE = "Microsoft.Storage/storageAccounts"
CONTAINER_TYPE = f"{TYPE}/blobServices/containers"
ROOT = "/blob/"
VERSION = "2025-07-05"
XML = '<?xml version="1.0" encoding="utf-8"?>'
NEEDED = {"GET": "r", "HEAD": "r", "PUT": "w", "DELETE": "d"}
ACTIONS = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete", "POST": "generateUserDelegationKey/action"}


@dataclass(eq=False)
class Blob:
    """What lies under a name."""

    content: bytes
    changed: datetime
    kind: str
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """Return what changes with its content."""
        return f'"0x{hashlib.sha1(self.content, usedforsecurity=False).hexdigest()[:15].upper()}"'


@dataclass(eq=False)
class Container:
    """Blobs by name, and blocks that belong to none yet."""

    blobs: dict[str, Blob] = field(default_factory=dict)
    blocks: dict[tuple[str, str], bytes] = field(default_factory=dict)


class Blobs:
    """Answers what is about storage. A caller has a token for storage, or an address with a signature of a login in it."""

    def __init__(self, account: Account, entra: Entra, access: Access) -> None:
        self._account, self._entra, self._access = account, entra, access
        self._signatures = Signatures(account)
        self._containers: dict[tuple[str, str], Container] = {}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what Resource Manager has of it."""
        storage = "Microsoft.Storage"
        return {
            (storage, "storageAccounts/GET"): lambda call: self._account.resource(call.group, TYPE, call.name).body,
            (storage, "storageAccounts/LIST"): lambda call: page([one.body for one in self._account.of_type(TYPE, call.group)]),
            (storage, "storageAccounts/PUT"): self._put_account,
            (storage, "storageAccounts/DELETE"): self._delete_account,
            (storage, "storageAccounts/blobServices/containers/GET"): self._container,
        }

    def answer(self, call: ArmCall) -> Reply:
        """Answer a call of the blob service."""
        account, _, rest = call.path.removeprefix(ROOT).partition("/")
        name, _, blob = rest.partition("/")
        try:
            found, principal = self._check(call, account, rest)
            if not name:
                return self._of_service(call, principal)
            if not blob:
                return self._of_container(call, found, name)
            container = self._containers.get((account, name))
            if container is None:
                raise ArmError("ContainerNotFound", "The specified container does not exist.", status=404)
            verb = {"GET": self._get, "HEAD": self._get, "PUT": self._put, "DELETE": self._delete}[call.verb]
            return verb(call, container, blob)
        except ArmError as error:
            refusal = blob_error(error)
            return refusal if call.verb != "HEAD" else Reply(refusal.status, refusal.headers, b"")

    def _put_account(self, call: ArmCall) -> Reply:
        group = self._account.group(call.group)
        id = self._account.id_of(group.name, TYPE, call.name)
        existing = self._account.find(id)
        body = {
            **call.resource,
            "id": id,
            "name": call.name,
            "type": TYPE,
            "properties": {
                **(call.resource.get("properties") or {}),
                "provisioningState": "Succeeded",
                "primaryEndpoints": {"blob": f"{self._account.url}{ROOT}{call.name}/"},
            },
        }
        self._account.add(Resource(id, TYPE, call.name, group.name, body))
        return write_result(call, body, 200 if existing else 201)

    def _delete_account(self, call: ArmCall) -> Reply:
        id = self._account.id_of(self._account.group(call.group).name, TYPE, call.name)
        found = self._account.find(id)
        if found is not None:
            self._account.remove(id)
            for key in [key for key in self._containers if key[0] == found.name]:
                self._forget_container(found, key[1])
        return write_result(call, None, 200 if found else 204)

    def _container(self, call: ArmCall) -> Body:
        """Show a container as Resource Manager does."""
        account = self._account.resource(call.group, TYPE, call.names["accountName"])
        found = self._account.find(_container_id(account, call.name))
        if found is None:
            raise ArmError("ContainerNotFound", "The specified container does not exist.", status=404)
        return found.body

    def _forget_container(self, account: Resource, name: str) -> None:
        del self._containers[account.name, name]
        self._account.remove(_container_id(account, name))

    def _check(self, call: ArmCall, account: str, rest: str) -> tuple[Resource, str]:
        """Return the account that is called, and who calls, by token or by signature."""
        found = next((one for one in self._account.of_type(TYPE) if one.name == account), None)
        if found is None:
            raise ArmError("ResourceNotFound", "The specified account does not exist.")
        principal = self._signer(call) if "sig" in call.query else self._entra.check_storage(call)
        container, _, blob = rest.partition("/")
        level = "/containers/blobs" if blob else "/containers" if container else ""
        action = f"Microsoft.Storage/storageAccounts/blobServices{level}/{ACTIONS[call.verb]}"
        scope = _container_id(found, container) if container else found.id
        if not self._access.may(principal, action, scope):
            text = "This request is not authorized to perform this operation using this permission."
            raise ArmError("AuthorizationPermissionMismatch", text, status=403)
        return found, principal

    def _signer(self, call: ArmCall) -> str:
        needed = "l" if call.query.get("comp") == "list" else NEEDED.get(call.verb, "")
        return self._signatures.check(call.query, call.path, needed)

    def _of_service(self, call: ArmCall, principal: str) -> Reply:
        if call.verb != "POST" or call.query.get("comp") != "userdelegationkey":
            raise ArmError("UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.", status=405)
        version = str(call.environ.get("HTTP_X_MS_VERSION") or VERSION)
        return _reply(200, self._signatures.new_key(principal, call.body, version))

    def _of_container(self, call: ArmCall, account: Resource, name: str) -> Reply:
        key = account.name, name
        if call.verb == "PUT":
            if key in self._containers:
                raise ArmError("ContainerAlreadyExists", "The specified container already exists.", status=409)
            self._containers[key] = Container()
            id = _container_id(account, name)
            body = {"id": id, "name": name, "type": CONTAINER_TYPE, "properties": {"publicAccess": "None"}}
            self._account.add(Resource(id, CONTAINER_TYPE, name, account.group, body))
            return _reply(201)
        if key not in self._containers:
            raise ArmError("ContainerNotFound", "The specified container does not exist.", status=404)
        if call.verb == "DELETE":
            self._forget_container(account, name)
            return _reply(202)
        if call.query.get("comp") == "list":
            return _reply(200, _listed(self._containers[key], name, call).encode(), "application/xml")
        return _reply(200)

    def _put(self, call: ArmCall, container: Container, name: str) -> Reply:
        existing = container.blobs.get(name)
        _check_conditions(call, existing)
        part = call.query.get("comp", "")
        if part == "block":
            container.blocks[name, call.query["blockid"]] = call.body
            return _reply(201)
        if not part and call.environ.get("HTTP_X_MS_BLOB_TYPE") != "BlockBlob":
            raise ArmError("MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified.")
        content = b"".join(_blocks(call, container, name)) if part == "blocklist" else call.body
        kind = str(
            call.environ.get("HTTP_X_MS_BLOB_CONTENT_TYPE") or call.environ.get("CONTENT_TYPE") or "application/octet-stream"
        )
        blob = container.blobs[name] = Blob(content, self._account.timeline.now(), kind, _metadata(call))
        for key in [key for key in container.blocks if key[0] == name]:
            del container.blocks[key]
        return _reply(201, headers=_described(blob))

    def _get(self, call: ArmCall, container: Container, name: str) -> Reply:
        blob = container.blobs.get(name)
        if blob is None:
            raise ArmError("BlobNotFound", "The specified blob does not exist.", status=404)
        _check_conditions(call, blob)
        wanted = str(call.environ.get("HTTP_X_MS_RANGE") or call.environ.get("HTTP_RANGE") or "")
        content, status = blob.content, 200
        extra: tuple[tuple[str, str], ...] = ()
        if wanted.startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            if int(first) >= len(content):
                raise ArmError(
                    "InvalidRange", "The range specified is invalid for the current size of the resource.", status=416
                )
            content = content[int(first) : int(last) + 1 if last else None]
            extra = (("Content-Range", f"bytes {first}-{int(first) + len(content) - 1}/{len(blob.content)}"),)
            status = 206
        headers = (*_described(blob), *extra, ("Accept-Ranges", "bytes"), ("x-ms-blob-type", "BlockBlob"))
        if call.verb == "HEAD":
            return _reply(status, b"", blob.kind, (*headers, ("Content-Length", str(len(content)))))
        return _reply(status, content, blob.kind, headers)

    def _delete(self, call: ArmCall, container: Container, name: str) -> Reply:
        if name not in container.blobs:
            raise ArmError("BlobNotFound", "The specified blob does not exist.", status=404)
        del container.blobs[name]
        return _reply(202)


def _container_id(account: Resource, name: str) -> str:
    return f"{account.id}/blobServices/default/containers/{name}"


def _metadata(call: ArmCall) -> dict[str, str]:
    begin = "HTTP_X_MS_META_"
    return {key.removeprefix(begin).lower(): str(value) for key, value in call.environ.items() if key.startswith(begin)}


def _blocks(call: ArmCall, container: Container, name: str) -> Iterator[bytes]:
    for one in ElementTree.fromstring(call.body):
        key = name, str(one.text)
        if key not in container.blocks:
            raise ArmError("InvalidBlockList", "The specified block list is invalid.")
        yield container.blocks[key]


def _check_conditions(call: ArmCall, blob: Blob | None) -> None:
    match, none = call.environ.get("HTTP_IF_MATCH"), call.environ.get("HTTP_IF_NONE_MATCH")
    if none == "*" and blob is not None and call.verb == "PUT":
        raise ArmError("BlobAlreadyExists", "The specified blob already exists.", status=409)
    if match and (blob is None or match not in ("*", blob.etag)):
        raise ArmError("ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.", status=412)


def _listed(container: Container, name: str, call: ArmCall) -> str:
    prefix, marker = call.query.get("prefix", ""), call.query.get("marker", "")
    most = int(call.query.get("maxresults", "5000"))
    names = [one for one in sorted(container.blobs) if one.startswith(prefix) and one >= marker]
    rows = "".join(_row(one, container.blobs[one]) for one in names[:most])
    following = names[most] if len(names) > most else ""
    return (
        f'{XML}<EnumerationResults ContainerName="{escape(name)}"><Prefix>{escape(prefix)}</Prefix>'
        f"<Blobs>{rows}</Blobs><NextMarker>{escape(following)}</NextMarker></EnumerationResults>"
    )


def _row(name: str, blob: Blob) -> str:
    digest = base64.b64encode(hashlib.md5(blob.content, usedforsecurity=False).digest()).decode()
    properties = (
        f"<Last-Modified>{_http_time(blob.changed)}</Last-Modified><Etag>{blob.etag.strip(chr(34))}</Etag>"
        f"<Content-Length>{len(blob.content)}</Content-Length><Content-MD5>{digest}</Content-MD5><BlobType>BlockBlob</BlobType>"
    )
    return f"<Blob><Name>{escape(name)}</Name><Properties>{properties}</Properties></Blob>"


def _described(blob: Blob) -> tuple[tuple[str, str], ...]:
    kept = ((f"x-ms-meta-{name}", value) for name, value in blob.metadata.items())
    return (("ETag", blob.etag), ("Last-Modified", _http_time(blob.changed)), *kept)


def _http_time(moment: datetime) -> str:
    return f"{moment:%a, %d %b %Y %H:%M:%S} GMT"


def _reply(status: int, body: bytes = b"", kind: str = "application/xml", headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return Reply(status, (("Content-Type", kind), ("x-ms-version", VERSION), *headers), body)
