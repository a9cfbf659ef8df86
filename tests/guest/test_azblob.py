"""The job's outputs in Blob Storage: the pretend Azure over TLS, asked with the token of a machine's identity."""

import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloudtrain.guest import azblob, folder, restore
from cloudtrain.guest import mirror as mirrors
from cloudtrain.guest.azblob import BlobFolder
from cloudtrain.guest.azure_identity import FRESH_S, StorageIdentity
from cloudtrain.guest.errors import GuestError
from cloudtrain.guest.folder import NotYetError, folder_at
from cloudtrain.guest.line import BrokenLineError
from cloudtrain.guest.mirror import Mirror
from cloudtrain.guest.outputs import Checkpoints
from cloudtrain.testing.clock import FakeClock
from cloudtrain.testing.playground.azure import AzureCloud
from cloudtrain.testing.playground.azure.access import Assignment
from cloudtrain.testing.playground.azure.blobs import Blob, Container
from cloudtrain.testing.playground.azure.entra import STORAGE
from cloudtrain.testing.playground.azure.roles import BUILT_IN
from cloudtrain.testing.playground.azure.things import Group, Resource
from tests.hypervisors import BootsNothing

URL = "az://digits/data/prefix/job/"
PREFIX = "prefix/job/"
MACHINE = "machine-1"
CONTRIBUTOR = next(guid for guid, (name, _, _) in BUILT_IN.items() if name == "Storage Blob Data Contributor")


class Store:
    """The container `data` of the account `digits`, and what was asked of it."""

    def __init__(self, cloud: AzureCloud) -> None:
        self.cloud = cloud
        self.metadata: list[str] = []
        self.life_s = 3600.0
        group = cloud.account.groups["g"] = Group("g", "eastus", {"cloudtrain-owner": "me"})
        id = cloud.account.id_of(group.name, "Microsoft.Storage/storageAccounts", "digits")
        cloud.account.add(Resource(id, "Microsoft.Storage/storageAccounts", "digits", "g", {"id": id, "properties": {}}))
        self.container = f"{id}/blobServices/default/containers/data"
        self.cloud._router.blobs._containers["digits", "data"] = Container()

    @property
    def blobs(self) -> dict[str, Blob]:
        return self.cloud._router.blobs._containers["digits", "data"].blobs

    @property
    def blocks(self) -> Mapping[tuple[str, str], bytes]:
        return self.cloud._router.blobs._containers["digits", "data"].blocks

    def held(self) -> dict[str, bytes]:
        return {name: blob.content for name, blob in self.blobs.items()}

    def put(self, name: str, content: bytes, **metadata: str) -> None:
        self.blobs[name] = Blob(content, self.cloud.account.timeline.now(), "application/octet-stream", metadata)

    def allow(self, after_s: float = 0.0) -> None:
        now = self.cloud.account.timeline.now()
        self.cloud._router.access.assignments["one"] = Assignment(
            "one", self.container, CONTRIBUTOR, MACHINE, "ServicePrincipal", now, now + timedelta(seconds=after_s)
        )

    def fail(self, verb: str, code: str, http: int, times: int = 1, *, after: bool = False) -> None:
        self.cloud.faults.add("Storage", f"blobs/{verb}", code=code, http=http, times=times, after=after)

    def asked(self, verb: str) -> int:
        return [record.name for record in self.cloud.calls()].count(f"Storage:blobs/{verb}")

    def answer(self, path: str) -> dict[str, Any]:
        """Answer as the metadata service does."""
        self.metadata.append(path)
        if path.startswith("instance"):
            return {"compute": {"azEnvironment": "AzurePublicCloud"}}
        now = self.cloud.account.timeline.now().timestamp()
        token = self.cloud._router.entra.give(MACHINE, STORAGE)
        return {"access_token": token, "expires_on": str(int(now + self.life_s))}


@pytest.fixture(scope="session")
def read_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("azure-cache")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, read_once: Path) -> Iterator[Store]:
    monkeypatch.setenv("CLOUDTRAIN_CACHE", str(read_once))
    with AzureCloud(BootsNothing(), FakeClock()) as cloud:
        monkeypatch.setenv("SSL_CERT_FILE", str(cloud.certificate))
        made = Store(cloud)
        made.allow()
        yield made
        assert [event for event in cloud.account.events if "broke" in event] == []


@pytest.fixture
def environ(store: Store) -> Mapping[str, str]:
    return {"CLOUDTRAIN_BLOB_URL": f"{store.cloud.url}/blob/"}


@pytest.fixture
def blobs(store: Store, environ: Mapping[str, str]) -> Iterator[BlobFolder]:
    now = store.cloud.account.timeline.now
    made = BlobFolder(URL, environ, StorageIdentity(store.answer, lambda: now().timestamp()))
    yield made
    made.close()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "run" / "work" / "results").mkdir(parents=True)
    return tmp_path / "run" / "work"


@pytest.fixture
def mirror(work: Path, blobs: BlobFolder) -> Mirror:
    return Mirror(str(work), Checkpoints(URL, "eastus", ["results", "model.bin"]), blobs, lambda: None, pause_s=0)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "PART_BYTES", 10)
    monkeypatch.setattr(azblob, "PART_BYTES", 10)


@pytest.fixture
def bring(work: Path, blobs: BlobFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    def run() -> list[str]:
        said: list[str] = []
        monkeypatch.setattr(restore, "folder_at", lambda *_: blobs)
        monkeypatch.setattr(blobs, "close", lambda: None)
        places = Checkpoints(URL, "eastus", ["results", "model.bin"])
        restore.restore(str(work), places, {}, lambda *_: None, said.append, pause_s=0)
        return said

    return run


def put(path: Path, content: bytes, mtime: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))


def finish(mirror: Mirror) -> None:
    mirror.finish()
    mirror.last_look()


class TestCopying:
    def test_what_was_copied_comes_back_with_its_names_and_times(
        self, mirror: Mirror, store: Store, work: Path, bring: Callable[[], list[str]]
    ) -> None:
        names = ["model.bin", *(f"results/{name}" for name in ("a b", "c+d", "e=f&g", "~h'i(j)*", "ü/k", "%41", "l:m@n,o;p"))]
        for number, name in enumerate(names):
            put(work / name, name.encode(), 1000.5 + number)
        finish(mirror)
        assert mirror.words() == []
        assert store.held() == {PREFIX + name: name.encode() for name in names}
        for name in names:
            (work / name).unlink()
        assert bring() == []
        assert {name: ((work / name).read_bytes(), (work / name).stat().st_mtime) for name in names} == {
            name: (name.encode(), 1000.5 + number) for number, name in enumerate(names)
        }
        before = store.asked("PUT")
        again = Mirror(str(work), mirror._checkpoints, mirror._folder, lambda: None)
        finish(again)
        assert store.asked("PUT") == before

    @pytest.mark.usefixtures("small_parts")
    def test_a_large_file_goes_in_blocks_and_is_whole_there(
        self, mirror: Mirror, store: Store, work: Path, blobs: BlobFolder
    ) -> None:
        put(work / "model.bin", bytes(range(95)), 100.25)
        finish(mirror)
        assert store.held() == {PREFIX + "model.bin": bytes(range(95))}
        assert store.asked("PUT") == 11
        assert store.blocks == {}
        [stored] = blobs.names()
        assert (stored.size, blobs.mtime(stored)) == (95, 100.25)

    @pytest.mark.usefixtures("small_parts")
    def test_very_large_files_have_larger_blocks_all_named_alike(
        self, mirror: Mirror, store: Store, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(azblob, "MOST_BLOCKS", 4)
        seen: list[str] = []
        real = BlobFolder._ask
        monkeypatch.setattr(
            BlobFolder,
            "_ask",
            lambda self, *a, query=azblob.NOTHING, **k: (
                seen.append(query.get("blockid", "")),
                real(self, *a, query=query, **k),
            )[1],
        )
        put(work / "model.bin", b"m" * 99, 100)
        finish(mirror)
        names = {name for name in seen if name}
        assert (len(names), len({len(name) for name in names})) == (4, 1)
        assert store.held() == {PREFIX + "model.bin": b"m" * 99}

    @pytest.mark.usefixtures("small_parts")
    def test_a_large_file_that_fails_half_way_is_not_there_and_comes_the_next_time(
        self, mirror: Mirror, store: Store, work: Path
    ) -> None:
        put(work / "model.bin", b"m" * 40, 100)
        mirror.look()
        store.fail("PUT", "ServerBusy", 503)
        mirror.look()
        assert store.held() == {}
        assert "Blob Storage answers ServerBusy; it is tried again" in mirror.words()[0]
        mirror.look()
        assert store.held() == {PREFIX + "model.bin": b"m" * 40}
        assert store.blocks == {}

    @pytest.mark.usefixtures("small_parts")
    def test_a_large_file_that_changes_while_it_is_sent_is_not_put_together(
        self, mirror: Mirror, store: Store, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(work / "model.bin", b"m" * 40, 100)
        mirror.look()
        real = os.pread
        monkeypatch.setattr(azblob.os, "pread", lambda *about: (real(*about), put(work / "model.bin", b"n" * 40, 101))[0])
        mirror.look()
        assert (store.held(), mirror.words()) == ({}, [])
        monkeypatch.setattr(azblob.os, "pread", real)
        mirror.look()
        mirror.look()
        assert store.held() == {PREFIX + "model.bin": b"n" * 40}

    def test_a_small_file_that_changes_while_it_is_read_is_not_taken_for_copied(
        self, mirror: Mirror, store: Store, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(work / "results" / "a", b"old", 100)
        mirror.look()
        real = os.pread
        monkeypatch.setattr(azblob.os, "pread", lambda *about: (real(*about), put(work / "results" / "a", b"new", 101))[0])
        mirror.look()
        assert store.held() == {}

    @pytest.mark.usefixtures("small_parts")
    def test_a_large_file_is_given_up_between_its_blocks(self, blobs: BlobFolder, store: Store, work: Path) -> None:
        put(work / "model.bin", b"m" * 400, 100)
        with pytest.raises(GuestError, match="no time left"):
            blobs.put_in_parts("model.bin", str(work / "model.bin"), lambda: True)
        assert (store.held(), store.asked("PUT")) == ({}, 0)

    def test_a_name_that_is_no_text_is_told(self, mirror: Mirror, work: Path) -> None:
        put(Path(os.fsdecode(os.fsencode(work) + b"/results/\xff")), b"a", 100)
        finish(mirror)
        assert "no name that Blob Storage can hold" in mirror.words()[0]

    def test_a_list_is_read_page_by_page(self, blobs: BlobFolder, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(7):
            store.put(f"{PREFIX}results/{number}&", b"x" * number)
        store.put("prefix/jobs/other", b"")
        real = BlobFolder._ask

        def few(self: BlobFolder, method: str, name: str | None, **more: Any) -> Any:
            return real(self, method, name, **{**more, "query": {**more.get("query", {}), "maxresults": "3"}})

        monkeypatch.setattr(BlobFolder, "_ask", few)
        found = {stored.name: stored.size for stored in blobs.names()}
        assert found == {f"results/{number}&": number for number in range(7)}
        assert store.asked("GET") == 3

    def test_what_a_list_has_that_is_no_file(self) -> None:
        def row(name: str, more: str = "", mark: str = "") -> str:
            told = "<Last-Modified>Sat, 21 Nov 2026 12:00:00 GMT</Last-Modified><Etag>0x8D1</Etag>"
            return f"<Name{mark}>{name}</Name><Properties>{told}<Content-Length>3</Content-Length>{more}</Properties>"

        assert azblob._stored(row("p/sub", "<ResourceType>directory</ResourceType>"), "p/") is None
        assert azblob._stored(row("p/a%20b&amp;", mark=' Encoded="true"'), "p/") == folder.Stored(
            "a b&", 3, "0x8D1", 1795262400.0
        )
        with pytest.raises(BrokenLineError, match="list cannot be read"):
            azblob._stored("<Name>p/x</Name>", "p/")


class TestRights:
    def test_a_right_that_does_not_count_yet_is_waited_for_and_told_once(
        self, store: Store, work: Path, bring: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.put(PREFIX + "model.bin", b"model")
        store.allow(after_s=590)
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            store.cloud.advance(16)

        monkeypatch.setattr(restore, "time", SimpleNamespace(sleep=sleep))
        [said] = bring()
        assert "does not count yet" in said
        assert "AuthorizationPermissionMismatch" in said
        assert len(pauses) == 37
        assert (work / "model.bin").read_bytes() == b"model"

    def test_one_that_never_counts_ends_in_an_error_after_more_than_ten_minutes(
        self, store: Store, bring: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.cloud._router.access.assignments.clear()
        with pytest.raises(GuestError, match="cannot be looked up: Blob Storage refuses: AuthorizationPermissionMismatch"):
            bring()
        assert store.asked("GET") == restore.TRIES_FOR_A_RIGHT
        pauses: list[float] = []
        monkeypatch.setattr(restore, "time", SimpleNamespace(sleep=pauses.append))
        with pytest.raises(GuestError):
            restore._listed(restore.folder_at(URL, "", {}), lambda _: None, 1.0)
        assert sum(pauses) > 600

    def test_a_container_that_is_gone_is_not_waited_for(self, store: Store, bring: Callable[[], list[str]]) -> None:
        del store.cloud._router.blobs._containers["digits", "data"]
        with pytest.raises(GuestError, match="ContainerNotFound"):
            bring()
        assert store.asked("GET") == 6

    def test_one_that_counts_at_one_door_alone_is_asked_for_again(
        self, store: Store, work: Path, blobs: BlobFolder, bring: Callable[[], list[str]]
    ) -> None:
        store.put(PREFIX + "model.bin", b"model")
        [stored] = blobs.names()
        store.fail("GET", "AuthorizationPermissionMismatch", 403)
        with pytest.raises(NotYetError):
            blobs.open("model.bin", 0, stored.etag)
        bring()
        assert (work / "model.bin").read_bytes() == b"model"

    def test_while_it_does_not_count_the_copying_goes_on_trying(self, store: Store, mirror: Mirror, work: Path) -> None:
        put(work / "results" / "a", b"a", 100)
        store.allow(after_s=60)
        mirror.look()
        mirror.look()
        assert store.held() == {}
        store.cloud.advance(61)
        mirror.look()
        assert store.held() == {PREFIX + "results/a": b"a"}
        assert [word.rpartition(" ")[2] for word in mirror.words()] == ["again", "again"]

    def test_what_is_refused_for_good_is_said(self, store: Store, mirror: Mirror, work: Path) -> None:
        put(work / "results" / "a", b"a", 100)
        store.fail("PUT", "AuthorizationFailure", 403, times=9)
        finish(mirror)
        assert "Blob Storage refuses: AuthorizationFailure" in mirror.words()[0]
        assert store.asked("PUT") == 1

    def test_what_was_replaced_meanwhile_is_not_mixed(self, blobs: BlobFolder, store: Store) -> None:
        store.put(PREFIX + "model.bin", b"old")
        [stored] = blobs.names()
        store.put(PREFIX + "model.bin", b"new")
        answer = blobs.open("model.bin", 0, stored.etag)
        assert answer.status == 412


class TestIdentity:
    def test_a_token_is_asked_for_once_and_again_before_it_ends(self, blobs: BlobFolder, store: Store) -> None:
        for _ in range(3):
            assert list(blobs.names()) == []
        assert len(store.metadata) == 1
        store.cloud.advance(3600 - FRESH_S + 1)
        assert list(blobs.names()) == []
        assert len(store.metadata) == 2

    def test_one_that_is_taken_no_more_is_replaced(self, blobs: BlobFolder, store: Store) -> None:
        assert list(blobs.names()) == []
        store.cloud._router.entra._tokens.clear()
        with pytest.raises(BrokenLineError, match="does not take the token"):
            list(blobs.names())
        assert list(blobs.names()) == []

    @pytest.mark.parametrize("told", [{}, {"access_token": "s3cret"}, {"access_token": "s3cret", "expires_on": "s3cret"}])
    def test_what_cannot_be_read_is_not_quoted(self, told: dict[str, str]) -> None:
        with pytest.raises(NotYetError, match="cannot be read") as raised:
            StorageIdentity(lambda _: told).token()
        assert "s3cret" not in str(raised.value)

    @pytest.mark.parametrize(
        "error", [OSError("the metadata service answered 400: Identity not found"), ValueError("no object")]
    )
    def test_a_machine_without_an_identity_may_have_one_soon(self, error: Exception) -> None:
        def refuse(_: str) -> dict[str, Any]:
            raise error

        with pytest.raises(NotYetError, match="no identity, or does not know it yet"):
            StorageIdentity(refuse).token()
        with pytest.raises(NotYetError, match="does not know its cloud"):
            StorageIdentity(refuse).domain()

    @pytest.mark.parametrize(
        ("cloud", "domain"),
        [
            ("AzurePublicCloud", "blob.core.windows.net"),
            ("AzureUSGovernmentCloud", "blob.core.usgovcloudapi.net"),
            ("AzureChinaCloud", "blob.core.chinacloudapi.cn"),
            ("", "blob.core.windows.net"),
        ],
    )
    def test_where_its_cloud_keeps_blobs(self, cloud: str, domain: str) -> None:
        identity = StorageIdentity(lambda _: {"compute": {"azEnvironment": cloud}})
        assert identity.domain() == domain
        lines, base = BlobFolder(URL, {}, identity)._place()
        assert (lines.host, base) == (f"digits.{domain}", "/data")

    def test_a_cloud_nobody_knows_is_said(self) -> None:
        with pytest.raises(GuestError, match="CLOUDTRAIN_BLOB_URL"):
            StorageIdentity(lambda _: {"compute": {"azEnvironment": "AzureStack"}}).domain()


@pytest.mark.parametrize(
    "url", ["az://digits", "az://digits/", "az://Digits/data/", "az://digits/data?x/", "ftp://digits/data"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(GuestError, match="no address"):
        folder_at(url, "", {})


class TestOnAMachine:
    """The real zipapp, with a metadata service beside it."""

    @pytest.fixture
    def served(self, store: Store, guest: Any) -> Iterator[dict[str, str]]:
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                assert self.headers["Metadata"] == "true"
                assert "resource=https%3A%2F%2Fstorage.azure.com%2F" in self.path
                told = {**store.answer(self.path), "expires_on": "4000000000"}
                content = json.dumps(told).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            serving = threading.Thread(target=server.serve_forever, args=(0.01,))
            serving.start()
            yield {
                "CLOUDTRAIN_BLOB_URL": f"{store.cloud.url}/blob",
                "AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://127.0.0.1:{server.server_port}",
                "SSL_CERT_FILE": str(store.cloud.certificate),
            }
            server.shutdown()
            serving.join()

    def test_a_job_s_outputs_are_there_when_it_has_ended_and_on_the_next_machine(
        self, store: Store, served: dict[str, str], guest: Any, make_run: Callable[..., Any], tmp_path: Path
    ) -> None:
        there = replace(guest, env={**guest.env, **served})
        order = {"url": URL, "region": "eastus", "outputs": ["results"]}
        run = make_run("mkdir results; echo step 7 > results/state", there, checkpoints=order)
        run.start()
        assert run.wait()["exit_code"] == 0
        assert store.held() == {PREFIX + "results/state": b"step 7\n"}
        next_machine = tmp_path / "next" / "work"
        next_machine.mkdir(parents=True)
        done = there.call("restore", next_machine, stdin={"checkpoints": order, "env": {}})
        assert done.returncode == 0, done
        assert (next_machine / "results" / "state").read_bytes() == b"step 7\n"
