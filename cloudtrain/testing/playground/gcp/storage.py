"""Cloud Storage by JSON: buckets and their policies, objects listed, read in parts and uploaded."""

import email.parser
import email.policy
import json
import re
import secrets
from typing import Any

from ..calls import Reply
from .account import Account, Body, Handler
from .buckets import Bucket, StoredObject
from .discovery import UPLOAD
from .errors import GoogleError
from .wire import GoogleCall

LONGEST_PAGE = 1000
API = "https://www.googleapis.com/storage/v1"


class Storage:
    """Answers what is about buckets and objects."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._uploads: dict[str, tuple[str, str, bytes]] = {}

    def handlers(self) -> dict[str, Handler]:
        """Return what is answered here."""
        return {
            "storage.buckets.get": lambda call: shown_bucket(self.bucket(call.path["bucket"]), self._account.number),
            "storage.buckets.list": self._list_buckets,
            "storage.buckets.insert": self._insert_bucket,
            "storage.buckets.delete": self._delete_bucket,
            "storage.buckets.getIamPolicy": lambda call: _policy(self.bucket(call.path["bucket"])),
            "storage.buckets.setIamPolicy": self._set_policy,
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

    def object(self, bucket: str, name: str) -> StoredObject:
        """Return an object.

        Raises:
            GoogleError: 404.
        """
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

    def _set_policy(self, call: GoogleCall) -> Body:
        bucket = self.bucket(call.path["bucket"])
        bucket.bindings = list(call.resource.get("bindings", []))
        return _policy(bucket)

    def _test(self, call: GoogleCall) -> Body:
        self.bucket(call.path["bucket"])
        granted = [one for one in call.query["permissions"] if one not in self._account.denied]
        return {"kind": "storage#testIamPermissionsResponse", **({"permissions": granted} if granted else {})}

    def _get(self, call: GoogleCall) -> Body | Reply:
        found = self.object(call.path["bucket"], call.path["object"])
        return media(call, found) if call.query.get("alt") == "media" else shown_object(call.path["bucket"], found)

    def _list(self, call: GoogleCall) -> Body:
        bucket, prefix = self.bucket(call.path["bucket"]), str(call.query.get("prefix", ""))
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
            name = str(call.query.get("name") or head.get("name", ""))
            return self._put(call, bucket, name, content)
        return self._put(call, bucket, str(call.query.get("name", "")), call.body)

    def _resumable(self, call: GoogleCall, bucket: Bucket) -> Body | Reply:
        """Begin an upload, or take one more part of it."""
        id = str(call.query.get("upload_id", ""))
        if not id:
            id = secrets.token_hex(16)
            head = json.loads(call.body or b"{}")
            self._uploads[id] = (bucket.name, str(call.query.get("name") or head.get("name", "")), b"")
            place = f"http://{call.environ['HTTP_HOST']}{call.path_text}?uploadType=resumable&upload_id={id}"
            return Reply(200, (("Location", place), ("X-GUploader-UploadID", id)), b"")
        if id not in self._uploads:
            raise GoogleError(404, "notFound", "No such upload.")
        _, name, before = self._uploads[id]
        whole = before + call.body
        total = re.fullmatch(r"bytes (?:\d+-\d+|\*)/(\d+|\*)", str(call.environ.get("HTTP_CONTENT_RANGE", "")))
        if total is not None and total[1] != str(len(whole)):
            self._uploads[id] = (bucket.name, name, whole)
            return Reply(308, (("Range", f"bytes=0-{len(whole) - 1}"),) if whole else (), b"")
        del self._uploads[id]
        return self._put(call, bucket, name, whole)

    def _put(self, call: GoogleCall, bucket: Bucket, name: str, content: bytes) -> Body:
        if not name:
            raise GoogleError(400, "required", "Required parameter: name")
        there = bucket.objects.get(name)
        wanted = call.query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != (there.generation if there else 0):
            raise GoogleError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        return shown_object(bucket.name, bucket.put(name, content, self._account.timeline.now()))

    def _delete(self, call: GoogleCall) -> Body:
        self.object(call.path["bucket"], call.path["object"])
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
        "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}},
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
    }


def _policy(bucket: Bucket) -> Body:
    shown: dict[str, Any] = {
        "kind": "storage#policy",
        "resourceId": f"projects/_/buckets/{bucket.name}",
        "version": 1,
        "etag": "CAE=",
    }
    return shown | ({"bindings": bucket.bindings} if bucket.bindings else {})


def _parts(call: GoogleCall) -> tuple[dict[str, Any], bytes]:
    """Return the two parts of a multipart upload: what is said of the object, and its content."""
    head = f"Content-Type: {call.environ.get('CONTENT_TYPE', '')}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + call.body)
    parts = list(message.iter_parts())
    if len(parts) != 2:
        raise GoogleError(400, "badRequest", "Malformed multipart body.")
    content = parts[1].get_payload(decode=True)
    return json.loads(str(parts[0].get_payload())), content if isinstance(content, bytes) else b""
