"""What Compute Engine offers: live where a machine config is in use and somebody is logged in, by the dated table elsewhere.

A plan costs one round of calls: the machine types of all zones in one list, the GPUs that N1 takes in another, and Google's
prices, which are read once a week. A price of the table that is newer than a week is taken as it is.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta

from ...model.errors import ProviderError
from ...model.offer import Offer
from ...model.spec import MachineSpec, Market, Resources
from ..base import ProviderSettings
from ..extras import is_installed
from ..offers import offers_from_table
from .billing import CPU_IMAGE_GIB, GPU_IMAGE_GIB, beside_usd_per_hour, machine_usd_per_hour
from .credentials import find_login
from .machine_types import MachineType
from .market import machine_types
from .rest import Rest
from .tpu_types import is_tpu_type, tpu_offers
from .unit_prices import FRESH, Prices, unit_prices

NAME = "gcp"

Place = tuple[str, str, Market]
"""Instance type, region and market: what a table has one price for."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of prices: the table's, and Google's own where they could be read."""

    listed: dict[Place, Offer]
    read: Prices | None
    today: date

    def priced(self, machine: MachineType, market: Market) -> Offer:
        """Return a machine as an offer with the newest price there is of it, or with none."""
        offer = machine.offer(market)
        listed = self.listed.get((offer.instance_type, offer.region, market))
        usd = machine_usd_per_hour(machine, market, self.read.by_part) if self.read is not None else None
        if self.read is not None and usd is not None and not is_fresh(listed, self.today):
            return replace(offer, usd_per_hour=usd, priced_on=self.read.read_on)
        if listed is None or listed.usd_per_hour is None:
            return offer
        return replace(offer, usd_per_hour=listed.usd_per_hour, priced_on=listed.priced_on, source=listed.source)


def offers(settings: ProviderSettings, rest: Rest, need: Resources) -> Sequence[Offer]:
    """Return all that satisfies the need: what the machine config names as it is now, the table's offers beside it.

    Without a machine config, without a login or google-auth nobody is asked. Where Google does not answer for every zone the
    table holds.

    Raises:
        ProviderUnavailableError: the table is missing or damaged.
    """
    machine = settings.machine
    known: Sequence[Offer] = (*offers_from_table(settings, NAME, Resources()), *tpu_offers(machine, need))
    if machine is not None and not _is_all_tpu(machine) and may_ask():
        known = _with_live(machine, known, settings, rest)
    disk_gb = machine.disk_gb if machine is not None else None
    return tuple(
        replace(offer, beside_usd_per_hour=beside_usd_per_hour(disk_gb or _image_gib(offer)))
        for offer in known
        if offer.satisfies(need)
    )


def may_ask() -> bool:
    """Say whether there are a login and the library to ask Google with. Costs nothing."""
    try:
        return find_login() is not None and is_installed("google.auth")
    except ProviderError:
        return False  # settings that cannot be read: `check` names them, and so would a launch


def is_fresh(offer: Offer | None, today: date) -> bool:
    """Say whether a table's price is so new that Google need not be asked."""
    if offer is None or offer.usd_per_hour is None or offer.priced_on is None:
        return False
    return timedelta(0) <= today - offer.priced_on <= FRESH


def _is_all_tpu(machine: MachineSpec) -> bool:
    return bool(machine.instance_types) and all(is_tpu_type(each) for each in machine.instance_types)


def _image_gib(offer: Offer) -> int:
    """Return what the image for an offer needs when nobody says how large the disk is to be, GiB."""
    return GPU_IMAGE_GIB if offer.gpu else CPU_IMAGE_GIB


def _with_live(machine: MachineSpec, listed: Sequence[Offer], settings: ProviderSettings, rest: Rest) -> Sequence[Offer]:
    by_place = {(offer.instance_type, offer.region, offer.market): offer for offer in listed}
    today = settings.clock.now().date()
    wanted = [offer for offer in listed if _is_meant(offer, machine)]
    needs_prices = not wanted or not all(is_fresh(offer, today) for offer in wanted)
    try:
        with ThreadPoolExecutor(1) as pool:
            prices_asked = pool.submit(unit_prices, settings, rest) if needs_prices else None
            found = machine_types(rest, machine.instance_types)
            known = Known(by_place, _read(prices_asked), today)
    except ProviderError:
        return listed  # not for every zone, or for none: `check` says why, and so would a launch
    live = [
        known.priced(each, machine.market)
        for each in found
        if machine.market in each.markets and (not machine.regions or each.region in machine.regions)
    ]
    return [*live, *(offer for offer in listed if not _is_meant(offer, machine))]


def _read(asked: Future[Prices] | None) -> Prices | None:
    try:
        return asked.result() if asked is not None else None
    except ProviderError:
        return None  # denied or unreachable: what the table knows is better than nothing, and it says how old it is


def _is_meant(offer: Offer, machine: MachineSpec) -> bool:
    """Say whether Google was asked for this: its place, its market, and its type or, where none is named, any with a GPU."""
    named = offer.instance_type in machine.instance_types if machine.instance_types else bool(offer.gpu)
    return named and offer.market is machine.market and (not machine.regions or offer.region in machine.regions)
