"""Blob Storage: what lies at an address, and links by which a machine that has no credentials reads it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from ...model.errors import ConfigError, PermissionDeniedError, ProviderError
from ...model.storage import Link, StoredData, StoredObject
from ..base import ProviderSettings
from .arm import Arm
from .blobs import Blobs, Listed
from .signing import LONGEST, link_query
from .translate import code_of, is_absent

SCHEME = "az://"
STORAGE_API = "2024-01-01"

LIST_ACCOUNTS = "Microsoft.Storage/storageAccounts/read"
READ_CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers/read"

DATA_ROLE = "Storage Blob Data Reader"
"""The role that may list, read and sign. Not even an Owner may, without it."""

_DENIED = (
    "AuthorizationPermissionMismatch",
    "AuthorizationFailure",
    "AuthorizationFailed",
    "InsufficientAccountPermissions",
    "PublicAccessNotPermitted",
)
_ARCHIVED = ("BlobArchived", "BlobBeingRehydrated")


@dataclass(frozen=True, slots=True)
class Address:
    """A container of a storage account and what is named in it: a folder ("data/", or "" for all of it) or either."""

    url: str
    account: str
    container: str
    key: str

    @property
    def folder(self) -> str:
        """Return the key as a folder's."""
        return f"{self.key}/" if self.key and not self.key.endswith("/") else self.key


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account, as Resource Manager shows it.

    Attributes:
        id: its resource id. blobs: the address of its blob service, with a slash at its end.
    """

    name: str
    id: str
    region: str
    blobs: str


def address_of(url: str) -> Address:
    """Take an address apart.

    Raises:
        ConfigError: it is none of Blob Storage's.
    """
    if "://" in url and not url.startswith(SCHEME):
        raise ConfigError(
            f"a machine of azure cannot reach {url}",
            "Choose a machine of the cloud that keeps it, or copy it: az://my-account/my-container/data/",
        )
    account, _, rest = url.removeprefix(SCHEME).partition("/")
    container, _, key = rest.partition("/")
    if not account or not container:
        raise ConfigError(f"{url} is no address in Blob Storage", "Write it like this: az://my-account/my-container/data/")
    return Address(url, account, container, key)


def region_of(url: str, _settings: ProviderSettings, arm: Arm) -> str:
    """Return the region of an address's storage account. See `ObjectStorage.region_of`."""
    return container_at(address_of(url), arm)[0].region


def container_at(address: Address, arm: Arm) -> tuple[Account, str]:
    """Return an address's storage account and the path of its container. Two calls; neither reads a blob.

    Raises:
        ProviderError: there is no such account or container, or it may not be looked at.
    """
    account = _account(address, arm)
    path = f"{account.id}/blobServices/default/containers/{address.container}"
    try:
        arm.call(READ_CONTAINER, "GET", path, api=STORAGE_API)
    except ProviderError as error:
        raise (_no_container(address) if is_absent(error) else error) from error.__cause__
    return account, path


def stored(url: str, settings: ProviderSettings, arm: Arm) -> StoredData:
    """Return what lies at an address, and see that it can be read. See `ObjectStorage.stored`."""
    address = address_of(url)
    account = _account(address, arm)
    service = Blobs(account.blobs, arm.credential, settings.clock)
    found = [_object(each, address.folder) for each in _listed(service, address, address.folder, account)]
    folder = address.key.rstrip("/").rpartition("/")[2] or address.container
    if not found and address.key and not address.key.endswith("/"):
        # Of all names that begin with these letters the one that is just these comes first.
        alone = next(_listed(service, address, address.key, account), None)
        if alone is not None and alone.name == address.key:
            found, folder = [_object(alone, address.key.removesuffix(folder))], ""
    data = StoredData(url, account.region, folder, tuple(each for each in found if each.name))
    _see_that_it_can_be_read(service, address, data, account)
    return data


def links(data: StoredData, until: datetime, settings: ProviderSettings, arm: Arm) -> Sequence[Link]:
    """Return a link for each object, good until then, and for seven days at most. See `ObjectStorage.links`.

    They are signed with a key that Azure gives for the login, and end with it.
    """
    now = settings.clock.now()
    if until <= now:
        raise ProviderError(f"Nothing can be read from {data.url} any more: the machine's time is over")
    address = address_of(data.url)
    account = _account(address, arm)
    end = min(until, now + LONGEST)
    try:
        key = Blobs(account.blobs, arm.credential, settings.clock).delegation_key(now, end)
    except ProviderError as error:
        raise _worded(error, address, account, "generateUserDelegationKey") from error
    made = []
    for each in data.objects:
        name = _key(data, each, address)
        query = link_query(key, account.name, f"{address.container}/{name}", end)
        made.append(Link(each, f"{account.blobs}{address.container}/{quote(name)}?{query}"))
    return tuple(made)


def _account(address: Address, arm: Arm) -> Account:
    for each in arm.pages(LIST_ACCOUNTS, arm.below("providers/Microsoft.Storage/storageAccounts"), api=STORAGE_API):
        if str(each.get("name", "")) == address.account:
            endpoints = (each.get("properties") or {}).get("primaryEndpoints") or {}
            return Account(address.account, str(each["id"]), _plain(each["location"]), str(endpoints.get("blob", "")))
    raise ProviderError(
        f"This subscription has no storage account {address.account}: {address.url}",
        "Correct the address: az storage account list --query '[].name'",
    )


def _plain(location: str) -> str:
    return location.replace(" ", "").lower()


def _listed(service: Blobs, address: Address, prefix: str, account: Account) -> Iterator[Listed]:
    try:
        yield from service.listed(address.container, prefix)
    except ProviderError as error:
        raise _worded(error, address, account, "list") from error


def _object(found: Listed, folder: str) -> StoredObject:
    return StoredObject(found.name.removeprefix(folder), found.bytes, found.etag)


def _key(data: StoredData, object: StoredObject, address: Address) -> str:
    return address.folder + object.name if data.folder else address.key


def _see_that_it_can_be_read(service: Blobs, address: Address, data: StoredData, account: Account) -> None:
    """Read one byte: who may list may not always read, and an archived blob must be brought back first."""
    sample = next((each for each in data.objects if each.bytes), None)
    if sample is None:
        return
    try:
        service.read_a_byte(address.container, _key(data, sample, address))
    except ProviderError as error:
        raise _worded(error, address, account, "read") from error


def _worded(error: ProviderError, address: Address, account: Account, act: str) -> ProviderError:
    code = code_of(error)
    if code == "ContainerNotFound":
        return _no_container(address)
    if code in _DENIED:
        return PermissionDeniedError(
            f"{address.url} may not be read: the login may not {act} blobs of {address.account}, which takes a role of its own",
            f'az role assignment create --role "{DATA_ROLE}" --assignee YOU --scope {account.id}\nIt takes minutes to count.',
        )
    if code in _ARCHIVED:
        return ProviderError(
            f"{address.url} holds archived blobs, which cannot be read as they are",
            "Bring them back first: az storage blob set-tier --tier Hot",
        )
    return error


def _no_container(address: Address) -> ProviderError:
    return ProviderError(
        f"There is no container {address.container} in {address.account}: {address.url}",
        f"Correct the address: az storage container list --auth-mode login --account-name {address.account}",
    )
