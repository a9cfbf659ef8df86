"""Cloud Storage: what lies at an address, and links by which a machine without credentials reads it."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cloudtrain.model.errors import ConfigError, CredentialsError, PermissionDeniedError, ProviderError
from cloudtrain.model.spec import MachineSpec
from cloudtrain.model.storage import StoredData, StoredObject
from cloudtrain.providers.base import ProviderSettings
from cloudtrain.providers.gcp.credentials import Login
from cloudtrain.providers.gcp.rest import Rest
from cloudtrain.providers.gcp.signing import sign_links
from cloudtrain.providers.gcp.storage import address_of, links, region_of, stored
from cloudtrain.testing.clock import FakeClock

from .answers import Answers, denied, log_in
from .conftest import Cloud

BUCKET = "my-bucket"
BUCKETS, OBJECTS, OBJECT, SIGN = (
    "storage.buckets.get",
    "storage.objects.list",
    "storage.objects.get",
    "iamcredentials.projects.serviceAccounts.signBlob",
)
SIGNER = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com"


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@dataclass
class Store(Answers):
    """Has one bucket; `objects` are its contents by name."""

    objects: dict[str, bytes] = field(default_factory=dict)
    credentials: Any = None
    login: Login = field(default_factory=lambda: Login("your token", token="t"))

    def __post_init__(self) -> None:
        self.by_method = {
            BUCKETS: {"location": "US-CENTRAL1", "locationType": "region"},
            OBJECTS: self._list,
            OBJECT: {"name": "x"},
        }

    def _list(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        found = [shown(name, body) for name, body in sorted(self.objects.items()) if name.startswith(query["prefix"])]
        return {"items": found[: int(query["maxResults"])]}


def shown(name: str, content: bytes) -> dict[str, Any]:
    mark = base64.b64encode(hashlib.md5(content).digest()).decode()
    return {"name": name, "size": str(len(content)), "md5Hash": mark}


@pytest.fixture
def settings(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProviderSettings:
    log_in(monkeypatch, tmp_path)
    return ProviderSettings(tmp_path / "home", clock, lambda name: ())


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def store(key: rsa.RSAPrivateKey) -> Store:
    """Have a bucket, and a service account's file for a login."""
    from google.oauth2.service_account import Credentials

    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    info = {"client_email": SIGNER, "private_key": pem.decode(), "token_uri": "http://127.0.0.1:9/token"}
    return Store(credentials=Credentials.from_service_account_info(info))


@pytest.mark.parametrize("url", [f"gs://{BUCKET}/sets/digits/", f"gs://{BUCKET}/sets/digits"])
def test_a_folder_is_all_below_it(store: Store, settings: ProviderSettings, url: str) -> None:
    store.objects = {
        "sets/digits/": b"",
        "sets/digits/a b.bin": b"12345",
        "sets/digits/deep/ü+.bin": b"1",
        "sets/digits/deep/": b"",
        "sets/digits2/no": b"no",
    }
    found = stored(url, settings, store)
    objects = (StoredObject("a b.bin", 5, md5(b"12345")), StoredObject("deep/ü+.bin", 1, md5(b"1")))
    assert found == StoredData(url, "us-central1", "digits", objects)
    assert [path for method_id, path, _ in store.asked if method_id == OBJECT] == [f"b/{BUCKET}/o/sets%2Fdigits%2Fa%20b.bin"]


def test_an_object_is_itself(store: Store, settings: ProviderSettings) -> None:
    store.objects = {"sets/data.csv": b"1,2", "sets/data.csv.bak": b"x"}
    found = stored(f"gs://{BUCKET}/sets/data.csv", settings, store)
    assert (found.folder, found.objects) == ("", (StoredObject("data.csv", 3, md5(b"1,2")),))
    assert stored(f"gs://{BUCKET}/sets/data.cs", settings, store).objects == ()


@pytest.mark.parametrize("url", [f"gs://{BUCKET}", f"gs://{BUCKET}/"])
def test_a_bucket_is_a_folder_of_its_name(store: Store, settings: ProviderSettings, url: str) -> None:
    store.objects = {"a": b"1", "b/c": b"2"}
    found = stored(url, settings, store)
    assert (found.folder, [each.name for each in found.objects]) == (BUCKET, ["a", "b/c"])


@pytest.mark.parametrize("url", [f"gs://{BUCKET}/nothing/", f"gs://{BUCKET}/noth"])
def test_nothing_is_an_answer(store: Store, settings: ProviderSettings, url: str) -> None:
    store.objects = {"nothing2": b"x", "nothing/": b""}
    assert stored(url, settings, store).objects == ()
    assert OBJECT not in store.named()


def test_what_was_put_together_from_parts_has_no_mark(store: Store, settings: ProviderSettings) -> None:
    store.by_method[OBJECTS] = {"items": [{"name": "d/x", "size": "7"}, {"name": "d/y", "size": "1", "md5Hash": "!"}]}
    found = stored(f"gs://{BUCKET}/d/", settings, store)
    assert found.objects == (StoredObject("x", 7, ""), StoredObject("y", 1, ""))


@pytest.mark.parametrize(
    ("bucket", "wanted", "region"),
    [
        ({"location": "EUROPE-WEST4"}, (), "europe-west4"),
        ({"location": "US", "locationType": "multi-region"}, ("us-central1",), "us"),
        ({"location": "NAM4", "locationType": "dual-region"}, (), "us-central1"),
        ({"location": "NAM4", "locationType": "dual-region"}, ("europe-west4", "us-east1"), "us-east1"),
        ({"location": "US", "customPlacementConfig": {"dataLocations": ["US-WEST1", "US-EAST4"]}}, ("us-east4",), "us-east4"),
        ({"location": "US", "customPlacementConfig": {"dataLocations": ["US-WEST1", "US-EAST4"]}}, (), "us-west1"),
    ],
)
def test_the_region_of_a_bucket(
    store: Store, clock: FakeClock, tmp_path: Path, bucket: dict, wanted: tuple, region: str
) -> None:
    store.by_method[BUCKETS] = bucket
    machine = MachineSpec("m", "gcp", regions=wanted)
    settings = ProviderSettings(tmp_path, clock, lambda name: (), machine)
    assert region_of(f"gs://{BUCKET}/x", settings, store) == region


@pytest.mark.parametrize(
    ("url", "why", "hint"),
    [
        ("s3://bucket/x", "reaches no other storage", "a machine on AWS"),
        ("az://account/box/x", "reaches no other storage", "a machine on Azure"),
        ("bucket/x", "no address in Cloud Storage", "the cloud that keeps it"),
        ("gs:///x", "names no bucket", "gs://my-bucket"),
    ],
)
def test_another_address_is_a_mistake_of_who_wrote_it(url: str, why: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=why) as raised:
        address_of(url)
    assert hint in raised.value.hint
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("method_id", [BUCKETS, OBJECTS, OBJECT])
def test_what_may_not_be_done_is_named(store: Store, settings: ProviderSettings, method_id: str) -> None:
    store.objects = {"d/x": b"1"}
    store.by_method[method_id] = denied(method_id)
    with pytest.raises(PermissionDeniedError, match=f"lacks {method_id} on {BUCKET}") as raised:
        stored(f"gs://{BUCKET}/d/", settings, store)
    assert "gcloud storage ls" in raised.value.hint


def test_a_bucket_that_is_not_there(store: Store, settings: ProviderSettings) -> None:
    store.by_method[BUCKETS] = denied(BUCKETS, 404, "notFound")
    with pytest.raises(ProviderError, match=f"no bucket {BUCKET}"):
        region_of(f"gs://{BUCKET}/d/", settings, store)


GOOGLES_OWN = [
    ("test-object", "2019-02-01T09:00:00", 10, "00e2fb794ea93d7adb703edaebdd509821fcc7d4f1a79ac5c8d2b394df109320"),
    ("test-object", "2019-03-01T09:00:00", 20, "779f19fdb6fd381390e2d5af04947cf21750277ee3c20e0c97b7e46a1dff8907"),
]
"""Of Google's conformance tests (googleapis/conformance-tests, storage/v1/v4_signatures.json, "Simple GET" and "Vary expiration
and timestamp"): an object, when it was signed, for how many seconds, and the digest of what is signed for it."""


@pytest.mark.parametrize(("name", "at", "seconds", "digest"), GOOGLES_OWN)
def test_a_link_is_signed_as_google_s_own_tests_have_it(
    store: Store, key: rsa.RSAPrivateKey, name: str, at: str, seconds: int, digest: str
) -> None:
    now = datetime.fromisoformat(f"{at}+00:00")
    until = now + timedelta(seconds=seconds)
    [link] = sign_links("https://storage.googleapis.com/", [f"/test-bucket/{name}"], now, until, store)
    head, _, signature = link.partition("&X-Goog-Signature=")
    day, moment = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"
    assert head == (
        f"https://storage.googleapis.com/test-bucket/{name}?X-Goog-Algorithm=GOOG4-RSA-SHA256"
        "&X-Goog-Credential=test-iam-credentials%40dummy-project-id.iam.gserviceaccount.com"
        f"%2F{day}%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date={moment}&X-Goog-Expires={seconds}&X-Goog-SignedHeaders=host"
    )
    text = f"GOOG4-RSA-SHA256\n{moment}\n{day}/auto/storage/goog4_request\n{digest}"
    key.public_key().verify(bytes.fromhex(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256())


def data_of(*names: str, folder: str = "d") -> StoredData:
    return StoredData(f"gs://{BUCKET}/d/", "us-central1", folder, tuple(StoredObject(name, 1, "") for name in names))


def expires(url: str) -> int:
    return int(parse_qs(urlsplit(url).query)["X-Goog-Expires"][0])


def test_each_object_has_a_link_in_their_order(store: Store, settings: ProviderSettings, clock: FakeClock) -> None:
    found = links(data_of("a b.bin", "deep/ü&.bin"), clock.now() + timedelta(hours=1), settings, store)
    assert [link.object.name for link in found] == ["a b.bin", "deep/ü&.bin"]
    assert [urlsplit(link.url).path for link in found] == [f"/{BUCKET}/d/a%20b.bin", f"/{BUCKET}/d/deep/%C3%BC%26.bin"]
    assert {expires(link.url) for link in found} == {3600}
    assert store.asked == []


@pytest.mark.parametrize(
    ("variable", "server"),
    [
        ("", "https://storage.googleapis.com"),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", "http://127.0.0.1:7"),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", "http://127.0.0.1:7"),
    ],
)
def test_a_link_leads_where_storage_is_asked(
    store: Store, settings: ProviderSettings, clock: FakeClock, monkeypatch, variable: str, server: str
) -> None:
    if variable:
        path = "compute/v1/" if variable.endswith("COMPUTE") else ""
        monkeypatch.setenv(variable, f"http://127.0.0.1:7/{path}")
    [link] = links(data_of("x"), clock.now() + timedelta(hours=1), settings, store)
    assert link.url.startswith(f"{server}/{BUCKET}/d/x?")


@pytest.mark.parametrize(("left", "seconds"), [(timedelta(days=30), 7 * 24 * 3600), (timedelta(seconds=5), 5)])
def test_a_link_ends_with_the_machine_and_after_a_week(
    store: Store, settings: ProviderSettings, clock: FakeClock, left: timedelta, seconds: int
) -> None:
    [link] = links(data_of("x"), clock.now() + left, settings, store)
    assert expires(link.url) == seconds


def test_when_the_machine_s_time_is_over_nothing_is_signed(store: Store, settings: ProviderSettings, clock: FakeClock) -> None:
    with pytest.raises(ProviderError, match="the machine's time is over"):
        links(data_of("x"), clock.now(), settings, store)


def test_a_login_without_a_key_is_told_what_to_do(store: Store, settings: ProviderSettings, clock: FakeClock) -> None:
    from google.oauth2.credentials import Credentials

    store.credentials, store.objects = Credentials(token="t"), {"d/x": b"1"}
    with pytest.raises(CredentialsError, match="your token cannot sign links") as raised:
        links(data_of("x"), clock.now() + timedelta(hours=1), settings, store)
    assert "--impersonate-service-account" in raised.value.hint
    with pytest.raises(CredentialsError):  # before there is a machine that would wait for its data
        stored(f"gs://{BUCKET}/d/", settings, store)


@pytest.fixture
def impersonating(store: Store) -> Callable[[], Store]:
    """Let the login speak in a service account's name."""
    from google.auth.impersonated_credentials import Credentials
    from google.oauth2.credentials import Credentials as Own

    store.credentials = Credentials(Own(token="t"), SIGNER, [])
    return store


def test_google_signs_for_who_speaks_in_a_service_account_s_name(
    impersonating: Store, settings: ProviderSettings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = []

    def call(method_id: str, method: str, path: str, *, query=None, body=None) -> dict[str, Any]:
        bodies.append(base64.b64decode(body["payload"]))
        assert (method_id, path) == (SIGN, f"projects/-/serviceAccounts/{SIGNER}:signBlob")
        return {"signedBlob": base64.b64encode(b"signed by google").decode()}

    monkeypatch.setattr(impersonating, "call", call)
    [link] = links(data_of("x"), clock.now() + timedelta(days=2), settings, impersonating)
    assert link.url.endswith(f"&X-Goog-Signature={b'signed by google'.hex()}")
    assert expires(link.url) == 12 * 3600
    [text] = bodies
    assert text.startswith(b"GOOG4-RSA-SHA256\n20261121T120000Z\n20261121/auto/storage/goog4_request\n")


def test_a_service_account_that_may_not_sign_is_told_who_lets_it(
    impersonating: Store, settings: ProviderSettings, clock: FakeClock
) -> None:
    impersonating.by_method[SIGN] = denied(SIGN)
    with pytest.raises(PermissionDeniedError, match="may not sign links in its own name") as raised:
        links(data_of("x"), clock.now() + timedelta(hours=1), settings, impersonating)
    assert raised.value.hint == (
        f"gcloud iam service-accounts add-iam-policy-binding {SIGNER} --member=serviceAccount:{SIGNER}"
        " --role=roles/iam.serviceAccountTokenCreator"
    )


@pytest.fixture
def on_the_pretend_cloud(cloud: Cloud, clock: FakeClock, tmp_path: Path) -> Callable[[], tuple[ProviderSettings, Rest]]:
    """Fill a bucket there, and return what asks it."""
    bucket = cloud.gcp.make_bucket(BUCKET)
    for name, content in CONTENT.items():
        bucket.put(f"d/{name}", content, clock.now())

    def ask() -> tuple[ProviderSettings, Rest]:
        machine = MachineSpec("m", "gcp", endpoint_url=cloud.gcp.url)
        settings = ProviderSettings(tmp_path, clock, lambda name: (), machine)
        return settings, Rest(settings)

    return ask


CONTENT = {"a b.bin": b"12345", "deep/ü&+.bin": b"1"}
"""What lies below d/ in the pretend cloud's bucket."""


def read_by_links(settings: ProviderSettings, rest: Rest, clock: FakeClock) -> dict[str, bytes]:
    """Read all that is there as the guest does."""
    data = stored(f"gs://{BUCKET}/d/", settings, rest)
    assert (data.region, data.total_bytes) == ("us-central1", 6)
    made = links(data, clock.now() + timedelta(hours=1), settings, rest)
    headers = [{"Range": "bytes=0-", "If-Match": f'"{link.object.etag}"'} for link in made]
    answers = [urlopen(Request(link.url, headers=each), timeout=30) for link, each in zip(made, headers, strict=True)]
    return {link.object.name: answer.read() for link, answer in zip(made, answers, strict=True)}


def test_links_of_a_service_account_s_key_are_read_without_a_login(
    cloud: Cloud, on_the_pretend_cloud: Callable, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.json"
    file.write_text(cloud.gcp.make_service_account("signer").key_file(f"{cloud.gcp.url}/token"))
    monkeypatch.delenv("CLOUDSDK_AUTH_ACCESS_TOKEN")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert read_by_links(*on_the_pretend_cloud(), clock) == CONTENT
    assert SIGN not in cloud.named()


def test_links_that_google_signs_are_read_without_a_login(
    cloud: Cloud, on_the_pretend_cloud: Callable, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = cloud.gcp.make_service_account("signer")
    monkeypatch.setenv("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", signer.email)
    assert read_by_links(*on_the_pretend_cloud(), clock) == CONTENT
    assert cloud.named().count(SIGN) == 1 + len(CONTENT)
