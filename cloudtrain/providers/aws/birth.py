"""What a machine is told at its first moment: its user data."""

from datetime import datetime

from ...model.lease import GuestEnd
from .. import boot
from .keys import Keys


def user_data(keys: Keys, deadline: datetime, issued_at: datetime) -> bytes:
    """Return the user data that arms the machine's own deadline before anything else and gives it its keys."""
    return boot.cloud_config(
        boot.BootOrder(
            deadline=deadline,
            issued_at=issued_at,
            guest_end=GuestEnd.POWEROFF,
            authorized_key=keys.authorized_key,
            host_key=keys.host_key,
            host_public_key=keys.host_public_key,
        )
    )
