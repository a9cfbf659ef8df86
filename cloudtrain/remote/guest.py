"""The client of the guest: its protocol as calls, over any line. What a machine says is believed in nothing but its shape."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, TypeVar

from ..model.errors import RemoteError, RemoteFileError, SetupError, TransferError
from ..model.lease import GuestEnd
from ..model.plain import from_plain
from ..model.run import JobState
from . import guest_archive, machine_lease
from .base import OnBytes, Remote
from .entry_there import shown
from .machine_lease import MachineLease

T = TypeVar("T")
OnText = Callable[[str], None]

_MOST_ANSWER = 1 << 20
_MOST_LINE = 1 << 20
_LONGEST_TEXT = 4000
_TAIL_LINES = 15
_PHASES = ("starting", "running", "ended", "lost")


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the job's packages are.

    Attributes:
        python: absolute path of the environment's own Python.
        packages: versions by name.
        cached: true when the machine had it already.
    """

    python: str
    packages: Mapping[str, str]
    cached: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class GpuCheck:
    """Whether a framework computed on the GPUs, and on what. `reason` is why not."""

    ok: bool
    gpus: int
    device: str | None = None
    library: str | None = None
    driver: str | None = None
    compute_capability: str | None = None
    reason: str = ""


class Guest:
    """The guest on the other end of a line."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._archive = str(remote.home / guest_archive.file_name())

    @classmethod
    def install(cls, remote: Remote) -> "Guest":
        """Put the guest on the machine unless it is there already; nothing is removed, since a job may be using it."""
        guest = cls(remote)
        content = guest_archive.build()
        path = PurePosixPath(guest._archive)
        if not guest._has(path, len(content)):
            remote.write(path, content)
        return guest

    def facts(self) -> Mapping[str, object]:
        """Return what the machine is made of, as the guest's protocol names it."""
        return self._ask("facts")

    def prepare(self, work: PurePosixPath, framework: str, requirements: str | None, on_text: OnText) -> Environment:
        """Make the job's environment, or find it in the machine's cache; `on_text` hears what goes on.

        Raises:
            SetupError: the requirements do not install.
            HostUnreachableError: the line broke, or the guest died over it.
        """
        wish = json.dumps({"framework": framework, "requirements": requirements}).encode()
        argv = self._command("prepare", str(self._remote.cache), str(work))
        with self._remote.stream(argv, stdin=wish) as chunks:
            for event in map(_object, _lines(chunks)):
                match event.get("event"):
                    case "progress":
                        on_text(_text(event.get("text")))
                    case "ready":
                        return _value(Environment, event)
                    case "failed":
                        raise _setup_error(event)
                    case _:
                        _refuse_error(event)
        raise RemoteError("The guest stopped before the environment was ready")

    def fetch(self, work: PurePosixPath, files: Sequence[Mapping[str, object]], on_bytes: OnBytes, on_text: OnText) -> bool:
        """Let the machine read files by links, as the protocol has them; False when a link is not good any more.

        Raises:
            TransferError: not everything came; asking again goes on where it was.
        """
        return self._bring("fetch", work, {"files": list(files)}, on_bytes, on_text)

    def restore(self, work: PurePosixPath, wish: Mapping[str, object], on_bytes: OnBytes, on_text: OnText) -> None:
        """Let the machine bring the job's outputs from their place in S3, as the protocol has it. Raises what `fetch` does."""
        self._bring("restore", work, wish, on_bytes, on_text)

    def gpu_check(self, python: str, framework: str, gpus: int) -> GpuCheck:
        """Let the environment's own Python compute on the GPUs."""
        return _value(GpuCheck, self._ask("gpu-check", framework, "--gpus", str(gpus), python=python))

    def start(self, run: PurePosixPath, job: Mapping[str, object], secrets: Mapping[str, str]) -> JobState:
        """Start the job detached; one that was started is not started again."""
        self._remote.write(run / "job.json", json.dumps(job).encode())
        return _state(self._ask("start", str(run), stdin=json.dumps(dict(secrets)).encode()))

    def state(self, run: PurePosixPath) -> JobState:
        """Return what became of the job so far."""
        return _state(self._ask("state", str(run)))

    def follow(self, run: PurePosixPath, offset: int) -> AbstractContextManager[Iterator[bytes]]:
        """Hand out the job's log from that byte on, until the job ended and every byte was handed out.

        Raises:
            HostUnreachableError: the line broke.
        """
        return self._remote.stream(self._command("follow", str(run), "--offset", str(offset)))

    def signal(self, run: PurePosixPath, name: str, grace_s: float) -> JobState:
        """Ask the job to end; it is killed `grace_s` seconds later. Returns when it has ended."""
        return _state(self._ask("signal", str(run), name, "--grace", str(grace_s)))

    def move_deadline(self, run: PurePosixPath, deadline: datetime) -> JobState:
        """Let the job's signal to end come at another time, aware; one that has ended stays as it is."""
        return _state(self._ask("deadline", str(run), f"{deadline.timestamp():f}"))

    def lease(self) -> MachineLease:
        """Return the lease as the machine itself keeps it.

        Raises:
            RemoteError: it keeps none.
        """
        return machine_lease.read(self._ask_as_root("lease", "--home", str(self._remote.home)))

    def set_lease(
        self,
        *,
        deadline: datetime,
        issued_at: datetime,
        end: GuestEnd,
        idle_timeout_s: float | None = None,
        stall_timeout_s: float | None = None,
        finish_grace_s: float | None = None,
    ) -> MachineLease:
        """Give the machine a lease and a keeper for it; return what it says of itself then. Times are aware.

        Raises:
            RemoteError: it refuses: it has a lease that was issued later, or its user may not use `sudo`.
        """
        wanted = {
            "deadline": deadline.timestamp(),
            "issued_at": issued_at.timestamp(),
            "end": end.value,
            "idle_timeout_s": idle_timeout_s,
            "stall_timeout_s": stall_timeout_s,
            "finish_grace_s": finish_grace_s,
        }
        # A machine that is not to be ended is nobody's to administer: there we stay who we are.
        ask = self._ask if end is GuestEnd.NONE else self._ask_as_root
        home = str(self._remote.home)
        return machine_lease.read(ask("lease", "--set", "--home", home, stdin=json.dumps(wanted).encode()))

    def _bring(self, command: str, work: PurePosixPath, wish: Mapping[str, object], on_bytes: OnBytes, on_text: OnText) -> bool:
        with self._remote.stream(self._command(command, str(work)), stdin=json.dumps(wish).encode()) as chunks:
            for event in map(_object, _lines(chunks)):
                match event.get("event"):
                    case "progress":
                        on_bytes(_count(event.get("done")), _count(event.get("total")))
                    case "note":
                        on_text(_text(event.get("text")))
                    case "ready":
                        return True
                    case "denied":
                        return False
                    case "failed":
                        raise TransferError(f"The machine could not read its data: {_text(event.get('reason'))}")
                    case _:
                        _refuse_error(event)
        raise RemoteError("The guest stopped before the data was there")

    def _has(self, path: PurePosixPath, size: int) -> bool:
        try:
            # One byte short of the end: content of that length gives exactly one byte back.
            return len(self._remote.read(path, offset=size - 1)) == 1
        except RemoteFileError:
            return False

    def _command(self, *arguments: str, python: str | None = None) -> list[str]:
        return [python or self._remote.python, self._archive, *arguments]

    def _ask(self, *arguments: str, stdin: bytes = b"", python: str | None = None) -> dict[str, Any]:
        return self._answer(self._command(*arguments, python=python), arguments[0], stdin)

    def _ask_as_root(self, *arguments: str, stdin: bytes = b"") -> dict[str, Any]:
        argv = ["sh", "-c", machine_lease.AS_ROOT, "sh", *self._command(*arguments)]
        return self._answer(argv, arguments[0], stdin)

    def _answer(self, argv: Sequence[str], question: str, stdin: bytes) -> dict[str, Any]:
        done = self._remote.run(argv, stdin=stdin)
        if not done.stdout.strip():
            said = done.stderr.decode("utf-8", "replace").strip()[-_LONGEST_TEXT:]
            raise RemoteError(f"The guest died over {question!r} (exit code {done.exit_code})", said)
        if len(done.stdout) > _MOST_ANSWER:
            raise RemoteError(f"The guest's answer to {question!r} is too long to be one")
        answer = _object(done.stdout)
        _refuse_error(answer)
        if done.exit_code:
            raise RemoteError(f"The guest answered {question!r} and failed (exit code {done.exit_code})")
        return answer


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Hand out whole lines; a guest that failed has told why in the last of them, before the line reports the failure."""
    waiting = b""
    for chunk in chunks:
        *whole, waiting = (waiting + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(waiting) > _MOST_LINE:
            raise RemoteError("The guest does not come to the end of its sentence")
    if waiting.strip():
        yield waiting


def _object(text: bytes) -> dict[str, Any]:
    try:
        content = _readable(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise RemoteError(f"The guest speaks no JSON: {shown(text[:200].decode('utf-8', 'replace'))}") from error
    if not isinstance(content, dict):
        raise RemoteError("The guest's answer is no object")
    return content


def _refuse_error(answer: Mapping[str, object]) -> None:
    if "error" in answer:
        raise RemoteError(f"The guest could not do it: {_text(answer['error'])}")


def _setup_error(event: Mapping[str, object]) -> SetupError:
    log = _text(event.get("log")).splitlines()[-_TAIL_LINES:]
    return SetupError(f"The environment could not be made: {_text(event.get('reason'))}", "\n".join(log))


def _state(answer: Mapping[str, object]) -> JobState:
    state = _value(JobState, answer)
    if state.phase not in _PHASES or state.log_bytes < 0:
        raise RemoteError(f"The guest tells of a state that is none: {shown(state.phase)}")
    for moment in (state.started_at, state.ended_at):
        if isinstance(moment, datetime) and moment.tzinfo is None:
            raise RemoteError("The guest tells a time without its zone")
    return state


def _value(wanted: type[T], answer: Mapping[str, object]) -> T:
    try:
        value = from_plain(wanted, answer)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise RemoteError(f"The guest's answer is no {wanted.__name__}: {shown(str(error))}") from error
    if isinstance(value, Environment) and not (value.python.startswith("/") and math.isfinite(value.seconds)):
        raise RemoteError("The guest's environment has no Python")
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _readable(value: Any) -> Any:
    """Return what a machine says with texts a person may see: no control characters but line ends and tabs, not endless."""
    if isinstance(value, str):
        return "".join(letter for letter in value[-_LONGEST_TEXT:] if letter.isprintable() or letter in "\n\t")
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return value
