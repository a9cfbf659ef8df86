"""The job's outputs in Cloud Storage: copied by one machine of the pretend Google Cloud, found again by the next."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.guest import gcs, gcs_token
from cloudtrain.guest.errors import GuestError
from cloudtrain.guest.folder import ChangedError, NotYetError, folder_at
from cloudtrain.guest.gcs import GcsFolder
from cloudtrain.guest.gcs_token import MachineToken
from cloudtrain.guest.line import BrokenLineError
from cloudtrain.guest.mirror import Mirror
from cloudtrain.guest.outputs import Checkpoints
from cloudtrain.guest.restore import restore

from .google_machine import BUCKET, URL, Rented, World, world

JOB = f"{URL}/digits/"
PREFIX = "prefix/digits/"
INSERT, LIST = "storage.objects.insert", "storage.objects.list"
TOKENS = "instance/service-accounts/default/token"


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "CLOUDSDK_ACTIVE_CONFIG_NAME", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "playground")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "cloudtrain-playground")
    with world(tmp_path / "home") as made:
        yield made


@pytest.fixture
def machine(google: World) -> Rented:
    return google.rent("ct-first")


@pytest.fixture
def folder(machine: Rented) -> Iterator[GcsFolder]:
    made = GcsFolder(JOB, machine.environ, MachineToken(machine.environ))
    yield made
    made.close()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "run" / "work" / "results").mkdir(parents=True)
    return tmp_path / "run" / "work"


def places() -> Checkpoints:
    return Checkpoints(JOB, "us-central1", ["results", "model.bin"])


def put(path: Path, content: bytes, mtime: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))


def bring(rented: Rented, work: Path) -> list[str]:
    said: list[str] = []
    restore(str(work), places(), rented.environ, lambda *_: None, said.append, pause_s=0)
    return said


def fail(google: World, method_id: str, code: str = "", http: int = 0, times: int | None = 1, match: str = "") -> None:
    google.gcp.faults.add("storage", method_id, code=code, http=http, times=times, match=match, reset=not code)


def test_what_one_machine_copied_the_next_finds_with_its_times(
    google: World, machine: Rented, folder: GcsFolder, work: Path
) -> None:
    names = ["results/a b+c", "results/deep/ü%41", "results/~h'i(j)*&?#", "model.bin", *(f"results/{i}" for i in range(9))]
    contents = {name: bytes(range(256)) * 3 + name.encode() + b"\r\n\n" for name in names}
    for number, name in enumerate(names):
        put(work / name, contents[name], 1000.25 + number)
    put(work / "other", b"no output", 1)
    mirror = Mirror(str(work), places(), folder, lambda: None, pause_s=0)
    mirror.finish()
    mirror.last_look()
    assert mirror.words() == []
    assert google.held == {PREFIX + name: content for name, content in contents.items()}
    google.end(machine)
    for name in names:
        (work / name).unlink()
    assert bring(google.rent("ct-second"), work) == []
    found = {name: ((work / name).read_bytes(), (work / name).stat().st_mtime) for name in names}
    assert found == {name: (contents[name], 1000.25 + number) for number, name in enumerate(names)}
    assert google.gcp.violations() == []


def test_a_job_s_outputs_are_there_before_its_end_is_told_and_the_next_machine_goes_on(
    google: World, machine: Rented, guest: Any, make_run: Callable[..., Any]
) -> None:
    first = replace(guest, env={**os.environ, **machine.environ})
    about = {"url": JOB, "region": "us-central1", "outputs": ["results"]}
    run = make_run("mkdir -p results; echo 7 > results/step", guest=first, checkpoints=about)
    run.start()
    assert (run.wait()["phase"], run.log) == ("ended", b"")
    assert google.held == {PREFIX + "results/step": b"7\n"}
    google.end(machine)
    next_machine = google.rent("ct-second")
    second = replace(guest, env={**os.environ, **next_machine.environ})
    run = make_run("echo $(($(cat results/step) + 1)) > results/step", guest=second, checkpoints=about)
    done = second.call("restore", run.work, stdin={"checkpoints": about, "env": {}})
    assert json.loads(done.stdout.splitlines()[-1]) == {"event": "ready"}, done
    run.start()
    assert run.wait()["exit_code"] == 0
    assert google.held == {PREFIX + "results/step": b"8\n"}
    google.end(next_machine)
    assert google.gcp.account.identities == {}


def test_a_machine_reaches_its_folder_and_nothing_else(google: World, machine: Rented, work: Path) -> None:
    put(work / "a", b"a", 1)
    for url in (f"gs://{BUCKET}/prefix2/", f"gs://{BUCKET}/", f"gs://{BUCKET}"):
        other = GcsFolder(url, machine.environ, MachineToken(machine.environ))
        with pytest.raises(NotYetError, match="forbidden"):
            list(other.names())
        with pytest.raises(NotYetError, match="forbidden"):
            other.put_whole("a", str(work / "a"))
        other.close()
    assert google.held == {}


def test_a_whole_bucket_is_reached_where_that_was_asked(google: World, work: Path) -> None:
    rented = google.rent("ct-whole", checkpoints=f"gs://{BUCKET}")
    put(work / "a", b"a", 1)
    made = GcsFolder(f"gs://{BUCKET}/digits/", rented.environ, MachineToken(rented.environ))
    made.put_whole("a", str(work / "a"))
    assert [each.name for each in made.names()] == ["a"]
    made.close()


class TestParts:
    @pytest.fixture
    def big(self, work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(gcs, "CHUNK_BYTES", 256 * 1024)
        content = b"".join(letter * (256 * 1024) for letter in (b"A", b"B", b"C")) + b"end"
        put(work / "results" / "big", content, 77.5)
        return work / "results" / "big"

    def test_a_large_file_goes_in_parts(self, google: World, folder: GcsFolder, big: Path) -> None:
        folder.put_in_parts("results/big", str(big), lambda: False)
        assert google.held == {PREFIX + "results/big": big.read_bytes()}
        assert google.asked(INSERT) == 1 + 4
        [stored] = folder.names()
        assert folder.mtime(stored) == 77.5

    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("part", ["B", "end"])
    def test_a_line_that_breaks_costs_one_part(
        self, google: World, folder: GcsFolder, big: Path, part: str, after: bool
    ) -> None:
        google.gcp.faults.add("storage", INSERT, reset=True, after=after, match=f"^{part}", times=2)
        folder.put_in_parts("results/big", str(big), lambda: False)
        assert google.held == {PREFIX + "results/big": big.read_bytes()}
        # After each break Google is asked how far it came: one that had come in spite of it is not sent again.
        assert google.asked(INSERT) == (5 + 1 if after else 5 + 2 * 2)

    def test_one_that_does_not_come_is_a_broken_line(self, google: World, folder: GcsFolder, big: Path) -> None:
        fail(google, INSERT, "backendError", match="^B", times=None)
        with pytest.raises(BrokenLineError, match="backendError"):
            folder.put_in_parts("results/big", str(big), lambda: False)
        assert google.held == {}

    def test_one_that_changes_meanwhile_becomes_no_object(self, google: World, folder: GcsFolder, big: Path) -> None:
        def change() -> bool:
            os.utime(big, (78, 78))
            return False

        with pytest.raises(ChangedError):
            folder.put_in_parts("results/big", str(big), change)
        assert google.held == {}

    def test_when_there_is_no_time_left_it_ends(self, google: World, folder: GcsFolder, big: Path) -> None:
        looks = iter([False, True])
        with pytest.raises(GuestError, match="no time left"):
            folder.put_in_parts("results/big", str(big), lambda: next(looks))
        assert google.held == {}

    def test_an_upload_that_leads_elsewhere_is_not_followed(
        self, folder: GcsFolder, big: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Elsewhere:
            status = 200

            def all(self, most: int) -> bytes:
                return b""

            def header(self, name: str) -> str:
                return "http://192.0.2.1/steal"

        monkeypatch.setattr(folder, "_ask", lambda *_: Elsewhere())
        with pytest.raises(BrokenLineError, match="begins no upload"):
            folder.put_in_parts("results/big", str(big), lambda: False)


def test_a_small_file_that_grows_while_it_is_read_is_not_stored(google: World, folder: GcsFolder, work: Path) -> None:
    put(work / "results" / "a", b"x", 1)
    os.truncate(work / "results" / "a", gcs.PART_BYTES + 2)
    with pytest.raises(ChangedError):
        folder.put_whole("results/a", str(work / "results" / "a"))
    assert google.held == {}


def test_what_was_replaced_since_it_was_looked_up_is_not_taken_for_it(google: World, folder: GcsFolder, work: Path) -> None:
    put(work / "results" / "a", b"one", 1)
    folder.put_whole("results/a", str(work / "results" / "a"))
    [stored] = folder.names()
    answer = folder.open("results/a", 1, stored.etag)
    assert (answer.status, answer.all(99)) == (206, b"ne")
    google.gcp.account.buckets[BUCKET].put(PREFIX + "results/a", b"two", google.clock.now())
    answer = folder.open("results/a", 0, stored.etag)
    assert answer.status == 412
    answer.leave()


def test_names_that_are_not_the_outputs_stay_there(google: World, machine: Rented, work: Path) -> None:
    for name in ("results/../../evil", "train.py", "results/", "model.bin"):
        google.gcp.account.buckets[BUCKET].put(PREFIX + name, b"x", google.clock.now())
    assert len(bring(machine, work)) == 2
    assert [path.name for path in work.rglob("*") if path.is_file()] == ["model.bin"]


class TestRefusals:
    def test_a_right_that_does_not_count_yet_is_waited_for(self, google: World, machine: Rented, work: Path) -> None:
        google.gcp.account.buckets[BUCKET].put(PREFIX + "model.bin", b"model", google.clock.now())
        fail(google, LIST, "forbidden", times=20)
        [said] = bring(machine, work)
        assert "does not count yet" in said
        assert (work / "model.bin").read_bytes() == b"model"

    def test_one_that_was_taken_away_is_a_refusal(self, google: World, folder: GcsFolder) -> None:
        assert list(folder.names()) == []
        fail(google, LIST, "forbidden")
        with pytest.raises(GuestError, match="refuses: forbidden"):
            list(folder.names())

    @pytest.mark.parametrize(("code", "http"), [("backendError", 503), ("rateLimitExceeded", 429), ("internalError", 500)])
    def test_what_may_pass_is_a_broken_line(self, google: World, folder: GcsFolder, code: str, http: int) -> None:
        fail(google, LIST, code, http)
        with pytest.raises(BrokenLineError, match=code):
            list(folder.names())
        assert list(folder.names()) == []

    def test_a_token_that_is_not_taken_is_replaced(
        self, google: World, folder: GcsFolder, machine: Rented, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good = json.loads(machine.metadata._pages[TOKENS])
        machine.metadata.set(TOKENS, json.dumps({**good, "access_token": "worn-out"}))
        with pytest.raises(BrokenLineError, match="does not take the token"):
            list(folder.names())
        machine.metadata.set(TOKENS, json.dumps(good))
        assert list(folder.names()) == []

    def test_the_account_of_a_machine_that_ended_opens_nothing(self, google: World, machine: Rented, folder: GcsFolder) -> None:
        assert list(folder.names()) == []
        google.end(machine)
        with pytest.raises(BrokenLineError, match="authError"):
            list(folder.names())

    def test_a_bucket_that_is_gone_is_told(self, google: World, folder: GcsFolder) -> None:
        del google.gcp.account.buckets[BUCKET]
        with pytest.raises(GuestError, match="notFound"):
            list(folder.names())

    def test_a_name_that_storage_cannot_hold(self, folder: GcsFolder, work: Path) -> None:
        put(work / "results" / "x", b"x", 1)
        with pytest.raises(GuestError, match="no name"):
            folder.put_whole("results/\udcff", str(work / "results" / "x"))


class TestToken:
    def test_it_is_asked_for_once_and_again_when_it_is_old(self, machine: Rented) -> None:
        now = [1000.0]
        token = MachineToken(machine.environ, lambda: now[0])
        first = token()
        assert first.startswith("machine-cloudtrain-")
        machine.metadata.set(TOKENS, json.dumps({"access_token": "other", "expires_in": 3599}))
        now[0] += 3599 - gcs_token.FRESH_S
        assert token() == first
        now[0] += 1
        assert token() == "other"

    def test_a_machine_without_an_account_says_so(self, google: World) -> None:
        rented = google.rent("ct-none", checkpoints="")
        with pytest.raises(GuestError, match="has no service account"):
            MachineToken(rented.environ)()

    @pytest.mark.parametrize(
        "said", ["", "[]", '{"access_token": "s3cret"}', '{"access_token": 5, "expires_in": 9}', 's3cret{"']
    )
    def test_what_cannot_be_read_is_not_quoted(self, machine: Rented, said: str) -> None:
        machine.metadata.set(TOKENS, said)
        with pytest.raises(BrokenLineError) as caught:
            MachineToken(machine.environ)()
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize("token", ["a\\r\\nHost: evil", "a b\\u00e9", ""])
    def test_one_that_is_no_header_is_not_sent(self, machine: Rented, token: str) -> None:
        machine.metadata.set(TOKENS, f'{{"access_token": "{token}", "expires_in": 3599}}')
        with pytest.raises(BrokenLineError, match="cannot be read"):
            MachineToken(machine.environ)()

    def test_an_odd_answer_of_the_server_is_a_broken_line(self, machine: Rented) -> None:
        machine.metadata.set(TOKENS, None)
        machine.metadata._pages["instance/service-accounts/default"] = "x"
        with pytest.raises(GuestError):
            MachineToken(machine.environ)()


@pytest.mark.parametrize("url", ["gs://", "gs:///x", "gs://UPPER/x", "s3://bucket/x", "gs://a"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(GuestError, match="no address in Cloud Storage"):
        GcsFolder(url, {}, MachineToken({}))


def test_by_its_scheme_an_address_leads_there() -> None:
    made = folder_at("gs://my_bucket.example.com/x", "", {})
    assert isinstance(made, GcsFolder)
    assert made._lines.host == "storage.googleapis.com"
    made.close()
