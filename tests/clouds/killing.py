"""`cloudtrain` as processes that can be killed. One helper has everything imported and forks a child for each command.

Run as a program this file is the helper: it reads orders as JSON lines from standard input, and answers with a line when a
child has begun and one when it has ended. Nothing of the product is changed in a child but two things: the SDK's descriptions
of its services, which all children share, and time where that is asked for (sleeping moves the clock instead of waiting).
"""

import gc
import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PATIENCE_S = 120.0
"""How long a child may take before the test gives up on it."""

AS_IT_IS = -2.0
"""For `ahead_s`: this computer's own clock, and nothing patched."""

HURRIED = -1.0
"""For `ahead_s`: this computer's own clock, and pauses that take no time: what is asked about changes by being looked at."""


@dataclass
class Typed:
    """A command that was typed.

    Attributes:
        status: its exit code, or the number of the signal that ended it, negative; None while it runs.
    """

    words: tuple[str, ...]
    files: str
    status: int | None = None
    pid: int = 0
    begun: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def stdout(self) -> str:
        """Return what it printed."""
        return Path(f"{self.files}.out").read_text()

    @property
    def stderr(self) -> str:
        """Return what it said."""
        return Path(f"{self.files}.err").read_text()

    def kill(self) -> None:
        """Kill it with SIGKILL; return when it is dead."""
        assert self.begun.wait(PATIENCE_S)
        os.kill(self.pid, signal.SIGKILL)
        assert self.ended.wait(PATIENCE_S)

    def wait(self) -> "Typed":
        """Return it when it has ended."""
        if not self.ended.wait(PATIENCE_S):
            self.kill()
            raise AssertionError(f"{self.words} did not end\n{self.stderr}")
        assert "Traceback" not in self.stderr, f"{self.words}\n{self.stderr}"
        assert "This is a bug" not in self.stderr, f"{self.words}\n{self.stderr}"
        return self


class Helper:
    """The helper process. Use as a context manager."""

    def __init__(self) -> None:
        # -P: the files beside this one, `azure.py` first of all, are not to be taken for packages of that name.
        command = [sys.executable, "-P", __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._typed: list[Typed] = []
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Helper":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def begin(self, words: Sequence[str], environ: Mapping[str, str], folder: Path, *, ahead_s: float = 0.0) -> Typed:
        """Type a command in a folder, by a clock that is so many seconds ahead, or `HURRIED`, or `AS_IT_IS`.

        Whatever it prints is kept beside the folder.
        """
        with self._lock:
            number = len(self._typed)
            typed = Typed(tuple(words), str(folder.parent / f"typed-{number}"))
            self._typed.append(typed)
        order = {"number": number, "words": list(words), "environ": dict(environ), "folder": str(folder), "ahead_s": ahead_s}
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps({**order, "files": typed.files}) + "\n")
            self._process.stdin.flush()
        return typed

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            typed = self._typed[answer["number"]]
            if "pid" in answer:
                typed.pid = answer["pid"]
                typed.begun.set()
            else:
                typed.status = answer["status"]
                typed.ended.set()


def serve() -> None:
    """Fork a child for each order, until there are no more."""
    _warm_up()
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ, None)
    heard = b""
    while True:
        for key, _ in selector.select():
            if key.data is None:
                # Read past Python's own buffer: a second line in it would wake nobody.
                more = os.read(0, 1 << 16)
                if not more:
                    return
                *lines, heard = (heard + more).split(b"\n")
                for line in lines:
                    _begin(json.loads(line), selector)
            else:
                selector.unregister(key.fd)
                os.close(key.fd)
                number, pid = key.data
                _answer(number=number, status=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _begin(order: dict[str, Any], selector: selectors.BaseSelector) -> None:
    # The child alone holds the other end: it closes when the child is dead, however it died.
    alive, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_the_command(order)
    os.close(held)
    selector.register(alive, selectors.EVENT_READ, (order["number"], pid))
    _answer(number=order["number"], pid=pid)


def _answer(**said: int) -> None:
    os.write(1, json.dumps(said).encode() + b"\n")


def _be_the_command(order: dict[str, Any]) -> None:
    status = 1
    try:
        for number, suffix in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{order['files']}.{suffix}", os.O_WRONLY | os.O_CREAT, 0o600), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(order["environ"])
        os.chdir(order["folder"])
        if order["ahead_s"] == HURRIED:
            _hurry()
        elif order["ahead_s"] != AS_IT_IS:
            _set_clock(order["ahead_s"])
        from cloudtrain.cli.main import main

        main(order["words"])
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _set_clock(ahead_s: float) -> None:
    """Let the command's clock be ahead, and its sleeping move it."""
    from cloudtrain.clock import SystemClock

    lead = [ahead_s]
    SystemClock.now = lambda self: datetime.now(UTC) + timedelta(seconds=lead[0])
    SystemClock.monotonic = lambda self: time.monotonic() + lead[0]
    SystemClock.sleep = lambda self, seconds: lead.__setitem__(0, lead[0] + seconds)


def _hurry() -> None:
    """Let no pause take time. A cloud goes on when it is looked at, and its hosts answer once it says that they run."""
    from cloudtrain.clock import SystemClock

    SystemClock.sleep = lambda self, seconds: None


def _warm_up() -> None:
    """Import what every command imports, and read the SDK's descriptions of its services."""
    import boto3
    import botocore.session
    from botocore.loaders import create_loader

    from cloudtrain.cli.main import make_app
    from cloudtrain.cli.verb import load_verb
    from cloudtrain.cli.verbs import VERBS

    make_app()
    for verb in VERBS:
        load_verb(verb)
    for provider in ("aws", "azure", "gcp", "hosts", "local"):
        importlib.import_module(f"cloudtrain.providers.{provider}.provider")
    loader = create_loader()
    botocore.session.create_loader = lambda *_: loader
    session = boto3.session.Session("x", "x", region_name="us-east-1")
    for service in ("ec2", "ssm", "pricing", "scheduler", "iam", "sts", "service-quotas"):
        session.client(service, endpoint_url="http://127.0.0.1:9").close()
    gc.freeze()  # what is here now stays, and need not be copied into every child by looking at it


if __name__ == "__main__":
    serve()
