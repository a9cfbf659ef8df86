"""Cloud Storage: policies, lists, parts of objects, uploads, and links that carry their own permission."""

import hashlib
import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from cloudtrain.testing.clock import NOON
from cloudtrain.testing.playground.gcp import GcpCloud

from .google_calls import LABELS, Google, Refused, refused

JSON = "/storage/v1/b/data"
THI = b"thi".ljust(256 * 1024)
FOLDER = {
    "title": "one folder",
    "expression": 'resource.name.startsWith("projects/_/buckets/data/objects/a/") || '
    'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("a/")',
}


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
        google.raw("PUT", place, THI, {"Content-Range": f"bytes 0-{len(THI) - 1}/{len(THI) + 2}"})
    assert more.value.http == 308
    # What has come already may be sent again, as by who does not know how far it came.
    google.raw("PUT", place, THI + b"rd", {"Content-Range": f"bytes 0-{len(THI) + 1}/{len(THI) + 2}"})
    assert {name: bucket.objects[name].content for name in ("one", "two", "three")} == {
        "one": b"one",
        "two": b"2nd",
        "three": THI + b"rd",
    }


def test_an_upload_in_parts_goes_on_where_it_was_and_leaves_no_gap(google: Google, bucket: Any) -> None:
    about = json.dumps({"metadata": {"mtime": "1.5"}}).encode()
    begun = google.raw("POST", f"/upload{JSON}/o", about, uploadType="resumable", name="parts")
    place = begun.headers["Location"].removeprefix(google.url)
    with pytest.raises(Refused, match="as this part begins"):
        google.raw("PUT", place, b"x", {"Content-Range": "bytes 5-9/12"})
    with pytest.raises(Refused) as asked:
        google.raw("PUT", place, b"", {"Content-Range": "bytes */12"})
    assert asked.value.http == 308
    google.raw("PUT", place, b"abcdefghijkl", {"Content-Range": "bytes 0-11/12"})
    assert (bucket.objects["parts"].content, bucket.objects["parts"].metadata) == (b"abcdefghijkl", {"mtime": "1.5"})
    assert google.raw("GET", "/data/parts").headers["x-goog-meta-mtime"] == "1.5"
    assert google.call("GET", f"{JSON}/o/parts")["metadata"] == {"mtime": "1.5"}
    begun = google.raw("POST", f"/upload{JSON}/o", b"{}", uploadType="resumable", name="odd")
    with refused(400, "badRequest", "multiple of 262144"):
        google.raw("PUT", begun.headers["Location"].removeprefix(google.url), b"odd", {"Content-Range": "bytes 0-2/5"})
    with refused(400, "badRequest", "Unknown name"):
        google.raw("POST", f"/upload{JSON}/o", b'{"meta": {}}', uploadType="resumable", name="odd")


def test_what_was_replaced_meanwhile_is_not_read_as_if_it_was_not(google: Google, bucket: Any) -> None:
    there = {"x-goog-if-generation-match": str(bucket.objects["b.bin"].generation)}
    assert google.raw("GET", "/data/b.bin", headers=there).read() == b"b.bin" * 3
    bucket.put("b.bin", b"new", NOON)
    with pytest.raises(Refused, match="PreconditionFailed"):
        google.raw("GET", "/data/b.bin", headers=there)


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


@pytest.fixture
def robot(gcp: GcpCloud, google: Google) -> Google:
    """Call as a machine whose service account may do what a test lets it."""
    email = gcp.make_service_account("cloudtrain-robot").email
    scope = "https://www.googleapis.com/auth/devstorage.read_write"
    google.insert(serviceAccounts=[{"email": email, "scopes": [scope]}], labels=LABELS)
    return Google(gcp.url, gcp.project, token=f"machine-{email}")


def let_in(google: Google, robot: Google, **binding: Any) -> None:
    right = {"role": "roles/storage.objectUser", "members": [f"serviceAccount:{robot.token.removeprefix('machine-')}"]}
    google.call("PUT", f"{JSON}/iam", {"version": 3, "bindings": [right | binding]})


def put(by: Google, name: str, content: bytes = b"x") -> None:
    by.raw("POST", f"/upload{JSON}/o", content, uploadType="media", name=name)


def test_a_machine_may_do_what_the_policy_of_the_bucket_says(google: Google, robot: Google, bucket: Any) -> None:
    for path in (f"{JSON}/o?prefix=a/", f"{JSON}/o/b.bin", "/data/a/1.bin"):
        with pytest.raises(Refused, match=r"does not have storage\.objects\."):
            robot.raw("GET", path)
    let_in(google, robot, condition=FOLDER)
    assert [one["name"] for one in robot.call("GET", f"{JSON}/o", prefix="a/")["items"]] == ["a/1.bin", "a/2.bin"]
    assert robot.raw("GET", "/data/a/1.bin").read() == b"a/1.bin" * 3
    put(robot, "a/new")
    put(robot, "a/1.bin")
    for path in (f"{JSON}/o", f"{JSON}/o?prefix=b", f"{JSON}/o?prefix=a", "/data/b.bin", f"{JSON}/o/b.bin"):
        with pytest.raises(Refused, match=r"storage\.objects\."):
            robot.raw("GET", path)
    with refused(403, "forbidden", "objects.create"):
        put(robot, "b.new")
    let_in(google, robot)
    assert robot.raw("GET", "/data/b.bin").read() == b"b.bin" * 3


def test_what_a_role_does_not_hold_is_refused(google: Google, robot: Google, bucket: Any) -> None:
    let_in(google, robot, role="roles/storage.objectViewer")
    assert robot.raw("GET", "/data/b.bin").read() == b"b.bin" * 3
    with refused(403, "forbidden", "objects.create"):
        put(robot, "b.new")
    let_in(google, robot, role="roles/storage.objectCreator")
    put(robot, "b.new")
    with refused(403, "forbidden", "objects.delete"):  # which replacing is
        put(robot, "b.new")


def test_a_machine_reaches_nothing_but_storage_and_nothing_without_its_account(
    gcp: GcpCloud, google: Google, robot: Google, bucket: Any
) -> None:
    let_in(google, robot)
    with pytest.raises(Refused, match="insufficient authentication scopes"):
        robot.compute("GET", "zones")
    gcp.machines()[0].body["serviceAccounts"][0]["scopes"] = ["https://www.googleapis.com/auth/devstorage.read_only"]
    assert robot.raw("GET", "/data/b.bin").read() == b"b.bin" * 3
    with pytest.raises(Refused, match="insufficient authentication scopes"):
        put(robot, "b.new")
    email = robot.token.removeprefix("machine-")
    google.call("DELETE", f"/v1/projects/{gcp.project}/serviceAccounts/{email}")
    with pytest.raises(Refused) as caught:
        robot.raw("GET", "/data/b.bin")
    assert caught.value.http == 401
    [binding] = google.call("GET", f"{JSON}/iam")["bindings"]
    assert binding["members"][0].startswith(f"deleted:serviceAccount:{email}?uid=")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": 1}, "version 3"),
        ({"etag": "b2xk"}, "pre-conditions"),
        ({"members": ["serviceAccount:nobody@cloudtrain-playground.iam.gserviceaccount.com"]}, "does not exist"),
        ({"condition": {"title": "x", "expression": "true"}}, "does not know"),
        ({"condition": {"title": "", "expression": FOLDER["expression"]}}, "title"),
        ({"uniform": False}, "Uniform bucket-level access"),
    ],
)
def test_a_policy_that_google_does_not_take(google: Google, bucket: Any, changes: dict[str, Any], why: str) -> None:
    given = dict(changes)
    bucket.is_uniform = given.pop("uniform", True)
    whole = {"version": given.pop("version", 3), "etag": given.pop("etag", "")}
    right = {"role": "roles/storage.objectUser", "members": ["user:a@example.com"], "condition": FOLDER, **given}
    with pytest.raises(Refused, match=why):
        google.call("PUT", f"{JSON}/iam", {**whole, "bindings": [right]})
    assert bucket.bindings == []


def test_an_older_form_of_a_policy_hides_its_conditions(google: Google, bucket: Any) -> None:
    right = {"role": "roles/storage.objectUser", "members": ["user:a@example.com"], "condition": FOLDER}
    written = google.call("PUT", f"{JSON}/iam", {"version": 3, "bindings": [right]})
    assert (written["version"], written["bindings"]) == (3, [right])
    older = google.call("GET", f"{JSON}/iam")
    assert (older["version"], older["bindings"][0].get("condition")) == (1, None)
    newer = google.call("GET", f"{JSON}/iam", optionsRequestedPolicyVersion="3")
    assert (newer["bindings"], newer["etag"]) == ([right], written["etag"])


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
