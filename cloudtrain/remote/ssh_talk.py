"""One command's conversation with the runner on the machine: frames over the standard streams of a program there."""

import contextlib
import json
import re
import struct
import threading
from collections.abc import Callable, Iterator
from typing import IO, Protocol

from ..model.errors import HostUnreachableError, RemoteError
from .program import GOODBYE_S, Program
from .runner_there import END, ERR, MAGIC, OUT

Feed = Callable[["Sink"], object]
"""Writes a command's standard input."""

_PIECE = 1 << 18
_LARGEST_FRAME = 1 << 20
_LONGEST_GREETING = 1 << 16
_EXIT_CODE = re.compile(rb"-?[0-9]{1,3}")


class Sink(Protocol):
    """Where bytes are written to."""

    def write(self, content: bytes, /) -> object:
        """Write all of it."""
        ...


@contextlib.contextmanager
def talking(
    program: Program, runner: bytes, order: object, feed: Feed, translate: Callable[[str], Exception]
) -> Iterator["Talk"]:
    """Give a program that waits for it the runner, the order and the command's standard input; end all that with the block."""
    talk = Talk(program, translate)
    talk.begin(runner, json.dumps(order).encode(), feed)
    try:
        yield talk
    finally:
        talk.end()


class Talk:
    """What is said to and by a program until the command ended.

    Attributes:
        exit_code: the command's own, once `frames` has come to its end.
    """

    exit_code = 0

    def __init__(self, program: Program, translate: Callable[[str], Exception]) -> None:
        self._program = program
        self._translate = translate
        self._feed_error: Exception | None = None
        self._timeout: float | None = None
        self._feeder: threading.Thread | None = None

    def begin(self, runner: bytes, order: bytes, feed: Feed) -> None:
        """Send the runner, its order and what the feed writes, beside whoever reads the frames."""
        self._feeder = threading.Thread(target=self._run_feed, args=(runner, order, feed), daemon=True)
        self._feeder.start()

    def frames(self, timeout: float | None = None) -> Iterator[tuple[int, bytes]]:
        """Hand out (OUT or ERR, bytes) in the order they were said.

        Raises:
            HostUnreachableError: the line broke, or `timeout` seconds passed.
            RemoteError: what comes back is no conversation.
            Exception: what the feed raised.
        """
        alarm = threading.Timer(timeout, self._give_up, [timeout]) if timeout is not None else None
        if alarm is not None:
            alarm.daemon = True
            alarm.start()
        try:
            yield from self._frames()
        finally:
            if alarm is not None:
                alarm.cancel()

    def end(self) -> None:
        """End the command if it still runs: its runner sees our side fall silent and kills it."""
        if self._feeder is not None and self._feeder.is_alive():
            self._program.kill()
            self._feeder.join()
        self._program.close()

    def _run_feed(self, runner: bytes, order: bytes, feed: Feed) -> None:
        pipe = self._program.stdin
        try:
            pipe.write(runner + struct.pack(">I", len(order)) + order)
            frames = _FrameWriter(pipe)
            feed(frames)
            frames.end()
        except (BrokenPipeError, ConnectionError):
            return  # whoever reads the frames learns what became of the line
        except Exception as error:
            self._feed_error = error
            self._program.kill()

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        pipe = self._program.stdout
        greeting = b""
        while not greeting.endswith(MAGIC):  # a login shell may have something to say first
            greeting += self._exactly(pipe, 1)
            if len(greeting) > _LONGEST_GREETING:
                raise RemoteError(
                    "The machine does not stop talking before it is asked", "Look at what its shell prints at login."
                )
        while True:
            kind, size = struct.unpack(">BI", self._exactly(pipe, 5))
            if kind not in (OUT, ERR, END) or size > _LARGEST_FRAME:
                raise RemoteError("The machine does not speak our language")
            content = self._exactly(pipe, size)
            if kind == END:
                if not _EXIT_CODE.fullmatch(content):
                    raise RemoteError("The machine does not speak our language")
                self.exit_code = int(content)
                return
            yield kind, content

    def _exactly(self, pipe: IO[bytes], size: int) -> bytes:
        content = pipe.read(size)
        if len(content) == size:
            return content
        # It closed its output, so it is about to end; one that does not is ended when the block is left.
        self._program.wait(GOODBYE_S)
        if self._feed_error is not None:
            raise self._feed_error
        if self._timeout is not None:
            raise HostUnreachableError(f"The command did not end within {self._timeout:g} s", "Try again.")
        raise self._translate(self._program.said())

    def _give_up(self, timeout: float) -> None:
        self._timeout = timeout
        self._program.kill()


class _FrameWriter:
    """Turns what is written into frames: large pieces as they are, small ones gathered."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._waiting = bytearray()

    def write(self, content: bytes) -> int:
        self._waiting += content
        if len(self._waiting) >= _PIECE:
            self._send()
        return len(content)

    def end(self) -> None:
        self._send()
        self._pipe.write(struct.pack(">I", 0))
        self._pipe.flush()

    def _send(self) -> None:
        waiting = memoryview(self._waiting)
        for start in range(0, len(waiting), _PIECE):
            piece = waiting[start : start + _PIECE]
            self._pipe.write(struct.pack(">I", len(piece)))
            self._pipe.write(piece)
        self._waiting = bytearray()
