"""Data in object storage: looked at and priced before money is spent, read by the machine, and the way back of checkpoints."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from cloudtrain.model.errors import ConfigError, HostUnreachableError, RemoteError, TransferError
from cloudtrain.model.event import Note, Progress
from cloudtrain.model.spec import JobSpec
from cloudtrain.model.storage import Link, StoredData, StoredObject
from cloudtrain.remote.guest import Guest
from cloudtrain.remote.local import LocalRemote
from cloudtrain.stages import fetch as stage
from cloudtrain.testing.clock import NOON

WORK = PurePosixPath("/machine/work")
UNTIL = NOON + timedelta(hours=2)


def data(url: str, *names: str, region: str = "eu-west-1", size: int = 10) -> StoredData:
    folder = url.rstrip("/").rpartition("/")[2]
    return StoredData(url, region, folder, tuple(StoredObject(name, size, "e") for name in names))


class Storage:
    """A provider that holds what it was given and counts the links it makes."""

    name = "aws"

    def __init__(self, *held: StoredData) -> None:
        self.held = {each.url: each for each in held}
        self.made: list[tuple[int, datetime]] = []

    def check(self) -> Sequence[Any]:
        return ()

    def offers(self, need: Any) -> Sequence[Any]:
        return ()

    def right_to(self, url: str) -> str:
        return f"a right to {url}"

    def region_of(self, url: str) -> str:
        return f"region of {url}"

    def stored(self, url: str) -> StoredData:
        return self.held[url]

    def links(self, found: StoredData, until: datetime) -> Sequence[Link]:
        self.made.append((len(found.objects), until))
        return [Link(each, f"https://{len(self.made)}/{each.name}?s3cret") for each in found.objects]


class Poor:
    """A provider that reaches no object storage."""

    name = "local"

    check = offers = lambda *_: ()


class Machine:
    """A guest that answers as it was told to: how many bytes came, and whether all did."""

    def __init__(self, *answers: tuple[int, bool]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[PurePosixPath, list[Mapping[str, Any]]]] = []
        self.restored: list[Any] = []

    def fetch(self, work: PurePosixPath, files: Sequence[Mapping[str, Any]], on_bytes: Any, on_text: Any) -> bool:
        self.asked.append((work, list(files)))
        total = sum(file["bytes"] for file in files)
        came, is_all = self.answers.pop(0) if self.answers else (total, True)
        on_text("at work")
        on_bytes(came, total)
        return is_all

    def restore(self, *about: Any) -> None:
        self.restored.append(about[:2])
        about[2](3, 7)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., JobSpec]:
    return lambda *urls, **more: JobSpec("digits", tmp_path, "true", stored_inputs=urls, **more)


class TestLooking:
    def test_what_names_nothing_in_storage_asks_nobody(self, job: Callable[..., JobSpec]) -> None:
        assert stage.look(job(), Poor()) == ()
        assert stage.region_of_checkpoints(job(), Poor()) == ""

    def test_everything_that_is_named_is_looked_at(self, job: Callable[..., JobSpec]) -> None:
        first, second = data("s3://b/one/", "x", "y/z"), data("s3://b/two/", "x")
        assert stage.look(job(first.url, second.url), Storage(first, second)) == [first, second]
        assert stage.region_of_checkpoints(job(checkpoints="s3://b/k/"), Storage()) == "region of s3://b/k/"

    def test_a_provider_without_storage_is_refused(self, job: Callable[..., JobSpec]) -> None:
        with pytest.raises(ConfigError, match="a machine of local cannot reach s3://b/one/") as caught:
            stage.look(job("s3://b/one/"), Poor())
        assert caught.value.field == "inputs"
        with pytest.raises(ConfigError, match="local cannot reach s3://b/k/") as caught:
            stage.region_of_checkpoints(job(checkpoints="s3://b/k/"), Poor())
        assert caught.value.field == "checkpoints"

    def test_an_empty_place_is_refused(self, job: Callable[..., JobSpec]) -> None:
        empty = data("s3://b/one/")
        with pytest.raises(ConfigError, match="nothing at s3://b/one/"):
            stage.look(job(empty.url), Storage(empty))

    @pytest.mark.parametrize("name", ["../x", "a/../x", "/x", "a//x", "./x", "a\0x"])
    def test_a_name_that_leads_out_is_refused_before_money(self, job: Callable[..., JobSpec], name: str) -> None:
        evil = data("s3://b/one/", "good", name)
        with pytest.raises(ConfigError, match="no name of a file inside a folder"):
            stage.look(job(evil.url), Storage(evil))

    def test_a_file_that_is_a_folder_too_is_refused(self, job: Callable[..., JobSpec]) -> None:
        odd = data("s3://b/one/", "a", "a.b", "a/b/c")
        with pytest.raises(ConfigError, match="'a' and 'a/b/c'"):
            stage.look(job(odd.url), Storage(odd))

    def test_two_that_would_be_one_folder_are_refused(self, job: Callable[..., JobSpec]) -> None:
        first, second = data("s3://b/one/data/", "x"), data("s3://b/two/data", "y")
        with pytest.raises(ConfigError, match="s3://b/one/data/ and s3://b/two/data would both be 'data'"):
            stage.look(job(first.url, second.url), Storage(first, second))


class TestWords:
    @pytest.mark.parametrize(
        ("url", "cloud", "look", "copy"),
        [
            ("s3://b/one/", "AWS", "aws s3 ls s3://b/one/", "S3 does.*: aws s3 cp s3://b/one/ . --recursive"),
            (
                "gs://b/one/",
                "Google Cloud",
                "gcloud storage ls gs://b/one/",
                "Cloud Storage does.*: gcloud storage cp --recursive gs://b/one/ .",
            ),
            (
                "az://acc/con/one/",
                "Azure",
                "az storage blob list --auth-mode login --output table --account-name acc --container-name con --prefix one/",
                "Blob Storage does.*: az storage blob download-batch --auth-mode login --destination . "
                "--account-name acc --source con --pattern 'one/[*]'",
            ),
        ],
    )
    def test_each_cloud_s_own_are_used(self, job: Callable[..., JobSpec], url: str, cloud: str, look: str, copy: str) -> None:
        with pytest.raises(ConfigError) as caught:
            stage.look(job(url), Poor())
        assert caught.value.hint.startswith(f"Choose a machine on {cloud}, or")
        with pytest.raises(ConfigError) as caught:
            stage.look(job(url), Storage(data(url)))
        assert caught.value.hint == f"Look: {look}"
        with pytest.raises(TransferError, match=f"(?s){copy}$"):
            stage.fetch([data(url, "x", "y")], UNTIL, WORK, Storage(), Machine((10, False), (10, False)), lambda _: None)

    def test_a_whole_container_is_listed_without_a_prefix(self, job: Callable[..., JobSpec]) -> None:
        with pytest.raises(ConfigError) as caught:
            stage.look(job("az://acc/con/"), Storage(data("az://acc/con/")))
        assert caught.value.hint.endswith("--account-name acc --container-name con")


class TestPrice:
    def test_the_same_region_costs_nothing_and_says_nothing(self) -> None:
        found = [data("s3://b/one/", "x", size=10**12)]
        assert stage.warn_or_refuse(found, "eu-west-1") == []
        assert stage.transfer_usd(found, "eu-west-1") == 0

    def test_another_region_is_priced(self) -> None:
        found = [data("s3://b/one/", "x", size=150 * 10**9), data("s3://b/two/", "x", region="us-east-1", size=10**9)]
        [said] = stage.warn_or_refuse(found, "us-east-1")
        assert said.startswith(
            "s3://b/one/ is in eu-west-1 and the machine in us-east-1: 150.00 GB from there cost about $3.00"
        )
        assert "more from some regions" in said
        assert stage.transfer_usd(found, "us-east-1") == pytest.approx(3.0)

    @pytest.mark.parametrize(("url", "kept_in"), [("gs://b/one/", "europe-west4"), ("az://a/c/one/", "westeurope")])
    def test_a_way_between_continents_is_said_to_cost_more(self, job: Callable[..., JobSpec], url: str, kept_in: str) -> None:
        [said] = stage.warn_or_refuse([data(url, "x", region=kept_in)], "us-central1")
        assert "at $0.02/GB (more between continents), which no budget holds down" in said
        [said] = stage.warn_of_checkpoints(job(checkpoints=url), kept_in, "us-central1")
        assert "about $0.02 (more between continents), which" in said

    @pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
    def test_a_way_without_a_price_is_refused(self, region: str) -> None:
        with pytest.raises(ConfigError, match="not known"):
            stage.warn_or_refuse([data("s3://b/one/", "x")], region)

    def test_checkpoints_in_another_region_are_told(self, job: Callable[..., JobSpec]) -> None:
        away = job(checkpoints="s3://b/k/")
        [said] = stage.warn_of_checkpoints(away, "eu-west-1", "us-east-1")
        assert "about $0.02" in said
        assert stage.warn_of_checkpoints(away, "eu-west-1", "eu-west-1") == ()
        assert stage.warn_of_checkpoints(job(), "", "us-east-1") == ()


class TestFetching:
    def test_files_go_to_the_folder_of_their_address_with_a_link_each(self) -> None:
        found = [data("s3://b/one/", "x", "y/z"), StoredData("s3://b/two.csv", "r", "", (StoredObject("two.csv", 5, "m"),))]
        storage, machine, told = Storage(), Machine(), []
        stage.fetch(found, UNTIL, WORK, storage, machine, told.append)
        assert [work for work, _ in machine.asked] == [WORK, WORK]
        assert [file for _, files in machine.asked for file in files] == [
            {"name": "one/x", "url": "https://1/x?s3cret", "bytes": 10, "etag": "e"},
            {"name": "one/y/z", "url": "https://1/y/z?s3cret", "bytes": 10, "etag": "e"},
            {"name": "two.csv", "url": "https://2/two.csv?s3cret", "bytes": 5, "etag": "m"},
        ]
        assert {until for _, until in storage.made} == {UNTIL}
        assert [event for event in told if isinstance(event, Progress)] == [
            Progress("fetch", 20, 25),
            Progress("fetch", 25, 25),
        ]
        assert Note("at work", "detail") in told

    def test_links_are_made_for_some_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stage, "FILES_AT_ONCE", 3)
        storage, machine = Storage(), Machine()
        stage.fetch([data("s3://b/one/", *"abcdefgh")], UNTIL, WORK, storage, machine, lambda _: None)
        assert [count for count, _ in storage.made] == [3, 3, 2]
        assert [file["name"] for _, files in machine.asked for file in files] == [f"one/{name}" for name in "abcdefgh"]

    def test_links_that_ended_too_soon_are_made_anew_while_something_comes(self) -> None:
        storage, machine = Storage(), Machine((0, False), (10, False), (15, False), (20, True))
        stage.fetch([data("s3://b/one/", "x", "y")], UNTIL, WORK, storage, machine, lambda _: None)
        assert len(storage.made) == 4

    def test_links_that_are_refused_again_end_it(self) -> None:
        storage, machine = Storage(), Machine((10, False), (10, False), (20, True))
        with pytest.raises(TransferError, match="S3 does not let the machine read s3://b/one/"):
            stage.fetch([data("s3://b/one/", "x", "y")], UNTIL, WORK, storage, machine, lambda _: None)
        assert len(storage.made) == 2


class TestCheckpoints:
    @pytest.mark.parametrize("url", ["s3://b/k", "s3://b/k/"])
    def test_the_order_names_the_job_s_own_folder(self, job: Callable[..., JobSpec], url: str) -> None:
        wanted = job(checkpoints=url, outputs=("results", "model.bin"), env={"AWS_ENDPOINT_URL": "http://here"})
        order = {"url": "s3://b/k/digits/", "region": "r", "outputs": ["results", "model.bin"]}
        assert stage.checkpoint_order(wanted, "r") == order
        machine, told = Machine(), []
        stage.restore(wanted, "r", WORK, machine, told.append)
        assert machine.restored == [(WORK, {"checkpoints": order, "env": {"AWS_ENDPOINT_URL": "http://here"}})]
        assert told == [Progress("fetch", 3, 7)]

    def test_a_job_without_a_place_restores_nothing(self, job: Callable[..., JobSpec]) -> None:
        machine = Machine()
        stage.restore(job(), "", WORK, machine, pytest.fail)
        assert (machine.restored, stage.checkpoint_order(job(), "")) == ([], None)


class Scripted(LocalRemote):
    """A machine whose guest says what the test wrote for it."""

    said = ""
    code = 0
    heard = b""

    def stream(self, argv: list[str], *, stdin: bytes = b"") -> Any:  # type: ignore[override]
        self.asked, self.heard = argv[2:], stdin
        return super().stream(["sh", "-c", f"printf '%s\\n' {shlex.quote(self.said)}; exit {self.code}"], stdin=stdin)


class TestGuest:
    """What a machine says of its fetching is understood, and survived."""

    @pytest.fixture
    def ask(self, tmp_path: Path) -> Callable[..., tuple[bool, list[Any]]]:
        def run(*events: Any, code: int = 0) -> tuple[bool, list[Any]]:
            remote = Scripted(tmp_path, tmp_path / "cache")
            remote.said, remote.code = "\n".join(json.dumps(event) for event in events), code
            heard: list[Any] = []
            files = [{"name": "a", "url": "https://s3cret", "bytes": 1, "etag": ""}]
            is_all = Guest(remote).fetch(WORK, files, lambda *counts: heard.append(counts), heard.append)
            assert (remote.asked, json.loads(remote.heard)) == (["fetch", str(WORK)], {"files": files})
            return is_all, heard

        return run

    def test_progress_and_an_end(self, ask: Callable[..., tuple[bool, list[Any]]]) -> None:
        progress = {"event": "progress", "done": 1, "total": 2}
        odd = {"event": "progress", "done": -1, "total": "many"}
        note = {"event": "note", "text": "waiting\x1b[31m"}
        assert ask(progress, odd, note, {"event": "ready"}) == (True, [(1, 2), (0, 0), "waiting[31m"])
        assert ask({"event": "denied", "reason": "x"}, code=1) == (False, [])

    def test_a_failure_is_told_in_the_machine_s_words(self, ask: Callable[..., tuple[bool, list[Any]]]) -> None:
        with pytest.raises(TransferError, match="the disk is too small"):
            ask({"event": "failed", "reason": "the disk is too small"}, code=1)
        with pytest.raises(RemoteError, match="nonsense"):
            ask({"error": "nonsense"}, code=1)

    def test_a_guest_that_just_stops_has_not_finished(self, ask: Callable[..., tuple[bool, list[Any]]]) -> None:
        with pytest.raises(RemoteError, match="stopped before"):
            ask({"event": "progress", "done": 1, "total": 2})
        with pytest.raises(HostUnreachableError):
            ask({"event": "progress", "done": 1, "total": 2}, code=1)
