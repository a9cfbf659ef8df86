"""The access token of the machine's own service account, as Google gives it to a machine."""

from __future__ import annotations

import json
import threading
import time
from typing import Callable, Mapping

from .errors import GuestError
from .line import BrokenLineError, Lines

USUAL_HOST = "169.254.169.254"
"""By its address: names may not resolve on a machine whose job has changed how they are."""

FRESH_S = 240.0
"""A token that is good for no longer than this, in seconds, is asked for again; Google has a new one five minutes before."""

_TIMEOUT_S = 5.0
_MOST_ANSWER = 1 << 16
_PLACE = "/computeMetadata/v1/instance/service-accounts/default/token"


class MachineToken:
    """Asks the metadata server and remembers the answer while it is fresh. Any thread may call it."""

    def __init__(self, environ: Mapping[str, str], now: Callable[[], float] = time.time) -> None:
        """Make a source; GCE_METADATA_HOST names another server, as for Google's own libraries. `now` gives Unix seconds."""
        self._lines = Lines(f"http://{environ.get('GCE_METADATA_HOST') or USUAL_HOST}", _TIMEOUT_S)
        self._now = now
        self._lock = threading.Lock()
        self._known = ""
        self._good_until = 0.0

    def __call__(self) -> str:
        """Return a token.

        Raises:
            GuestError: the machine has no service account.
            BrokenLineError: the metadata server does not answer.
        """
        with self._lock:
            if not self._known or self._good_until - self._now() < FRESH_S:
                try:
                    self._known, self._good_until = self._ask()
                finally:
                    self._lines.close()  # an hour goes by until the next question
            return self._known

    def forget(self) -> None:
        """Ask anew next time: what was given is not taken."""
        with self._lock:
            self._known = ""

    def _ask(self) -> tuple[str, float]:
        asked_at = self._now()
        answer = self._lines.ask("GET", _PLACE, {"Metadata-Flavor": "Google"})
        text = answer.all(_MOST_ANSWER).decode("utf-8", "replace")
        if answer.status == 404:
            raise GuestError("the machine has no service account, or does not know it yet")
        if answer.status != 200:
            raise BrokenLineError(f"the metadata server answers with status {answer.status}")
        try:
            content = json.loads(text)
            token, seconds = content["access_token"], float(content["expires_in"])
        except (ValueError, KeyError, TypeError):
            # The text holds a secret, and so may the parser's own words.
            raise BrokenLineError("the metadata server gives a token that cannot be read") from None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise BrokenLineError("the metadata server gives a token that cannot be read")
        return token, asked_at + seconds
