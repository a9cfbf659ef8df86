"""The guest's client: what a good guest says is understood, and what a bad one says is survived."""

import contextlib
import json
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrain.model.errors import HostUnreachableError, RemoteError, SetupError
from cloudtrain.remote import guest_archive
from cloudtrain.remote.base import Completed
from cloudtrain.remote.guest import Environment, GpuCheck, Guest
from cloudtrain.remote.local import LocalRemote
from cloudtrain.remote.memory import MemoryRemote

RUN = PurePosixPath("/run")


class Scripted(LocalRemote):
    """A machine whose guest says what the test wrote for it."""

    def __init__(self, root: Path, script: str) -> None:
        super().__init__(root, root / "cache")
        self._script = script
        self.asked: list[list[str]] = []

    def run(self, argv: list[str], *, stdin: bytes = b"", timeout: float | None = None) -> Completed:  # type: ignore[override]
        self.asked.append(list(argv[2:]))
        return super().run(["sh", "-c", self._script], stdin=stdin, timeout=timeout)

    def stream(self, argv: list[str], *, stdin: bytes = b"") -> Iterator[Iterator[bytes]]:  # type: ignore[override]
        self.asked.append(list(argv[2:]))
        return super().stream(["sh", "-c", self._script], stdin=stdin)  # type: ignore[return-value]


def saying(tmp_path: Path, *words: object, code: int = 0) -> Guest:
    lines = "\n".join(word if isinstance(word, str) else json.dumps(word) for word in words)
    return Guest(Scripted(tmp_path, f"printf '%s\\n' {shlex.quote(lines)}; exit {code}"))


@pytest.fixture
def remote(tmp_path: Path) -> MemoryRemote:
    return MemoryRemote(tmp_path / "machine")


def test_install_puts_it_there_once(remote: MemoryRemote) -> None:
    Guest.install(remote)
    path = remote.home / guest_archive.file_name()
    assert remote.read(path) == guest_archive.build()
    remote.fail_next("write", RemoteError("must not be written again"))
    Guest.install(remote)


@pytest.mark.parametrize("content", [b"", b"half", guest_archive.build()[:-1], guest_archive.build() + b"x"], ids=len)
def test_install_replaces_what_is_not_the_same_size(remote: MemoryRemote, content: bytes) -> None:
    path = remote.home / guest_archive.file_name()
    remote.write(path, content)
    remote.write(remote.home / "guest-of-another-version.pyz", b"in use")
    Guest.install(remote)
    assert remote.read(path) == guest_archive.build()
    assert remote.read(remote.home / "guest-of-another-version.pyz") == b"in use"


def test_the_real_guest_runs_a_job(remote: MemoryRemote) -> None:
    guest = Guest.install(remote)
    assert guest.facts()["python"]
    run = remote.home / "runs" / "1"
    remote.write(run / "work" / "x", b"")
    job = {
        "command": 'echo "hello $WHO"; exit 3',
        "python": None,
        "env": {},
        "deadline": None,
        "grace_s": 1,
        "sample_every_s": 60,
    }
    assert guest.start(run, job, {"WHO": "world"}).phase in ("starting", "running", "ended")
    with guest.follow(run, 0) as chunks:
        log = b"".join(chunks)
    assert log.endswith(b" hello world\n")
    state = guest.state(run)
    assert (state.phase, state.exit_code, state.ended_by, state.log_bytes) == ("ended", 3, "job", len(log))
    assert state.ended_at is not None
    assert guest.signal(run, "TERM", 1.0) == state
    assert b"world" not in remote.read(run / "job.json")
    with guest.follow(run, len(log) - 6) as chunks:
        assert b"".join(chunks) == b"world\n"


def test_the_real_guests_refusals_are_remote_errors(remote: MemoryRemote) -> None:
    guest = Guest.install(remote)
    with pytest.raises(RemoteError, match="no run"):
        guest.state(remote.home / "absent")
    with guest.follow(remote.home / "absent", 0) as chunks, pytest.raises(HostUnreachableError):
        list(chunks)


def test_the_real_guest_tells_why_a_gpu_check_failed(remote: MemoryRemote) -> None:
    found = Guest.install(remote).gpu_check(remote.python, "jax", 1)
    assert not found.ok
    assert found.reason


def test_prepare_hears_progress_and_returns_the_environment(tmp_path: Path) -> None:
    ready = {"event": "ready", "python": "/env/bin/python", "packages": {"numpy": "2.0"}, "cached": False, "seconds": 3}
    guest = saying(tmp_path, {"event": "progress", "text": "one\x1b[31m"}, {"event": "progress", "text": "two"}, ready)
    heard: list[str] = []
    made = guest.prepare(PurePosixPath("/work"), "pytorch", "requirements.txt", heard.append)
    assert made == Environment("/env/bin/python", {"numpy": "2.0"}, False, 3.0)
    assert heard == ["one[31m", "two"]


def test_a_failed_preparation_is_a_setup_error_and_not_a_broken_line(tmp_path: Path) -> None:
    log = "\n".join(f"line {number}" for number in range(100))
    guest = saying(tmp_path, {"event": "failed", "reason": "no such package", "log": log}, code=1)
    with pytest.raises(SetupError, match="no such package") as caught:
        guest.prepare(PurePosixPath("/work"), "none", None, lambda _: None)
    assert caught.value.hint.splitlines()[-1] == "line 99"
    assert "line 0" not in caught.value.hint


def test_a_preparation_that_just_stops_is_neither(tmp_path: Path) -> None:
    progress = {"event": "progress", "text": "x"}
    with pytest.raises(HostUnreachableError):
        saying(tmp_path, progress, code=1).prepare(RUN, "none", None, lambda _: None)
    with pytest.raises(RemoteError, match="before the environment was ready"):
        saying(tmp_path, progress).prepare(RUN, "none", None, lambda _: None)
    with pytest.raises(RemoteError, match="disk"):
        saying(tmp_path, {"error": "no disk"}, code=1).prepare(RUN, "none", None, lambda _: None)


def test_a_state_is_understood(tmp_path: Path) -> None:
    said = {"phase": "ended", "exit_code": None, "signal": "SIGKILL", "ended_by": "deadline", "log_bytes": 7, "news": 1}
    said |= {"started_at": "2026-11-21T04:00:00+00:00", "ended_at": None}
    state = saying(tmp_path, said).state(RUN)
    assert (state.phase, state.exit_code, state.signal, state.ended_by, state.log_bytes) == (
        "ended",
        None,
        "SIGKILL",
        "deadline",
        7,
    )
    assert state.started_at == datetime(2026, 11, 21, 4, tzinfo=UTC)


def test_a_gpu_check_is_understood(tmp_path: Path) -> None:
    said = {"ok": True, "device": "T4", "gpus": 1, "library": "2.1", "driver": "550", "compute_capability": "7.5", "reason": ""}
    assert saying(tmp_path, said).gpu_check("/env/python", "pytorch", 1) == GpuCheck(True, 1, "T4", "2.1", "550", "7.5")


NONSENSE = [
    "",
    "not json",
    "[]",
    "null",
    "{}",
    '{"phase": 1}',
    '{"phase": "asleep"}',
    '{"phase": "ended", "log_bytes": "7"}',
    '{"phase": "ended", "log_bytes": -1}',
    '{"phase": "ended", "started_at": "yesterday"}',
    '{"phase": "ended", "started_at": "2026-11-21"}',
    '{"phase": "ended", "exit_code": {"a": 1}}',
    "[" * 5000,
    '{"a":' * 5000,
    '{"phase": "' + "x" * (1 << 20) + '"}',
    "\udc80".encode("utf-8", "surrogateescape").decode("latin-1"),
]


@pytest.mark.parametrize("words", NONSENSE, ids=lambda text: ascii(text[:40]))
def test_nonsense_is_a_remote_error_and_no_traceback(tmp_path: Path, words: str) -> None:
    (tmp_path / "words").write_text(words, "utf-8", "surrogateescape")
    with pytest.raises(RemoteError):
        Guest(Scripted(tmp_path, "cat words")).state(RUN)


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["phase", "exit_code", "ok", "gpus", "log_bytes", "started_at"]), inner, max_size=5
            )
        ),
        max_leaves=8,
    )
)
def test_whatever_a_machine_says_is_survived(said: object) -> None:
    class Told(MemoryRemote):
        def __init__(self) -> None:  # needs no folder: it only ever answers
            pass

        home = PurePosixPath("/home")
        python = "python3"

        def run(self, *_: object, **__: object) -> Completed:
            return Completed(0, json.dumps(said).encode(), b"")

    for ask in (lambda guest: guest.state(RUN), lambda guest: guest.gpu_check("p", "jax", 1), lambda guest: guest.facts()):
        with contextlib.suppress(RemoteError):  # any other exception is a failure
            ask(Guest(Told()))  # type: ignore[abstract]


def test_a_guest_that_died_tells_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="exit code 3") as caught:
        Guest(Scripted(tmp_path, "echo Segmentation fault >&2; exit 3")).state(RUN)
    assert "Segmentation" in caught.value.hint
