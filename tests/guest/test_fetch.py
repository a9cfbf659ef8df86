"""Data by links: whole or not at all, from where it broke off, inside its folder, and without a word of the links."""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.guest import download, fetch
from cloudtrain.guest.errors import GuestError

from .s3_server import Fault, S3Server, Stored, serving

MEBIBYTE = 1 << 20


@pytest.fixture
def server() -> Iterator[S3Server]:
    with serving() as server:
        yield server


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "run" / "work"


Bring = Callable[..., list[tuple[int, int]]]


@pytest.fixture
def bring(server: S3Server, work: Path) -> Bring:
    """Put objects there, list them and fetch them; return what was told of the bytes."""

    def run(*names: str, **described: Any) -> list[tuple[int, int]]:
        told: list[tuple[int, int]] = []
        files = [listed(server, name) | described for name in names]
        fetch.fetch(str(work), {"files": files}, lambda *counts: told.append(counts), lambda text: None, pause_s=0)
        return told

    return run


def listed(server: S3Server, name: str) -> dict[str, Any]:
    stored = server.objects[name]
    return {"name": name, "url": server.link(name), "bytes": len(stored.body), "etag": stored.etag}


def parts_in(work: Path) -> list[Path]:
    return sorted(work.rglob(".*.part"))


def content(size: int) -> bytes:
    return hashlib.shake_128(b"seed").digest(size)


def test_files_come_into_their_folders_by_few_lines(server: S3Server, work: Path, bring: Bring) -> None:
    for number in range(60):
        server.objects[f"data/{number % 4}/é {number}+.bin"] = Stored(content(number))
    told = bring(*server.objects)
    assert {str(path.relative_to(work)): path.read_bytes() for path in work.rglob("*") if path.is_file()} == {
        name: stored.body for name, stored in server.objects.items()
    }
    assert told[-1] == (sum(range(60)), sum(range(60)))
    assert server.lines <= download.THREADS


def test_a_second_time_nothing_comes(server: S3Server, bring: Bring) -> None:
    server.objects |= {"a": Stored(b"one"), "b": Stored(b"two-parts", etag="f" * 32 + "-2"), "empty": Stored(b"")}
    bring("a", "b", "empty")
    before = len(server.asked)
    assert bring("a", "b", "empty")[-1] == (12, 12)
    assert len(server.asked) == before


def test_a_file_of_the_same_size_and_another_content_is_replaced(server: S3Server, work: Path, bring: Bring) -> None:
    server.objects["a"] = Stored(b"right")
    work.mkdir(parents=True)
    (work / "a").write_bytes(b"wrong")
    bring("a")
    assert (work / "a").read_bytes() == b"right"


@pytest.mark.parametrize("etag", ["", "0" * 32 + "-3"], ids=["whole", "stored in parts"])
def test_a_broken_line_goes_on_where_it_was(server: S3Server, work: Path, bring: Bring, etag: str) -> None:
    server.objects["big"] = Stored(content(5 * MEBIBYTE), etag=etag)
    ranges: list[str] = []
    for cut in (2 * MEBIBYTE, MEBIBYTE):
        server.faults.append(Fault("GET", cut_after=cut))
    watch(server, ranges)
    bring("big")
    assert (work / "big").read_bytes() == server.objects["big"].body
    assert ranges == ["bytes=0-", f"bytes={2 * MEBIBYTE}-", f"bytes={3 * MEBIBYTE}-"]
    assert parts_in(work) == []


def watch(server: S3Server, ranges: list[str]) -> None:
    handler = server.RequestHandlerClass

    class Watching(handler):
        def _get(self) -> None:
            ranges.append(self.headers["Range"])
            super()._get()

    server.RequestHandlerClass = Watching


def test_what_had_come_before_this_process_is_not_asked_for_again(server: S3Server, work: Path, bring: Bring) -> None:
    server.objects["big"] = Stored(content(3 * MEBIBYTE))
    server.faults.append(Fault("GET", cut_after=2 * MEBIBYTE))
    server.faults.append(Fault("GET", status=403, times=1))
    with pytest.raises(download.DeniedError, match="big"):
        bring("big")
    assert [path.stat().st_size for path in parts_in(work)] == [2 * MEBIBYTE]
    assert not (work / "big").exists()
    ranges: list[str] = []
    watch(server, ranges)
    assert bring("big")[-1] == (3 * MEBIBYTE, 3 * MEBIBYTE)
    assert ranges == [f"bytes={2 * MEBIBYTE}-"]
    assert (work / "big").read_bytes() == server.objects["big"].body


def test_a_wrong_content_is_fetched_anew_and_never_kept(server: S3Server, work: Path, bring: Bring) -> None:
    server.objects["a"] = Stored(b"right")
    true = server.objects["a"]
    false = Stored(b"wrong", etag=true.etag)
    acts = iter([lambda: server.objects.update(a=false), lambda: server.objects.update(a=true)])
    server.faults += [Fault("GET", act=next(acts)), Fault("GET", act=next(acts))]
    bring("a")
    assert (work / "a").read_bytes() == b"right"
    server.objects["b"] = Stored(b"never right", etag="0" * 32)
    with pytest.raises(GuestError, match="b does not come: what came is not what was looked up"):
        bring("b")
    assert server.named("GET").count("b") == download.TRIES
    assert not (work / "b").exists()


@pytest.mark.parametrize("kind", ["aws:kms", "aws:kms:dsse"])
def test_the_mark_of_what_is_encrypted_with_an_own_key_is_no_md5(server: S3Server, work: Path, bring: Bring, kind: str) -> None:
    server.objects["a"] = Stored(b"secret", {"x-amz-server-side-encryption": kind}, etag="0" * 32)
    bring("a")
    assert (work / "a").read_bytes() == b"secret"


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_storage_in_trouble_is_asked_again(server: S3Server, work: Path, bring: Bring, status: int) -> None:
    server.objects["a"] = Stored(b"at last")
    server.faults.append(Fault("GET", status=status, times=download.TRIES - 1))
    bring("a")
    assert (work / "a").read_bytes() == b"at last"


def test_a_storage_that_stays_in_trouble_ends_it(server: S3Server, work: Path, bring: Bring) -> None:
    server.objects["a"] = Stored(b"never")
    server.faults.append(Fault("GET", status=503, times=99))
    with pytest.raises(GuestError, match="a does not come: the storage answers with status 503"):
        bring("a")
    assert server.named("GET") == ["a"] * download.TRIES


@pytest.mark.parametrize(
    "change",
    [lambda server: server.objects.pop("a"), lambda server: server.objects.update(a=Stored(b"other"))],
    ids=["removed", "changed"],
)
def test_what_was_changed_since_it_was_listed_is_told(server: S3Server, work: Path, bring: Bring, change: Any) -> None:
    server.objects["a"] = Stored(b"first")
    server.faults.append(Fault("GET", act=lambda: change(server)))
    with pytest.raises(GuestError, match="a was changed or removed"):
        bring("a")
    assert list(work.iterdir()) == parts_in(work)


@pytest.mark.parametrize(("size", "why"), [(4, "does not come"), (6, "was changed")], ids=["longer", "shorter"])
def test_an_answer_of_another_length_is_not_believed(server: S3Server, work: Path, bring: Bring, size: int, why: str) -> None:
    server.objects["a"] = Stored(b"12345", etag="0" * 32 + "-1")
    with pytest.raises(GuestError, match=f"a {why}"):
        bring("a", bytes=size)
    assert not (work / "a").exists()


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "a//b", "a/./b", "", ".", "..", "a\0b", "a/"])
def test_a_name_that_leads_out_is_refused_before_anything_is_asked(
    server: S3Server, tmp_path: Path, bring: Bring, name: str
) -> None:
    server.objects["a"] = Stored(b"evil")
    with pytest.raises(GuestError, match="no name of a file inside a folder"):
        bring("a", name=name)
    assert server.asked == []
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "fetch.lock"] == []


def test_a_link_in_the_folder_leads_nothing_out_of_it(server: S3Server, work: Path, tmp_path: Path, bring: Bring) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    work.mkdir(parents=True)
    (work / "data").symlink_to(outside)
    server.objects["data/a"] = Stored(b"evil")
    with pytest.raises(GuestError, match="a link that leads elsewhere"):
        bring("data/a")
    (tmp_path / "precious").write_bytes(b"mine")
    (work / "b").symlink_to(tmp_path / "precious")
    server.objects["b"] = Stored(b"evil")
    bring("b")
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert (work / "b").read_bytes() == b"evil"
    assert list(outside.iterdir()) == []


def test_a_file_that_is_a_folder_too_and_one_that_comes_twice_are_refused(server: S3Server, bring: Bring) -> None:
    server.objects |= {"a": Stored(b"1"), "a/b": Stored(b"2")}
    with pytest.raises(GuestError, match="'a' is a file and cannot be the folder of 'a/b'"):
        bring("a", "a/b")
    with pytest.raises(GuestError, match="one name"):
        bring("a", "a")
    with pytest.raises(GuestError, match="one name"):
        bring("a", "a/b", name="c")


def test_a_disk_that_is_too_small_is_told_before_anything_comes(server: S3Server, bring: Bring) -> None:
    server.objects["a"] = Stored(b"huge")
    with pytest.raises(GuestError, match="the disk is too small"):
        bring("a", bytes=1 << 60)
    assert server.asked == []


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"files": {}},
        {"files": [1]},
        {"files": [{"name": "a", "url": "http://x/", "bytes": -1, "etag": ""}]},
        {"files": [{"name": "a", "url": "http://x/", "bytes": True, "etag": ""}]},
        {"files": [{"name": "a", "url": None, "bytes": 1, "etag": ""}]},
        {"files": [{"name": "a", "url": "file:///etc/s3cret", "bytes": 1, "etag": ""}]},
        {"files": [{"name": "a", "url": "http://[s3cret/", "bytes": 1, "etag": ""}]},
        {"files": [{"name": "a", "url": "http://x:s3cret/", "bytes": 1, "etag": ""}]},
        {"files": [{"name": "a", "url": "http://127.0.0.1:9/s3cret\r\nHost: x", "bytes": 1, "etag": ""}]},
    ],
)
def test_what_is_no_list_of_files_is_refused_without_its_links(work: Path, wish: dict[str, Any]) -> None:
    with pytest.raises(GuestError) as caught:
        fetch.fetch(str(work), wish, lambda *_: None, lambda _: None, pause_s=0)
    assert "s3cret" not in str(caught.value)


def events(done: "subprocess.CompletedProcess[bytes]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_command_tells_how_far_it_is_and_keeps_the_links_to_itself(guest, server: S3Server, work: Path) -> None:
    server.objects |= {"a/b": Stored(b"hello"), "a/c": Stored(b"")}
    done = guest.call("fetch", work, stdin={"files": [listed(server, name) for name in server.objects]})
    assert done.returncode == 0, done
    assert events(done)[-2:] == [{"event": "progress", "done": 5, "total": 5}, {"event": "ready"}]
    assert (work / "a" / "b").read_bytes() == b"hello"
    server.faults.append(Fault("GET", status=403))
    server.objects["a/b"] = Stored(b"other")
    denied = guest.call("fetch", work, stdin={"files": [listed(server, "a/b")]})
    assert (denied.returncode, events(denied)[-1]["event"]) == (1, "denied")
    gone = guest.call("fetch", work, stdin={"files": [listed(server, "a/b") | {"etag": "1" * 32}]})
    assert (gone.returncode, events(gone)[-1]["event"]) == (1, "failed")
    for each in (done, denied, gone):
        assert b"s3cret" not in each.stdout + each.stderr
    kept = [path for path in work.parent.rglob("*") if path.is_file()]
    assert [path for path in kept if b"s3cret" in path.read_bytes()] == []


def test_who_fetches_where_another_does_waits_for_it(guest, server: S3Server, work: Path) -> None:
    server.objects["a"] = Stored(b"hello")
    with fetch.only_one(str(work), lambda _: None):
        second = guest.popen("fetch", work, stdin=subprocess.PIPE)
        second.stdin.write(json.dumps({"files": [listed(server, "a")]}).encode())
        second.stdin.close()
        assert b"waiting" in second.stdout.readline()
        assert server.asked == []
    assert second.stdout.read().splitlines()[-1] == b'{"event": "ready"}'
    assert second.wait(60) == 0
    second.stdout.close()


def test_a_line_that_the_server_closed_meanwhile_is_opened_again(server: S3Server, work: Path, bring: Bring) -> None:
    server.objects |= {f"{number}": Stored(b"x" * number) for number in range(1, 40)}
    handler = server.RequestHandlerClass

    class Closing(handler):
        def _get(self) -> None:
            super()._get()
            self.close_connection = True  # without a word: the header says that it stays open

    server.RequestHandlerClass = Closing
    bring(*server.objects)
    assert {path.name: path.stat().st_size for path in work.iterdir()} == {str(number): number for number in range(1, 40)}
    assert server.lines >= 39
