"""What was called: for looking at a verb's calls, and for the permissions that they need."""

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

from .calls import Call

LONG = 200


@dataclass(slots=True)
class Record:
    """One call.

    Attributes:
        parameters: as the caller wrote them, long texts cut off.
        outcome: "ok", an error code, or "lost" when the caller was not answered.
    """

    seq: int
    at: datetime
    service: str
    region: str
    action: str
    parameters: dict[str, Any]
    outcome: str = ""

    @property
    def name(self) -> str:
        """Return service and action in one: "ec2:RunInstances", "compute.instances.insert"."""
        return self.action if self.action.startswith(f"{self.service}.") else f"{self.service}:{self.action}"


@dataclass
class Recorder:
    """Every call in order."""

    _records: list[Record] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def open(self, call: Call, at: datetime) -> Record:
        """Write down a call that has just come in."""
        with self._lock:
            record = Record(len(self._records) + 1, at, call.service, call.region, call.action, _shortened(call.parameters))
            self._records.append(record)
            return record

    def records(self) -> list[Record]:
        """Return every call so far."""
        with self._lock:
            return list(self._records)

    def clear(self) -> None:
        """Forget every call; the numbers begin at 1 again."""
        with self._lock:
            self._records.clear()


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, (bytes, str)) and len(value) > LONG:
        return f"({len(value)} characters)"
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
