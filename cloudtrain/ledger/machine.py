"""What the ledger remembers of a machine, and which observation is news."""

from dataclasses import dataclass
from datetime import datetime

from ..model.instance import Instance, InstanceState
from ..model.spec import MachineSpec


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """What the ledger remembers of a machine.

    Attributes:
        instance: as last seen, or None when it has none.
        seen_at: when `instance` was seen. used_at: when a person last used the machine. Both aware, UTC.
    """

    spec: MachineSpec
    instance: Instance | None
    seen_at: datetime | None
    used_at: datetime


def is_news(recorded: Instance | None, seen: Instance) -> bool:
    """Say whether what was seen replaces what is recorded under the same name.

    It does when it is the same instance, or a living one where the recorded one is gone. It does not when another
    instance that may live is recorded (a sweep finds both by their tags), nor when the recorded one was seen terminated
    already: an end is final, and a slower process may bring older news.
    """
    ended = InstanceState.TERMINATED
    if recorded is None:
        return seen.state is not ended
    same = (recorded.ref.provider, recorded.ref.id) == (seen.ref.provider, seen.ref.id)
    if recorded.state is ended:
        return not same and seen.state is not ended
    return same
