"""What every operation on a project needs."""

from dataclasses import dataclass
from datetime import datetime

from ...model.spec import MachineSpec
from ..base import ProviderSettings
from ..keys import KeyShelf
from .rest import Rest

NAME = "gcp"


@dataclass(frozen=True, slots=True)
class Account:
    """A Google Cloud project as it is used from this computer."""

    settings: ProviderSettings
    rest: Rest
    keys: KeyShelf

    @classmethod
    def of(cls, settings: ProviderSettings) -> "Account":
        """Return the project these settings lead to; nothing is asked yet."""
        return cls(settings, Rest(settings), KeyShelf(settings.home / NAME / "keys"))

    @property
    def machine(self) -> MachineSpec | None:
        """Return the machine config in use."""
        return self.settings.machine

    def now(self) -> datetime:
        """Return the time of day."""
        return self.settings.clock.now()

    def below(self, place: str) -> str:
        """Return the path of something in the project: of "zones/us-central1-a/instances", say."""
        return f"projects/{self.rest.project}/{place}"
