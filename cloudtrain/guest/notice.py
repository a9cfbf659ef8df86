"""The cloud's word that it takes a spot machine back, asked for on the machine itself."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.parse
from datetime import datetime, timezone
from typing import Any, Callable

POLL_S = 3.0
"""Seconds between two questions: AWS gives two minutes and asks to be asked every five seconds; Google and Azure may give
30 seconds."""

_USUAL_S = 120.0  # how long before the end a notice comes when it does not say when the end is
_SWITCHING_OFF_S = 30.0  # how long Google lets a spot machine switch itself off, and the least that Azure gives
_TIMEOUT_S = 1.0
_AWAKE_TIMEOUT_S = 5.0  # what Azure's service may take once it is on
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
        return _asked(self._host, method, path, headers)


class GcpNotice:
    """The word of Google's metadata server that a spot machine is being taken.

    `instance/preempted` becomes TRUE as the machine's end begins or, where it was launched with a preemptionNoticeDuration, so
    long before it. It does not say which; the launch may, in the attribute NOTICE_ATTRIBUTE. Google's 30 seconds between the
    signal to switch off and the end are what is left when nobody said more.
    """

    NOTICE_ATTRIBUTE = "cloudtrain-preemption-notice-s"

    def __init__(self) -> None:
        """Make a reader; GCE_METADATA_HOST names another server, as for Google's own libraries."""
        # By its address: names may not resolve on a machine whose job has changed how they are.
        self._host = os.environ.get("GCE_METADATA_HOST") or "169.254.169.254"

    def __call__(self) -> float | None:
        status, said = self._ask("instance/preempted")
        if status != 200 or said.strip().upper() != b"TRUE":
            return None
        return time.time() + self._left_s()

    def _left_s(self) -> float:
        """Return the seconds to the end. Asked when the end is sure: whatever goes wrong, that must be told."""
        try:
            status, said = self._ask(f"instance/attributes/{self.NOTICE_ATTRIBUTE}")
            return min(max(_SWITCHING_OFF_S, float(said)), _USUAL_S) if status == 200 else _SWITCHING_OFF_S
        except Exception:  # whatever the server answers, or does not, the end is near
            return _SWITCHING_OFF_S

    def _ask(self, path: str) -> tuple[int, bytes]:
        return _asked(self._host, "GET", f"/computeMetadata/v1/{path}", {"Metadata-Flavor": "Google"})


class AzureNotice:
    """The word of Azure's Scheduled Events that a spot machine is being taken (`Preempt`), at least 30 seconds before.

    The first question switches the service on for this machine, and may be answered two minutes later only; the service falls
    asleep again when nobody asks for a day.
    """

    _FIRST_TIMEOUT_S = 150.0
    _EVENTS = "scheduledevents?api-version=2020-07-01"

    def __init__(self) -> None:
        """Make a reader; AZURE_POD_IDENTITY_AUTHORITY_HOST names another service."""
        from . import azure_end

        self._ask = azure_end.metadata
        self._timeout_s = self._FIRST_TIMEOUT_S

    def __call__(self) -> float | None:
        said = self._ask(self._EVENTS, self._timeout_s)
        self._timeout_s = _AWAKE_TIMEOUT_S
        events = said.get("Events")
        taken = [each for each in events if isinstance(each, dict)] if isinstance(events, list) else []
        return min((_not_before(each) for each in taken if each.get("EventType") == "Preempt"), default=None)


READERS: dict[str, Callable[[], Reader]] = {"aws": AwsNotice, "gcp": GcpNotice, "azure": AzureNotice}
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


def _asked(host: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    import http.client  # costs the start of a job that has no notice to wait for

    connection = http.client.HTTPConnection(host, timeout=_TIMEOUT_S)  # by no proxy
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_ANSWER)
    finally:
        connection.close()


def _moment(said: bytes) -> float:
    """Return when the machine is taken. A notice that does not say so in a way we read is a notice all the same."""
    try:
        return datetime.strptime(json.loads(said)["time"] + "+0000", "%Y-%m-%dT%H:%M:%SZ%z").timestamp()
    except (ValueError, KeyError, TypeError):
        return time.time() + _USUAL_S


def _not_before(event: dict[str, Any]) -> float:
    """Return when Azure takes the machine: an event that has begun, or cannot be read, leaves what Azure gives at least."""
    from email.utils import parsedate_to_datetime

    try:
        at = parsedate_to_datetime(event["NotBefore"])
        return at.replace(tzinfo=at.tzinfo or timezone.utc).timestamp()
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return time.time() + _SWITCHING_OFF_S
