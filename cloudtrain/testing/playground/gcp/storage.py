"""Cloud Storage by JSON: buckets and their policies, objects listed, read in parts and uploaded."""

import email.parser
import email.policy
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any

from ..calls import Reply
from .account import Account, Body, Handler
from .buckets import Bucket, StoredObject
from .discovery import UPLOAD
from .errors import GoogleError
from .machine_rights import MachineRights
from .schema import check_body
from .wire import GoogleCall

LONGEST_PAGE = 1000
API = "https://www.googleapis.com/storage/v1"


CHUNK = 256 * 1024


@dataclass
class Upload:
    """An object that is coming: `head` is what was said of it, `shown` how it looks once it has come."""

    bucket: str
    name: str
    head: Body
    content: bytes
    shown: Body | None = None


class Storage:
    """Answers what is about buckets and objects."""

    def __init__(self, account: Account, rights: MachineRights) -> None:
        self._account, self._rights = account, rights
        self._uploads: dict[str, Upload] = {}

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {
            "storage.buckets.get": lambda call: shown_bucket(self.bucket(call.path["bucket"]), self._account.number),
            "storage.buckets.list": self._list_buckets,
            "storage.buckets.insert": self._insert_bucket,
            "storage.buckets.delete": self._delete_bucket,
            "storage.buckets.testIamPermissions": self._test,
            "storage.objects.get": self._get,
            "storage.objects.list": self._list,
            "storage.objects.insert": self._insert,
            "storage.objects.delete": self._delete,
        }

    def bucket(self, name: str) -> Bucket:
        """Return a bucket.

        Raises:
            GoogleError: 404.
        """
        if name not in self._account.buckets:
            raise GoogleError(404, "notFound", "The specified bucket does not exist.")
        return self._account.buckets[name]

    def object(self, call: GoogleCall, bucket: str, name: str, permission: str = "storage.objects.get") -> StoredObject:
        """Return an object.

        Raises:
            GoogleError: 404; 403 for a machine that may not do that with it.
        """
        self._rights.check(call, permission, self.bucket(bucket), name)
        objects = self.bucket(bucket).objects
        if name not in objects:
            raise GoogleError(404, "notFound", f"No such object: {bucket}/{name}")
        return objects[name]

    def _list_buckets(self, call: GoogleCall) -> Body:
        found = [shown_bucket(bucket, self._account.number) for bucket in self._account.buckets.values()]
        return {"kind": "storage#buckets", "items": found}

    def _insert_bucket(self, call: GoogleCall) -> Body:
        name = str(call.resource.get("name", ""))
        if name in self._account.buckets:
            raise GoogleError(
                409, "conflict", "Your previous request to create the named bucket succeeded and you already own it."
            )
        location = str(call.resource.get("location", "US")).upper()
        bucket = self._account.buckets[name] = Bucket(name, location, self._account.timeline.now())
        return shown_bucket(bucket, self._account.number)

    def _delete_bucket(self, call: GoogleCall) -> Body:
        if self.bucket(call.path["bucket"]).objects:
            raise GoogleError(409, "conflict", "The bucket you tried to delete is not empty.")
        del self._account.buckets[call.path["bucket"]]
        return {}

    def _test(self, call: GoogleCall) -> Body:
        self.bucket(call.path["bucket"])
        granted = [one for one in call.query["permissions"] if one not in self._account.denied]
        return {"kind": "storage#testIamPermissionsResponse", **({"permissions": granted} if granted else {})}

    def _get(self, call: GoogleCall) -> Body | Reply:
        found = self.object(call, call.path["bucket"], call.path["object"])
        return media(call, found) if call.query.get("alt") == "media" else shown_object(call.path["bucket"], found)

    def _list(self, call: GoogleCall) -> Body:
        bucket, prefix = self.bucket(call.path["bucket"]), str(call.query.get("prefix", ""))
        self._rights.check(call, "storage.objects.list", bucket, prefix=prefix)
        delimiter, after = str(call.query.get("delimiter", "")), str(call.query.get("pageToken", ""))
        low, high = str(call.query.get("startOffset", "")), str(call.query.get("endOffset", ""))
        names: dict[str, StoredObject | None] = {}
        for name in sorted(bucket.objects):
            if name.startswith(prefix) and name >= low and not (high and name >= high):
                head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
                names[f"{prefix}{head}{delimiter}" if found else name] = None if found else bucket.objects[name]
        left = [name for name in names if name > after]
        page = left[: min(int(call.query.get("maxResults", LONGEST_PAGE)) or LONGEST_PAGE, LONGEST_PAGE)]
        reply: Body = {"kind": "storage#objects"}
        items = [shown_object(bucket.name, one) for one in (names[name] for name in page) if one is not None]
        prefixes = [name for name in page if names[name] is None]
        reply |= ({"items": items} if items else {}) | ({"prefixes": prefixes} if prefixes else {})
        return reply | ({"nextPageToken": page[-1]} if len(page) < len(left) else {})

    def _insert(self, call: GoogleCall) -> Body | Reply:
        bucket, kind = self.bucket(call.path["bucket"]), str(call.query.get("uploadType", ""))
        if not call.path_text.startswith(UPLOAD):
            raise GoogleError(400, "wrongUrlForUpload", "Upload requests must be uploaded to */upload/*")
        if kind == "resumable":
            return self._resumable(call, bucket)
        if kind == "multipart":
            head, content = _parts(call)
            return self.put(call, Upload(bucket.name, str(call.query.get("name") or head.get("name", "")), head, content))
        return self.put(call, Upload(bucket.name, str(call.query.get("name", "")), {}, call.body))

    def _resumable(self, call: GoogleCall, bucket: Bucket) -> Body | Reply:
        """Begin an upload, or take one more part of it."""
        id = str(call.query.get("upload_id", ""))
        if not id:
            id = secrets.token_hex(16)
            head = _head(call, call.body.decode() or "{}")
            name = str(call.query.get("name") or head.get("name", ""))
            self._check_put(call, bucket, name)
            self._uploads[id] = Upload(bucket.name, name, head, b"")
            place = f"http://{call.environ['HTTP_HOST']}{call.path_text}?uploadType=resumable&upload_id={id}"
            return Reply(200, (("Location", place), ("X-GUploader-UploadID", id)), b"")
        if id not in self._uploads:
            raise GoogleError(404, "notFound", "No such upload.")
        upload = self._uploads[id]
        if upload.shown is not None:  # who did not hear so asks again
            return upload.shown
        given = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", str(call.environ.get("HTTP_CONTENT_RANGE", "")))
        if given is not None and given[1] and int(given[1]) > len(upload.content):
            raise GoogleError(503, "backendError", "The upload has not come as far as this part begins.")
        # What has come already is not taken twice.
        start = int(given[1]) if given is not None and given[1] else len(upload.content)
        upload.content = upload.content[:start] + call.body
        if given is not None and given[2] != str(len(upload.content)):
            if call.body and len(call.body) % CHUNK:
                raise GoogleError(400, "badRequest", f"Every part but the last must be a multiple of {CHUNK} bytes.")
            come = (("Range", f"bytes=0-{len(upload.content) - 1}"),) if upload.content else ()
            return Reply(308, come, b"")
        upload.shown = self.put(call, upload)
        return upload.shown

    def _check_put(self, call: GoogleCall, bucket: Bucket, name: str) -> None:
        self._rights.check(call, "storage.objects.create", bucket, name)
        if name in bucket.objects:  # what is replaced is deleted
            self._rights.check(call, "storage.objects.delete", bucket, name)

    def put(self, call: GoogleCall, upload: "Upload") -> Body:
        """Keep what was uploaded, and show it.

        Raises:
            GoogleError: 400, 403, 404, 412.
        """
        bucket, name = self.bucket(upload.bucket), upload.name
        if not name:
            raise GoogleError(400, "required", "Required parameter: name")
        self._check_put(call, bucket, name)
        there = bucket.objects.get(name)
        wanted = call.query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != (there.generation if there else 0):
            raise GoogleError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        made = bucket.put(name, upload.content, self._account.timeline.now())
        made.metadata = dict(upload.head.get("metadata", {}))
        return shown_object(bucket.name, made)

    def _delete(self, call: GoogleCall) -> Body:
        self.object(call, call.path["bucket"], call.path["object"], "storage.objects.delete")
        del self._account.buckets[call.path["bucket"]].objects[call.path["object"]]
        return {}


def media(call: GoogleCall, found: StoredObject) -> Reply:
    """Return an object's content, or the part that was asked for.

    Raises:
        GoogleError: 416; there is no such part.
    """
    content = found.content
    headers = [("Content-Type", found.content_type), ("ETag", found.etag), ("x-goog-generation", str(found.generation))]
    headers += [("x-goog-hash", f"md5={found.md5}"), ("Accept-Ranges", "bytes")]
    wanted = call.environ.get("HTTP_X_GOOG_IF_GENERATION_MATCH") or call.query.get("ifGenerationMatch")
    if wanted is not None and str(wanted) != str(found.generation):
        raise GoogleError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", str(call.environ.get("HTTP_RANGE", "")))
    if asked is None or not (asked[1] or asked[2]):
        return Reply(200, tuple(headers), content)
    start = int(asked[1]) if asked[1] else max(0, len(content) - int(asked[2]))
    end = min(int(asked[2]), len(content) - 1) if asked[1] and asked[2] else len(content) - 1
    if start > end:
        raise GoogleError(416, "requestedRangeNotSatisfiable", "The requested range cannot be satisfied.")
    headers.append(("Content-Range", f"bytes {start}-{end}/{len(content)}"))
    return Reply(206, tuple(headers), content[start : end + 1])


def shown_bucket(bucket: Bucket, number: str) -> Body:
    """Return a bucket as the API shows it."""
    return {
        "kind": "storage#bucket",
        "id": bucket.name,
        "name": bucket.name,
        "selfLink": f"{API}/b/{bucket.name}",
        "projectNumber": number,
        "location": bucket.location,
        "locationType": bucket.location_type,
        "storageClass": "STANDARD",
        "etag": "CAE=",
        "timeCreated": bucket.made.isoformat(),
        "updated": bucket.made.isoformat(),
        "metageneration": "1",
        "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": bucket.is_uniform}},
    }


def shown_object(bucket: str, found: StoredObject) -> Body:
    """Return an object as the API shows it. Google's has a CRC32C too."""
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{found.name}/{found.generation}",
        "name": found.name,
        "bucket": bucket,
        "selfLink": f"{API}/b/{bucket}/o/{found.name.replace('/', '%2F')}",
        "generation": str(found.generation),
        "metageneration": "1",
        "contentType": found.content_type,
        "storageClass": "STANDARD",
        "size": str(len(found.content)),
        "md5Hash": found.md5,
        "etag": "CAE=",
        "timeCreated": found.made.isoformat(),
        "updated": found.made.isoformat(),
        **({"metadata": found.metadata} if found.metadata else {}),
    }


def _head(call: GoogleCall, text: str) -> dict[str, Any]:
    """Return what is said of an object that is uploaded, held to its description like any other body."""
    try:
        head: dict[str, Any] = json.loads(text)
    except ValueError:
        raise GoogleError(400, "parseError", "Parse Error") from None
    if call.method is not None:
        check_body(call.method, head)
    return head


def _parts(call: GoogleCall) -> tuple[dict[str, Any], bytes]:
    """Return the two parts of a multipart upload: what is said of the object, and its content."""
    head = f"Content-Type: {call.environ.get('CONTENT_TYPE', '')}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + call.body)
    parts = list(message.iter_parts())
    if len(parts) != 2:
        raise GoogleError(400, "badRequest", "Malformed multipart body.")
    content = parts[1].get_payload(decode=True)
    return _head(call, str(parts[0].get_payload())), content if isinstance(content, bytes) else b""
