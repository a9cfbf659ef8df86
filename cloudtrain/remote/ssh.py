"""A machine behind an SSH server, spoken to through the system's OpenSSH client, or through paramiko where there is none.

Every command runs under a small runner (`runner_there`) which reports, as the last of its frames, how the command ended.
That frame alone counts: ssh's own exit code 255 says nothing, since a command may end with 255 as well, and since with a
shared connection the code may arrive before the last of the output does. No shell reads a command's arguments.
"""

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from ..model.errors import HostUnreachableError, RemoteError, RemoteFileError
from ..model.instance import SshEndpoint
from . import agent_source, removing, transfer, weighing
from .base import Completed, OnBytes
from .connection import Connection, connection_to
from .crew import Line
from .entry_there import Entry, shown
from .expecting import ExpectedPush
from .fileset import FileSet
from .local import failed
from .packed import Found
from .program import BROKE, listen
from .runner_there import OUT
from .ssh_talk import Feed, Talk, talking
from .weighing import Weight
from .wire import Client

_MOST_OUTPUT = 5 << 28
_TAIL = 2000
_PROBE_TIMEOUT_S = 60.0
_MARK = "cloudtrain-probe"
_PYTHON_FLAGS = ("-I", "-S", "-X", "utf8", "-c")
_PROBE = f"""\
umask 077
mkdir -p "$HOME/.cloudtrain" && chmod 700 "$HOME/.cloudtrain" && cd "$HOME/.cloudtrain" || exit 3
found= ask="import sys; sys.version_info < (3, 8) and sys.exit(1); print(sys.executable)"
for name in python3 /usr/bin/python3 /opt/conda/bin/python3 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8; do
  path=$(command -v "$name") || continue
  # What is found may be a wrapper that takes its time to find the real one.
  found=$("$path" -I -S -c "$ask" </dev/null 2>/dev/null) || continue
  [ -n "$found" ] && break
done
printf "{_MARK}\\0%s\\0%s\\0%s\\0" "$(pwd -P)" "$HOME/.cache/cloudtrain" "$found"
"""


class SshRemote:
    """One multiplexed line to one SSH endpoint; nobody's host key is trusted but the endpoint's own."""

    def __init__(
        self,
        endpoint: SshEndpoint,
        *,
        control_folder: Path,
        connect_timeout_s: float = 10,
        connect: Callable[[SshEndpoint, Path, float], Connection] = connection_to,
    ) -> None:
        self._endpoint = endpoint
        self._connection = connect(endpoint, control_folder, connect_timeout_s)
        self._known: _Machine | None = None
        self._expected: ExpectedPush | None = None

    @property
    def home(self) -> PurePosixPath:
        """The folder `.cloudtrain` in the account's home; asked for once."""
        return self._machine.home

    @property
    def account(self) -> PurePosixPath:
        """The account's home."""
        return self._machine.home.parent

    @property
    def cache(self) -> PurePosixPath:
        """The folder `.cache/cloudtrain` in the account's home."""
        return self._machine.cache

    @property
    def python(self) -> str:
        """The first Python found there that is new enough, as an absolute path."""
        return self._machine.python

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        """Run a command and return what it said."""
        said = (bytearray(), bytearray())
        with self._talk(argv, lambda out: out.write(stdin)) as talk:
            for kind, content in talk.frames(timeout):
                said[kind != OUT].extend(content)
                if len(said[0]) + len(said[1]) > _MOST_OUTPUT:
                    raise RemoteError(f"{shown(argv[0])} says more than anybody asked for", "Fetch it as a file.")
        return Completed(talk.exit_code, bytes(said[0]), bytes(said[1]))

    @contextlib.contextmanager
    def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> Iterator[Iterator[bytes]]:
        """Hand out a command's output as it comes; the command ends when the block is left."""
        with self._talk(argv, lambda out: out.write(stdin)) as talk:
            yield _output(talk, argv)

    def shell(self, argv: Sequence[str] = ()) -> int:
        """Give the terminal to a command, or to a login shell there."""
        command = [f"exec {shlex.join(argv)}"] if argv else []  # in the login's own home, where a shell begins too
        code = self._connection.run_for_person(command)
        if code == BROKE and not self._connection.is_alive():
            raise HostUnreachableError(
                f"The line to {self._endpoint.host} broke", "Look whether the machine runs: cloudtrain status"
            )
        return code

    def write(self, path: PurePosixPath, content: bytes, *, mode: int = 0o600) -> None:
        """Put a small file there, whole or not at all."""
        source = _source("file_there")
        done = self.run(self._script(source, "write", str(self.home / path), str(mode)), stdin=source + content)
        if done.exit_code:
            raise RemoteFileError(f"{shown(str(path))} cannot be written: {_tail(done.stderr)}")

    def read(self, path: PurePosixPath, *, offset: int = 0) -> bytes:
        """Return a file's content from `offset` on, at most `file_there.MOST_BYTES`."""
        source = _source("file_there")
        done = self.run(self._script(source, "read", str(self.home / path), str(offset)), stdin=source)
        if done.exit_code:
            raise RemoteFileError(f"{shown(str(path))} cannot be read: {_tail(done.stderr)}")
        return done.stdout

    def expect_push(self, destination: PurePosixPath, found: Found | None = None) -> None:
        """Send the agent ahead: it looks at what is there while this side still looks at its files."""
        if self._expected is None:
            self._expected = ExpectedPush(self._line(), str(self.home / destination), found)

    def push(self, files: FileSet, destination: PurePosixPath, on_bytes: OnBytes | None = None) -> None:
        """Send what the machine has not; it puts each file under its name when it is whole."""
        expected, self._expected = self._expected, None
        if expected is not None and expected.destination == str(self.home / destination):
            with contextlib.closing(expected):
                return expected.carry(files, on_bytes)
        if expected is not None:
            expected.close()
        return transfer.push(self._line(), files, str(self.home / destination), on_bytes)

    def pull(
        self, source: PurePosixPath, destination: Path, on_bytes: OnBytes | None = None, earlier: Path | None = None
    ) -> tuple[str, ...]:
        """Fetch a file or folder; the machine is trusted in nothing. Return what was left behind."""
        return transfer.pull(self._line(), str(self.home / source), destination, on_bytes, earlier)

    def weigh(self, source: PurePosixPath) -> Weight:
        """Count what a pull would bring."""
        return weighing.weigh(self._line(), str(self.home / source))

    def update(
        self,
        source: PurePosixPath,
        place: Path,
        wants: Callable[[Entry], bool],
        on_bytes: OnBytes | None = None,
    ) -> None:
        """Fetch what is wanted and not here."""
        transfer.update(self._line(), str(self.home / source), place, wants, on_bytes)

    def others(self, files: FileSet, destination: PurePosixPath) -> tuple[str, ...]:
        """List what the set has not."""
        return removing.others(self._line(), files, str(self.home / destination))

    def remove(self, names: tuple[str, ...], destination: PurePosixPath) -> None:
        """Have names removed."""
        removing.remove(self._line(), names, str(self.home / destination))

    def forward(self, here: int, there: int) -> Callable[[], bool]:
        """Have a port of this computer lead to one of the machine."""
        self._connection.forward(here, there)
        return self._connection.is_alive

    def close(self) -> None:
        """Let the connection go. A later call opens a new one."""
        if self._expected is not None:
            self._expected.close()
            self._expected = None
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def _machine(self) -> "_Machine":
        if self._known is None:
            self._known = self._probe()
        return self._known

    def _probe(self) -> "_Machine":
        program = self._connection.start(shlex.join(["exec", "/bin/sh", "-c", _PROBE]))
        try:
            done = listen(program, _PROBE_TIMEOUT_S)
            against = program.said()
        finally:
            program.close()
        if done is None:
            raise self._connection.error("it does not answer in time")
        code, answer = done
        said = answer.rpartition(_MARK.encode() + b"\0")[2].split(b"\0")
        if code == BROKE:
            raise self._connection.error(against)
        if code or len(said) < 4 or not said[0].startswith(b"/"):
            raise RemoteError(f"{self._endpoint.host} lets us in but is no machine to work on: {_tail(against.encode())}")
        if not said[2]:
            raise RemoteError(f"{self._endpoint.host} has no Python 3.8 or newer", "Install it there: apt install python3")
        home, cache_folder, python = map(os.fsdecode, said[:3])
        return _Machine(PurePosixPath(home), PurePosixPath(cache_folder), python)

    def _talk(self, argv: Sequence[str], feed: Feed) -> contextlib.AbstractContextManager[Talk]:
        runner = _source("runner_there") + b"\nmain()\n"
        start = f"import sys;exec(sys.stdin.buffer.read({len(runner)}))"
        program = self._connection.start(shlex.join(["exec", self.python, *_PYTHON_FLAGS, start]))
        return talking(program, runner, {"argv": list(argv), "cwd": str(self.home)}, feed, self._connection.error)

    def _line(self) -> Line:
        return Line(
            open_first=lambda order: Client(self._connection.start(self._agent_command), order),
            open_another=lambda order: Client(self._connection.start_apart(self._agent_command), order),
            translate=self._connection.error,
        )

    @property
    def _agent_command(self) -> str:
        return shlex.join(["exec", self.python, *_PYTHON_FLAGS, agent_source.start()[0]])

    def _script(self, source: bytes, *arguments: str) -> list[str]:
        """Return the command that runs `source`, to be sent ahead of its standard input, and calls its `main`."""
        start = f"import sys\nexec(sys.stdin.buffer.read({len(source)}), globals())\nsys.exit(main(*sys.argv[1:]))"
        return [self.python, *_PYTHON_FLAGS, start, *arguments]


@dataclass(frozen=True, slots=True)
class _Machine:
    home: PurePosixPath
    cache: PurePosixPath
    python: str


def _output(talk: Talk, argv: Sequence[str]) -> Iterator[bytes]:
    said = b""
    for kind, content in talk.frames():
        if kind == OUT:
            yield content
        else:
            said = (said + content)[-_TAIL:]
    if talk.exit_code:
        raise failed(argv, talk.exit_code, said)


@cache
def _source(name: str) -> bytes:
    """Return the source of one of our files for the machine."""
    return (resources.files(__package__) / f"{name}.py").read_bytes()


def _tail(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return shown(lines[-1]) if lines else "it does not say why"
