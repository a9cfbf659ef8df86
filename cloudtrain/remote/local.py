"""A folder of this machine that plays the machine."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Self

from ..model.errors import HostUnreachableError, RemoteFileError, TransferError
from . import file_there
from .arrival import Counter, arriving, described, growing, refused
from .base import Completed, OnBytes
from .entry_there import Entry, RefusedError, shown, with_content
from .fetching import is_here
from .fileset import FileSet
from .foreground import run_in_foreground
from .landing_there import Landing
from .leaving_there import BrokenOffError, Leaving, walk
from .manifest_there import check_name
from .packed import Found
from .removing import Strangers
from .weighing import Weight

_CHUNK = 1 << 16
_TAIL = 2000


class LocalRemote:
    """Runs things on this very machine, with `root` as home."""

    def __init__(self, root: Path, cache: Path) -> None:
        self._root = Path(root).absolute()
        self._cache = Path(cache).absolute()
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def home(self) -> PurePosixPath:
        """The root."""
        return PurePosixPath(self._root)

    @property
    def account(self) -> PurePosixPath:
        """The root."""
        return PurePosixPath(self._root)

    @property
    def cache(self) -> PurePosixPath:
        """The folder for environments."""
        return PurePosixPath(self._cache)

    @property
    def python(self) -> str:
        """The Python that runs us."""
        return sys.executable

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        """Run a command in a process group of its own; all of it is killed when the time is over."""
        with self._start(argv, stderr=subprocess.PIPE) as process:
            try:
                stdout, stderr = process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired as error:
                raise HostUnreachableError(f"{shown(argv[0])} did not end within {timeout:g} s", "Try again.") from error
            finally:
                _kill(process)
        return Completed(process.returncode, stdout, stderr)

    @contextlib.contextmanager
    def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> Iterator[Iterator[bytes]]:
        """Hand out a command's output as it comes; kill its process group when the block is left."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.write(stdin)
            given.seek(0)
            with self._start(argv, stdin=given, stderr=said) as process:
                try:
                    yield _output(process, argv, said)
                finally:
                    _kill(process)

    def shell(self, argv: Sequence[str] = ()) -> int:
        """Give the terminal to a command, or to a login shell of this machine."""
        command = argv or [os.environ.get("SHELL", "/bin/sh"), "-l"]
        try:
            return run_in_foreground(command, self._root)
        except OSError as error:
            sys.stderr.write(f"{command[0]}: {error.strerror}\n")
            return _not_started(error)

    def write(self, path: PurePosixPath, content: bytes, *, mode: int = 0o600) -> None:
        """Put a small file there, whole or not at all."""
        try:
            file_there.write(str(self._root / path), content, mode)
        except OSError as error:
            raise RemoteFileError(f"{shown(str(path))} cannot be written: {error.strerror}") from error

    def read(self, path: PurePosixPath, *, offset: int = 0) -> bytes:
        """Return a file's content from `offset` on, at most `file_there.MOST_BYTES`."""
        try:
            return file_there.read(str(self._root / path), offset)
        except OSError as error:
            raise RemoteFileError(f"{shown(str(path))} cannot be read: {error.strerror}") from error

    def expect_push(self, destination: PurePosixPath, found: Found | None = None) -> None:
        """Do nothing: nobody has to be sent for."""

    def push(self, files: FileSet, destination: PurePosixPath, on_bytes: OnBytes | None = None) -> None:
        """Copy files below `destination`; each appears under its name when it is whole."""
        counter = Counter(files.total_bytes, on_bytes)
        landing = Landing(str(self._root / destination))
        try:
            for entry, content in with_content(str(files.root), described(files)):
                landing.put(entry, counter.counted(content))
            landing.finish()
        except RefusedError as error:
            raise refused(error) from error
        except OSError as error:
            raise TransferError(f"Not everything arrived: {error}", "Make room there, then try again.") from error

    def pull(
        self, source: PurePosixPath, destination: Path, on_bytes: OnBytes | None = None, earlier: Path | None = None
    ) -> tuple[str, ...]:
        """Copy a file or folder as `destination`, whole or not at all; return what was left behind."""
        del earlier  # nothing travels here, so there is nothing to save
        root = self._present(source)
        with arriving(destination) as place:
            leaving = Leaving(root)
            counter = Counter(leaving.total, on_bytes)
            landing = Landing(str(place))
            for entry, content in leaving.contents():
                with contextlib.suppress(BrokenOffError):  # `leaving` has its name
                    landing.put(entry, counter.counted(content))
            landing.finish()
        return tuple(shown(name) for name in sorted(leaving.left))

    def weigh(self, source: PurePosixPath) -> Weight:
        """Count what a pull would bring."""
        try:
            return reduce(Weight.with_entry, walk(self._present(source), _nobody), Weight())
        except RefusedError as error:
            raise TransferError(f"{shown(str(source))} cannot be weighed: {error}") from error

    def update(
        self,
        source: PurePosixPath,
        place: Path,
        wants: Callable[[Entry], bool],
        on_bytes: OnBytes | None = None,
    ) -> None:
        """Copy what is wanted and not here."""
        root = self._present(source)
        with growing(place):
            leaving = Leaving(root)
            counter = Counter(leaving.total, on_bytes)
            landing = Landing(str(place))
            for entry, content in leaving.contents():
                if entry.kind == "file" and (not wants(entry) or is_here(landing, entry)):
                    continue
                with contextlib.suppress(BrokenOffError):  # it stays behind, as in a pull
                    landing.put(entry, counter.counted(content))
            landing.finish()

    def others(self, files: FileSet, destination: PurePosixPath) -> tuple[str, ...]:
        """List what the set has not."""
        root = os.path.realpath(self._root / destination)
        strangers = Strangers(files)
        try:
            for entry in walk(root, strangers.look_at) if Path(root).exists() else ():
                strangers.look_at(entry.name)
        except (RefusedError, OSError) as error:
            raise TransferError(f"{shown(str(destination))} cannot be listed: {error}") from error
        return tuple(strangers.found)

    def remove(self, names: tuple[str, ...], destination: PurePosixPath) -> None:
        """Remove names."""
        landing = Landing(os.path.realpath(self._root / destination))
        try:
            for name in names:
                check_name(name)
                landing.remove(name)
        except (RefusedError, OSError) as error:
            raise TransferError(f"{shown(str(destination))} cannot be cleared: {error}") from error

    def close(self) -> None:
        """Let go: there is nothing to let go of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _present(self, source: PurePosixPath) -> str:
        root = os.path.realpath(self._root / source)
        if not Path(root).exists():
            raise RemoteFileError(f"There is no {shown(str(source))}")
        return root

    @contextlib.contextmanager
    def _start(
        self, argv: Sequence[str], *, stderr: int | IO[bytes], stdin: int | IO[bytes] = subprocess.PIPE
    ) -> Iterator[subprocess.Popen[bytes]]:
        try:
            process = subprocess.Popen(
                argv, cwd=self._root, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
            )
        except OSError as error:
            # As a shell answers, so that a caller need not know where the machine is.
            script = f"printf '%s\\n' \"$0\" >&2; exit {_not_started(error)}"
            excuse = ["/bin/sh", "-c", script, f"{shown(argv[0])}: {error.strerror}"]
            process = subprocess.Popen(excuse, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True)
        with process:
            yield process


def _nobody(_: str) -> None:
    """Hear a name that stays behind, and do nothing: the pull will tell."""


def _output(process: subprocess.Popen[bytes], argv: Sequence[str], said: IO[bytes]) -> Iterator[bytes]:
    assert process.stdout is not None
    while chunk := os.read(process.stdout.fileno(), _CHUNK):
        yield chunk
    if code := process.wait():
        said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL))
        raise failed(argv, code, said.read())


def failed(argv: Sequence[str], code: int, said: bytes) -> HostUnreachableError:
    """Return what is told of a streamed command that did not end well."""
    tail = said.decode("utf-8", "replace").strip()[-_TAIL:]
    return HostUnreachableError(f"{shown(argv[0])} ended with exit code {code} before its output was complete", tail)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # One that was waited for has given its number back: it may be somebody else's by now.
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)


def _not_started(error: OSError) -> int:
    return 127 if isinstance(error, (FileNotFoundError, NotADirectoryError)) else 126
