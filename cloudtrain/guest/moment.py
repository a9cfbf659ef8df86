"""The time of day, written the two ways the protocol writes it."""

from datetime import datetime, timezone


def iso(seconds: float) -> str:
    """Return Unix seconds as ISO 8601, UTC with its offset."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds")


def stamp(seconds: float) -> bytes:
    """Return Unix seconds as the time stamp of a log line, its space included (`2026-11-21T04:05:06.123Z `)."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.").encode("ascii") + b"%03dZ " % (moment.microsecond // 1000)
