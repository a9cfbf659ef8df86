"""Blob Storage: what lies at an address, where it is kept, and links that anybody may read it by for a while."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests

from cloudtrain.model.errors import (
    ConfigError,
    CredentialsError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
)
from cloudtrain.model.spec import MachineSpec
from cloudtrain.model.storage import StoredData, StoredObject
from cloudtrain.providers.azure import blobs
from cloudtrain.providers.azure.account import Account
from cloudtrain.providers.azure.arm import Arm
from cloudtrain.providers.azure.blobs import Blobs, Listed
from cloudtrain.providers.azure.signing import DelegationKey, link_query
from cloudtrain.providers.azure.storage import LIST_ACCOUNTS, address_of, links, region_of, stored
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.testing.clock import FakeClock

from .answers import Answers
from .conftest import Cloud

KEY = DelegationKey(
    "oid-1", "tid-2", "2026-11-21T08:00:00Z", "2026-11-28T08:00:00Z", "b", "2020-12-06", "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
)
DIGITS = "az://digits/data/"

Put = Callable[..., None]


class Service:
    """Stands where the blob service stands: one reply after the other, the last one for ever."""

    def __init__(self, *replies: tuple[int, dict[str, str], bytes]) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, dict, str, dict]] = []

    def request(self, method: str, url: str, *, params: dict, data: str | None, headers: dict, **_: object) -> object:
        self.asked.append((method, url, dict(params), data or "", dict(headers)))
        status, told, content = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        reply = requests.Response()
        reply.status_code, reply._content = status, content
        reply.headers.update(told)
        return reply


class Login:
    def get_token(self, scope: str) -> object:
        assert scope == "https://storage.azure.com/.default"
        return type("Token", (), {"token": "secret-token"})()


def service(replies: Service, clock: FakeClock) -> Blobs:
    made = Blobs("https://digits.blob.example/", Login(), clock)
    made._made_session = replies
    return made


def shown(blobs_at: str) -> dict[str, object]:
    """Return the storage account `digits` as Resource Manager shows it."""
    properties = {"primaryEndpoints": {"blob": blobs_at}}
    return {"name": "digits", "location": "East US", "id": "/x/storageAccounts/digits", "properties": properties}


@pytest.mark.parametrize(
    ("url", "parts", "folder"),
    [
        ("az://acct/cont", ("acct", "cont", ""), ""),
        ("az://acct/cont/", ("acct", "cont", ""), ""),
        ("az://acct/cont/a/b", ("acct", "cont", "a/b"), "a/b/"),
        ("az://acct/cont/a/b/", ("acct", "cont", "a/b/"), "a/b/"),
    ],
)
def test_an_address_is_taken_apart(url: str, parts: tuple[str, str, str], folder: str) -> None:
    address = address_of(url)
    assert (address.account, address.container, address.key) == parts
    assert address.folder == folder


@pytest.mark.parametrize("url", ["az://", "az://account", "az://account/", "data/"])
def test_another_address_is_refused_with_the_form_to_write(url: str) -> None:
    with pytest.raises(ConfigError, match="no address in Blob Storage") as raised:
        address_of(url)
    assert "az://my-account/my-container/data/" in raised.value.hint


@pytest.mark.parametrize("url", ["s3://bucket/data", "gs://bucket/data/"])
def test_what_another_cloud_keeps_is_bad_input(url: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot reach {url}") as raised:
        address_of(url)
    assert raised.value.exit_code == 2
    assert "a machine of the cloud that keeps it" in raised.value.hint


def test_a_link_is_signed_as_microsoft_s_own_library_signs_it() -> None:
    query = link_query(KEY, "acct", "cont/data/ä b+c.bin", datetime(2026, 11, 22, 10, 30, tzinfo=UTC))
    # As azure-storage-blob 12.14.1 signs the same for version 2020-12-06.
    assert parse_qs(query)["sig"] == ["X1O9ZYHDeZHd8liKAsiDmhqYuZ6xORSMX7ZKXQc47S0="]
    assert parse_qs(query)["sp"] == ["r"]
    assert parse_qs(query)["se"] == ["2026-11-22T10:30:00Z"]
    assert "+" not in query


def test_the_key_shows_itself_nowhere() -> None:
    assert "c2VjcmV0" not in repr(KEY)


def test_a_list_is_read_page_by_page_and_folders_are_left_out(clock: FakeClock) -> None:
    def page(rows: str, following: str = "") -> tuple[int, dict[str, str], bytes]:
        head = '\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="data"><Blobs>'
        return 200, {}, f"{head}{rows}</Blobs><NextMarker>{following}</NextMarker></EnumerationResults>".encode()

    def row(name: str, size: int, more: str = "", mark: str = "") -> str:
        told = f"<Properties><Etag>0x8D{size}</Etag><Content-Length>{size}</Content-Length>{more}</Properties>"
        return f"<Blob><Name{mark}>{name}</Name>{told}</Blob>"

    asked = Service(
        page(row("a/1.bin", 1) + row("a/sub", 0, "<ResourceType>directory</ResourceType>") + row("a/old/", 0), "next!"),
        page(row("a/b%EF%BF%BEc", 2, mark=' Encoded="true"') + row("a/x&amp;y", 3)),
    )
    found = list(service(asked, clock).listed("data", "a/"))
    assert found == [Listed("a/1.bin", 1, "0x8D1"), Listed("a/b\ufffec", 2, "0x8D2"), Listed("a/x&y", 3, "0x8D3")]
    (_, url, first, _, headers), (_, _, second, _, _) = asked.asked
    assert url == "https://digits.blob.example/data"
    assert first == {"restype": "container", "comp": "list", "prefix": "a/", "maxresults": "5000"}
    assert second == {**first, "marker": "next!"}
    assert (headers["Authorization"], headers["x-ms-version"]) == ("Bearer secret-token", "2020-12-06")


def test_a_key_is_asked_for_the_time_it_is_needed(clock: FakeClock) -> None:
    names = ("SignedOid", "SignedTid", "SignedStart", "SignedExpiry", "SignedService", "SignedVersion", "Value")
    told = "".join(f"<{name}>{name.lower()}</{name}>" for name in names)
    asked = Service((200, {}, f"<UserDelegationKey>{told}</UserDelegationKey>".encode()))
    start = datetime(2026, 11, 21, 8, tzinfo=UTC)
    key = service(asked, clock).delegation_key(start, start + timedelta(hours=5))
    assert (key.object_id, key.expiry, key.value) == ("signedoid", "signedexpiry", "value")
    method, url, query, body, _ = asked.asked[0]
    assert (method, url) == ("POST", "https://digits.blob.example/")
    assert query == {"restype": "service", "comp": "userdelegationkey"}
    assert body == "<KeyInfo><Start>2026-11-21T08:00:00Z</Start><Expiry>2026-11-21T13:00:00Z</Expiry></KeyInfo>"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ((403, {"x-ms-error-code": "AuthorizationPermissionMismatch"}, b""), PermissionDeniedError),
        ((401, {"x-ms-error-code": "InvalidAuthenticationInfo"}, b"<Error><Message>no</Message></Error>"), CredentialsError),
        ((503, {"x-ms-error-code": "ServerBusy"}, b"<Error><Message>busy</Message></Error>"), ProviderUnavailableError),
        ((302, {}, b"<html>log in to the hotel</html>"), ProviderError),
        ((200, {}, b"<html><p>welcome</html>"), ProviderUnavailableError),
        ((200, {}, b"<UserDelegationKey><Value>v</Value></UserDelegationKey>"), ProviderUnavailableError),
    ],
)
def test_refusals_are_of_our_kinds(
    clock: FakeClock, reply: tuple[int, dict[str, str], bytes], kind: type[ProviderError]
) -> None:
    with pytest.raises(kind) as raised:
        service(Service(reply), clock).delegation_key(clock.now(), clock.now())
    assert "secret-token" not in str(raised.value)


LISTED = b"<R><Blobs><Blob><Name>x</Name><Properties><Content-Length>1</Content-Length></Properties></Blob></Blobs></R>"


@pytest.mark.parametrize(
    ("replies", "kind", "message", "hint"),
    [
        (
            [(403, "AuthorizationPermissionMismatch", b"")],
            PermissionDeniedError,
            "the login may not list blobs of digits",
            'az role assignment create --role "Storage Blob Data Reader" --assignee YOU --scope /x/storageAccounts/digits',
        ),
        (
            [(403, "AuthorizationFailure", b"")],
            PermissionDeniedError,
            "may not list blobs of digits",
            "Storage Blob Data Reader",
        ),
        (
            [(200, "", LISTED), (403, "AuthorizationPermissionMismatch", b"")],
            PermissionDeniedError,
            "may not read blobs",
            "Reader",
        ),
        ([(200, "", LISTED), (409, "BlobArchived", b"")], ProviderError, "holds archived blobs", "set-tier"),
        ([(404, "ContainerNotFound", b"")], ProviderError, "no container data in digits", "az storage container list"),
    ],
)
def test_what_may_not_be_read_is_said_with_what_to_do(
    replies: list[tuple[int, str, bytes]],
    kind: type[ProviderError],
    message: str,
    hint: str,
    settings: ProviderSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Service(*((status, {"x-ms-error-code": code} if code else {}, content) for status, code, content in replies))
    monkeypatch.setattr(Blobs, "_session", lambda self: asked)
    arm = Answers({LIST_ACCOUNTS: {"value": [shown("https://digits.blob.example/")]}}, credential=Login())
    with pytest.raises(kind, match=message) as raised:
        stored(DIGITS, settings, arm)
    assert hint in raised.value.hint


def test_links_that_may_not_be_signed_are_said(settings: ProviderSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Service((403, {"x-ms-error-code": "AuthorizationPermissionMismatch"}, b""))
    monkeypatch.setattr(Blobs, "_session", lambda self: asked)
    arm = Answers({LIST_ACCOUNTS: {"value": [shown("https://digits.blob.example/")]}}, credential=Login())
    data = StoredData(DIGITS, "eastus", "data", ())
    with pytest.raises(PermissionDeniedError, match="generateUserDelegationKey") as raised:
        links(data, settings.clock.now() + timedelta(hours=1), settings, arm)
    assert "Storage Blob Data Reader" in raised.value.hint


class TestOnThePretendCloud:
    """The same over TLS, with a real token for storage."""

    @pytest.fixture(autouse=True)
    def in_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(blobs, "PAUSE_S", 0.0)

    @pytest.fixture
    def arm(self, account: Account) -> Arm:
        return account.arm

    @pytest.fixture
    def put(self, cloud: Cloud, arm: Arm) -> Iterator[Put]:
        """Make the storage account `digits` in eastus with the container `data`, and put blobs into it."""
        group = arm.below("resourceGroups/somebody-s")
        arm.call("w", "PUT", group, api="2022-09-01", body={"location": "eastus"})
        path = f"{group}/providers/Microsoft.Storage/storageAccounts/digits"
        body = {"location": "East US", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        arm.call("w", "PUT", path, api="2024-01-01", body=body)
        token = arm.credential.get_token("https://storage.azure.com/.default").token
        root, headers = f"{cloud.azure.url}/blob/digits/data", {"Authorization": f"Bearer {token}"}
        with requests.Session() as session:
            session.verify = str(cloud.azure.certificate)
            assert session.put(root, params={"restype": "container"}, headers=headers, timeout=10).status_code == 201

            def write(**content: bytes) -> None:
                for name, text in content.items():
                    place = f"{root}/{name.replace('__', '/')}"
                    whole = {**headers, "x-ms-blob-type": "BlockBlob"}
                    assert session.put(place, data=text, headers=whole, timeout=10).status_code == 201

            yield write

    def read(self, url: str, cloud: Cloud, headers: dict[str, str] | None = None) -> requests.Response:
        return requests.get(url, headers=headers or {}, verify=str(cloud.azure.certificate), timeout=10)

    def test_a_folder(self, put: Put, cloud: Cloud, account: Account, arm: Arm) -> None:
        put(train__x=b"123", train__deep__y=b"12345", other=b"1", train2=b"1")
        data = stored("az://digits/data/train", account.settings, arm)
        assert (data.region, data.folder, data.total_bytes) == ("eastus", "train", 8)
        assert [(each.name, each.bytes) for each in data.objects] == [("deep/y", 5), ("x", 3)]
        assert all(each.etag.startswith("0x") for each in data.objects)
        assert region_of(DIGITS, account.settings, arm) == "eastus"

    def test_a_whole_container_and_one_blob_and_nothing(self, put: Put, account: Account, arm: Arm) -> None:
        put(train__x=b"123", alone=b"1")
        whole = stored(DIGITS, account.settings, arm)
        assert (whole.folder, [each.name for each in whole.objects]) == ("data", ["alone", "train/x"])
        one = stored("az://digits/data/train/x", account.settings, arm)
        assert (one.folder, [each.name for each in one.objects]) == ("", ["x"])
        assert stored("az://digits/data/trai", account.settings, arm).objects == ()

    def test_links_are_read_without_a_login(self, put: Put, cloud: Cloud, account: Account, arm: Arm, clock: FakeClock) -> None:
        put(train__x=b"123", train__y=b"45")
        data = stored("az://digits/data/train/", account.settings, arm)
        made = links(data, clock.now() + timedelta(hours=2), account.settings, arm)
        assert [self.read(link.url, cloud).content for link in made] == [b"123", b"45"]
        first = made[0]
        assert self.read(first.url, cloud, {"If-Match": f'"{first.object.etag}"', "Range": "bytes=1-"}).content == b"23"
        assert self.read(first.url, cloud, {"If-Match": '"0x0"'}).status_code == 412
        assert "sig=" not in repr(first)
        clock.advance(2 * 3600 + 1)
        assert self.read(first.url, cloud).status_code == 403

    def test_links_end_with_the_key_after_seven_days(
        self, put: Put, account: Account, arm: Arm, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(x=b"1")
        asked = []
        monkeypatch.setattr(Blobs, "delegation_key", lambda self, start, end: asked.append((start, end)) or KEY)
        data = stored(DIGITS, account.settings, arm)
        [link] = links(data, clock.now() + timedelta(days=30), account.settings, arm)
        assert asked == [(clock.now(), clock.now() + timedelta(days=7))]
        until = parse_qs(urlsplit(link.url).query)["se"][0]
        assert datetime.fromisoformat(until) == (clock.now() + timedelta(days=7)).replace(microsecond=0)

    def test_names_are_written_so_that_they_are_names(
        self, put: Put, account: Account, arm: Arm, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(x=b"1")
        monkeypatch.setattr(Blobs, "delegation_key", lambda self, start, end: KEY)
        data = StoredData("az://digits/data/a b", "eastus", "a b", (StoredObject("50%?#.bin", 1, ""),))
        [link] = links(data, clock.now() + timedelta(hours=1), account.settings, arm)
        path = urlsplit(link.url).path
        assert path.endswith("/blob/digits/data/a%20b/50%25%3F%23.bin")
        assert unquote(path).endswith("/a b/50%?#.bin")

    def test_when_the_time_is_over_nothing_is_asked(self, account: Account, arm: Arm, cloud: Cloud, clock: FakeClock) -> None:
        data = StoredData(DIGITS, "eastus", "data", ())
        with pytest.raises(ProviderError, match="time is over"):
            links(data, clock.now(), account.settings, arm)
        assert cloud.named() == []

    def test_an_account_of_somebody_else_s_is_said(self, account: Account, arm: Arm) -> None:
        with pytest.raises(ProviderError, match="no storage account numbers") as raised:
            region_of("az://numbers/data", account.settings, arm)
        assert "az storage account list" in raised.value.hint

    def test_a_container_that_is_not_there_is_said(self, put: Put, account: Account, arm: Arm) -> None:
        with pytest.raises(ProviderError, match="no container numbers in digits"):
            stored("az://digits/numbers/x", account.settings, arm)
        with pytest.raises(ProviderError, match="no container numbers in digits") as raised:
            region_of("az://digits/numbers/x", account.settings, arm)
        assert "az storage container list" in raised.value.hint

    def test_a_machine_config_s_region_changes_nothing(
        self, put: Put, account: Account, arm: Arm, machine: MachineSpec
    ) -> None:
        elsewhere = replace(account.settings, machine=replace(machine, regions=("westus2",)))
        assert region_of(DIGITS, elsewhere, arm) == "eastus"
