"""A pretend machine whose line can be made to break: for tests, and for trying what happens then."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from ..model.errors import HostUnreachableError
from .base import Completed, OnBytes
from .entry_there import Entry
from .fileset import FileSet
from .local import LocalRemote
from .packed import Found
from .weighing import Weight

OPERATIONS = ("run", "stream", "shell", "write", "read", "push", "pull", "weigh", "update", "others", "remove")
"""What can be made to fail."""


class MemoryRemote:
    """A `LocalRemote` behind a line that breaks when it is told to."""

    def __init__(self, root: Path) -> None:
        self._machine = LocalRemote(root, root / "cache")
        self._failures: list[tuple[str, Exception, bool]] = []
        self._bytes_left: int | None = None

    def fail_next(self, operation: str, error: Exception, *, after: bool = False) -> None:
        """Let the next call of an operation raise `error`: before it did anything, or after it did all of it.

        Raises:
            ValueError: there is no such operation.
        """
        if operation not in OPERATIONS:
            raise ValueError(f"no operation {operation!r}; there are {', '.join(OPERATIONS)}")
        self._failures.append((operation, error, after))

    def cut_after_bytes(self, count: int) -> None:
        """Let the line carry that many more bytes of streams, pushes and pulls, then break once."""
        self._bytes_left = count

    @property
    def home(self) -> PurePosixPath:
        """The root."""
        return self._machine.home

    @property
    def account(self) -> PurePosixPath:
        """The root."""
        return self._machine.account

    @property
    def cache(self) -> PurePosixPath:
        """The folder `cache` in the root."""
        return self._machine.cache

    @property
    def python(self) -> str:
        """The Python that runs us."""
        return self._machine.python

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        """Run a command."""
        with self._failing("run"):
            return self._machine.run(argv, stdin=stdin, timeout=timeout)

    @contextlib.contextmanager
    def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> Iterator[Iterator[bytes]]:
        """Hand out a command's output; a failure that comes after comes when all of it was handed out."""
        before, after = self._failures_of("stream")
        if before is not None:
            raise before
        with self._machine.stream(argv, stdin=stdin) as chunks:
            yield self._carried(chunks, after)

    def shell(self, argv: Sequence[str] = ()) -> int:
        """Give the terminal to a command."""
        with self._failing("shell"):
            return self._machine.shell(argv)

    def write(self, path: PurePosixPath, content: bytes, *, mode: int = 0o600) -> None:
        """Put a small file there."""
        with self._failing("write"):
            self._machine.write(path, content, mode=mode)

    def read(self, path: PurePosixPath, *, offset: int = 0) -> bytes:
        """Return a small file's content."""
        with self._failing("read"):
            return self._machine.read(path, offset=offset)

    def expect_push(self, destination: PurePosixPath, found: Found | None = None) -> None:
        """Do nothing: nobody has to be sent for."""

    def push(self, files: FileSet, destination: PurePosixPath, on_bytes: OnBytes | None = None) -> None:
        """Copy files there."""
        with self._failing("push"):
            self._machine.push(files, destination, _Meter(self, on_bytes).tell)

    def pull(
        self, source: PurePosixPath, destination: Path, on_bytes: OnBytes | None = None, earlier: Path | None = None
    ) -> tuple[str, ...]:
        """Copy files here. A failure that comes after comes when they are here."""
        with self._failing("pull"):
            return self._machine.pull(source, destination, _Meter(self, on_bytes).tell, earlier)

    def weigh(self, source: PurePosixPath) -> Weight:
        """Count what a pull would bring."""
        with self._failing("weigh"):
            return self._machine.weigh(source)

    def update(
        self,
        source: PurePosixPath,
        place: Path,
        wants: Callable[[Entry], bool],
        on_bytes: OnBytes | None = None,
    ) -> None:
        """Copy what is wanted and not here."""
        with self._failing("update"):
            self._machine.update(source, place, wants, _Meter(self, on_bytes).tell)

    def others(self, files: FileSet, destination: PurePosixPath) -> tuple[str, ...]:
        """List what the set has not."""
        with self._failing("others"):
            return self._machine.others(files, destination)

    def remove(self, names: tuple[str, ...], destination: PurePosixPath) -> None:
        """Remove names."""
        with self._failing("remove"):
            self._machine.remove(names, destination)

    def close(self) -> None:
        """Let the line go."""
        self._machine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def carry(self, count: int) -> int:
        """Return how many of so many bytes still pass before the line breaks."""
        if self._bytes_left is None:
            return count
        passing = min(count, self._bytes_left)
        self._bytes_left = None if passing < count else self._bytes_left - count
        return passing

    def _carried(self, chunks: Iterator[bytes], after: Exception | None) -> Iterator[bytes]:
        for chunk in chunks:
            passing = self.carry(len(chunk))
            if passing:
                yield chunk[:passing]
            if passing < len(chunk):
                raise _cut()
        if after is not None:
            raise after

    @contextlib.contextmanager
    def _failing(self, operation: str) -> Iterator[None]:
        before, after = self._failures_of(operation)
        if before is not None:
            raise before
        yield
        if after is not None:
            raise after

    def _failures_of(self, operation: str) -> tuple[Exception | None, Exception | None]:
        for failure in self._failures:
            if failure[0] == operation:
                self._failures.remove(failure)
                return (None, failure[1]) if failure[2] else (failure[1], None)
        return None, None


class _Meter:
    """What files weigh while they travel, until the line breaks under them."""

    def __init__(self, line: MemoryRemote, on_bytes: OnBytes | None) -> None:
        self._line = line
        self._on_bytes = on_bytes
        self._done = 0

    def tell(self, done: int, total: int) -> None:
        count, self._done = done - self._done, done
        if self._line.carry(count) < count:
            raise _cut()
        if self._on_bytes is not None:
            self._on_bytes(done, total)


def _cut() -> HostUnreachableError:
    return HostUnreachableError("The line to the pretend machine broke, as it was told to", "Try again.")
