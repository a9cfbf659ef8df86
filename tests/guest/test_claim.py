"""Whose turn it is on a machine: one claimer at a time, whatever dies, and only so long."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtrain.guest import claim as guest_claim
from cloudtrain.guest.errors import GuestError

from .conftest import Guest

CLAIMERS = 12


def wish(token: str, seconds: float = 3600.0, **more: object) -> dict[str, Any]:
    now = 1_800_000_000.0  # the claimer's clock stands years away from ours
    named = {"token": token, "owner": f"owner of {token}", "name": "mybox", "run_id": "run-0"}
    return {**named, "deadline": now + seconds, "now": now, **more}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def claim(guest: Guest, home: Path) -> Callable[..., Any]:
    """Ask the real guest; return who has the machine then."""
    home.mkdir()

    def ask(verb: str, content: object = None) -> Any:
        return guest.ask("claim", verb, "--home", home, stdin=content)["claim"]

    return ask


@pytest.fixture
def start(guest: Guest, home: Path) -> Iterator[Callable[..., Path]]:
    """Start a job on the machine; return its run's folder."""
    runs: list[Path] = []

    def begin(command: str, **job: object) -> Path:
        run = home / "runs" / f"run-{len(runs)}"
        (run / "work").mkdir(parents=True)
        settings = {"command": command, "python": None, "env": {}, "deadline": None, "grace_s": 5, "sample_every_s": 60, **job}
        (run / "job.json").write_text(json.dumps(settings))
        guest.ask("start", run, stdin={})
        runs.append(run)
        return run

    yield begin
    for run in runs:
        guest.call("signal", run, "KILL", "--grace", "0")


def state_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "state.json").read_bytes())


def test_a_free_machine_is_claimed_and_says_by_whom_and_until_when(claim) -> None:
    assert claim("show") is None
    before = time.time()
    taken = claim("take", wish("a", 60.0))
    assert (taken["token"], taken["owner"], taken["name"], taken["run_id"]) == ("a", "owner of a", "mybox", "run-0")
    assert taken["deadline"] == 1_800_000_060.0
    assert before <= taken["claimed_at"] <= time.time()
    # By our clock, however wrong the claimer's is.
    assert taken["ends_at"] == pytest.approx(taken["claimed_at"] + 60.0)
    assert claim("show") == taken


def test_the_same_token_has_the_same_claim_and_another_does_not_get_it(claim) -> None:
    taken = claim("take", wish("a"))
    assert claim("take", wish("a", 9999.0)) == taken
    assert claim("take", wish("b")) == taken


def test_an_expired_claim_stays_until_somebody_takes_it_over(claim) -> None:
    taken = claim("take", wish("a", 0.0))
    assert claim("show") == taken
    assert claim("take", wish("a")) == taken
    assert claim("take", wish("b"))["token"] == "b"
    assert claim("take", wish("a"))["token"] == "b"


@pytest.mark.parametrize("before", [None, "dead"])
def test_of_many_who_claim_at_once_exactly_one_gets_it(guest: Guest, home: Path, claim, before: str | None) -> None:
    if before:
        claim("take", wish(before, 0.0))
    asked = [
        guest.popen("claim", "take", "--home", home, stdin=subprocess.PIPE) for _ in range(CLAIMERS)
    ]  # each is up, and waits for its wish
    for number, process in enumerate(asked):
        assert process.stdin is not None
        process.stdin.write(json.dumps(wish(f"t{number}")).encode())
    for process in asked:
        assert process.stdin is not None
        process.stdin.close()
    told = []
    for process in asked:
        assert process.stdout is not None
        with process.stdout:
            told.append(json.loads(process.stdout.read())["claim"]["token"])
        assert process.wait(timeout=60) == 0
    assert len(set(told)) == 1
    assert claim("show")["token"] == told[0]


def test_a_claimer_that_dies_holds_up_nobody(guest: Guest, home: Path, claim) -> None:
    claim("take", wish("a"))
    lock = next(home.glob("claims/*.lock"))
    held = f"import fcntl, sys; f = open({str(lock)!r}); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True)"
    script = f"{held}; sys.stdin.read()"
    holder = subprocess.Popen([guest.python, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    waiting = guest.popen("claim", "release", "--home", home, stdin=subprocess.PIPE)
    assert waiting.stdin is not None
    waiting.stdin.write(json.dumps({"token": "a"}).encode())
    waiting.stdin.close()
    assert claim("show")["token"] == "a"
    holder.kill()
    holder.communicate(timeout=60)
    assert waiting.stdout is not None
    with waiting.stdout:
        assert json.loads(waiting.stdout.read()) == {"claim": None}
    assert waiting.wait(timeout=60) == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc shows what another process was started with")
def test_release_ends_the_job_and_what_left_its_group(claim, start, home: Path) -> None:
    claim("take", wish("a"))
    fifo = home / "stray"
    os.mkfifo(fifo)
    run = start(f"setsid sh -c 'exec 3>{fifo}; echo up >&3; exec sleep 600' & exec sleep 600")
    with fifo.open() as stray:
        assert stray.readline() == "up\n"
        assert claim("release", {"token": "a"}) is None
        assert stray.read() == ""  # the end of its only writer
    assert claim("show") is None
    seen = state_of(run)
    assert (seen["phase"], seen["ended_by"], seen["signal"]) == ("ended", "request", "SIGKILL")


def test_another_token_releases_moves_and_ends_nothing(claim, start) -> None:
    taken = claim("take", wish("a"))
    run = start("exec sleep 600")
    assert claim("release", {"token": "b", "shutdown": "exit 1"}) == taken
    assert claim("move", wish("b", 9999.0)) == taken
    assert state_of(run)["phase"] == "running"


def test_a_take_over_ends_what_the_dead_claim_left_running(claim, start) -> None:
    claim("take", wish("a", 0.0))
    run = start("exec sleep 600")
    assert claim("take", wish("b"))["token"] == "b"
    assert (state_of(run)["phase"], state_of(run)["ended_by"]) == ("ended", "deadline")


def test_move_moves_the_claim_and_the_jobs_under_it(claim, start, guest: Guest) -> None:
    claim("take", wish("a"))
    run = start("exec sleep 600", grace_s=0.1)
    moved = claim("move", wish("a", 0.0))
    assert (moved["deadline"], moved["token"]) == (1_800_000_000.0, "a")
    assert guest.call("follow", run).returncode == 0
    assert state_of(run)["ended_by"] == "deadline"


def test_release_shuts_the_machine_down_when_it_has_answered(claim, home: Path) -> None:
    claim("take", wish("a"))
    fifo = home / "off"
    os.mkfifo(fifo)
    assert claim("release", {"token": "a", "shutdown": f"echo bye > {fifo}"}) is None
    assert fifo.read_text() == "bye\n"


def test_a_machine_that_somebody_claimed_in_between_is_not_shut_down(claim, home: Path) -> None:
    claim("take", wish("b"))
    assert claim("shut-down", {"command": f"touch {home}/off"})["token"] == "b"
    assert not (home / "off").exists()
    claim("release", {"token": "b"})
    claim("shut-down", {"command": f"touch {home}/off; echo no >&2; exit 1"})
    assert (home / "off").exists()
    assert (home / "shutdown.log").read_text() == "no\n"


def test_machines_that_share_a_home_have_a_claim_each(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    for number, host in enumerate(("gpu1", "gpu2", "../gpu3")):
        monkeypatch.setattr(guest_claim.socket, "gethostname", lambda host=host: host)
        guest_claim.take(str(home), wish(f"t{number}"))
        held = guest_claim.read(str(home))
        assert held is not None
        assert held.token == f"t{number}"
    assert sorted(path.name for path in home.glob("claims/*.json")) == ["..-gpu3.json", "gpu1.json", "gpu2.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"token": 3}', b'{"token": "a", "deadline": true}'])
def test_a_damaged_claim_is_told_and_never_taken_over(claim, guest: Guest, home: Path, content: bytes) -> None:
    claim("take", wish("a", 0.0))
    (path,) = home.glob("claims/*.json")
    path.write_bytes(content)
    done = guest.call("claim", "take", "--home", home, stdin=wish("b"))
    assert done.returncode == 1
    assert "damaged" in json.loads(done.stdout)["error"]
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "wrong", [{"token": 7}, {"token": "x" * 2001}, {"deadline": "soon"}, {"deadline": -1}, {"now": None}, {"now": True}]
)
def test_a_wish_that_makes_no_sense_is_refused(home: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(GuestError, match="of a claim"):
        guest_claim.take(str(home), {**wish("a"), **wrong})
    assert guest_claim.read(str(home)) is None
