"""S3: what lies at an address, and links by which a machine without credentials reads it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from moto.s3.models import s3_backends

from cloudtrain.model.errors import NotSetUpError, PermissionDeniedError, ProviderError, ProviderUnavailableError
from cloudtrain.model.spec import JobSpec, MachineSpec
from cloudtrain.model.storage import StoredData, StoredObject
from cloudtrain.providers.aws.account import Account
from cloudtrain.providers.aws.provider import AwsProvider
from cloudtrain.providers.aws.storage import address_of, links
from cloudtrain.providers.object_storage import ObjectStorage
from cloudtrain.remote.guest import Guest
from cloudtrain.remote.local import LocalRemote
from cloudtrain.stages import fetch as stage

from .conftest import ACCOUNT_ID, OTHER_REGION, REGION, Cloud

BUCKET = "my-bucket"


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def fill(account: Account) -> Callable[..., None]:
    """Make the bucket in a region and put objects into it."""

    def make(region: str, objects: dict[str, bytes]) -> None:
        client = account.clients.s3(region)
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client.create_bucket(Bucket=BUCKET, **where)
        for key, body in objects.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=body)

    return make


def test_aws_is_an_object_storage(provider: AwsProvider) -> None:
    assert isinstance(provider, ObjectStorage)


@pytest.mark.parametrize("region", [REGION, OTHER_REGION])
@pytest.mark.parametrize("url", [f"s3://{BUCKET}/sets/digits/", f"s3://{BUCKET}/sets/digits"])
def test_a_folder_is_all_below_it(provider: AwsProvider, fill: Callable[..., None], region: str, url: str) -> None:
    fill(
        region,
        {
            "sets/digits/": b"",
            "sets/digits/a b.bin": b"12345",
            "sets/digits/deep/ü+.bin": b"1",
            "sets/digits/deep/": b"",
            "sets/digits2/no": b"no",
        },
    )
    found = provider.stored(url)
    objects = (StoredObject("a b.bin", 5, md5(b"12345")), StoredObject("deep/ü+.bin", 1, md5(b"1")))
    assert found == StoredData(url, region, "digits", objects)
    assert found.total_bytes == 6
    assert provider.region_of(url) == region


def test_an_object_is_itself(provider: AwsProvider, fill: Callable[..., None]) -> None:
    fill(REGION, {"sets/data.csv": b"1,2", "sets/data.csv.bak": b"x"})
    found = provider.stored(f"s3://{BUCKET}/sets/data.csv")
    assert (found.folder, found.objects) == ("", (StoredObject("data.csv", 3, md5(b"1,2")),))
    [link] = provider.links(found, provider._account.now() + timedelta(hours=1))
    assert urlopen(link.url, timeout=30).read() == b"1,2"


@pytest.mark.parametrize("url", [f"s3://{BUCKET}", f"s3://{BUCKET}/"])
def test_a_bucket_is_a_folder_of_its_name(provider: AwsProvider, fill: Callable[..., None], url: str) -> None:
    fill(REGION, {"a": b"1", "b/c": b"2"})
    found = provider.stored(url)
    assert (found.folder, [each.name for each in found.objects]) == (BUCKET, ["a", "b/c"])


@pytest.mark.parametrize("url", [f"s3://{BUCKET}/nothing/", f"s3://{BUCKET}/noth"])
def test_nothing_is_an_answer(provider: AwsProvider, fill: Callable[..., None], url: str) -> None:
    fill(REGION, {"nothing2": b"x", "nothing/": b""})
    assert provider.stored(url).objects == ()


def test_many_objects_are_all_listed(provider: AwsProvider, fill: Callable[..., None], cloud: Cloud) -> None:
    fill(REGION, {})
    for number in range(2300):
        s3_backends[ACCOUNT_ID]["aws"].put_object(BUCKET, f"set/{number:05}", b"x")
    assert len(provider.stored(f"s3://{BUCKET}/set/").objects) == 2300


def test_a_bucket_that_is_not_there_is_told_by_its_address(provider: AwsProvider, cloud: Cloud) -> None:
    for ask in (provider.stored, provider.region_of):
        with pytest.raises(ProviderError, match=r"There is no bucket absent-1: s3://absent-1/data/"):
            ask("s3://absent-1/data/")


@pytest.mark.parametrize(
    ("operation", "code", "action"),
    [
        ("HeadBucket", "AccessDenied", "s3:ListBucket"),
        ("ListObjectsV2", "AccessDenied", "s3:ListBucket"),
        ("GetObject", "AccessDenied", "s3:GetObject"),
    ],
)
def test_what_may_not_be_read_is_told_with_the_right_that_lacks(
    provider: AwsProvider, fill: Callable[..., None], cloud: Cloud, operation: str, code: str, action: str
) -> None:
    fill(REGION, {"data/a": b"1"})
    cloud.aws.faults.add("s3", operation, code=code, http=403, times=None)
    with pytest.raises(PermissionDeniedError, match=rf"s3://{BUCKET}/data/ may not be read: the account lacks {action}"):
        provider.stored(f"s3://{BUCKET}/data/")


def test_what_is_archived_is_told(provider: AwsProvider, fill: Callable[..., None], cloud: Cloud) -> None:
    fill(REGION, {"data/a": b"1"})
    cloud.aws.faults.add("s3", "GetObject", code="InvalidObjectState", http=403)
    with pytest.raises(ProviderError, match="archived"):
        provider.stored(f"s3://{BUCKET}/data/")


def test_a_storage_that_does_not_answer_is_told(provider: AwsProvider, cloud: Cloud) -> None:
    cloud.fail("HeadBucket", times=9)
    with pytest.raises(ProviderUnavailableError):
        provider.stored(f"s3://{BUCKET}/data/")


@pytest.mark.parametrize("url", ["s3://", "https://b/x", "bucket/x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ProviderError, match="no address in S3"):
        address_of(url)


DATA = StoredData("s3://b-1/data/", OTHER_REGION, "data", (StoredObject("a b", 3, "x"),))


@pytest.mark.parametrize(
    ("url", "region", "host", "path"),
    [
        ("s3://b-1/data/", "eu-west-1", "b-1.s3.eu-west-1.amazonaws.com", "/data/a%20b"),
        ("s3://b-1/data/", "us-east-1", "b-1.s3.us-east-1.amazonaws.com", "/data/a%20b"),
        ("s3://b-1/data", "eu-central-1", "b-1.s3.eu-central-1.amazonaws.com", "/data/a%20b"),
        ("s3://b.1/data/", "eu-west-1", "s3.eu-west-1.amazonaws.com", "/b.1/data/a%20b"),
    ],
)
def test_a_link_leads_to_the_bucket_s_own_region(
    make_account: Callable[[MachineSpec | None], Account], cloud: Cloud, url: str, region: str, host: str, path: str
) -> None:
    account = make_account(None)
    [link] = links(replace(DATA, url=url, region=region), account.now() + timedelta(hours=1), account)
    parts, query = urlsplit(link.url), parse_qs(urlsplit(link.url).query)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", host, path)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Credential"][0].split("/")[2:] == [region, "s3", "aws4_request"]
    assert "X-Amz-Signature" not in repr(link)
    assert set(cloud.named()) <= {"GetObject"}, "making a link asks nobody"


def test_an_endpoint_of_one_s_own_is_asked_by_path(
    make_account: Callable[[MachineSpec | None], Account], machine: MachineSpec
) -> None:
    account = make_account(replace(machine, endpoint_url="https://s3.example.test:8443"))
    [link] = links(DATA, account.now() + timedelta(hours=1), account)
    assert link.url.startswith("https://s3.example.test:8443/b-1/data/a%20b?")


@pytest.mark.parametrize(("hours", "seconds"), [(2, 7200), (24 * 30, 7 * 24 * 3600)])
def test_a_link_outlives_neither_the_lease_nor_seven_days(account: Account, hours: int, seconds: int) -> None:
    [link] = links(DATA, account.now() + timedelta(hours=hours), account)
    assert parse_qs(urlsplit(link.url).query)["X-Amz-Expires"] == [str(seconds)]


def test_no_link_is_made_when_the_time_is_over(account: Account) -> None:
    with pytest.raises(ProviderError, match="the machine's time is over"):
        links(DATA, account.now(), account)


def test_no_link_is_made_without_credentials(
    make_account: Callable[[MachineSpec | None], Account], machine: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    account = make_account(machine)
    with pytest.raises(NotSetUpError):
        links(DATA, account.now() + timedelta(hours=1), account)


def test_a_machine_reads_it_by_the_links(provider: AwsProvider, fill: Callable[..., None], tmp_path: Path) -> None:
    objects = {f"sets/digits/{name}": name.encode() * 1000 for name in ("a b", "deep/ü+", "=&?", "empty/x")}
    fill(OTHER_REGION, objects)
    job = JobSpec("digits", tmp_path, "true", stored_inputs=(f"s3://{BUCKET}/sets/digits/", f"s3://{BUCKET}/sets/digits/a b"))
    remote = LocalRemote(tmp_path / "machine", tmp_path / "cache")
    work = remote.home / "runs" / "1" / "work"
    found = stage.look(job, provider)
    told: list[object] = []
    until = provider._account.now() + timedelta(hours=1)
    for _ in range(2):
        stage.fetch(found, until, work, provider, Guest.install(remote), told.append)
    folder = Path(work)
    assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == {
        "digits/a b": b"a b" * 1000,
        "digits/deep/ü+": "deep/ü+".encode() * 1000,
        "digits/=&?": b"=&?" * 1000,
        "digits/empty/x": b"empty/x" * 1000,
        "a b": b"a b" * 1000,
    }
    total = sum(len(body) for body in objects.values()) + 3000
    assert (told[-1].stage, told[-1].done, told[-1].total) == ("fetch", total, total)
