"""A small S3 on loopback, with the metadata service of a machine beside it. It believes no signature it has not verified."""

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

BUCKET, REGION, ROLE = "my-bucket", "eu-west-1", "cloudtrain-ct-1"
TOKEN = "metadata-token"
PAGE = 3
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/[^/]+/s3/aws4_request), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


@dataclass
class Stored:
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    etag: str = ""
    at: float = 0.0

    def __post_init__(self) -> None:
        self.etag = self.etag or hashlib.md5(self.body).hexdigest()
        self.at = self.at or time.time()


@dataclass
class Fault:
    """What a request that begins with these words meets: a status, a broken line after so many bytes, or an act before it."""

    begins: str
    status: int = 0
    code: str = "Fault"
    cut_after: int | None = None
    act: Callable[[], Any] = lambda: None
    times: int = 1


class S3Server(ThreadingHTTPServer):
    """`objects` by key; `asked` are method and target of every request; `life_s` is how long the role's keys are good."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, tuple[str, dict[str, str], dict[int, bytes]]] = {}
        self.asked: list[str] = []
        self.faults: list[Fault] = []
        self.life_s = 3600.0
        self.given = 0
        self.has_role = True
        self.lines = 0
        self.signed_by: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environ(self) -> dict[str, str]:
        """What has a guest ask here and nowhere else."""
        return {"AWS_ENDPOINT_URL_S3": self.url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url}

    def link(self, key: str) -> str:
        return f"{self.url}/{BUCKET}/{quote(key)}?X-Amz-Signature=s3cret"

    def named(self, method: str) -> list[str]:
        """Targets of the requests of one method for objects, without their queries."""
        ours = [line.split() for line in self.asked]
        return [unquote(target.partition("?")[0]).removeprefix(f"/{BUCKET}/") for verb, target in ours if verb == method]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.lines += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of those who hang up."""

    def meet(self, line: str) -> Fault | None:
        with self._lock:
            self.asked.append(line)
            fault = next((fault for fault in self.faults if line.startswith(fault.begins)), None)
            if fault is not None:
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
            return fault

    def credentials(self) -> dict[str, str]:
        self.given += 1
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.life_s))
        number = self.given
        return {
            "Code": "Success",
            "AccessKeyId": f"ASIA{number}",
            "SecretAccessKey": f"secret/{number}+x",
            "Token": f"token{number}==",
            "Expiration": expires,
        }


@contextmanager
def serving() -> Iterator[S3Server]:
    """Serve until the block is left."""
    with S3Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    server: S3Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._meet(self._get)

    def do_HEAD(self) -> None:
        self._meet(self._get)

    def do_PUT(self) -> None:
        self._meet(self._put)

    def do_POST(self) -> None:
        self._meet(self._post)

    def do_DELETE(self) -> None:
        self._meet(self._delete)

    def _meet(self, act: Callable[[], None]) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        self.key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        self.query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        fault = self.server.meet(f"{self.command} {self.path}")
        self.cut_after = fault.cut_after if fault else None
        if fault is not None:
            fault.act()
        if fault is not None and fault.status:
            self._refuse(fault.status, fault.code)
        elif parts.path.startswith("/latest/"):
            self._metadata(parts.path)
        elif not parts.path.startswith(f"/{BUCKET}"):
            self._refuse(404, "NoSuchBucket")
        elif why := self._distrust():
            self._refuse(403, why)
        else:
            act()

    def _metadata(self, path: str) -> None:
        if self.command == "PUT":
            self._answer(200, TOKEN.encode())
        elif self.headers["X-aws-ec2-metadata-token"] != TOKEN:
            self._answer(401, b"")
        elif not self.server.has_role:
            self._answer(404, b"")
        elif path.endswith("/security-credentials/"):
            self._answer(200, ROLE.encode())
        else:
            self._answer(200, json.dumps(self.server.credentials()).encode() if path.endswith(ROLE) else b"")

    def _distrust(self) -> str:
        """Return why a request is not believed: it has no good link, or was not signed as the SDK would sign it."""
        if "Authorization" not in self.headers:
            return "" if self.query.get("X-Amz-Signature") == "s3cret" else "AccessDenied"
        found = _AUTHORIZATION.fullmatch(self.headers["Authorization"])
        if found is None:
            return "AuthorizationHeaderMalformed"
        key_id, scope, names, signature = found.groups()
        number = key_id.removeprefix("ASIA")
        if int(number) != self.server.given or self.headers["x-amz-security-token"] != f"token{number}==":
            return "InvalidAccessKeyId"
        if self.headers["x-amz-content-sha256"] != hashlib.sha256(self.body).hexdigest():
            return "XAmzContentSHA256Mismatch"
        signed = {name: self.headers[name] for name in names.split(";")}
        if not {"host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"} <= set(signed):
            return "AccessDenied"
        request = AWSRequest(self.command, f"http://{self.headers['Host']}{self.path}", signed, self.body)
        request.context["timestamp"] = self.headers["x-amz-date"]
        auth = S3SigV4Auth(Credentials(key_id, f"secret/{number}+x"), "s3", scope.split("/")[1])
        expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        self.server.signed_by[key_id] += 1
        return "" if expected == signature and scope.split("/")[1] == REGION else "SignatureDoesNotMatch"

    def _get(self) -> None:
        if "list-type" in self.query:
            self._list()
            return
        stored = self.server.objects.get(self.key)
        if stored is None:
            self._refuse(404, "NoSuchKey")
            return
        if self.headers.get("If-Match", f'"{stored.etag}"') != f'"{stored.etag}"':
            self._refuse(412, "PreconditionFailed")
            return
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start and start >= len(stored.body):
            self._refuse(416, "InvalidRange")
            return
        headers = {"ETag": f'"{stored.etag}"', **stored.headers}
        if "Range" in self.headers:
            headers["Content-Range"] = f"bytes {start}-{len(stored.body) - 1}/{len(stored.body)}"
        self._answer(206 if "Range" in self.headers else 200, stored.body[start:], headers)

    def _list(self) -> None:
        keys = sorted(key for key in self.server.objects if key.startswith(self.query.get("prefix", "")))
        start = int(self.query.get("continuation-token", "0").removeprefix("<") or 0)
        entries = "".join(
            f"<Contents><Key>{escape(quote(key, safe='/*'))}</Key>"
            f"<LastModified>{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(self.server.objects[key].at))}</LastModified>"
            f"<ETag>&quot;{self.server.objects[key].etag}&quot;</ETag><Size>{len(self.server.objects[key].body)}</Size></Contents>"
            for key in keys[start : start + PAGE]
        )
        more = f"<NextContinuationToken>&lt;{start + PAGE}</NextContinuationToken>" if len(keys) > start + PAGE else ""
        self._answer(200, f"<ListBucketResult>{more}{entries}</ListBucketResult>".encode())

    def _put(self) -> None:
        if "partNumber" in self.query:
            self.server.uploads[self.query["uploadId"]][2][int(self.query["partNumber"])] = self.body
            self._answer(200, b"", {"ETag": f'"{hashlib.md5(self.body).hexdigest()}"'})
            return
        self.server.objects[self.key] = Stored(self.body, self._kept_headers())
        self._answer(200, b"")

    def _post(self) -> None:
        if "uploads" in self.query:
            name = f"upload/{len(self.server.uploads)}+x"
            self.server.uploads[name] = (self.key, self._kept_headers(), {})
            self._answer(200, f"<R><UploadId>{name}</UploadId></R>".encode())
            return
        key, headers, parts = self.server.uploads.pop(self.query["uploadId"])
        named = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", self.body)]
        marks = re.findall(rb'<ETag>(?:"|&quot;)([0-9a-f]{32})', self.body)
        assert key == self.key
        assert named == sorted(parts)
        assert [mark.decode() for mark in marks] == [hashlib.md5(parts[number]).hexdigest() for number in named]
        body = b"".join(parts[number] for number in named)
        self.server.objects[key] = Stored(body, headers, etag=f"{hashlib.md5(body).hexdigest()}-{len(named)}")
        self._answer(200, b"<CompleteMultipartUploadResult/>")

    def _delete(self) -> None:
        self.server.uploads.pop(self.query["uploadId"])
        self._answer(204, b"")

    def _kept_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code></Error>".encode())

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body if self.cut_after is None else body[: self.cut_after])
        if self.cut_after is not None:
            self.close_connection = True
