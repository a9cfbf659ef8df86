"""The door of a pretend cloud: reads a call, lets go wrong what is to go wrong, and writes the answer."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from .calls import Call, Reply
from .faults import Fault, Faults, KillPoint, When
from .recorder import Record, Recorder
from .server import LostConnectionError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

C = TypeVar("C", bound=Call)


class Dialect(Protocol[C]):
    """How a cloud speaks."""

    def read(self, environ: dict[str, Any]) -> C:
        """Read a request to its end."""
        ...

    def refuse(self, call: C, fault: Fault) -> Reply:
        """Write the refusal that a fault orders."""
        ...

    def takes_in(self, call: C, fault: Fault) -> bool:
        """Say whether the call itself carries this fault, because the cloud tells of it later than in its reply."""
        ...


class Front(Generic[C]):
    """A WSGI application."""

    def __init__(
        self,
        dialect: Dialect[C],
        answer: Callable[[C, int], tuple[Reply, str]],
        faults: Faults,
        recorder: Recorder,
        now: Callable[[], datetime],
    ) -> None:
        """Hand calls to `answer` with their number; it gives the reply and its outcome in a word."""
        self._dialect, self._answer, self._faults, self._recorder, self._now = dialect, answer, faults, recorder, now

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        call = self._dialect.read(environ)
        record = self._recorder.open(call, self._now())
        try:
            reply = self._handled(call, record)
        except LostConnectionError:
            record.outcome = "lost"
            raise
        status = HTTPStatus(reply.status)
        start_response(f"{status.value} {status.phrase}", [*_headers(call, reply), ("Date", self._date())])
        return [reply.body]

    def _date(self) -> str:
        # By the clock that callers have, however many hours have passed here at once: to them no time has.
        return format_datetime(datetime.now(UTC) - timedelta(seconds=self._faults.caller_ahead_s), usegmt=True)

    def _handled(self, call: C, record: Record) -> Reply:
        point = self._faults.next_kill_point()
        _kill(point, When.BEFORE)
        taken = self._faults.take(call.service, call.action, call.text)
        time.sleep(sum(fault.latency_s for fault in taken))
        ending = next((fault for fault in taken if fault.code or fault.reset), None)
        if ending is not None and self._dialect.takes_in(call, ending):
            ending = None
        if ending is not None and not ending.after:
            return self._refuse(ending, call, record)
        reply, record.outcome = self._answer(call, record.seq)
        _kill(point, When.AFTER)
        return reply if ending is None else self._refuse(ending, call, record)

    def _refuse(self, fault: Fault, call: C, record: Record) -> Reply:
        if fault.reset:
            raise LostConnectionError("reset, as ordered")
        record.outcome = fault.code
        return self._dialect.refuse(call, fault)


def _kill(point: KillPoint | None, moment: When) -> None:
    if point is not None and point.when is moment:
        point.callback()
        raise LostConnectionError(f"killed {moment.value} the call")


def _headers(call: Call, reply: Reply) -> list[tuple[str, str]]:
    """Return the headers with the body's true length; a HEAD keeps the length of what it describes."""
    names = {"connection", "date", "transfer-encoding"}
    if call.environ["REQUEST_METHOD"] != "HEAD":
        names.add("content-length")
    kept = [(name, value) for name, value in reply.headers if name.lower() not in names]
    return kept if "content-length" not in names else [*kept, ("Content-Length", str(len(reply.body)))]
