"""Offers from the dated price table, for adapters that may not ask a price API."""

from collections.abc import Sequence

from ..model.errors import ProviderUnavailableError
from ..model.offer import Offer
from ..model.spec import Resources
from .base import ProviderSettings


def offers_from_table(settings: ProviderSettings, provider: str, need: Resources) -> Sequence[Offer]:
    """Return the table's offers of a provider that satisfy the need.

    Raises:
        ProviderUnavailableError: the table is missing or damaged.
    """
    try:
        listed = settings.prices(provider)
    except (OSError, ValueError, KeyError) as error:
        raise ProviderUnavailableError(
            f"The price table of this installation cannot be read: {error}",
            "Install it again: pip install --force-reinstall cloudtrain",
        ) from error
    return tuple(offer for offer in listed if offer.satisfies(need))
