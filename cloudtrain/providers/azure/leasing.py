"""Moving a machine's deadline in the cloud: both of its schedules, and its tags."""

from contextlib import suppress
from datetime import datetime

from ...model.errors import ProviderError
from ...model.instance import InstanceRef, InstanceState
from ...model.lease import GuestEnd, Lease
from ..written import read_moment
from . import killers, schedules, tags
from .account import Account
from .killers import Killers, Own
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
    places, region, was_daily = found.places, found.region, found.tags.get(tags.DAILY) == tags.ON
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
    say_what_is_missing(found.name, armed, lease.deadline, account)
    return write_tags(found, {**tags.of_lease(lease, account.now()), **armed.as_tags()}, account)


def _cancel(schedule: str, found: Found, account: Account) -> None:
    if schedule:
        schedules.cancel_once(schedule, found.places, found.region, account)


def own_end(found: Found, account: Account) -> Own:
    """Return how a machine that is there may end itself."""
    end = tags.guest_end_of(found.tags)
    return Own() if end is GuestEnd.NONE else Own(found.principal, role_id(account.arm.subscription), end)


def look_after(found: Found, account: Account) -> Found:
    """Arm the daily schedule of a machine that is on and whose deadline has come nearer than a day, and say so.

    Where it cannot be armed that is said and not tried again by each look; the first line stands.
    """
    is_on = found.state not in (InstanceState.STOPPED, InstanceState.TERMINATING, InstanceState.TERMINATED)
    return _renewed(found, account) if is_on and found.tags.get(tags.DAILY) == tags.LATER else found


def renew_second_line(found: Found, account: Account) -> None:
    """Arm the daily schedule of a machine that has none as soon as its deadline is nearer than a day, and say so."""
    if found.tags.get(tags.DAILY) != tags.ON:
        _renewed(found, account)


def say_what_is_missing(name: str, armed: Killers, deadline: datetime, account: Account) -> None:
    """Say which of the lines that end a machine could not be armed, or cannot be yet."""
    say = account.settings.say
    for error in armed.failures:
        say(f"Not all that would end {name} at its deadline is armed; the rest is: {error.message}")
    if armed.is_daily_due_later:
        say(
            f"The second line that ends {name} knows a time of day and no date: the first command that looks at the machine "
            f"after {deadline - schedules.DAY + schedules.SLACK:%Y-%m-%d %H:%M} UTC arms it. The first line is armed."
        )


def _renewed(found: Found, account: Account) -> Found:
    deadline = read_moment(found.tags.get(tags.DEADLINE, ""))
    if deadline is None or deadline <= account.now():
        return found
    try:
        at = killers.deadline_of_schedules(deadline, tags.guest_end_of(found.tags))
        if not schedules.arm_daily(found.places, found.region, at, account):
            return found
        written = write_tags(found, {tags.DAILY: tags.ON}, account)
    except ProviderError as error:
        account.settings.say(f"The second line that ends {found.name} cannot be armed; the first stands: {error.message}")
        with suppress(ProviderError):  # then it is tried again by the next look
            return write_tags(found, {tags.DAILY: ""}, account)
        return found
    account.settings.say(f"The second line that ends {found.name} is armed now, for {deadline:%Y-%m-%d %H:%M} UTC.")
    return written
