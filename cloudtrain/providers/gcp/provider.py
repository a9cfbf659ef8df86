"""Google Compute Engine: what it offers and costs, by the dated table."""

import os
from collections.abc import Sequence
from pathlib import Path

from ...model.finding import Finding
from ...model.offer import Offer
from ...model.spec import Resources
from ..base import ProviderSettings
from ..extras import credentials_finding, not_rentable_yet, sdk_finding
from ..offers import offers_from_table


class GcpOffers:
    """An `OfferSource` for Compute Engine."""

    name = "gcp"

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings

    def check(self) -> Sequence[Finding]:
        """Look for the SDK and for credentials, without the network."""
        credentials = credentials_finding(_credentials(), "gcloud auth application-default login")
        return (sdk_finding(self.name, ("google.cloud.compute_v1",)), credentials, not_rentable_yet(self.name))

    def offers(self, need: Resources) -> Sequence[Offer]:
        """Return the table's offers that satisfy the need."""
        return offers_from_table(self._settings, self.name, need)


def create(settings: ProviderSettings) -> GcpOffers:
    """Make the adapter."""
    return GcpOffers(settings)


def _credentials() -> str:
    """Return the file Google's libraries would read, or ""."""
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    folder = Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")
    file = Path(named) if named else folder / "application_default_credentials.json"
    return str(file) if file.is_file() else ""
