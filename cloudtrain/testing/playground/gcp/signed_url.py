"""Objects by a link that carries its own permission, and by their plain path (Cloud Storage's XML interface).

As cloud.google.com/storage/docs/authentication/canonical-requests has V4 signatures. Times are of the cloud's clock.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from ..calls import Reply
from .access import Tokens
from .account import Account
from .buckets import StoredObject
from .errors import GoogleError
from .storage import Storage, Upload, media
from .wire import GoogleCall

ALGORITHM = "GOOG4-RSA-SHA256"
LONGEST_S = 7 * 86400
XML_CODES = {
    "conditionNotMet": "PreconditionFailed",
    "forbidden": "AccessDenied",
    "insufficientPermissions": "AccessDenied",
    "notFound": "NoSuchKey",
    "requestedRangeNotSatisfiable": "InvalidRange",
}
"""How the XML interface calls what the other one has other words for."""


class SignedUrls:
    """Answers `/BUCKET/OBJECT` for who has a signature or a token."""

    def __init__(self, account: Account, storage: Storage, tokens: Tokens) -> None:
        self._account, self._storage, self._tokens = account, storage, tokens

    def is_about(self, call: GoogleCall) -> bool:
        """Say whether a path that no service describes is that of an object."""
        bucket, _, name = call.path_text.lstrip("/").partition("/")
        return bool(name) and bucket in self._account.buckets

    def answer(self, call: GoogleCall) -> Reply:
        """Give or take an object; refusals are XML."""
        try:
            return self._answered(call)
        except GoogleError as error:
            code = XML_CODES.get(error.reason, error.reason)
            told = f"<Code>{code}</Code><Message>{escape(error.message)}</Message>"
            text = f"<?xml version='1.0' encoding='UTF-8'?><Error>{told}</Error>"
            return Reply(error.http, (("Content-Type", "application/xml; charset=UTF-8"),), text.encode())

    def _answered(self, call: GoogleCall) -> Reply:
        query = dict(parse_qsl(str(call.environ.get("QUERY_STRING", "")), keep_blank_values=True))
        if "X-Goog-Signature" in query:
            self._check(call, query)
        else:
            self._tokens.check(call)
        bucket, _, name = unquote(call.path_text.lstrip("/")).partition("/")
        if call.environ["REQUEST_METHOD"] == "PUT":
            self._storage.put(call, Upload(bucket, name, {}, call.body))
            made = self._storage.object(call, bucket, name)
            return Reply(200, (("ETag", made.etag), ("x-goog-generation", str(made.generation))), b"")
        found = self._storage.object(call, bucket, name)
        if call.environ["REQUEST_METHOD"] == "HEAD":
            return Reply(200, (("Content-Length", str(len(found.content))), ("ETag", found.etag)), b"")
        reply = media(call, found)
        return Reply(reply.status, (*reply.headers, *_metadata(found)), reply.body)

    def _check(self, call: GoogleCall, query: dict[str, str]) -> None:
        made = _moment(query.get("X-Goog-Date", ""))
        lifetime = int(query.get("X-Goog-Expires", "0") or 0)
        if query.get("X-Goog-Algorithm") != ALGORITHM or made is None or not 0 < lifetime <= LONGEST_S:
            raise GoogleError(400, "AuthenticationRequired", "Invalid argument in the signature's query parameters.")
        if not made - timedelta(minutes=15) <= self._account.timeline.now() <= made + timedelta(seconds=lifetime):
            raise GoogleError(400, "ExpiredToken", "Invalid argument. The provided token has expired.")
        email, _, scope = query.get("X-Goog-Credential", "").partition("/")
        identity = self._account.identities.get(email)
        canonical = hashlib.sha256(_canonical(call, query).encode()).hexdigest()
        text = "\n".join([ALGORITHM, query["X-Goog-Date"], scope, canonical])
        signature = query["X-Goog-Signature"]
        if identity is None or not identity.has_signed(text.encode(), bytes.fromhex(signature)):
            raise GoogleError(
                403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
            )


def _metadata(found: StoredObject) -> list[tuple[str, str]]:
    return [(f"x-goog-meta-{key}", value) for key, value in found.metadata.items()]


def _canonical(call: GoogleCall, query: dict[str, str]) -> str:
    pairs = sorted((_quoted(key), _quoted(value)) for key, value in query.items() if key != "X-Goog-Signature")
    names = query.get("X-Goog-SignedHeaders", "host").split(";")
    headers = "".join(f"{name}:{_header(call, name)}\n" for name in names)
    joined = "&".join(f"{key}={value}" for key, value in pairs)
    return "\n".join(
        [str(call.environ["REQUEST_METHOD"]), call.path_text, joined, headers, ";".join(names), "UNSIGNED-PAYLOAD"]
    )


def _header(call: GoogleCall, name: str) -> str:
    key = name.upper().replace("-", "_")
    return str(call.environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", "")).strip()


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
