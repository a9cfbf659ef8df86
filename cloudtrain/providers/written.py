"""Times and numbers as a cloud's tags hold them: texts that anybody may have changed."""

from datetime import UTC, datetime


def moment(time: datetime) -> str:
    """Return a time as a tag holds it: UTC, whole seconds."""
    return time.astimezone(UTC).replace(microsecond=0).isoformat()


def read_moment(text: str) -> datetime | None:
    """Return the time a tag holds; None when it holds none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if time.tzinfo is None else time.astimezone(UTC)


def read_number(text: str) -> float | None:
    """Return the number a tag holds, or None."""
    try:
        return float(text)
    except ValueError:
        return None
