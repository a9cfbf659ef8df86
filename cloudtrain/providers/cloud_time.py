"""What time a cloud says it is: a lease reckoned by a clock that is ahead of it ends too late, and costs too much."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ..model.errors import CredentialsError
from ..model.finding import Finding

MOST_OFF_S = 60.0
"""How far this computer's clock may be off, in seconds. A reply's Date counts whole seconds and may have waited on its way; so
much is covered by what `shutdown` takes off a lease, which counts whole minutes."""


def _now() -> datetime:
    return datetime.now(UTC)


class CloudTime:
    """Remembers how far this computer's clock is off, by the replies of a cloud. Safe to use from several threads."""

    def __init__(self, cloud: str, now: Callable[[], datetime] = _now) -> None:
        self._cloud = cloud
        self._now = now
        self._ahead_s = 0.0

    def heard(self, date: str | None) -> None:
        """Take note of a reply that has just come, by its Date header. One that says nothing readable changes nothing."""
        try:
            said = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if said.tzinfo is not None:
            self._ahead_s = (self._now() - said).total_seconds()

    def must_agree(self) -> None:
        """See that a lease reckoned by this computer's clock ends when it should; before a machine is rented.

        Raises:
            CredentialsError: the clock is off by more than MOST_OFF_S.
        """
        if abs(self._ahead_s) <= MOST_OFF_S:
            return
        side = "ahead of" if self._ahead_s > 0 else "behind"
        wrong = "late, and cost more than you allowed" if self._ahead_s > 0 else "early"
        off = f"{_span(abs(self._ahead_s))} {side} {self._cloud}'s"
        raise CredentialsError(
            f"This computer's clock is {off}: a machine would end that much too {wrong}",
            "Set it: sudo timedatectl set-ntp true (Windows: w32tm /resync; WSL: sudo hwclock -s)",
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return what a check says of the clock: nothing, when it is right."""
        try:
            self.must_agree()
        except CredentialsError as off:
            return (Finding(False, "clock", off.message, off.hint),)
        return ()


def _span(seconds: float) -> str:
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
