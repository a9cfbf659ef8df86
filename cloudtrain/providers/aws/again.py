"""Asking EC2 once more where that is safe: it forgets for a moment what it has just made, and is busy at times."""

from collections.abc import Callable
from typing import TypeVar

from ...model.clock import Clock
from ...model.errors import ProviderError
from ..meaning import Retry
from .translate import code_of, retry_of

TRIES = 4
"""With pauses of 1, 2 and 4 seconds between them."""

_NOT_YET_EVERYWHERE = ("InvalidGroup.NotFound",)

T = TypeVar("T")


def asked_again(ask: Callable[[], T], clock: Clock) -> T:
    """Call a request that is safe to repeat until it is answered for good, at most four times.

    Raises:
        ProviderError: the last answer.
    """
    for attempt in range(TRIES - 1):
        try:
            return ask()
        except ProviderError as error:
            if retry_of(error) is not Retry.LATER and code_of(error) not in _NOT_YET_EVERYWHERE:
                raise
        clock.sleep(2.0**attempt)
    return ask()
