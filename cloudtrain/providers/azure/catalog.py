"""What Azure offers: live where a machine config is in use and somebody is logged in, by the dated table everywhere else.

A plan costs one round of calls, all regions at once: a region's sizes, as this subscription may have them, and its prices. A
price of the table that is newer than a week is taken as it is.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta

from ...model.errors import ProviderError
from ...model.offer import Offer
from ...model.spec import MachineSpec, Market, Resources
from ..base import ProviderSettings
from ..extras import is_installed
from ..offers import offers_from_table
from .arm import Arm
from .login import login_source
from .retail_prices import CPU_IMAGE_GIB, GPU_IMAGE_GIB, Prices, beside_usd_per_hour, is_priced, region_prices
from .sizes import Size, is_retired, sizes

NAME = "azure"

DEFAULT_REGION = "eastus"
REGION_VARIABLE = "AZURE_DEFAULTS_LOCATION"
"""The Azure CLI's own variable for the region that is meant when nobody names one."""

FRESH = timedelta(days=7)
"""How old a table's price may be for Azure not to be asked."""

MODULES = ("azure.identity", "azure.mgmt.core")

Place = tuple[str, str, Market]
"""Size, region and market: what a table has one price for."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the table knows of prices, and which day it is."""

    listed: Mapping[Place, Offer]
    today: date

    def priced(self, size: Size, market: Market, zone: str, read: Prices) -> Offer:
        """Return a size as an offer with the newest price there is of it, or with none."""
        offer = size.offer(market, zone)
        usd = read.get((size.name, market))
        if usd is not None:
            return replace(offer, usd_per_hour=usd, priced_on=self.today)
        listed = self.listed.get((size.name, size.region, market))
        if listed is None or listed.usd_per_hour is None:
            return offer
        return replace(offer, usd_per_hour=listed.usd_per_hour, priced_on=listed.priced_on, source=listed.source)

    def stale(self, names: Sequence[str], region: str, market: Market) -> list[str]:
        """Return the sizes whose price in a region must be asked for."""
        return [name for name in names if not is_fresh(self.listed.get((name, region, market)), self.today)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one region was asked: its sizes, and its prices where they are needed."""

    sizes: Future[dict[str, Size]]
    prices: Future[Prices] | None

    def offers(self, machine: MachineSpec, known: Known) -> list[Offer]:
        """Return what the region has for a machine config.

        Raises:
            ProviderError: it did not say.
        """
        found = self.sizes.result()
        read = self._read()
        return [
            known.priced(size, machine.market, zone, read)
            for size in found.values()
            if _is_wanted(size.name, machine) and machine.market in size.markets
            for zone in size.zones or ("",)
        ]

    def _read(self) -> Prices:
        try:
            return self.prices.result() if self.prices is not None else {}
        except ProviderError:
            return {}  # unreachable: what the table knows is better than nothing, and it says how old it is


def offers(settings: ProviderSettings, arm: Arm, need: Resources) -> Sequence[Offer]:
    """Return all that satisfies the need: what the machine config names as it is now, the table's offers beside it.

    Without a machine config, without a login or Azure's libraries nobody is asked. A region that does not answer is the
    table's, as a whole.

    Raises:
        ProviderUnavailableError: the table is missing or damaged.
    """
    machine = settings.machine
    known: Sequence[Offer] = [
        offer for offer in offers_from_table(settings, NAME, Resources()) if not is_retired(offer.instance_type)
    ]
    if machine is not None and may_ask():
        known = _with_live(machine, known, settings, arm)
    disk_gb = machine.disk_gb if machine is not None else None
    return tuple(
        replace(offer, beside_usd_per_hour=beside_usd_per_hour(disk_gb or image_gib(offer)))
        for offer in known
        if offer.satisfies(need)
    )


def may_ask() -> bool:
    """Say whether there are a login and the libraries to ask Azure with. Costs nothing."""
    return bool(login_source()) and all(is_installed(module) for module in MODULES)


def wanted_regions(machine: MachineSpec | None) -> tuple[str, ...]:
    """Return where to rent: the machine config's regions, else the Azure CLI's one, else eastus."""
    named = machine.regions if machine is not None else ()
    return named or (os.environ.get(REGION_VARIABLE) or DEFAULT_REGION,)


def image_gib(offer: Offer) -> int:
    """Return what the image for an offer needs when nobody says how large the disk is to be, GiB."""
    return GPU_IMAGE_GIB if offer.gpu else CPU_IMAGE_GIB


def is_fresh(offer: Offer | None, today: date) -> bool:
    """Say whether a table's price is so new that Azure need not be asked."""
    if offer is None or offer.usd_per_hour is None or offer.priced_on is None:
        return False
    return timedelta(0) <= today - offer.priced_on <= FRESH


def _with_live(machine: MachineSpec, listed: Sequence[Offer], settings: ProviderSettings, arm: Arm) -> Sequence[Offer]:
    by_place = {(offer.instance_type, offer.region, offer.market): offer for offer in listed}
    known = Known(by_place, settings.clock.now().date())
    regions = wanted_regions(machine)
    with ThreadPoolExecutor(2 * len(regions)) as pool:
        asked = {region: _ask(arm, region, machine, known, pool) for region in regions}
    live, silent = list[Offer](), dict[str, ProviderError]()
    for region, each in asked.items():
        try:
            live += each.offers(machine, known)
        except ProviderError as error:
            silent[region] = error
    _say_what_is_not_known(silent, settings)
    answered = set(regions) - set(silent)
    return [*live, *(offer for offer in listed if not (offer.region in answered and _is_meant(offer, machine)))]


def _say_what_is_not_known(silent: Mapping[str, ProviderError], settings: ProviderSettings) -> None:
    """Say that a plan rests on the table where it seems to rest on Azure, and why; each reason once."""
    hints = {error.message: error.hint for error in silent.values()}
    for why, hint in hints.items():
        where = " and ".join(region for region, error in silent.items() if error.message == why)
        settings.say(f"What {where} has is taken from the dated table, since Azure does not say: {why}\n{hint}")


def _ask(arm: Arm, region: str, machine: MachineSpec, known: Known, pool: ThreadPoolExecutor) -> Asked:
    names = machine.instance_types
    stale = known.stale(names, region, machine.market)
    # Other clouds than the public one have prices that are in no list.
    needs_prices = (bool(stale) or not names) and is_priced(arm.endpoints.manager)
    return Asked(pool.submit(sizes, arm, region), pool.submit(region_prices, region, stale) if needs_prices else None)


def _is_wanted(name: str, machine: MachineSpec) -> bool:
    return not machine.instance_types or name in machine.instance_types


def _is_meant(offer: Offer, machine: MachineSpec) -> bool:
    """Say whether Azure was asked for this: its market and, where types are named, its type."""
    return _is_wanted(offer.instance_type, machine) and offer.market is machine.market
