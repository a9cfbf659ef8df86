"""Amazon's signature, version 4, as S3 wants it."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import Mapping
from urllib.parse import quote

from .role import Credentials

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Request:
    """A request that is to be signed. `path` and `query` are as they mean, not yet quoted."""

    method: str
    host: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def target(self) -> str:
        """Return path and query as they are sent."""
        path, query = quote(self.path, safe="/-_.~"), self.sorted_query
        return f"{path}?{query}" if query else path

    @property
    def sorted_query(self) -> str:
        """Return the query as it is signed."""
        pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in self.query.items())
        return "&".join(f"{name}={value}" for name, value in pairs)


def headers_of(request: Request, credentials: Credentials, region: str, now: float) -> dict[str, str]:
    """Return the request's headers with those that sign it; `now` is Unix time."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    content = hashlib.sha256(request.body).hexdigest()
    headers = {
        **request.headers,
        "host": request.host,
        "x-amz-content-sha256": content,
        "x-amz-date": moment,
        "x-amz-security-token": credentials.token,
    }
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        (
            request.method,
            quote(request.path, safe="/-_.~"),
            request.sorted_query,
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            content,
        )
    )
    digest = hashlib.sha256(canonical.encode("utf-8")).hexdigest()
    signature = _keyed(_key(credentials.secret, scope), "\n".join((_ALGORITHM, moment, scope, digest))).hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for word in scope.split("/"):
        key = _keyed(key, word)
    return key


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode("utf-8"), hashlib.sha256).digest()
