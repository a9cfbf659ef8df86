"""What a cloud's error code means to us: the form of every provider's table in `translate.py`."""

from dataclasses import dataclass
from enum import StrEnum

from ..model.errors import ProviderError


class Retry(StrEnum):
    """What may help: another place, the same later, or nothing but a change."""

    ELSEWHERE = "another zone, type or region"
    OTHER_REGION = "another region or family"
    OTHER_CLOUD = "another cloud"
    LATER = "the same, later"
    GONE = "nothing: it does not exist, or not yet"
    NEVER = "a change of the account or the request"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means: our kind of error, what helps, and what a person should type or do."""

    kind: type[ProviderError]
    retry: Retry
    advice: str = ""
