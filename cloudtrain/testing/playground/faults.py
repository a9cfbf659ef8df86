"""What can go wrong between a caller and a cloud, on order: refusals, delays, lost replies, stale reads, killed callers."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from threading import Lock

HTTP_OF_CODE = {
    "AuthFailure": 401,
    "InsufficientInstanceCapacity": 500,
    "InternalError": 500,
    "InternalFailure": 500,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "Unavailable": 503,
    "UnauthorizedOperation": 403,
    "AccessDenied": 403,
    "AccessDeniedException": 403,
    "DryRunOperation": 412,
    "authError": 401,
    "backendError": 503,
    "conditionNotMet": 412,
    "forbidden": 403,
    "internalError": 500,
    "notFound": 404,
    "quotaExceeded": 403,
    "rateLimitExceeded": 403,
    "resourceNotReady": 400,
}
"""Statuses that a code comes with in reality, where it is not 400."""


class When(Enum):
    """A moment of a call: nothing has happened yet, or all has and nobody has been told."""

    BEFORE = "before"
    AFTER = "after"


@dataclass
class Fault:
    """One thing that goes wrong.

    Attributes:
        service, action: what it meets; `*` and `?` stand for anything ("ec2", "Describe*").
        code, message, http: the refusal; http 0 is what the code comes with in reality.
        times: how often, then never again; None is for ever.
        match: a regular expression that the request's body must contain.
        after: the call takes effect and its reply is replaced.
        latency_s: real seconds before the call.
        reset: the connection is reset instead of answered.
    """

    service: str
    action: str
    code: str = ""
    message: str = ""
    http: int = 0
    times: int | None = 1
    match: str = ""
    after: bool = False
    latency_s: float = 0.0
    reset: bool = False

    @property
    def status(self) -> int:
        """Return the HTTP status of the refusal."""
        return self.http or HTTP_OF_CODE.get(self.code, 400)

    @property
    def text(self) -> str:
        """Return the message of the refusal."""
        return self.message or f"The playground was told to answer {self.code}."

    def meets(self, service: str, action: str, body: str) -> bool:
        """Say whether this goes wrong for that call."""
        if self.times == 0 or not fnmatchcase(service, self.service) or not fnmatchcase(action, self.action):
            return False
        return not self.match or re.search(self.match, body) is not None


@dataclass
class KillPoint:
    """Calls back at the nth call from now, counted from 1; that call's connection is then lost."""

    nth: int
    when: When
    callback: Callable[[], None]


@dataclass
class Faults:
    """All that is to go wrong. Every method may be called from any thread.

    Attributes:
        stale_reads: how many Describe calls do not yet know a machine or a group that was just made.
        caller_ahead_s: how far every caller's clock is ahead of the one that the replies' Date tells, seconds.
    """

    stale_reads: int = 0
    caller_ahead_s: float = 0.0
    _faults: list[Fault] = field(default_factory=list)
    _kill_points: list[KillPoint] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add(
        self,
        service: str,
        action: str,
        *,
        code: str = "",
        message: str = "",
        http: int = 0,
        times: int | None = 1,
        match: str = "",
        after: bool = False,
        latency_s: float = 0.0,
        reset: bool = False,
    ) -> Fault:
        """Let something go wrong; the fields are those of `Fault`.

        Raises:
            ValueError: it would change nothing, or `match` is no regular expression.
        """
        if not (code or reset or latency_s):
            raise ValueError("a fault needs a code, a latency or a reset")
        try:
            re.compile(match)
        except re.error as error:
            raise ValueError(f"match is no regular expression: {error}") from error
        fault = Fault(service, action, code, message, http, times, match, after, latency_s, reset)
        with self._lock:
            self._faults.append(fault)
        return fault

    def killpoint(self, nth: int, when: When, callback: Callable[[], None]) -> KillPoint:
        """Call back at the nth call from now (1 is the next), before or after it takes effect."""
        point = KillPoint(nth, when, callback)
        with self._lock:
            self._kill_points.append(point)
        return point

    def set_caller_ahead(self, seconds: float) -> None:
        """Let replies be dated as if every caller's clock were ahead by that much; behind, when it is negative."""
        self.caller_ahead_s = float(seconds)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._faults.clear()
            self._kill_points.clear()
            self.stale_reads, self.caller_ahead_s = 0, 0.0

    def take(self, service: str, action: str, body: str) -> list[Fault]:
        """Return what goes wrong with this call, each counted as used: its delays, and the first refusal or reset."""
        with self._lock:
            taken: list[Fault] = []
            for fault in self._faults:
                ends = bool(fault.code or fault.reset)
                if fault.meets(service, action, body) and not (ends and any(other.code or other.reset for other in taken)):
                    fault.times = None if fault.times is None else fault.times - 1
                    taken.append(fault)
            return taken

    def next_kill_point(self) -> KillPoint | None:
        """Count one call; return the kill point it has reached."""
        with self._lock:
            reached = None
            for point in list(self._kill_points):
                point.nth -= 1
                if point.nth <= 0:
                    self._kill_points.remove(point)
                    reached = reached or point
            return reached
