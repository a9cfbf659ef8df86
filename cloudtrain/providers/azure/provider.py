"""Azure virtual machines: what they offer and cost, by the dated table."""

import os
from collections.abc import Sequence
from pathlib import Path

from ...model.finding import Finding
from ...model.offer import Offer
from ...model.spec import Resources
from ..base import ProviderSettings
from ..extras import credentials_finding, not_rentable_yet, sdk_finding
from ..offers import offers_from_table

SDK = ("azure.identity", "azure.mgmt.compute", "azure.mgmt.network", "azure.mgmt.resource")
SECRETS = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE")


class AzureOffers:
    """An `OfferSource` for Azure."""

    name = "azure"

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings

    def check(self) -> Sequence[Finding]:
        """Look for the SDK and for credentials, without the network."""
        return (sdk_finding(self.name, SDK), credentials_finding(_credentials(), "az login"), not_rentable_yet(self.name))

    def offers(self, need: Resources) -> Sequence[Offer]:
        """Return the table's offers that satisfy the need."""
        return offers_from_table(self._settings, self.name, need)


def create(settings: ProviderSettings) -> AzureOffers:
    """Make the adapter."""
    return AzureOffers(settings)


def _credentials() -> str:
    """Return where Azure's library would find an identity, or ""."""
    environ = os.environ
    if environ.get("AZURE_CLIENT_ID") and environ.get("AZURE_TENANT_ID") and any(environ.get(name) for name in SECRETS):
        return "AZURE_CLIENT_ID in the environment"
    profile = Path(environ.get("AZURE_CONFIG_DIR") or Path.home() / ".azure") / "azureProfile.json"
    return str(profile) if profile.is_file() else ""
