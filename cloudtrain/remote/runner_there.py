"""Run one command on the machine and tell, frame by frame, what it says and how it ended.

Standard library only, Python 3.8 or newer; its source is the first thing sent over the line. Everything goes through one
ordered channel whose last frame is the command's end. So a line that broke is never taken for a command that ended, nor
the other way round, whatever exit code either of them has; and a signal is told from an exit code.

Towards us: MAGIC once, then frames of (kind, size as 4 bytes, content): 1 output, 2 error output, 0 the end, with the exit
code as text. From us: frames of (size as 4 bytes, content): the order (JSON: argv, cwd), then the command's standard
input, then an empty frame where that ends. When our side falls silent for good, the command and its children are killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
from typing import BinaryIO

MAGIC = b"\0cloudtrain line 1\n"
END, OUT, ERR = 0, 1, 2
CHUNK = 1 << 16


def main() -> None:
    """Carry out the order on standard input."""
    source = sys.stdin.buffer
    _send(MAGIC)
    order = json.loads(_frame(source) or b"{}")
    pipe = subprocess.PIPE
    try:
        child = subprocess.Popen(order["argv"], cwd=order["cwd"], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    except OSError as error:
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        _send_frame(ERR, f"{order['argv'][0]}: {error.strerror}\n".encode("utf-8", "replace"))
        _send_frame(END, b"127" if missing else b"126")
        return
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda *_: _abandon(child))
    threading.Thread(target=_feed, args=(source, child), daemon=True).start()
    try:
        _tell(child)
        _send_frame(END, str(child.wait()).encode())
    except OSError:
        _abandon(child)
    os._exit(0)  # the feeding thread still waits for our side, and needs no farewell


def _tell(child: subprocess.Popen[bytes]) -> None:
    assert child.stdout is not None
    assert child.stderr is not None
    kinds = {child.stdout.fileno(): OUT, child.stderr.fileno(): ERR}
    poll = select.poll()
    for file in kinds:
        poll.register(file, select.POLLIN)
    while kinds:
        for file, _ in poll.poll():
            content = os.read(file, CHUNK)
            if content:
                _send_frame(kinds[file], content)
            else:
                poll.unregister(file)
                del kinds[file]


def _feed(source: BinaryIO, child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    listening = True
    while True:
        content = _frame(source)
        if content is None:
            _abandon(child)
            return
        with contextlib.suppress(OSError):  # a command need not read what it is given
            if listening and content:
                child.stdin.write(content)
                child.stdin.flush()
            elif listening:
                listening = False
                child.stdin.close()


def _abandon(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):  # it has ended already
        os.killpg(child.pid, signal.SIGKILL)
    os._exit(1)


def _frame(source: BinaryIO) -> bytes | None:
    head = source.read(4)
    if len(head) < 4:
        return None
    size = struct.unpack(">I", head)[0]
    content = source.read(size)
    return content if len(content) == size else None


def _send_frame(kind: int, content: bytes) -> None:
    _send(struct.pack(">BI", kind, len(content)) + content)


def _send(content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(1, view) :]
