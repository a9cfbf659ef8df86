"""Amounts as people read them."""

import re
from datetime import datetime, timedelta
from pathlib import Path

_LEAST_USD = 0.0001
_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def span(seconds: float) -> str:
    """Return a length of time: "0.4 s", "12 m 30 s", "3 h 20 m", "2 d 4 h"."""
    if seconds < 59.95:
        return f"{max(0.0, seconds):.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest_s} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} m" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def size(count: int) -> str:
    """Return a number of bytes: "512 B", "3.1 MB"."""
    for unit, word in _SIZES:
        if count >= unit:
            return f"{count / unit:.1f} {word}"
    return f"{count} B"


def dollars(usd: float | None) -> str:
    """Return an amount of money, USD; small ones with four decimals."""
    if usd is None:
        return "unknown"
    if 0 < usd < _LEAST_USD:
        return f"under ${_LEAST_USD:.4f}"
    return f"${usd:.2f}" if usd >= 1 or usd == 0 else f"${usd:.4f}"


def hourly(usd_per_hour: float | None) -> str:
    """Return a price per hour, USD; 0.0 is a machine without a meter."""
    if usd_per_hour is None:
        return "unknown"
    return "free" if usd_per_hour == 0 else f"${usd_per_hour:.3f}"


def moment(when: datetime | None) -> str:
    """Return a time of day in UTC, to the minute; "-" for none."""
    return "-" if when is None else f"{when:%Y-%m-%d %H:%M} UTC"


def until(when: datetime | None, now: datetime) -> str:
    """Return a deadline and how far away it is."""
    if when is None:
        return "no deadline found"
    left: timedelta = when - now
    far = f"in {span(left.total_seconds())}" if left > timedelta(0) else f"{span(-left.total_seconds())} ago"
    return f"{moment(when)} ({far})"


def humane(text: str) -> str:
    """Return a sentence with its counts of bytes as people read them, and paths below the current folder shortened."""
    counted = re.sub(r"\b(\d{4,}) bytes\b", lambda found: size(int(found[1])), text)
    return counted.replace(f"{Path.cwd()}/", "")
