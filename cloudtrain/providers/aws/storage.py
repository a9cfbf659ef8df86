"""S3: what lies at an address, and links by which a machine that has no credentials reads it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...model.errors import PermissionDeniedError, ProviderError
from ...model.storage import Link, StoredData, StoredObject
from .account import Account
from .translate import calling, code_of

SCHEME = "s3://"

LONGEST_LINK = timedelta(days=7)
"""A signature of S3's is good for no longer."""

# A HEAD has no body, so its code is the status.
_ABSENT = ("NoSuchBucket", "404")
_DENIED = ("AccessDenied", "AllAccessDisabled", "403")
_ARCHIVED = "InvalidObjectState"


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


def address_of(url: str) -> Address:
    """Take an address apart.

    Raises:
        ProviderError: it is none of S3's.
    """
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not bucket:
        raise ProviderError(f"{url} is no address in S3", "Write it like this: s3://my-bucket/data/")
    return Address(url, bucket, key)


def region_of(url: str, account: Account) -> str:
    """Return the region of an address's bucket. See `ObjectStorage.region_of`."""
    address = address_of(url)
    try:
        with calling():
            reply = account.clients.s3(account.clients.default_region()).head_bucket(Bucket=address.bucket)
    except ProviderError as error:
        raise _worded(error, address, "s3:ListBucket") from error
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    return str(reply.get("BucketRegion") or headers.get("x-amz-bucket-region") or account.clients.default_region())


def stored(url: str, account: Account) -> StoredData:
    """Return what lies at an address, and see that it can be read. See `ObjectStorage.stored`."""
    address, region = address_of(url), region_of(url, account)
    client = account.clients.s3(region)
    found = [_object(each, address.folder) for each in _listed(client, address, address.folder)]
    folder = address.key.rstrip("/").rpartition("/")[2] or address.bucket
    if not found and address.key and not address.key.endswith("/"):
        # Of all keys that begin with these letters the one that is just these comes first.
        alone = next(_listed(client, address, address.key, most=1), None)
        if alone is not None and alone["Key"] == address.key:
            found, folder = [_object(alone, address.key.removesuffix(folder))], ""
    data = StoredData(url, region, folder, tuple(each for each in found if each.name and not each.name.endswith("/")))
    _see_that_it_can_be_read(client, address, data)
    return data


def links(data: StoredData, until: datetime, account: Account) -> Sequence[Link]:
    """Return a link for each object, good until then, and for seven days at most. See `ObjectStorage.links`."""
    seconds = int(min(until - account.now(), LONGEST_LINK).total_seconds())
    if seconds < 1:
        raise ProviderError(f"Nothing can be read from {data.url} any more: the machine's time is over")
    address, client = address_of(data.url), account.clients.s3(data.region)
    with calling(data.region):
        return tuple(Link(each, _signed(client, address.bucket, _key(data, each, address), seconds)) for each in data.objects)


def _key(data: StoredData, object: StoredObject, address: Address) -> str:
    return address.folder + object.name if data.folder else address.key


def _signed(client: Any, bucket: str, key: str, seconds: int) -> str:
    return str(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds))


def _listed(client: Any, address: Address, prefix: str, most: int = 1000) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=address.bucket, Prefix=prefix, PaginationConfig={"PageSize": most}
    )
    try:
        with calling():
            for page in pages:
                yield from page.get("Contents", ())
    except ProviderError as error:
        raise _worded(error, address, "s3:ListBucket") from error


def _object(found: dict[str, Any], folder: str) -> StoredObject:
    return StoredObject(found["Key"].removeprefix(folder), int(found["Size"]), str(found.get("ETag", "")).strip('"'))


def _see_that_it_can_be_read(client: Any, address: Address, data: StoredData) -> None:
    """Read one byte: who may list may not always read, and an archived object must be brought back first."""
    sample = next((each for each in data.objects if each.bytes), None)
    if sample is None:
        return
    try:
        with calling(data.region):
            key = _key(data, sample, address)
            client.get_object(Bucket=address.bucket, Key=key, Range="bytes=0-0")["Body"].read()
    except ProviderError as error:
        raise _worded(error, address, "s3:GetObject") from error


def _worded(error: ProviderError, address: Address, action: str) -> ProviderError:
    code = code_of(error)
    if code in _ABSENT:
        return ProviderError(f"There is no bucket {address.bucket}: {address.url}", "Correct the address: aws s3 ls")
    if code in _DENIED:
        return PermissionDeniedError(
            f"{address.url} may not be read: the account lacks {action} on {address.bucket}",
            f"Try it yourself: aws s3 ls {address.url}\nThe policy cloudtrain needs is in docs/providers/aws.md",
        )
    if code == _ARCHIVED:
        return ProviderError(
            f"{address.url} holds archived objects (Glacier), which cannot be read as they are",
            "Restore them first: aws s3api restore-object",
        )
    return error
