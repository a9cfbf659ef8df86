"""Today's prices of a whole region, for the person's own copy of the price table."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from ...model.errors import NotSetUpError, ProviderError
from ...model.offer import Offer
from ...model.spec import Market
from ..base import ProviderSettings
from .billing import machine_usd_per_hour
from .catalog import may_ask
from .machine_types import MachineType
from .market import machine_types
from .rest import Rest
from .unit_prices import unit_prices

PLAIN = r"e2-(standard|highmem|highcpu)-[0-9]+|e2-medium"
"""The types without a GPU whose prices are kept, as Google's filter reads their names."""


def price_list(settings: ProviderSettings, rest: Rest, region: str) -> Sequence[Offer]:
    """Return a region's GPU types, those made of an N1 and GPUs, and E2, on both markets, with the prices of today.

    Raises:
        NotSetUpError: this computer has no login for Google, or no google-auth.
        ProviderError: Google refused or did not answer, or has no such region.
    """
    if not may_ask():
        raise NotSetUpError("There is no login for Google Cloud on this computer, or no google-auth", "cloudtrain check gcp")
    prices = unit_prices(settings, rest, oldest=timedelta(0))
    here: dict[str, MachineType] = {
        machine.name: machine for machine in machine_types(rest, (), PLAIN) if machine.region == region
    }
    if not here:
        raise ProviderError(
            f"Google Cloud has no region {region}, or nothing there that is offered", "gcloud compute regions list"
        )
    return tuple(
        replace(
            machine.offer(market),
            zone="",
            usd_per_hour=machine_usd_per_hour(machine, market, prices.by_part),
            priced_on=prices.read_on,
        )
        for machine in here.values()
        for market in Market
        if market in machine.markets
    )
