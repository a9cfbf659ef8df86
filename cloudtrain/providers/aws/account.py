"""What every operation on an account needs."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ...model.spec import MachineSpec
from ..base import ProviderSettings
from ..keys import KeyShelf
from .clients import Clients

NAME = "aws"

SETTLING_S = 60.0
"""How long EC2 may deny a machine it has just made, in seconds: its answers agree only after a while."""


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account as it is used from this computer."""

    settings: ProviderSettings
    clients: Clients
    keys: KeyShelf
    _just_made: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: ProviderSettings) -> "Account":
        """Return the account these settings lead to; nothing is asked yet."""
        return cls(settings, Clients(settings), KeyShelf(settings.home / NAME / "keys"))

    @property
    def folder(self) -> Path:
        """Return our own folder on this computer."""
        return self.settings.home / NAME

    @property
    def machine(self) -> MachineSpec | None:
        """Return the machine config in use."""
        return self.settings.machine

    def now(self) -> datetime:
        """Return the time of day."""
        return self.settings.clock.now()

    def remember_made(self, id: str) -> None:
        """Remember that this machine was made just now."""
        self._just_made[id] = self.settings.clock.monotonic()

    def was_just_made(self, id: str) -> bool:
        """Say whether this process made the machine so lately that EC2 may not know it everywhere yet."""
        made_at = self._just_made.get(id)
        return made_at is not None and self.settings.clock.monotonic() - made_at < SETTLING_S
