"""Values taken out of data that somebody else wrote: each is of the wanted kind, or None."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# Beyond these, sums and quotients leave what a float can hold, and nothing we draw is that large or that small.
_LARGEST, _SMALLEST = 1e100, 1e-90
_LONGEST_TEXT = 2000


def number_in(data: object, *path: str) -> float | None:
    """Return the finite number at that path of keys."""
    value = _at(data, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An int of JSON may be larger than any float; comparing is safe where converting is not.
    if not -_LARGEST <= value <= _LARGEST:
        return None
    return float(value) if abs(value) >= _SMALLEST else 0.0


def text_in(data: object, *path: str) -> str | None:
    """Return the text at that path of keys, cut to a length a person would read. Empty text counts as absent."""
    value = _at(data, path)
    return value[:_LONGEST_TEXT] or None if isinstance(value, str) else None


def time_in(data: object, *path: str) -> datetime | None:
    """Return the time at that path of keys, aware, UTC; one without a zone is taken as UTC."""
    value = _at(data, path)
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def list_in(data: object, *path: str) -> list[Any]:
    """Return the list at that path of keys, empty when there is none."""
    value = _at(data, path)
    return value if isinstance(value, list) else []


def mapping_in(data: object, *path: str) -> Mapping[str, Any]:
    """Return the mapping at that path of keys, empty when there is none."""
    value = _at(data, path)
    return value if isinstance(value, Mapping) else {}


def _at(data: object, path: tuple[str, ...]) -> object:
    for key in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data
