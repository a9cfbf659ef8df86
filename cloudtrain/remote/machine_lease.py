"""A lease as a machine itself shows it. What a machine says is believed in nothing but its shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ..model.errors import RemoteError
from ..model.lease import GuestEnd
from ..model.plain import from_plain
from .entry_there import shown

_MOMENTS = ("deadline", "issued_at", "ends_at")
_WAITS = ("idle_timeout_s", "stall_timeout_s", "finish_grace_s")
_LATEST = 10**11  # Unix time: what lies later is no date to Python
_KEEPERS = ("running", "none")

AS_ROOT = (
    'if [ "$(id -u)" -ne 0 ] && sudo -n true 2>/dev/null; '
    'then exec sudo -n env "CLOUDTRAIN_GUEST_ROOT=$CLOUDTRAIN_GUEST_ROOT" "$@"; fi; exec "$@"'
)
"""A shell's words that run what follows as root where that is allowed, and as it is where not."""


@dataclass(frozen=True, slots=True)
class MachineLease:
    """What a machine knows of its end, and whether it will see to it.

    Attributes:
        deadline, issued_at: aware, UTC, whole seconds.
        armed: the system will switch itself off, whatever becomes of the guest.
        keeper: "running" or "none": whether idleness, stalled and finished jobs are watched for.
        ends_at: when the machine ends by its own clocks, at the latest: the deadline, or sooner where a clock was set back.
        idle_timeout_s, stall_timeout_s, finish_grace_s: None for never.
    """

    deadline: datetime
    issued_at: datetime
    end: GuestEnd
    armed: bool
    keeper: str
    ends_at: datetime
    idle_timeout_s: float | None = None
    stall_timeout_s: float | None = None
    finish_grace_s: float | None = None


def read(answer: Mapping[str, object]) -> MachineLease:
    """Return what the guest answered to `lease`.

    Raises:
        RemoteError: it is no lease.
    """
    try:
        moments = {name: _moment(answer.get(name)) for name in _MOMENTS}
        lease = from_plain(MachineLease, {**answer, **moments})
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise RemoteError(f"The guest's answer is no lease: {shown(str(error))}") from error
    waits = [getattr(lease, name) for name in _WAITS]
    if lease.keeper not in _KEEPERS or any(wait is not None and not 0 <= wait < _LATEST for wait in waits):
        raise RemoteError("The guest tells of a lease that is none")
    return lease


def _moment(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LATEST < value < _LATEST:
        raise ValueError("a moment is no Unix time")
    return datetime.fromtimestamp(value, UTC).isoformat()
