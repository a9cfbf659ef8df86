"""Lengths of time as a person writes them: `90s`, `20m`, `1h30m`, `2d`."""

import re

from ..model.errors import ConfigError
from .wording import found

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_SHAPE = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?){unit})?" for unit in _UNITS))
_HINT = "Write a number and its unit: `4h`, `20m`, `90s`, `1h30m` or `2d`."


def parse_duration(text: object) -> float:
    """Return the seconds a text like `1h30m` means.

    Raises:
        ConfigError: it is no length of time, has no unit, or is shorter than one second.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        text = str(text)
    match = _SHAPE.fullmatch(text) if isinstance(text, str) and text else None
    if match is None:
        if isinstance(text, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
            raise ConfigError(f"expected a length of time, found {found(text)} without a unit", _HINT)
        raise ConfigError(f"expected a length of time, found {found(text)}", _HINT)
    seconds = sum(float(number) * _UNITS[unit] for unit, number in match.groupdict().items() if number)
    if seconds < 1:
        raise ConfigError(f"expected at least one second, found {found(text)}", _HINT)
    return seconds


def format_duration(seconds: float) -> str:
    """Return seconds, rounded down to whole ones, as the shortest text `parse_duration` reads back."""
    rest = int(seconds)
    parts = []
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
