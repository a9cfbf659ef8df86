"""What ends a machine at its deadline without us: itself, by a role for itself, and the cloud's two schedules."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from ...model.errors import ProviderError
from ...model.lease import GuestEnd
from . import role, schedules, tags
from .account import Account
from .names import Places

T = TypeVar("T")

HEAD_START = timedelta(seconds=45)
"""By how much a machine that deletes itself goes before the cloud's schedules, which could only deallocate it: its disk and
address would go on costing."""


@dataclass(frozen=True, slots=True)
class Killers:
    """What is armed.

    Attributes:
        schedule: the id of the one-shot schedule, "" for none.
        is_daily: the daily schedule is armed.
        guest_end: what the machine can do itself.
        failures: why what is missing is missing.
        is_daily_lost: the daily schedule could not be moved, and stands as it was.
        is_daily_due_later: the deadline is too far away for it yet.
    """

    schedule: str = ""
    is_daily: bool = False
    guest_end: GuestEnd = GuestEnd.NONE
    failures: tuple[ProviderError, ...] = ()
    is_daily_lost: bool = False
    is_daily_due_later: bool = False

    @classmethod
    def noted(cls, known: tags.Tags) -> "Killers":
        """Return what a machine's tags say was armed for the deadline they name."""
        if not known.get(tags.DEADLINE):
            return cls()
        daily = known.get(tags.DAILY)
        return cls(
            known.get(tags.SCHEDULE, ""),
            daily == tags.ON,
            tags.guest_end_of(known),
            is_daily_due_later=daily == tags.LATER,
        )

    @property
    def is_armed(self) -> bool:
        """Say whether anything ends the machine."""
        return bool(self.schedule) or self.is_daily or self.guest_end is not GuestEnd.NONE

    def as_tags(self) -> tags.Tags:
        """Return what is written of them."""
        daily = tags.ON if self.is_daily else tags.LATER if self.is_daily_due_later else ""
        return tags.of_killers(self.schedule, self.guest_end, daily)


@dataclass(frozen=True, slots=True)
class Own:
    """How a machine may end itself.

    Attributes:
        principal: the object id of its identity, "" for none.
        role: the role's id, "" for none.
        end: what it does with it.
    """

    principal: str = ""
    role: str = ""
    end: GuestEnd = GuestEnd.NONE


def arm(places: Places, region: str, deadline: datetime, own: Own, account: Account, already: Killers | None = None) -> Killers:
    """Arm all that is not armed already, at once. One that cannot be armed is told, and keeps none of the others."""
    has = already or Killers()
    at = deadline_of_schedules(deadline, own.end)
    with ThreadPoolExecutor(3) as pool:
        once = _of(has.schedule) if has.schedule else pool.submit(schedules.arm_once, places, region, at, account)
        daily = _of(True) if has.is_daily else pool.submit(schedules.arm_daily, places, region, at, account)
        is_given = has.guest_end is not GuestEnd.NONE
        given = _of(True) if is_given else pool.submit(_given, places, own, account)
    failures = tuple(error for error in (_failure(once), _failure(daily), _failure(given)) if error is not None)
    is_daily_lost = _failure(daily) is not None
    return Killers(
        once.result() if _failure(once) is None else "",
        not is_daily_lost and daily.result(),
        own.end if _failure(given) is None and given.result() else GuestEnd.NONE,
        failures,
        is_daily_lost,
        is_daily_due_later=not is_daily_lost and not daily.result(),
    )


def deadline_of_schedules(deadline: datetime, end: GuestEnd) -> datetime:
    """Return when the cloud ends a machine by itself that ends so at its deadline."""
    return deadline + HEAD_START if end is GuestEnd.DELETE else deadline


def unarmed(name: str, killers: Killers) -> ProviderError:
    """Return the error for a machine that nothing would end."""
    why = "; ".join(error.message for error in killers.failures) or "its deadline is more than a day away"
    error = ProviderError(
        f"Nothing in the cloud and nothing on {name} would end it at its deadline: {why}",
        "Once per subscription: cloudtrain setup azure\nThen look: cloudtrain check --provider azure",
    )
    error.__cause__ = killers.failures[0] if killers.failures else None
    return error


def _given(places: Places, own: Own, account: Account) -> bool:
    return bool(own.role and own.principal) and role.give_role(places.machine, own.principal, own.role, account)


def _of(result: T) -> Future[T]:
    done: Future[T] = Future()
    done.set_result(result)
    return done


def _failure(armed: Future[str] | Future[bool]) -> ProviderError | None:
    error = armed.exception()
    if error is not None and not isinstance(error, ProviderError):
        raise error
    return error
