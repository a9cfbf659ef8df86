"""What a machine is born with: its user data, and what its deadline does to it."""

from datetime import datetime

from ..model.instance import LaunchOrder
from ..model.lease import GuestEnd
from ..model.spec import Market, OnFinish
from . import boot
from .keys import Keys


def user_data(keys: Keys, deadline: datetime, issued_at: datetime, first_boot: str = "") -> bytes:
    """Return the user data that arms the machine's own deadline before anything else and gives it its keys.

    `first_boot` is a script that it runs once, after that.
    """
    return boot.cloud_config(
        boot.BootOrder(
            deadline=deadline,
            issued_at=issued_at,
            guest_end=GuestEnd.POWEROFF,
            authorized_key=keys.authorized_key,
            host_key=keys.host_key,
            host_public_key=keys.host_public_key,
            first_boot=first_boot,
        )
    )


def at_deadline(order: LaunchOrder) -> OnFinish:
    """Return what the deadline does to a machine: a spot machine is not stopped and kept."""
    stops = order.at_deadline is OnFinish.STOP and order.offer.market is not Market.SPOT
    return OnFinish.STOP if stops else OnFinish.TERMINATE
