"""The contract for talking to a machine.

A `Remote` is one line to one machine. It runs short commands, streams long ones, carries files both ways and opens a shell.
It knows nothing of jobs, leases or clouds: what happens on the machine is the guest's business, asked for through `run`.

Every method may raise `HostUnreachableError` when the line breaks; nothing is retried here, because only the caller knows
what is safe to repeat. What has been asked for may have happened all the same.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from .entry_there import Entry
from .fileset import FileSet
from .packed import Found
from .weighing import Weight

OnBytes = Callable[[int, int], None]
"""Told (bytes done, bytes in all) while files travel; the total is 0 when it is not known beforehand."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended. `exit_code` is negative for the signal that ended it, as in `subprocess`."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Remote(Protocol):
    """One line to one machine."""

    @property
    def home(self) -> PurePosixPath:
        """The folder on the machine that is ours: guest, runs. It exists."""
        ...

    @property
    def account(self) -> PurePosixPath:
        """The login's own home on the machine: what a path that a person types is counted from. It exists."""
        ...

    @property
    def cache(self) -> PurePosixPath:
        """The folder on the machine for environments, which outlives runs. It may not exist yet."""
        ...

    @property
    def python(self) -> str:
        """The Python (3.8 or newer) that runs the guest on the machine: a name or an absolute path."""
        ...

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        """Run a command in `home` and return when it ended. No shell reads `argv`.

        Raises:
            HostUnreachableError: the line broke, or `timeout` seconds passed.
        """
        ...

    def stream(self, argv: Sequence[str], *, stdin: bytes = b"") -> AbstractContextManager[Iterator[bytes]]:
        """Run a command in `home` and hand out its standard output as it comes. Leaving the block ends the command.

        The iterator ends when the command ended well and raises `HostUnreachableError` when the line broke or the
        command failed: a stream that merely stops is never mistaken for one that is complete.
        """
        ...

    def shell(self, argv: Sequence[str] = ()) -> int:
        """Give this process's terminal to a command on the machine, or to a login shell; return its exit code."""
        ...

    def write(self, path: PurePosixPath, content: bytes, *, mode: int = 0o600) -> None:
        """Put a small file there, whole or not at all; folders on the way are made.

        Raises:
            RemoteFileError: the machine cannot write there.
        """
        ...

    def read(self, path: PurePosixPath, *, offset: int = 0) -> bytes:
        """Return a file's content from `offset` on: at most 1 GiB (`file_there.MOST_BYTES`).

        Whoever wants all of it calls again from the new offset until nothing comes.

        Raises:
            RemoteFileError: it is absent or cannot be read.
        """
        ...

    def expect_push(self, destination: PurePosixPath, found: Found | None = None) -> None:
        """Let the machine get ready for files that are about to come below `destination`; they may come or not.

        `found` grows while the files are chosen; the more it is, the more may be made ready.

        Raises:
            HostUnreachableError: the line is broken.
        """
        ...

    def push(self, files: FileSet, destination: PurePosixPath, on_bytes: OnBytes | None = None) -> None:
        """Bring files to the machine, below `destination`, with mode and modification time; existing ones are replaced.

        No file is ever seen half under its name. A file that changes while it is read is sent again, and left when it never
        rests; one that cannot be sent keeps none of the others from arriving.

        Raises:
            TransferError: not everything arrived; calling again is safe.
        """
        ...

    def pull(
        self, source: PurePosixPath, destination: Path, on_bytes: OnBytes | None = None, earlier: Path | None = None
    ) -> tuple[str, ...]:
        """Bring a file or a folder here *as* `destination`, which must not exist yet; return what was left behind.

        What cannot travel does not keep the rest from coming: links that leave `source`, sockets, FIFOs, devices, what
        cannot be read, what vanished or became shorter while it was read. Their names come back, relative to `source` and
        fit to be shown to a person; () when all came. A file that grows meanwhile comes with the size it had at first.

        What comes from a machine is hostile input: nothing is written outside `destination`, no links leave it, no device
        nodes are made. A half-arrived `destination` is never left there; when the line breaks, a remote may keep what has come
        beside it, under a name that begins with `.arriving-`, and go on from there when it is called again.

        `earlier` may hold a former state of `source`: a remote need not fetch again what has the same size, time and mode.

        Raises:
            RemoteFileError: there is no `source`.
            TransferError: it did not arrive whole, or was refused.
        """
        ...

    def weigh(self, source: PurePosixPath) -> Weight:
        """Return how many files a pull of `source` would bring, and bytes in them.

        Raises:
            RemoteFileError: there is no `source`.
            TransferError: it cannot be listed.
        """
        ...

    def update(
        self,
        source: PurePosixPath,
        place: Path,
        wants: Callable[[Entry], bool],
        on_bytes: OnBytes | None = None,
    ) -> None:
        """Add to `place` the files of `source` that `wants` says yes to; nothing that stands there is removed.

        `wants` is shown every file once. One that is there by size, time and mode does not travel again; one that differs is
        replaced when the new one is whole. What comes is hostile input, as in a pull. When the line breaks, what has come
        stays, some of it perhaps under names that begin with `.arriving-`.

        Raises:
            RemoteFileError: there is no `source`.
            TransferError: it was refused.
        """
        ...

    def others(self, files: FileSet, destination: PurePosixPath) -> tuple[str, ...]:
        """Return what stands below `destination` and is not in the set: of folders their names alone; () where nothing is.

        Raises:
            TransferError: it cannot be listed.
        """
        ...

    def remove(self, names: tuple[str, ...], destination: PurePosixPath) -> None:
        """Remove these names below `destination`, folders with all that is in them; what is gone already is no error.

        Raises:
            TransferError: something could not be removed.
        """
        ...

    def close(self) -> None:
        """Let the line go. Safe to call twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@runtime_checkable
class Forwarding(Protocol):
    """A `Remote` whose machine has ports of its own."""

    def forward(self, here: int, there: int) -> Callable[[], bool]:
        """Have port `here` at 127.0.0.1 lead to port `there` at the machine's 127.0.0.1, until the line is let go.

        Return what says whether it still does; asked at least once a minute, or the line may count as unused.

        Raises:
            HostUnreachableError: the port is taken here, or the machine does not allow it.
        """
        ...
