"""Links to blobs: an address that anybody may read one blob at for a while, signed in the name of a login."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

SERVICE_VERSION = "2020-12-06"
"""The version of Blob Storage's interface that we speak, and sign for."""

LONGEST = timedelta(days=7)
"""A key that signs in the name of a login is good for no longer."""


@dataclass(frozen=True, slots=True)
class DelegationKey:
    """What Azure gives a login to sign with: whose it is, in which directory, from when until when, and the key."""

    object_id: str
    tenant_id: str
    start: str
    expiry: str
    service: str
    version: str
    value: str = field(repr=False)

    @classmethod
    def read(cls, told: Mapping[str, str]) -> "DelegationKey":
        """Return what an answer holds, by the names it has there.

        Raises:
            KeyError: something is missing.
        """
        names = ("SignedOid", "SignedTid", "SignedStart", "SignedExpiry", "SignedService", "SignedVersion", "Value")
        return cls(*(told[name] for name in names))


def service_time(time: datetime) -> str:
    """Return a time as Blob Storage writes it."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def link_query(key: DelegationKey, account: str, blob: str, until: datetime) -> str:
    """Return what is put behind a blob's address so that it may be read until then. `blob` is "container/name"."""
    expiry = service_time(until)
    # In Azure's order; the empty ones are a start, ids of users, an address, a snapshot, a scope and five reply headers.
    signed = (
        "r",
        "",
        expiry,
        f"/blob/{account}/{blob}",
        key.object_id,
        key.tenant_id,
        key.start,
        key.expiry,
        key.service,
        key.version,
        *("", "", "", ""),
        "https",
        SERVICE_VERSION,
        "b",
        *("", ""),
        *("", "", "", "", ""),
    )
    digest = hmac.new(base64.b64decode(key.value), "\n".join(signed).encode(), hashlib.sha256).digest()
    query = {
        "sp": "r",
        "se": expiry,
        "skoid": key.object_id,
        "sktid": key.tenant_id,
        "skt": key.start,
        "ske": key.expiry,
        "sks": key.service,
        "skv": key.version,
        "spr": "https",
        "sv": SERVICE_VERSION,
        "sr": "b",
        "sig": base64.b64encode(digest).decode("ascii"),
    }
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
