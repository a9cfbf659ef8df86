"""Give this process's terminal to another program, and take it back."""

import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path


def run_in_foreground(argv: Sequence[str], folder: Path | None = None) -> int:
    """Run a program with our own standard streams and return its exit code, 128 + N when signal N ended it.

    Raises:
        OSError: it cannot be started.
    """
    with _leaving_interrupts_to_it(), subprocess.Popen(argv, cwd=folder) as program:
        code = program.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _leaving_interrupts_to_it() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A handler, not SIG_IGN: the program would inherit that and could not be interrupted either.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
