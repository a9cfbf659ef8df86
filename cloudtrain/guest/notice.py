"""The cloud's word that it takes a spot machine back, asked for on the machine itself."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.parse
from datetime import datetime
from typing import Any, Callable

POLL_S = 3.0
"""Seconds between two questions: AWS gives two minutes, and asks to be asked every five seconds."""

_USUAL_S = 120.0  # how long before the end a notice comes when it does not say when the end is
_TIMEOUT_S = 1.0
_TOKEN_LIFE_S = 21600
_MOST_ANSWER = 1 << 16

Reader = Callable[[], "float | None"]
"""Returns the Unix time at which the machine is taken, None while it is not; raises whatever it likes."""


class AwsNotice:
    """The spot notice of AWS, by the metadata service's second version."""

    def __init__(self) -> None:
        """Make a reader; AWS_EC2_METADATA_SERVICE_ENDPOINT names another service."""
        endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254"
        self._host = urllib.parse.urlsplit(endpoint).netloc
        self._token = ""

    def __call__(self) -> float | None:
        if not self._token:
            status, token = self._ask("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_LIFE_S)})
            if status != 200:
                raise OSError(f"the metadata service gives no token (status {status})")
            self._token = token.decode("ascii").strip()
        status, said = self._ask("GET", "/latest/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": self._token})
        if status == 200:
            return _moment(said)
        if status != 404:
            self._token = ""  # worn out, or of a service that was restarted
        return None

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        import http.client  # costs the start of a job that has no notice to wait for

        connection = http.client.HTTPConnection(self._host, timeout=_TIMEOUT_S)  # by no proxy
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST_ANSWER)
        finally:
            connection.close()


READERS: dict[str, Callable[[], Reader]] = {"aws": AwsNotice}
"""How each cloud tells; a cloud that is not here tells nobody."""


class Lookout:
    """Asks from a thread of its own; calls back once, when the notice has come."""

    def __init__(self, reader: Reader, on_notice: Callable[[], Any], poll_s: float = POLL_S) -> None:
        """Ask `reader` every `poll_s` seconds; `on_notice` is called in the asking thread."""
        self.at: float | None = None
        self._reader = reader
        self._on_notice = on_notice
        self._poll_s = poll_s
        self._over = threading.Event()

    def start(self) -> None:
        """Ask at once, and go on."""
        # A daemon: a question that hangs must not keep the supervisor.
        threading.Thread(target=self._work, name="notice", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._over.set()

    def _work(self) -> None:
        while self.at is None and not self._over.is_set():
            try:
                self.at = self._reader()
            except Exception:  # whatever a metadata service answers, or does not, is nothing to the job
                self.at = None
            if self.at is None:
                self._over.wait(self._poll_s)
        if self.at is not None:
            self._on_notice()


def grace_s(left_s: float, own_s: float) -> float:
    """Return the seconds a job has after the notice: all but the last fifteen, or its own grace when that is longer."""
    left_s = min(max(left_s, 0.0), _USUAL_S)  # the clock here may be wrong, the notice is never earlier
    return max(min(90.0, left_s - 15.0), min(own_s, left_s - 5.0), 0.0)


def _moment(said: bytes) -> float:
    """Return when the machine is taken. A notice that does not say so in a way we read is a notice all the same."""
    try:
        return datetime.strptime(json.loads(said)["time"] + "+0000", "%Y-%m-%dT%H:%M:%SZ%z").timestamp()
    except (ValueError, KeyError, TypeError):
        return time.time() + _USUAL_S
