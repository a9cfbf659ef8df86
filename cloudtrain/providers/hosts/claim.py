"""A claim: whose turn it is on a machine, and until when."""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ...model.errors import ProviderError
from ...model.instance import LaunchOrder

_LONGEST = 200
_LATEST = 10**11  # Unix time: what lies later is no date to Python


@dataclass(frozen=True, slots=True)
class Claim:
    """A person's turn on one machine, as the machine keeps it.

    Attributes:
        deadline: aware, UTC. One that has passed frees the machine for whoever asks next.
        claimed_at: aware, UTC; by the machine's own clock.
    """

    token: str
    owner: str
    name: str
    run_id: str
    deadline: datetime
    claimed_at: datetime

    @classmethod
    def ordered(cls, order: LaunchOrder, now: datetime) -> "Claim":
        """Return the claim that an order asks for."""
        return cls(order.token, order.owner, order.machine.name, order.run_id, order.lease.deadline, now)

    @property
    def id(self) -> str:
        """Return what names it: the same token gives the same id."""
        return f"host-{hashlib.sha256(self.token.encode()).hexdigest()[:12]}"


def is_id(text: str) -> bool:
    """Say whether a text could be a claim's id: an id becomes a file's name."""
    return re.fullmatch(r"host-[0-9a-f]{12}", text) is not None


def wish(claim: Claim, now: datetime) -> dict[str, object]:
    """Return what the guest is asked for. Clocks differ, so it is told ours: what counts there is what is left."""
    return {
        "token": claim.token,
        "owner": claim.owner,
        "name": claim.name,
        "run_id": claim.run_id,
        "deadline": claim.deadline.timestamp(),
        "now": now.timestamp(),
    }


def claim_in(answer: Mapping[str, object]) -> Claim | None:
    """Return the claim that a machine tells of; None when it is free. It is believed in nothing but its shape.

    Raises:
        ProviderError: it tells of none.
    """
    content = answer.get("claim")
    if content is None:
        return None
    if not isinstance(content, dict):
        raise ProviderError("The machine tells of a claim that is none")
    token, owner, name, run_id = (_text(content.get(field)) for field in ("token", "owner", "name", "run_id"))
    return Claim(token, owner, name, run_id, _moment(content.get("deadline")), _moment(content.get("claimed_at")))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ProviderError("The machine tells of a claim that is none")
    return "".join(letter for letter in value[:_LONGEST] if letter.isprintable())


def _moment(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and 0 <= value < _LATEST):
        raise ProviderError("The machine tells of a claim at no time")
    return datetime.fromtimestamp(value, UTC)
