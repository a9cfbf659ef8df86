"""Amazon EC2: what it offers and costs, by the dated table."""

from collections.abc import Sequence

from ...model.finding import Finding
from ...model.offer import Offer
from ...model.spec import Resources
from ..base import ProviderSettings
from ..extras import credentials_finding, not_rentable_yet, sdk_finding
from ..offers import offers_from_table

NETWORK_SOURCES = ("iam-role", "container-role")
"""Where botocore would look for credentials over the network: places of a machine in the cloud, not of a laptop."""


class AwsOffers:
    """An `OfferSource` for EC2."""

    name = "aws"

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings

    def check(self) -> Sequence[Finding]:
        """Look for the SDK and for credentials, without the network."""
        sdk = sdk_finding(self.name, ("boto3",))
        credentials = [credentials_finding(_credentials(), "aws configure")] if sdk.ok else []
        return (sdk, *credentials, not_rentable_yet(self.name))

    def offers(self, need: Resources) -> Sequence[Offer]:
        """Return the table's offers that satisfy the need."""
        return offers_from_table(self._settings, self.name, need)


def create(settings: ProviderSettings) -> AwsOffers:
    """Make the adapter."""
    return AwsOffers(settings)


def _credentials() -> str:
    """Return where credentials were found, or ""."""
    import botocore.session  # here, because only a check needs the SDK
    from botocore.exceptions import BotoCoreError

    try:
        resolver = botocore.session.Session().get_component("credential_provider")
        for source in NETWORK_SOURCES:
            resolver.remove(source)
        credentials = resolver.load_credentials()
    except BotoCoreError:
        # A profile that does not exist or a broken file: there are no credentials to use.
        return ""
    return "" if credentials is None else str(credentials.method)
