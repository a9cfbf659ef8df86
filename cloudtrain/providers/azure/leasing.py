"""Moving a machine's deadline in the cloud: both of its schedules, and its tags."""

from contextlib import suppress

from ...model.errors import ProviderError
from ...model.instance import InstanceRef, InstanceState
from ...model.lease import GuestEnd, Lease
from ..written import read_moment
from . import killers, schedules, tags
from .account import Account
from .killers import Own
from .machines import Found, living, write_tags
from .role import role_id


def extend(ref: InstanceRef, lease: Lease, account: Account) -> None:
    """Move the deadline of a machine that is on. See `Provider.extend`."""
    found = living(ref, account)
    if found.state is InstanceState.STOPPED:
        raise ProviderError(f"{found.name} is stopped and has no deadline to move", f"Start it: cloudtrain start {found.name}")
    move(found, lease, account)


def move(found: Found, lease: Lease, account: Account) -> Found:
    """Give a machine another deadline and return it with that. The schedules go first: a tag must not promise what is not.

    Raises:
        ProviderError: nothing would end it then.
    """
    places, region, was_daily = found.places, found.region, bool(found.tags.get(tags.DAILY))
    armed = killers.arm(places, region, lease.deadline, own_end(found, account), account)
    try:
        if not armed.is_armed or (was_daily and armed.is_daily_lost):
            raise killers.unarmed(found.name, armed)
        if was_daily and not armed.is_daily:
            schedules.switch_off_daily(places, region, account)
        _cancel(found.tags.get(tags.SCHEDULE, ""), found, account)
    except ProviderError:
        with suppress(ProviderError):  # it is later than the one that stands, and harms nobody
            _cancel(armed.schedule, found, account)
        raise
    return write_tags(found, {**tags.of_lease(lease, account.now()), **armed.as_tags()}, account)


def _cancel(schedule: str, found: Found, account: Account) -> None:
    if schedule:
        schedules.cancel_once(schedule, found.places, found.region, account)


def own_end(found: Found, account: Account) -> Own:
    """Return how a machine that is there may end itself."""
    end = tags.guest_end_of(found.tags)
    return Own() if end is GuestEnd.NONE else Own(found.principal, role_id(account.arm.subscription), end)


def renew_second_line(found: Found, account: Account) -> None:
    """Arm the daily schedule of a machine whose deadline has come nearer than a day. What cannot be armed is left."""
    deadline = read_moment(found.tags.get(tags.DEADLINE, ""))
    if deadline is None or deadline <= account.now() or found.tags.get(tags.DAILY):
        return
    with suppress(ProviderError):  # the first line stands, and whoever asked wanted something else
        at = killers.deadline_of_schedules(deadline, tags.guest_end_of(found.tags))
        if schedules.arm_daily(found.places, found.region, at, account):
            write_tags(found, {tags.DAILY: "1"}, account)
