"""What we write on everything we make. A resource group's tags are the truth about the machine in it.

They stand on the group and not on the machine, because a machine takes none while Azure is busy with it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...model.instance import LaunchOrder
from ...model.lease import GuestEnd, Lease
from ...model.offer import Offer
from ..birth import at_deadline
from ..written import moment

OURS = "cloudtrain"
"""The tag all of ours carries; what a look at the subscription filters by."""

FILTER = f"tagName eq '{OURS}' and tagValue eq '1'"

NAME, TOKEN, OWNER, RUN = "cloudtrain:name", "cloudtrain:token", "cloudtrain:owner", "cloudtrain:run"
DEADLINE, ISSUED, AT_DEADLINE = "cloudtrain:deadline", "cloudtrain:issued", "cloudtrain:at-deadline"
PRICE, BESIDE, GPUS = "cloudtrain:usd-per-hour", "cloudtrain:beside-usd-per-hour", "cloudtrain:gpu-count"
USER, DISK = "cloudtrain:user", "cloudtrain:disk-gb"
CHECKPOINTS = "cloudtrain:checkpoints"
SCHEDULE, DAILY, GUEST_END = "cloudtrain:schedule", "cloudtrain:daily-schedule", "cloudtrain:guest-end"

ON, LATER = "1", "later"
"""What DAILY says: armed, or that its deadline is too far away for it yet; "" where it could not be armed."""

LONGEST = 256
"""The most characters Azure keeps of a value."""

Tags = Mapping[str, str]


def of_order(order: LaunchOrder, issued_at: datetime, user: str, disk_gb: int) -> Tags:
    """Return what is known of a machine before it is made. Its deadline is not: that is written when something keeps it."""
    return {
        **of_thing(order),
        RUN: order.run_id,
        ISSUED: moment(issued_at),
        AT_DEADLINE: at_deadline(order).value,
        USER: user,
        DISK: str(disk_gb),
        **of_price(order.offer),
    }


def of_thing(order: LaunchOrder) -> Tags:
    """Return whose a thing is that is made for a machine."""
    return {OURS: "1", NAME: order.machine.name[:LONGEST], TOKEN: order.token, OWNER: order.owner[:LONGEST]}


def of_lease(lease: Lease, issued_at: datetime) -> Tags:
    """Return when a machine ends, and when that was said."""
    return {DEADLINE: moment(lease.deadline), ISSUED: moment(issued_at)}


def of_price(offer: Offer) -> Tags:
    """Return what a machine costs; an unknown price is an empty text."""
    price = "" if offer.usd_per_hour is None else repr(offer.usd_per_hour)
    return {PRICE: price, BESIDE: repr(offer.beside_usd_per_hour), GPUS: str(offer.gpu_count)}


def of_killers(schedule: str, guest_end: GuestEnd, daily: str) -> Tags:
    """Return what keeps a deadline: the id of the cloud's one-shot schedule ("" for none), and what the machine can do.

    `daily` is ON, LATER or "".
    """
    return {SCHEDULE: schedule, DAILY: daily, GUEST_END: guest_end.value}


def read(thing: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of what Azure described."""
    return {str(key): str(value) for key, value in (thing.get("tags") or {}).items()}


def guest_end_of(known: Tags) -> GuestEnd:
    """Return what a machine can do to end its own bill, as its tags say; NONE for what we do not know."""
    written = known.get(GUEST_END, "")
    return GuestEnd(written) if written in (GuestEnd.DEALLOCATE.value, GuestEnd.DELETE.value) else GuestEnd.NONE
