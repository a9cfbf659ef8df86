"""The credentials of the machine's own role, as AWS gives them to a machine."""

from __future__ import annotations

import calendar
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Callable, Mapping

from .errors import GuestError
from .line import Answer, BrokenLineError, Lines

USUAL_ENDPOINT = "http://169.254.169.254"
FRESH_S = 300.0
"""Credentials that are good for no longer than this, in seconds, are asked for again."""

_TIMEOUT_S = 5.0
_TOKEN_LIFE_S = 21600
_MOST_ANSWER = 1 << 16
_ROLES = "/latest/meta-data/iam/security-credentials/"


@dataclass(frozen=True)
class Credentials:
    """What a request is signed with. `expires` is Unix time."""

    key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires: float


class RoleCredentials:
    """Asks the metadata service (its second version) and remembers the answer while it is fresh. Any thread may call it."""

    def __init__(self, environ: Mapping[str, str], now: Callable[[], float] = time.time) -> None:
        """Make a source; AWS_EC2_METADATA_SERVICE_ENDPOINT names another service. `now` gives Unix seconds."""
        self._lines = Lines(environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or USUAL_ENDPOINT, _TIMEOUT_S)
        self._now = now
        self._lock = threading.Lock()
        self._known: Credentials | None = None

    def __call__(self) -> Credentials:
        """Return credentials.

        Raises:
            GuestError: the machine has no role.
            BrokenLineError: the metadata service does not answer.
        """
        with self._lock:
            if self._known is None or self._known.expires - self._now() < FRESH_S:
                try:
                    self._known = self._ask()
                finally:
                    self._lines.close()  # hours go by until the next question
            return self._known

    def forget(self) -> None:
        """Ask anew next time: what was given is not taken."""
        with self._lock:
            self._known = None

    def _ask(self) -> Credentials:
        answer = self._lines.ask("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_LIFE_S)})
        headers = {"X-aws-ec2-metadata-token": _text(answer).strip()}
        role = _text(self._lines.ask("GET", _ROLES, headers)).split()
        if not role:
            raise GuestError("the machine has no role, or does not know it yet")
        return _read(_text(self._lines.ask("GET", _ROLES + role[0], headers)))


def _text(answer: Answer) -> str:
    body = answer.all(_MOST_ANSWER).decode("utf-8", "replace")
    if answer.status == 404:
        raise GuestError("the machine has no role, or does not know it yet")
    if answer.status != 200:
        raise BrokenLineError(f"the metadata service answers with status {answer.status}")
    return body


def _read(text: str) -> Credentials:
    try:
        content = json.loads(text)
        expires = calendar.timegm(time.strptime(content["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
        return Credentials(content["AccessKeyId"], content["SecretAccessKey"], content["Token"], expires)
    except (ValueError, KeyError, TypeError):
        # The text holds secrets, and so may the parser's own words.
        raise BrokenLineError("the metadata service gives credentials that cannot be read") from None
