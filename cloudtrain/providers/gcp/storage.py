"""Cloud Storage: what lies at an address, and links by which a machine that has no credentials reads it."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from ...model.errors import ConfigError, PermissionDeniedError, ProviderError
from ...model.storage import Link, StoredData, StoredObject
from ..base import ProviderSettings
from .endpoints import Endpoints
from .rest import Rest
from .signing import sign_links
from .translate import is_absent, status_of

SCHEME = "gs://"
PAGE = "1000"

TRIAL = timedelta(minutes=1)
"""How long a link is good that only shows that links can be made."""

TWO_REGIONS = {
    "ASIA1": ("asia-northeast1", "asia-northeast2"),
    "EUR4": ("europe-north1", "europe-west4"),
    "NAM4": ("us-central1", "us-east1"),
}
"""Where a bucket of one of Google's fixed pairs of regions keeps its content."""

_OTHER_CLOUDS = {"s3": "AWS", "az": "Azure"}
_FIELDS = "items(name,size,md5Hash),nextPageToken"


@dataclass(frozen=True, slots=True)
class Address:
    """A bucket and what is named in it: a folder ("data/", or "" for all of it) or, without a slash, either."""

    url: str
    bucket: str
    key: str

    @property
    def folder(self) -> str:
        """Return the key as a folder's."""
        return f"{self.key}/" if self.key and not self.key.endswith("/") else self.key

    @property
    def path(self) -> str:
        """Return the bucket's path in Google's interface."""
        return f"b/{quote(self.bucket, safe='')}"

    def object_path(self, key: str) -> str:
        """Return an object's path in Google's interface."""
        return f"{self.path}/o/{quote(key, safe='')}"


def address_of(url: str) -> Address:
    """Take an address apart.

    Raises:
        ConfigError: it is none of Cloud Storage's.
    """
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME):
        cloud = _OTHER_CLOUDS.get(url.partition("://")[0], "the cloud that keeps it")
        raise ConfigError(
            f"{url} is no address in Cloud Storage, and a machine of Google Cloud reaches no other storage",
            f"Choose a machine on {cloud}, or copy it first and name that: gs://my-bucket/data/",
        )
    if not bucket:
        raise ConfigError(f"{url} names no bucket", "Write it like this: gs://my-bucket/data/")
    return Address(url, bucket, key)


def region_of(url: str, settings: ProviderSettings, rest: Rest) -> str:
    """Return the region of an address's bucket. See `ObjectStorage.region_of`.

    Of a bucket in two regions it is the one the machine config names, so that what lies beside the machine is not called far
    away. A bucket spread over a continent is in no region: its own word for that ("us", "eu", "asia") is returned.
    """
    address = address_of(url)
    query = {"fields": "location,locationType,customPlacementConfig"}
    found = _asked("storage.buckets.get", address.path, address, rest, query)
    places = _regions(found)
    wanted = settings.machine.regions if settings.machine is not None else ()
    return next((region for region in wanted if region in places), places[0])


def stored(url: str, settings: ProviderSettings, rest: Rest) -> StoredData:
    """Return what lies at an address, and see that it can be read. See `ObjectStorage.stored`."""
    address, region = address_of(url), region_of(url, settings, rest)
    found = [_object(each, address.folder) for each in _listed(address, address.folder, rest)]
    folder = address.key.rstrip("/").rpartition("/")[2] or address.bucket
    if not found and address.key and not address.key.endswith("/"):
        # Of all names that begin with these letters the one that is just these comes first.
        alone = next(_listed(address, address.key, rest, most="1"), None)
        if alone is not None and alone["name"] == address.key:
            found, folder = [_object(alone, address.key.removesuffix(folder))], ""
    data = StoredData(url, region, folder, tuple(each for each in found if each.name and not each.name.endswith("/")))
    if data.objects:
        _see_that_it_can_be_read(address, data, rest)
        # Who may read may not always sign, and a machine that waits for its data costs money.
        links(replace(data, objects=data.objects[:1]), settings.clock.now() + TRIAL, settings, rest)
    return data


def links(data: StoredData, until: datetime, settings: ProviderSettings, rest: Rest) -> Sequence[Link]:
    """Return a link for each object, good until then, and for seven days at most. See `ObjectStorage.links`.

    A login with a private key signs here; for one that speaks in the name of a service account Google is asked to sign each.
    """
    now = settings.clock.now()
    if until <= now:
        raise ProviderError(f"Nothing can be read from {data.url} any more: the machine's time is over")
    address = address_of(data.url)
    endpoint = settings.machine.endpoint_url if settings.machine is not None else None
    server = Endpoints(endpoint).base("storage").removesuffix("storage/v1/")
    paths = [f"/{address.bucket}/{_key(data, each, address)}" for each in data.objects]
    return tuple(Link(each, url) for each, url in zip(data.objects, sign_links(server, paths, now, until, rest), strict=True))


def _regions(bucket: Mapping[str, Any]) -> tuple[str, ...]:
    location = str(bucket.get("location", "")).upper()
    chosen = bucket.get("customPlacementConfig", {}).get("dataLocations", ())
    return tuple(str(each).lower() for each in chosen or TWO_REGIONS.get(location, (location,)))


def _key(data: StoredData, object: StoredObject, address: Address) -> str:
    return address.folder + object.name if data.folder else address.key


def _listed(address: Address, prefix: str, rest: Rest, most: str = PAGE) -> Iterator[dict[str, Any]]:
    query = {"prefix": prefix, "maxResults": most, "fields": _FIELDS}
    try:
        yield from rest.pages("storage.objects.list", f"{address.path}/o", query=query)
    except ProviderError as error:
        raise _worded(error, address, "storage.objects.list") from error


def _object(found: Mapping[str, Any], folder: str) -> StoredObject:
    """Return an object. Its mark is its MD5, which its links answer to; one that was put together from parts has none."""
    try:
        md5 = base64.b64decode(found.get("md5Hash", ""), validate=True).hex()
    except (ValueError, binascii.Error):
        md5 = ""
    return StoredObject(found["name"].removeprefix(folder), int(found.get("size", 0)), md5)


def _see_that_it_can_be_read(address: Address, data: StoredData, rest: Rest) -> None:
    """Ask about one object: who may list may not always read, and the permission to look at one is the one to read it."""
    key = _key(data, data.objects[0], address)
    _asked("storage.objects.get", address.object_path(key), address, rest, {"fields": "name"})


def _asked(method_id: str, path: str, address: Address, rest: Rest, query: Mapping[str, str]) -> dict[str, Any]:
    try:
        return rest.call(method_id, "GET", path, query=query)
    except ProviderError as error:
        raise _worded(error, address, method_id) from error


def _worded(error: ProviderError, address: Address, permission: str) -> ProviderError:
    if is_absent(error):
        return ProviderError(
            f"There is no bucket {address.bucket}: {address.url}", "Correct the address: gcloud storage buckets list"
        )
    if isinstance(error, PermissionDeniedError) and status_of(error) == 403:
        return PermissionDeniedError(
            f"{address.url} may not be read: the account lacks {permission} on {address.bucket}",
            f"Try it yourself: gcloud storage ls {address.url}\nThe permissions cloudtrain needs are in docs/providers/gcp.md",
        )
    return error
