"""Ctrl-C and its relatives while money may be spent: which came, what the person wants, and an end that is not broken off."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from ..journey import Interrupt
from ..model.errors import ShutdownError
from ..model.run import Run
from .ask import choose

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

PRESSES_TO_LEAVE = 3
"""How many signals while the machine is being ended make us leave all the same."""


class Signals:
    """Listens while a verb may spend money; outside of it signals do what they always do.

    Attributes:
        came: the last signal that interrupted the verb, or None.
        detached: true when the job was let go on.
        deadline: when the machine ends by itself, in words, or "" while nobody knows.
    """

    def __init__(self, on_interrupt: str = "ask") -> None:
        """`on_interrupt` is "ask", "detach" or "shut-down": what Ctrl-C means while the job runs."""
        self.came: signal.Signals | None = None
        self.detached = False
        self.deadline = ""
        self._on_interrupt = on_interrupt
        self._asking = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Turn the signals into KeyboardInterrupt, remembering which it was."""
        with _handled(self._interrupt):
            yield

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let no signal break the ending of a machine, until the person insists.

        Raises:
            ShutdownError: the third signal came.
        """
        came = 0

        def insist(_number: int, _frame: FrameType | None) -> None:
            nonlocal came
            came += 1
            if came >= PRESSES_TO_LEAVE:
                raise ShutdownError(
                    f"Left while the machine was being ended. It may stay on the meter until {self._end()}.",
                    "See what exists: cloudtrain status",
                )
            _say(f"still ending the machine; leaving now may leave it on the meter until {self._end()}; {_HOW[came]}")

        with _handled(insist):
            yield

    def decide(self, run: Run) -> Interrupt:
        """Say what an interrupt means while the job runs. Asks only a person at a terminal."""
        choice = self._choice(run)
        self.detached = choice is Interrupt.DETACH
        return choice

    def _choice(self, run: Run) -> Interrupt:
        if self.came is signal.SIGHUP:
            return Interrupt.DETACH  # The terminal was closed, not the job given up.
        if self.came is signal.SIGTERM:
            return Interrupt.SHUT_DOWN
        if self._on_interrupt != "ask":
            return Interrupt(self._on_interrupt)
        return self._ask(run)

    def _ask(self, run: Run) -> Interrupt:
        question = f"{run.id} runs. [d]etach: the job goes on · [s]hut down: collect results, end the machine"
        typed = None
        self._asking = True
        with suppress(KeyboardInterrupt):  # impatience is an answer, too
            typed = choose(question, "ds")
        self._asking = False
        if typed is None:
            return Interrupt.DETACH if self.came is signal.SIGHUP else Interrupt.SHUT_DOWN
        return Interrupt.DETACH if typed == "d" else Interrupt.SHUT_DOWN

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self.came = signal.Signals(number)
        # A window that closes ends the question by itself; an exception could come after it has ended.
        if not (self._asking and self.came is signal.SIGHUP):
            raise KeyboardInterrupt

    def _end(self) -> str:
        return self.deadline or "its lease ends"


_HOW = {1: "press again twice to leave anyway", 2: "press once more to leave anyway"}


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread may set handlers, and only it is interrupted.
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    # What a parent has ignored (nohup ignores SIGHUP) stays ignored.
    ours = [number for number in SIGNALS if before[number] not in (signal.SIG_IGN, None)]
    for number in ours:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _say(text: str) -> None:
    # Straight to the file: the handler may have come in the middle of a buffered write, which must not be entered twice.
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"\n{text}\n".encode())
