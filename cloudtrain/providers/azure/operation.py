"""Azure's long-running operations: a request that was accepted may fail later, and says so in the operation alone.

Followed here and not by Azure's own poller: that one sleeps in a thread of its own, by the computer's clock, and remembers
an operation as more than its address.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from ...model.clock import Clock
from ...model.errors import ProviderError, ProviderUnavailableError
from .pipeline import Answer
from .translate import failed, is_absent

TIMEOUT_S = 1800.0
"""How long an operation may take, in seconds; a machine that is not there by then may still come."""

PACE_S = 5.0
"""Seconds between two looks where Azure does not name them."""

SHORTEST_PACE_S, LONGEST_PACE_S = 1.0, 30.0

OPERATION, LOCATION, RESOURCE = "operation", "location", "resource"
_ENDED = {"succeeded": True, "failed": False, "canceled": False, "cancelled": False}


class Asks(Protocol):
    """What an operation needs of `Arm`."""

    @property
    def clock(self) -> Clock: ...

    def ask_again(self, act: str, url: str) -> Answer: ...


@dataclass(slots=True)
class Operation:
    """One that was accepted.

    Attributes:
        act, path: what was asked, and of what.
        content: the answer that accepted it.
    """

    arm: Asks
    act: str
    path: str
    content: dict[str, object]
    _watched: str
    _url: str
    _is_done: bool = False
    _pause_s: float = PACE_S
    _is_resumed: bool = False

    def token(self) -> str:
        """Return a text by which `resumed` takes the operation up, in this process or another."""
        return json.dumps({"act": self.act, "path": self.path, "watched": self._watched, "url": self._url})

    def done(self) -> bool:
        """Look whether it has ended well, or is so long over that Azure keeps it no more: then its resource tells how.

        One call, none when that is known.

        Raises:
            ProviderError: it ended badly, with an error of the kind the table says; or it cannot be looked at.
        """
        if not self._is_done:
            try:
                answer = self.arm.ask_again(self.act, self._url)
            except ProviderError as error:
                if not (self._is_resumed and is_absent(error)):
                    raise
                self._is_done = True
                return True
            self._pause_s = _pause_s(answer)
            self._is_done = self._read(answer)
        return self._is_done

    def wait(self, timeout_s: float = TIMEOUT_S) -> None:
        """Return when it has ended well, looking no faster than Azure says.

        Raises:
            ProviderError: see `done`; ProviderUnavailableError when it did not end in time.
        """
        clock = self.arm.clock
        give_up_at = clock.monotonic() + timeout_s
        while not self._is_done:
            if clock.monotonic() >= give_up_at:
                raise ProviderUnavailableError(
                    f"{self.act}: Azure has accepted it and is not done after {timeout_s:.0f} s", "Look: cloudtrain status"
                )
            clock.sleep(self._pause_s)
            self.done()

    def _read(self, answer: Answer) -> bool:
        """Say whether an answer shows it ended well.

        Raises:
            ProviderError: it shows that it ended badly.
        """
        if self._watched == LOCATION:
            self._url = answer.headers.get("location", self._url)
            return answer.status != 202
        content = answer.content
        of_resource = content.get("properties", {}).get("provisioningState", "")
        state = str(content.get("status", "") if self._watched == OPERATION else of_resource).lower()
        if _ENDED.get(state) is False:
            raise failed(self.act, self.path, content.get("error") or {"code": state.capitalize(), "message": f"it {state}"})
        return _ENDED.get(state, self._watched == RESOURCE and not state)


def started(arm: Asks, act: str, url: str, answer: Answer) -> Operation:
    """Return the operation that a request's first answer tells of; it may be over already.

    Raises:
        ProviderError: it is, and ended badly.
    """
    path = url.partition("?")[0]
    for watched, header in ((OPERATION, "azure-asyncoperation"), (LOCATION, "location")):
        if answer.status in (200, 201, 202) and answer.headers.get(header):
            return Operation(arm, act, path, answer.content, watched, answer.headers[header], _pause_s=_pause_s(answer))
    operation = Operation(arm, act, path, answer.content, RESOURCE, url, _pause_s=_pause_s(answer))
    operation._is_done = answer.status == 204 or operation._read(answer)
    return operation


def resumed(arm: Asks, token: str) -> Operation:
    """Return an operation by its token.

    Raises:
        ProviderError: the text is no token.
    """
    try:
        told = json.loads(token)
        return Operation(arm, told["act"], told["path"], {}, told["watched"], told["url"], _pause_s=0.0, _is_resumed=True)
    except (ValueError, KeyError, TypeError) as error:
        raise ProviderError("What was noted of an operation of Azure's cannot be read") from error


def wait_for_all(operations: Sequence[Operation]) -> None:
    """Return when all of them have ended well.

    Raises:
        ProviderError: the first failure; all have been followed then.
    """
    if not operations:
        return
    with ThreadPoolExecutor(len(operations)) as pool:
        waiting = [pool.submit(operation.wait) for operation in operations]
    for each in waiting:
        each.result()


def _pause_s(answer: Answer) -> float:
    try:
        return max(SHORTEST_PACE_S, min(float(answer.headers.get("retry-after", PACE_S)), LONGEST_PACE_S))
    except ValueError:
        return PACE_S  # a date, which Azure does not write there
