"""Cloud Storage: policies, lists, parts of objects, uploads, and links that carry their own permission."""

import hashlib
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from cloudtrain.testing.clock import NOON
from cloudtrain.testing.playground.gcp import GcpCloud

from .google_calls import Google, Refused, refused

JSON = "/storage/v1/b/data"


@pytest.fixture
def bucket(gcp: GcpCloud) -> Any:
    bucket = gcp.make_bucket("data", "US-EAST1")
    for name in ("a/1.bin", "a/2.bin", "b.bin"):
        bucket.put(name, name.encode() * 3, NOON)
    return bucket


def test_a_bucket_says_where_it_is(google: Google, bucket: Any) -> None:
    shown = google.call("GET", JSON)
    assert (shown["location"], shown["locationType"]) == ("US-EAST1", "region")
    with refused(404, "notFound", "bucket does not exist"):
        google.call("GET", "/storage/v1/b/other")


def test_objects_are_listed_by_folder_and_page(google: Google, bucket: Any) -> None:
    assert [one["name"] for one in google.call("GET", f"{JSON}/o", prefix="a/")["items"]] == ["a/1.bin", "a/2.bin"]
    top = google.call("GET", f"{JSON}/o", delimiter="/")
    assert ([one["name"] for one in top["items"]], top["prefixes"]) == (["b.bin"], ["a/"])
    first = google.call("GET", f"{JSON}/o", maxResults="2")
    second = google.call("GET", f"{JSON}/o", maxResults="2", pageToken=first["nextPageToken"])
    assert [one["name"] for one in second["items"]] == ["b.bin"]
    assert first["items"][0]["size"] == "21"


def test_an_object_is_read_whole_or_in_part(google: Google, bucket: Any) -> None:
    path = f"{JSON}/o/{quote('a/1.bin', safe='')}"
    shown = google.call("GET", path)
    assert shown["md5Hash"] == bucket.objects["a/1.bin"].md5
    assert google.raw("GET", path, alt="media").read() == b"a/1.bin" * 3
    part = google.raw("GET", path, headers={"Range": "bytes=2-4"}, alt="media")
    assert (part.status, part.read(), part.headers["Content-Range"]) == (206, b"1.b", "bytes 2-4/21")
    assert google.raw("GET", path, headers={"Range": "bytes=18-"}, alt="media").read() == b"bin"
    assert google.raw("GET", path, headers={"Range": "bytes=-3"}, alt="media").read() == b"bin"
    with refused(416, "requestedRangeNotSatisfiable"):
        google.raw("GET", path, headers={"Range": "bytes=99-"}, alt="media")
    with refused(404, "notFound", "No such object: data/c"):
        google.call("GET", f"{JSON}/o/c")


def test_an_object_is_uploaded_in_each_of_three_ways(google: Google, bucket: Any) -> None:
    upload = f"/upload{JSON}/o"
    google.raw("POST", upload, b"one", uploadType="media", name="one")
    boundary = {"Content-Type": "multipart/related; boundary=x"}
    head = b'--x\r\nContent-Type: application/json\r\n\r\n{"name": "two"}\r\n--x\r\nContent-Type: text/plain\r\n\r\n'
    google.raw("POST", upload, head + b"2nd\r\n--x--\r\n", boundary, uploadType="multipart")
    begun = google.raw("POST", upload, b"{}", uploadType="resumable", name="three")
    place = begun.headers["Location"].removeprefix(google.url)
    with pytest.raises(Refused) as more:
        google.raw("PUT", place, b"thi", {"Content-Range": "bytes 0-2/5"})
    assert more.value.http == 308
    google.raw("PUT", place, b"rd", {"Content-Range": "bytes 3-4/5"})
    assert {name: bucket.objects[name].content for name in ("one", "two", "three")} == {
        "one": b"one",
        "two": b"2nd",
        "three": b"third",
    }


def test_what_is_there_is_not_written_over_when_that_was_asked(google: Google, bucket: Any) -> None:
    with refused(412, "conditionNotMet"):
        google.raw("POST", f"/upload{JSON}/o", b"", uploadType="media", name="b.bin", ifGenerationMatch="0")
    google.raw("POST", f"/upload{JSON}/o", b"", uploadType="media", name="new", ifGenerationMatch="0")
    google.call("DELETE", f"{JSON}/o/new")
    with refused(404, "notFound"):
        google.call("DELETE", f"{JSON}/o/new")


def test_a_bucket_has_a_policy(gcp: GcpCloud, google: Google, bucket: Any) -> None:
    binding = {"role": "roles/storage.objectUser", "members": ["serviceAccount:run@x.iam.gserviceaccount.com"]}
    google.call("PUT", f"{JSON}/iam", {"bindings": [binding]})
    assert google.call("GET", f"{JSON}/iam")["bindings"] == [binding]
    gcp.account.denied = {"storage.objects.create"}
    url = f"{JSON}/iam/testPermissions?permissions=storage.objects.create&permissions=storage.objects.get"
    assert google.call("GET", url)["permissions"] == ["storage.objects.get"]
    with refused(403, "forbidden", "storage.objects.create"):
        google.raw("POST", f"/upload{JSON}/o", b"", uploadType="media", name="new")


def signed(gcp: GcpCloud, path: str, verb: str = "GET", lifetime_s: int = 600, made: str = "20261121T120000Z") -> str:
    """Return a signed URL's path and query, as Google's documentation of V4 signatures has it."""
    identity = gcp.make_service_account("robot")
    scope = f"{made[:8]}/auto/storage/goog4_request"
    query = {
        "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
        "X-Goog-Credential": f"{identity.email}/{scope}",
        "X-Goog-Date": made,
        "X-Goog-Expires": str(lifetime_s),
        "X-Goog-SignedHeaders": "host",
    }
    text = urlencode(sorted(query.items()), quote_via=quote, safe="-_.~")
    host = gcp.url.removeprefix("http://")
    canonical = "\n".join([verb, path, text, f"host:{host}\n", "host", "UNSIGNED-PAYLOAD"])
    to_sign = "\n".join(["GOOG4-RSA-SHA256", made, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    return f"{path}?{text}&X-Goog-Signature={identity.sign(to_sign.encode()).hex()}"


def test_a_signed_link_is_good_for_its_object_its_verb_and_its_time(gcp: GcpCloud, bucket: Any) -> None:
    nobody = Google(gcp.url, gcp.project, token="")
    link = signed(gcp, "/data/a/1.bin")
    assert nobody.raw("GET", link).read() == b"a/1.bin" * 3
    assert nobody.raw("GET", link, headers={"Range": "bytes=0-2"}).read() == b"a/1"
    for wrong in (link.replace("1.bin", "2.bin"), link.replace("Expires=600", "Expires=601"), "/data/a/1.bin"):
        with pytest.raises(Refused, match=r"SignatureDoesNotMatch|required"):
            nobody.raw("GET", wrong)
    with pytest.raises(Refused, match="SignatureDoesNotMatch"):
        nobody.raw("PUT", link, b"mine")
    nobody.raw("PUT", signed(gcp, "/data/new", "PUT"), b"mine")
    assert bucket.objects["new"].content == b"mine"
    with pytest.raises(Refused, match="NoSuchKey"):
        nobody.raw("GET", signed(gcp, "/data/nothing"))
    gcp.advance(601)
    with pytest.raises(Refused, match="ExpiredToken"):
        nobody.raw("GET", link)


def test_an_object_has_a_plain_path_for_who_has_a_token(google: Google, bucket: Any) -> None:
    assert google.raw("HEAD", "/data/b.bin").headers["Content-Length"] == "15"
    assert google.raw("GET", "/data/b.bin").read() == b"b.bin" * 3
