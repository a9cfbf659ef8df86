"""What a rented machine is told at its first moment: its keys, and when it ends, before anything else happens on it."""

from dataclasses import dataclass
from datetime import datetime

from ..model.lease import GuestEnd


@dataclass(frozen=True, slots=True)
class BootOrder:
    """What goes into a machine's user data.

    Attributes:
        deadline: when the machine ends itself, aware, UTC.
        issued_at: when this lease was given; of two leases a machine knows, the later one counts.
        authorized_key: the public key that may log in ("ssh-ed25519 AAAA…").
        host_key: the machine's private host key, an OpenSSH PEM text. Made for this machine alone: whoever may read the user
            data can read it.
        host_public_key: its public half.
    """

    deadline: datetime
    issued_at: datetime
    guest_end: GuestEnd
    authorized_key: str
    host_key: str
    host_public_key: str
