"""The job's outputs in S3: copied while it runs and when it ends, found again before the next, and never in its way."""

import dataclasses
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloudtrain.guest import copier, role, s3
from cloudtrain.guest import mirror as mirrors
from cloudtrain.guest.errors import GuestError
from cloudtrain.guest.job import Job
from cloudtrain.guest.line import BrokenLineError
from cloudtrain.guest.mirror import Mirror
from cloudtrain.guest.outputs import Checkpoints, read_checkpoints
from cloudtrain.guest.restore import restore
from cloudtrain.guest.role import RoleCredentials
from cloudtrain.guest.s3 import Folder

from .s3_server import BUCKET, REGION, Fault, S3Server, Stored, serving

URL = f"s3://{BUCKET}/prefix/digits/"
PREFIX = "prefix/digits/"


@pytest.fixture
def server() -> Iterator[S3Server]:
    with serving() as server:
        yield server


@pytest.fixture
def folder(server: S3Server) -> Iterator[Folder]:
    made = Folder(URL, REGION, server.environ, RoleCredentials(server.environ))
    yield made
    made.close()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "run" / "work" / "results").mkdir(parents=True)
    return tmp_path / "run" / "work"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mirror(work: Path, folder: Folder, clock: Clock) -> Mirror:
    places = Checkpoints(URL, REGION, ["results", "model.bin"])
    return Mirror(str(work), places, folder, lambda: None, pause_s=0, clock=clock)


def put(path: Path, content: bytes, mtime: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))


def held(server: S3Server) -> dict[str, bytes]:
    return {key: stored.body for key, stored in server.objects.items()}


class TestCopying:
    def test_a_file_is_copied_when_two_looks_find_it_alike_and_then_no_more(
        self, mirror: Mirror, server: S3Server, work: Path
    ) -> None:
        put(work / "results" / "epoch 1+ä.bin", b"one", 100.5)
        put(work / "model.bin", b"model", 101)
        put(work / "other", b"no output", 102)
        mirror.look()
        assert held(server) == {}
        mirror.look()
        assert held(server) == {PREFIX + "results/epoch 1+ä.bin": b"one", PREFIX + "model.bin": b"model"}
        before = len(server.asked)
        mirror.look()
        assert len(server.asked) == before
        assert mirror.words() == []

    def test_a_file_that_is_being_written_waits(self, mirror: Mirror, server: S3Server, work: Path) -> None:
        for size in range(1, 4):
            put(work / "results" / "a", b"x" * size, 100)
            mirror.look()
        put(work / "results" / "a", b"yyy", 101)
        mirror.look()
        assert held(server) == {}
        mirror.look()
        assert held(server) == {PREFIX + "results/a": b"yyy"}

    def test_a_file_that_changes_while_it_is_read_is_not_taken_for_copied(
        self, mirror: Mirror, server: S3Server, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = work / "results" / "a"
        put(path, b"old", 100)
        mirror.look()
        real = os.pread
        monkeypatch.setattr(s3.os, "pread", lambda *about: (real(*about), put(path, b"new", 101))[0])
        mirror.look()
        assert held(server) == {}
        monkeypatch.undo()
        mirror.look()
        mirror.look()
        assert held(server) == {PREFIX + "results/a": b"new"}

    def test_only_files_are_copied_and_links_are_not_followed(
        self, mirror: Mirror, server: S3Server, work: Path, tmp_path: Path
    ) -> None:
        put(tmp_path / "private" / "key", b"secret", 100)
        (work / "results" / "link").symlink_to(tmp_path / "private" / "key")
        (work / "results" / "links").symlink_to(tmp_path / "private")
        (work / "model.bin").symlink_to(tmp_path / "private")
        os.mkfifo(work / "results" / "pipe")
        put(work / "results" / "a", b"a", 100)
        mirror.finish()
        mirror.last_look()
        assert list(held(server)) == [PREFIX + "results/a"]

    def test_the_last_look_copies_what_was_written_a_moment_ago(self, mirror: Mirror, server: S3Server, work: Path) -> None:
        put(work / "results" / "a", b"final", 100)
        mirror.finish()
        mirror.last_look()
        assert held(server) == {PREFIX + "results/a": b"final"}
        assert mirror.words() == []

    def test_what_names_other_files_is_copied_after_them(
        self, mirror: Mirror, server: S3Server, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mirrors, "PART_BYTES", 10)
        monkeypatch.setattr(s3, "PART_BYTES", 10)
        put(work / "results" / "a-index", b"weights", 200)
        put(work / "results" / "weights", b"w" * 95, 100)
        put(work / "results" / "z-early", b"z", 50)
        mirror.finish()
        mirror.last_look()
        assert list(held(server)) == [PREFIX + name for name in ("results/z-early", "results/weights", "results/a-index")]

    def test_a_large_file_goes_in_parts_and_is_whole_there(
        self, mirror: Mirror, server: S3Server, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mirrors, "PART_BYTES", 10)
        monkeypatch.setattr(s3, "PART_BYTES", 10)
        put(work / "model.bin", bytes(range(95)), 100.25)
        mirror.finish()
        mirror.last_look()
        stored = server.objects[PREFIX + "model.bin"]
        assert (stored.body, stored.etag[-3:]) == (bytes(range(95)), "-10")
        assert stored.headers == {"x-amz-meta-mtime": "100.250000"}
        assert server.uploads == {}

    def test_very_large_files_have_larger_parts(
        self, mirror: Mirror, server: S3Server, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mirrors, "PART_BYTES", 10)
        monkeypatch.setattr(s3, "PART_BYTES", 10)
        monkeypatch.setattr(s3, "MOST_PARTS", 4)
        put(work / "model.bin", b"m" * 99, 100)
        mirror.finish()
        mirror.last_look()
        assert server.objects[PREFIX + "model.bin"].etag[-2:] == "-4"

    @pytest.mark.parametrize("begins", ["PUT", "POST"])
    def test_an_upload_in_parts_that_fails_leaves_no_parts(
        self, mirror: Mirror, server: S3Server, work: Path, monkeypatch: pytest.MonkeyPatch, begins: str
    ) -> None:
        monkeypatch.setattr(mirrors, "PART_BYTES", 10)
        monkeypatch.setattr(s3, "PART_BYTES", 10)
        put(work / "model.bin", b"m" * 40, 100)
        mirror.look()
        complete = f"POST /{BUCKET}/{PREFIX}model.bin?uploadId" if begins == "POST" else f"PUT /{BUCKET}/{PREFIX}"
        server.faults.append(Fault(complete, status=503))
        mirror.look()
        assert (held(server), server.uploads) == ({}, {})
        mirror.look()
        assert held(server) == {PREFIX + "model.bin": b"m" * 40}

    def test_a_large_file_that_changes_while_it_is_sent_is_not_put_together(
        self, mirror: Mirror, server: S3Server, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mirrors, "PART_BYTES", 10)
        monkeypatch.setattr(s3, "PART_BYTES", 10)
        put(work / "model.bin", b"m" * 40, 100)
        mirror.look()
        server.faults.append(Fault(f"PUT /{BUCKET}", act=lambda: put(work / "model.bin", b"n" * 40, 101)))
        mirror.look()
        assert (held(server), server.uploads) == ({}, {})
        assert mirror.words() == []
        mirror.look()
        mirror.look()
        assert held(server) == {PREFIX + "model.bin": b"n" * 40}

    def test_what_is_there_already_is_not_copied_again(self, mirror: Mirror, server: S3Server, work: Path) -> None:
        for number in range(8):
            put(work / "results" / f"{number}", b"same", 100)
            server.objects[f"{PREFIX}results/{number}"] = Stored(b"same", at=200)
        put(work / "results" / "newer", b"new!", 300)
        server.objects[f"{PREFIX}results/newer"] = Stored(b"old!", at=200)
        put(work / "results" / "longer", b"longer", 100)
        server.objects[f"{PREFIX}results/longer"] = Stored(b"long", at=200)
        mirror.finish()
        mirror.last_look()
        assert sorted(server.named("PUT")[-2:]) == [PREFIX + "results/longer", PREFIX + "results/newer"]
        assert len([name for name in server.named("PUT") if name.startswith(PREFIX)]) == 2


class TestTrouble:
    def test_it_is_told_once_and_that_it_is_over(self, mirror: Mirror, server: S3Server, work: Path) -> None:
        put(work / "results" / "a", b"a", 100)
        mirror.look()
        server.faults.append(Fault(f"PUT /{BUCKET}", status=503, code="SlowDown", times=2))
        mirror.look()
        mirror.look()
        assert mirror.words() == [f"the outputs could not be copied to {URL}: S3 answers SlowDown; it is tried again"]
        mirror.look()
        assert mirror.words() == [f"the outputs are copied to {URL} again"]
        assert held(server) == {PREFIX + "results/a": b"a"}

    def test_the_last_look_tries_again_and_then_says_what_is_missing(
        self, mirror: Mirror, server: S3Server, work: Path
    ) -> None:
        put(work / "results" / "a", b"a", 100)
        server.faults.append(Fault(f"PUT /{BUCKET}", status=503, code="SlowDown", times=99))
        mirror.finish()
        mirror.last_look()
        told = mirror.words()
        assert "S3 answers SlowDown" in told[0]
        assert told[1].startswith(f"1 of the outputs' files are not in {URL}")
        assert server.named("PUT").count(PREFIX + "results/a") == mirrors.LAST_TRIES

    def test_what_s3_refuses_is_not_tried_again_at_the_end(self, mirror: Mirror, server: S3Server, work: Path) -> None:
        put(work / "results" / "a", b"a", 100)
        server.faults.append(Fault(f"PUT /{BUCKET}", status=403, code="AccessDenied", times=99))
        mirror.finish()
        mirror.last_look()
        assert "S3 refuses: AccessDenied" in mirror.words()[0]
        assert server.named("PUT").count(PREFIX + "results/a") == 1

    def test_a_file_that_cannot_be_read_keeps_no_other_back(
        self, mirror: Mirror, server: S3Server, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(work / "results" / "a", b"a", 100)
        put(work / "results" / "b", b"b", 200)
        real = os.open

        def refuse(path: Any, *rest: Any) -> int:
            if str(path).endswith("/a"):
                raise PermissionError(13, "Permission denied")
            return real(path, *rest)

        monkeypatch.setattr(s3.os, "open", refuse)
        for _ in range(3):
            mirror.look()
        assert held(server) == {PREFIX + "results/b": b"b"}
        assert mirror.words() == [f"results/a cannot be read, and is not copied to {URL}: Permission denied"]

    def test_a_name_that_is_no_text_is_told(self, mirror: Mirror, server: S3Server, work: Path) -> None:
        put(Path(os.fsdecode(os.fsencode(work) + b"/results/\xff")), b"a", 100)
        mirror.finish()
        mirror.last_look()
        assert "no name that S3 can hold" in mirror.words()[0]

    def test_nothing_is_begun_when_the_time_is_over(self, mirror: Mirror, server: S3Server, work: Path, clock: Clock) -> None:
        put(work / "results" / "a", b"a", 100)
        mirror.leave_by(clock.now + 5)
        mirror.leave_by(clock.now + 50)
        assert mirror.finish() == clock.now + 5
        clock.now += 6
        mirror.last_look()
        assert held(server) == {}
        assert "there was no time left" in mirror.words()[0]

    def test_a_large_file_is_given_up_between_its_parts(
        self, mirror: Mirror, server: S3Server, work: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mirrors, "PART_BYTES", 10)
        monkeypatch.setattr(s3, "PART_BYTES", 10)
        put(work / "model.bin", b"m" * 400, 100)
        mirror.leave_by(clock.now + 5)

        def late() -> None:
            clock.now += 6

        server.faults.append(Fault(f"PUT /{BUCKET}", act=late))
        mirror.finish()
        mirror.last_look()
        assert (held(server), server.uploads) == ({}, {})
        assert len([line for line in server.asked if "partNumber" in line]) < 40


class TestCredentials:
    def test_they_are_asked_for_once_and_again_before_they_end(self, server: S3Server) -> None:
        now = [0.0]
        server.life_s = 3600
        ask = RoleCredentials(server.environ, lambda: now[0])
        first = ask()
        now[0] = first.expires - role.FRESH_S
        assert ask() == first
        now[0] += 1
        assert ask().key_id == "ASIA2"
        assert "secret/1+x" not in repr(first)
        assert "token1" not in repr(first)

    def test_those_that_s3_takes_no_more_are_replaced(self, folder: Folder, server: S3Server) -> None:
        assert list(folder.names()) == []
        server.given += 1  # S3 knows newer ones by now
        with pytest.raises(BrokenLineError, match="InvalidAccessKeyId"):
            list(folder.names())
        assert list(folder.names()) == []

    def test_a_machine_without_a_role_says_so(self, folder: Folder, server: S3Server) -> None:
        server.has_role = False
        with pytest.raises(GuestError, match="the machine has no role"):
            list(folder.names())

    @pytest.mark.parametrize("said", ["", "[]", '{"AccessKeyId": "s3cret"}', 's3cret{"'])
    def test_what_cannot_be_read_is_not_quoted(self, said: str) -> None:
        with pytest.raises(BrokenLineError) as caught:
            role._read(said)
        assert "s3cret" not in str(caught.value)


def test_every_request_was_signed_as_the_sdk_would(mirror: Mirror, folder: Folder, server: S3Server, work: Path) -> None:
    for name in ("a b", "c+d", "e=f&g", "~h'i(j)*", "ü/k", "%41", "l:m@n,o;p"):
        put(work / "results" / name, name.encode(), 100)
    mirror.finish()
    mirror.last_look()
    assert {stored.name: folder.mtime(stored) for stored in folder.names()} == {
        f"results/{name}": 100.0 for name in ("a b", "c+d", "e=f&g", "~h'i(j)*", "ü/k", "%41", "l:m@n,o;p")
    }
    assert sum(server.signed_by.values()) == len([line for line in server.asked if f"/{BUCKET}" in line]) > 14


@pytest.mark.parametrize(
    ("bucket", "region", "server", "base"),
    [
        ("b-1", "eu-west-1", "https://b-1.s3.eu-west-1.amazonaws.com", ""),
        ("b.1", "us-east-1", "https://s3.us-east-1.amazonaws.com", "/b.1"),
        ("b-1", "cn-north-1", "https://b-1.s3.cn-north-1.amazonaws.com.cn", ""),
    ],
)
def test_a_bucket_has_its_region_s_address(bucket: str, region: str, server: str, base: str) -> None:
    assert s3._server(bucket, region, "") == (server, base)
    assert s3._server(bucket, region, "http://127.0.0.1:9/") == ("http://127.0.0.1:9", f"/{bucket}")


@pytest.mark.parametrize(
    "content",
    [
        5,
        {"url": "s3://b/", "region": "r"},
        {"url": "s3://b/", "region": None, "outputs": []},
        {"url": "s3://b/", "region": "r", "outputs": ["../x"]},
        {"url": "s3://b/", "region": "r", "outputs": ["/x"]},
        {"url": "s3://b/", "region": "r", "outputs": [7]},
    ],
)
def test_checkpoints_that_are_none_are_refused(content: Any) -> None:
    with pytest.raises(GuestError, match="checkpoints"):
        read_checkpoints(content)


class TestRestoring:
    @pytest.fixture
    def bring(self, server: S3Server, work: Path) -> Callable[[], list[str]]:
        def run() -> list[str]:
            said: list[str] = []
            places = Checkpoints(URL, REGION, ["results", "model.bin"])
            restore(str(work), places, server.environ, lambda *_: None, said.append, pause_s=0)
            return said

        return run

    def test_what_was_copied_comes_back_with_its_times(
        self, mirror: Mirror, server: S3Server, work: Path, bring: Callable[[], list[str]]
    ) -> None:
        names = ["results/a b+c", "results/deep/ü", "model.bin", *(f"results/{number}" for number in range(9))]
        for number, name in enumerate(names):
            put(work / name, name.encode(), 1000 + number)
        mirror.finish()
        mirror.last_look()
        for name in names:
            (work / name).unlink()
        assert bring() == []
        assert {name: ((work / name).read_bytes(), (work / name).stat().st_mtime) for name in names} == {
            name: (name.encode(), 1000.0 + number) for number, name in enumerate(names)
        }
        before = server.named("PUT").count(PREFIX + "model.bin")
        again = Mirror(str(work), mirror._checkpoints, mirror._folder, lambda: None)
        again.finish()
        again.last_look()
        assert server.named("PUT").count(PREFIX + "model.bin") == before

    def test_what_is_newer_here_stays_and_what_is_older_goes(
        self, server: S3Server, work: Path, bring: Callable[[], list[str]]
    ) -> None:
        for name, here, there in (("newer", 300, 200), ("same", 200, 200), ("older", 100, 200)):
            put(work / "results" / name, b"here", here)
            server.objects[f"{PREFIX}results/{name}"] = Stored(b"there", {"x-amz-meta-mtime": str(there)}, at=1000)
        put(work / "results" / "unmarked", b"here", 900)
        server.objects[f"{PREFIX}results/unmarked"] = Stored(b"there", at=1000)
        bring()
        assert {path.name: path.read_bytes() for path in (work / "results").iterdir()} == {
            "newer": b"here",
            "same": b"here",
            "older": b"there",
            "unmarked": b"there",
        }

    @pytest.mark.parametrize(
        "name", ["../evil", "results/../../evil", "/etc/evil", "results//evil", "train.py", "results2/evil"]
    )
    def test_names_that_are_not_the_outputs_stay_there_and_are_told(
        self, server: S3Server, work: Path, bring: Callable[[], list[str]], name: str
    ) -> None:
        server.objects |= {PREFIX + name: Stored(b"evil"), f"{PREFIX}results/": Stored(b""), f"{PREFIX}results/a": Stored(b"a")}
        [said] = bring()
        assert said.startswith("left in the storage: ")
        assert sorted(path.relative_to(work.parent).as_posix() for path in work.parent.rglob("*") if path.is_file()) == [
            "fetch.lock",
            "work/results/a",
        ]
        assert PREFIX + name not in server.named("GET")

    def test_a_role_that_is_not_known_yet_is_waited_for(
        self, server: S3Server, work: Path, bring: Callable[[], list[str]]
    ) -> None:
        server.objects[PREFIX + "model.bin"] = Stored(b"model")
        server.faults += [
            Fault("GET /latest", status=404),
            Fault(f"GET /{BUCKET}", status=403, code="InvalidAccessKeyId", times=2),
        ]
        bring()
        assert (work / "model.bin").read_bytes() == b"model"

    def test_what_cannot_be_looked_up_is_an_error_and_no_empty_folder(
        self, server: S3Server, bring: Callable[[], list[str]]
    ) -> None:
        server.faults.append(Fault(f"GET /{BUCKET}", status=403, code="AccessDenied", times=99))
        with pytest.raises(GuestError, match="AccessDenied"):
            bring()
        server.faults[0] = Fault(f"GET /{BUCKET}", status=500, times=99)
        with pytest.raises(GuestError, match="cannot be looked up"):
            bring()

    def test_the_command(self, guest, server: S3Server, work: Path) -> None:
        server.objects[PREFIX + "model.bin"] = Stored(b"model")
        wish = {"checkpoints": {"url": URL, "region": REGION, "outputs": ["model.bin"]}, "env": server.environ}
        done = guest.call("restore", work, stdin=wish)
        assert done.returncode == 0, done
        assert json.loads(done.stdout.splitlines()[-1]) == {"event": "ready"}
        assert (work / "model.bin").read_bytes() == b"model"
        wish["checkpoints"]["region"] = "us-east-1"
        server.faults.append(Fault(f"GET /{BUCKET}", status=301, code="PermanentRedirect", times=99))
        wish["checkpoints"]["url"] = "nonsense"
        failed = guest.call("restore", work, stdin=wish)
        assert failed.returncode == 1
        assert json.loads(failed.stdout)["event"] == "failed"


class TestThread:
    def test_it_looks_again_and_again_and_once_more_at_the_end(self, work: Path, folder: Folder, server: S3Server) -> None:
        woken = threading.Semaphore(0)
        at_work = Mirror(str(work), Checkpoints(URL, REGION, ["results"]), folder, woken.release, every_s=0)
        put(work / "results" / "a", b"a", 100)
        stored = threading.Event()
        server.faults.append(Fault(f"PUT /{BUCKET}/{PREFIX}results/a", act=stored.set))
        at_work.start()
        assert stored.wait(30)
        put(work / "results" / "b", b"b", 100)
        at_work.finish()
        assert woken.acquire(timeout=30)
        assert at_work.is_done
        assert held(server) == {PREFIX + "results/a": b"a", PREFIX + "results/b": b"b"}

    def test_a_mistake_of_its_own_is_told_and_ends_nothing(
        self, work: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        woken = threading.Semaphore(0)
        at_work = Mirror(str(work), Checkpoints(URL, REGION, ["results"]), folder, woken.release, every_s=60)
        monkeypatch.setattr(mirrors, "files_of", lambda *_: 1 / 0)
        at_work.start()
        assert woken.acquire(timeout=30)
        assert "ZeroDivisionError" in at_work.words()[0]
        at_work.finish()
        assert woken.acquire(timeout=30)
        assert at_work.is_done


class TestSupervisor:
    @pytest.fixture
    def job(self, guest, make_run, server: S3Server) -> Callable[..., Any]:
        there = dataclasses.replace(guest, env={**os.environ, "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url})

        def make(command: str, **about: Any) -> Any:
            places = {"url": URL, "region": REGION, "outputs": ["results"]}
            env = {"AWS_ENDPOINT_URL": server.url}
            return make_run(command, guest=there, env=env, checkpoints=places, **about)

        return make

    def test_what_the_job_left_is_in_s3_before_its_end_is_told(self, job, server: S3Server) -> None:
        run = job("mkdir -p results; echo 0.99 > results/accuracy")
        seen: list[str] = []
        server.faults.append(Fault(f"PUT /{BUCKET}", act=lambda: seen.append(run.recorded["phase"])))
        run.start()
        state = run.wait()
        assert (state["phase"], state["exit_code"], state["ended_by"]) == ("ended", 0, "job")
        assert held(server) == {PREFIX + "results/accuracy": b"0.99\n"}
        assert seen == ["running"]

    def test_a_job_that_is_asked_to_end_saves_and_that_is_copied(self, job, server: S3Server) -> None:
        run = job(
            "trap 'mkdir results; echo saved > results/last; exit 0' TERM; echo up > ready; while :; do read x < never; done"
        )
        run.fifo("never")
        ready = run.fifo("ready")
        run.start()
        assert ready.read_bytes() == b"up\n"
        state = run.guest.ask("signal", run.path, "TERM", "--grace", 20)
        assert (state["phase"], state["ended_by"]) == ("ended", "request")
        assert held(server) == {PREFIX + "results/last": b"saved\n"}

    def test_an_s3_that_refuses_is_in_the_log_and_changes_nothing_of_the_end(self, job, server: S3Server) -> None:
        server.faults.append(Fault(f"GET /{BUCKET}", status=403, code="AccessDenied", times=99))
        run = job("mkdir -p results; echo 1 > results/a; exit 3")
        run.start()
        state = run.wait()
        assert (state["phase"], state["exit_code"], state["ended_by"]) == ("ended", 3, "job")
        assert b"cloudtrain: the outputs could not be copied" in run.log
        assert b"AccessDenied" in run.log
        assert b"1 of the outputs' files are not in" in run.log

    def test_an_address_that_is_none_costs_no_job(self, guest, make_run) -> None:
        run = make_run("exit 4", checkpoints={"url": "ftp://x", "region": REGION, "outputs": ["results"]})
        run.start()
        assert run.wait()["exit_code"] == 4
        assert b"copied nowhere" in run.log


class Endless:
    """A mirror that never comes to its end."""

    is_done = False

    def __init__(self) -> None:
        self.time_is_up_at = float("inf")

    def leave_by(self, moment: float) -> None:
        self.time_is_up_at = min(self.time_is_up_at, moment)

    def finish(self) -> None:
        self.leave_by(copier.time.monotonic() + mirrors.LAST_COPY_S)

    def words(self) -> list[str]:
        return ["not all is there"]


class TestCopier:
    @pytest.fixture
    def waited(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., float]:
        monkeypatch.setattr(copier, "time", SimpleNamespace(monotonic=clock))

        def wait(deadline_in: float | None = None, asked: tuple[float, float] | None = None) -> float:
            """Return how long the end waits for a mirror that does not come to its own; asked = (after, grace)."""
            said: list[str] = []
            at_work = copier.Copier(Job("/run", "true", grace_s=30), said.append, lambda: None)
            at_work._mirror = Endless()
            began = clock.now

            def listen(patience_s: float) -> None:
                assert patience_s > 0
                clock.now += patience_s
                if asked is not None and clock.now - began >= asked[0]:
                    at_work.hurry(asked[1])

            at_work.finish(lambda: None if deadline_in is None else began + deadline_in - clock.now, listen)
            assert said == ["not all is there"]
            return clock.now - began

        return wait

    def test_the_last_copy_has_ten_minutes(self, waited: Callable[..., float]) -> None:
        assert waited() == mirrors.LAST_COPY_S

    def test_the_deadline_of_the_job_leaves_it_the_grace_and_a_little(self, waited: Callable[..., float]) -> None:
        assert waited(deadline_in=100.0) == 100 + 30 + copier.AFTER_GRACE_S

    def test_whoever_asks_for_an_end_shortens_it(self, waited: Callable[..., float]) -> None:
        assert waited(asked=(15.0, 5.0)) == 15 + 5 + copier.AFTER_GRACE_S

    def test_a_job_without_a_place_waits_for_nothing(self) -> None:
        idle = copier.Copier(Job("/run", "true"), pytest.fail, lambda: None)
        idle.begin()
        idle.hurry(1)
        idle.finish(lambda: None, pytest.fail)
        assert not idle.is_at_work
