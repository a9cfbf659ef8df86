"""What every operation on a subscription needs."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ...model.spec import MachineSpec
from ..base import ProviderSettings
from ..keys import KeyShelf
from .arm import Arm
from .names import Places

NAME = "azure"


@dataclass(frozen=True, slots=True)
class Account:
    """An Azure subscription as it is used from this computer."""

    settings: ProviderSettings
    arm: Arm
    keys: KeyShelf

    @classmethod
    def of(cls, settings: ProviderSettings) -> "Account":
        """Return the subscription these settings lead to; nothing is asked yet."""
        return cls(settings, Arm(settings), KeyShelf(settings.home / NAME / "keys"))

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

    def places(self, name: str) -> Places:
        """Return where the things of a machine lie."""
        return Places(self.arm.subscription, name)
