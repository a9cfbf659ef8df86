"""`python -m cloudtrain.testing.playground.connect FOLDER HOST PORT`: an SSH client's way to a pretend machine.

For `ProxyCommand … connect FOLDER %h %p`. Looks the machine's address up in FOLDER/machines.json, connects there, and carries
standard input and output. An address that is not there has no machine that runs: exit code 1. A machine whose line is cut
is silent, until it is mended or the client gives up. Imports the standard library alone: it starts with every ssh.
"""

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

_CHUNK = 1 << 16
_LOOK_AGAIN_S = 0.2


def main(argv: list[str]) -> int:
    """Connect, and carry bytes both ways until both sides have ended."""
    if len(argv) != 3:
        print("usage: python -m cloudtrain.testing.playground.connect FOLDER HOST PORT", file=sys.stderr)
        return 2
    folder, host, port = argv
    entry = _look_up(folder, host)
    while entry is not None and entry["cut"]:
        time.sleep(_LOOK_AGAIN_S)
        entry = _look_up(folder, host)
    if entry is None:
        print(f"connect to {host} port {port}: no machine runs at this address of the playground", file=sys.stderr)
        return 1
    try:
        line = socket.create_connection((entry["host"], entry["port"]))
    except OSError as error:
        print(f"connect to {host} port {port}: {error.strerror or error}", file=sys.stderr)
        return 1
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A daemon: when the machine has said its last word, nobody waits for the client's.
    threading.Thread(target=_carry_there, args=(line,), daemon=True).start()
    _carry_here(line)
    return 0


def _look_up(folder: str, host: str) -> dict[str, Any] | None:
    try:
        entry: dict[str, Any] | None = json.loads(Path(folder, "machines.json").read_text()).get(host)
    except FileNotFoundError:
        return None
    return entry


def _carry_there(line: socket.socket) -> None:
    try:
        while content := os.read(0, _CHUNK):
            line.sendall(content)
        line.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the machine is gone, which the other direction sees too


def _carry_here(line: socket.socket) -> None:
    try:
        while content := line.recv(_CHUNK):
            while content:
                content = content[os.write(1, content) :]
    except OSError:
        return  # one of the two is gone, and there is nobody left to tell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
