"""The door of the pretend cloud: reads a call, lets go wrong what is to go wrong, and writes the answer."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ..faults import Fault, Faults, KillPoint, When
from ..server import LostConnectionError
from .moto_app import REGIONS
from .recorder import Record, Recorder
from .wire import ApiCall, CloudError, Reply, read_call, write_error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

Answer = Callable[[ApiCall, int], tuple[Reply, str]]
"""Answers a call by its number; gives the reply and its outcome in a word."""


class Front:
    """A WSGI application."""

    def __init__(self, answer: Answer, faults: Faults, recorder: Recorder, now: Callable[[], datetime]) -> None:
        self._answer, self._faults, self._recorder, self._now = answer, faults, recorder, now

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        call = read_call(environ)
        record = self._recorder.open(call, self._now())
        try:
            reply = self._handled(call, record)
        except LostConnectionError:
            record.outcome = "lost"
            raise
        status = HTTPStatus(reply.status)
        start_response(f"{status.value} {status.phrase}", _headers(call, reply))
        return [reply.body]

    def _handled(self, call: ApiCall, record: Record) -> Reply:
        point = self._faults.next_kill_point()
        _kill(point, When.BEFORE)
        taken = self._faults.take(call.service, call.action, call.text)
        time.sleep(sum(fault.latency_s for fault in taken))
        ending = next((fault for fault in taken if fault.code or fault.reset), None)
        if ending is not None and not ending.after:
            return _refuse(ending, call, record)
        reply, record.outcome = self._answer(call, record.seq)
        _kill(point, When.AFTER)
        return reply if ending is None else _refuse(ending, call, record)


def check_region(call: ApiCall) -> None:
    """Refuse a call to a region that the account has not enabled.

    Raises:
        CloudError: in the words of the service.
    """
    if call.region in REGIONS:
        return
    if call.service == "ec2":
        raise CloudError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    raise CloudError("UnrecognizedClientException", "The security token included in the request is invalid.", 400)


def _kill(point: KillPoint | None, moment: When) -> None:
    if point is not None and point.when is moment:
        point.callback()
        raise LostConnectionError(f"killed {moment.value} the call")


def _refuse(fault: Fault, call: ApiCall, record: Record) -> Reply:
    if fault.reset:
        raise LostConnectionError("reset, as ordered")
    record.outcome = fault.code
    return write_error(call, CloudError(fault.code, fault.text, fault.status))


def _headers(call: ApiCall, reply: Reply) -> list[tuple[str, str]]:
    """Return the headers with the body's true length; a HEAD keeps the length of what it describes."""
    names = {"connection", "transfer-encoding"} | (set() if call.environ["REQUEST_METHOD"] == "HEAD" else {"content-length"})
    kept = [(name, value) for name, value in reply.headers if name.lower() not in names]
    return kept if "content-length" not in names else [*kept, ("Content-Length", str(len(reply.body)))]
