"""Two processes that bring each other back: whoever ends one of them has ended nothing."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
import traceback
from typing import Callable

from .request import WAKE_UP

Wait = Callable[[float], bool]
"""Waits that many seconds, or until woken; False when the other process has died."""

_PAUSE_S = 0.2  # before a child that died is brought back, so that one that dies at once is no frenzy


def keep_alive(work: Callable[[Wait], None], on_fault: Callable[[str], None]) -> None:
    """Do `work` in a child, again whenever it dies. A child whose parent died becomes the parent of a new one.

    `work` returns when its `Wait` says False; what it raises is told and ends that child. Never returns.
    """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, WAKE_UP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writer)  # the parent alone holds it: its end is our parent's
            _work(work, reader, on_fault)
            os.close(reader)
            continue
        os.close(reader)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        os.close(writer)
        time.sleep(_PAUSE_S)


def _work(work: Callable[[Wait], None], parent: int, on_fault: Callable[[str], None]) -> None:
    bell, ringer = os.pipe()
    os.set_blocking(ringer, False)
    signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
    signal.signal(WAKE_UP, lambda *_: None)
    try:
        work(lambda seconds: _wait(seconds, parent, bell))
    except BaseException:
        on_fault(traceback.format_exc())
        os._exit(1)
    signal.signal(WAKE_UP, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    os.close(bell)
    os.close(ringer)


def _wait(seconds: float, parent: int, bell: int) -> bool:
    heard = select.select([parent, bell], [], [], max(0.0, seconds))[0]
    if bell in heard:
        os.read(bell, 4096)
    return parent not in heard
