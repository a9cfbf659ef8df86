"""Refreshing the person's own copy of the price table, region by region."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..model.errors import CredentialsError, ProviderError
from ..model.event import StageEnded, StageStarted, Tell
from ..model.finding import Finding
from ..model.offer import Offer
from .users_copy import copied_rows, write_copy

STAGE = "prices"


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What was written.

    Attributes:
        types: instance types with a price of today, by region.
        failed: regions whose prices stay as they were, and why.
    """

    path: Path
    types: dict[str, int]
    failed: tuple[Finding, ...]


def refresh(provider: str, regions: Sequence[str], ask: Callable[[str], Sequence[Offer]], path: Path, tell: Tell) -> Refreshed:
    """Ask for each region's prices and write them into the copy at the end, all at once.

    What the copy has of other providers and regions stays. A refresh that is broken off changes nothing.

    Raises:
        ProviderError: no region could be asked, or there are no credentials to ask with.
        OSError: the copy cannot be written.
    """
    found: dict[str, Sequence[Offer]] = {}
    failed: dict[str, ProviderError] = {}
    for region in regions:
        tell(StageStarted(STAGE, f"{provider} {region}"))
        began = time.monotonic()
        try:
            found[region] = _asked(ask, region)
            said = f"{_priced_types(found[region])} types"
        except CredentialsError:
            raise
        except ProviderError as error:
            failed[region] = error
            said = "not read"
        tell(StageEnded(STAGE, f"{provider} {region}: {said}", time.monotonic() - began))
    if not found and failed:
        raise next(iter(failed.values()))
    kept = [offer for offer in copied_rows(path) if (offer.provider, offer.region) not in {(provider, each) for each in found}]
    write_copy(path, [*kept, *(offer for offers in found.values() for offer in offers)])
    return Refreshed(
        path,
        {region: _priced_types(offers) for region, offers in found.items()},
        tuple(Finding(False, region, error.message, error.hint) for region, error in failed.items()),
    )


def _asked(ask: Callable[[str], Sequence[Offer]], region: str) -> Sequence[Offer]:
    offers = ask(region)
    if not _priced_types(offers):
        raise ProviderError(f"No price was found in {region}", "Name another region: cloudtrain prices refresh --region REGION")
    return offers


def _priced_types(offers: Sequence[Offer]) -> int:
    return len({offer.instance_type for offer in offers if offer.usd_per_hour is not None})
