# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib.
# ruff: noqa: PTH100
"""Serve one stream of a transfer on the machine: read what is asked, answer in the same order, and let nobody wait in doubt.

Standard library only, Python 3.8 or newer; its source travels to the machine. One thread reads ahead and answers pings at
once, so that the time they take is the line's alone; one says every few seconds that this end is alive, whatever the disk does.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from .ahead_there import Ahead, is_vacant
from .entry_there import RefusedError, shown
from .frames_there import BEAT, FAILED, HELLO, MAGIC, PING, PONG, Frame, encode, receive, squeezed
from .landing_there import write_all
from .receiver_there import Answers, Receiver
from .sender_there import Sender

ABSENT = "absent"
"""The second word of a failure where there is nothing to send."""

_BEAT_S = 5.0
_MOST_AHEAD = 1 << 24


class Agent:
    """One end of one stream; `read` returns exactly as many bytes as asked for or raises EOFError."""

    def __init__(self, read: Callable[[int], bytes], write: Callable[[Sequence[bytes]], object]) -> None:
        self._read = read
        self._write = write
        self._writing = threading.Lock()
        self._asked: deque[Frame | None] = deque()
        self._ahead = 0
        self._is_unheard = False
        self._turn = threading.Condition()
        self._over = threading.Event()

    def serve(self) -> None:
        """Answer until the other side goes."""
        threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._beat)]
        try:
            self._write([MAGIC])
            order = receive(self._read)
            self._say(encode(HELLO, [os.cpu_count() or 1, order.words[0] == "expect" and is_vacant(order.words[1])]))
            for thread in threads:
                thread.start()
            self._obey(order)
        except (EOFError, OSError, RefusedError):
            return  # nobody is left to be told
        finally:
            self._over.set()

    def _obey(self, order: Frame) -> None:
        verbs = _verbs(order) if order.words[0] == "expect" else None
        while True:
            frame = self._next()
            if frame is None:
                return
            start = time.monotonic()
            try:
                verbs = verbs or _verbs(order)
                for kind, words, body in verbs[frame.kind](frame):
                    self._answer(_encode_answer(frame, kind, time.monotonic() - start if words is None else words, body))
                    if self._is_unheard:
                        break
            except FileNotFoundError as error:
                self._fail(error, ABSENT if verbs is None else "")
            except (OSError, RefusedError, LookupError, TypeError, ValueError) as error:
                self._fail(error, "")

    def _answer(self, pieces: Sequence[bytes]) -> None:
        """Answer, unless nobody hears it: what has come whole is put in its place all the same."""
        if self._is_unheard:
            return
        try:
            self._say(pieces)
        except (OSError, EOFError):
            self._is_unheard = True

    def _fail(self, error: Exception, why: str) -> None:
        self._answer(encode(FAILED, [shown(str(error)), why]))

    def _listen(self) -> None:
        try:
            while True:
                frame = receive(self._read)
                if frame.kind == PING:
                    self._say(encode(PONG, frame.words))
                else:
                    self._queue(frame)
        except (EOFError, OSError, RefusedError):
            self._queue(None)

    def _queue(self, frame: Frame | None) -> None:
        with self._turn:
            self._asked.append(frame)
            self._ahead += len(frame.body) if frame else 0
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._ahead <= _MOST_AHEAD)

    def _next(self) -> Frame | None:
        with self._turn:
            self._turn.wait_for(lambda: self._asked)
            frame = self._asked.popleft()
            self._ahead -= len(frame.body) if frame else 0
            self._turn.notify_all()
            return frame

    def _beat(self) -> None:
        while not self._over.wait(_BEAT_S):
            try:
                self._say(encode(BEAT))
            except OSError:
                return

    def _say(self, pieces: Sequence[bytes]) -> None:
        with self._writing:
            self._write(pieces)


def _encode_answer(question: Frame, kind: int, words: object, body: bytes) -> Sequence[bytes]:
    """Return the frame that answers a question, deflated where that was asked for and pays."""
    deflated = squeezed(body) if body and question.may_deflate else None
    return encode(kind, words, body, deflated=deflated)


def _verbs(order: Frame) -> Mapping[int, Callable[[Frame], Answers]]:
    """Return what is done for whom: "put ROOT", "take ROOT", or "expect ROOT", which is to be put and looked at meanwhile.

    Raises:
        FileNotFoundError: there is nothing to take.
    """
    verb, root = order.words
    if verb in ("put", "expect"):
        return Receiver(os.path.abspath(root), Ahead(root) if verb == "expect" else None).verbs
    real = os.path.realpath(root)
    if not os.path.lexists(real):
        raise FileNotFoundError(f"there is no {root}")
    return Sender(real).verbs


def main() -> None:
    """Serve on standard input and output."""
    source = sys.stdin.buffer

    def read(size: int) -> bytes:
        content = source.read(size)
        if len(content) < size:
            raise EOFError
        return content

    def write(pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            write_all(1, piece)

    Agent(read, write).serve()
    sys.stderr.flush()
    os._exit(0)  # the listening thread still waits for the other side, and needs no farewell
