# This file also runs on the machine, on Python 3.8, over names that need not be text: os, not pathlib.
# ruff: noqa: PTH103, PTH105, PTH108, PTH118, PTH120, PTH123
"""Write and read one small file whole: here for a folder of this machine, there as source sent over the line.

Standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import contextlib
import os
import sys

MOST_BYTES = 1 << 30
"""The most that is read at once, bytes: whoever wants more reads on from there."""

_CHUNK = 1 << 20


def write(path: str, content: bytes, mode: int) -> None:
    """Put a file there, whole or not at all; folders on the way are made. Raises OSError."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    part = os.path.join(folder, f".arriving-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
            out.write(content)
            os.fchmod(out.fileno(), mode)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):  # it may never have been made
            os.unlink(part)
        raise


def read(path: str, offset: int) -> bytes:
    """Return a file's content from `offset` on, at most MOST_BYTES of it. Raises OSError."""
    # Without O_NONBLOCK, a FIFO of that name would be waited for.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        file.seek(offset)
        content = bytearray()
        while len(content) < MOST_BYTES:
            chunk = file.read(min(_CHUNK, MOST_BYTES - len(content)))
            if not chunk:
                break
            content += chunk
    return bytes(content)


def main(verb: str, path: str, number: str) -> int:
    """Carry out `write PATH MODE` or `read PATH OFFSET`; return the exit code."""
    try:
        if verb == "write":
            write(path, sys.stdin.buffer.read(), int(number))
        else:
            sys.stdout.buffer.write(read(path, int(number)))
            sys.stdout.buffer.flush()
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)
        return 1
    return 0
