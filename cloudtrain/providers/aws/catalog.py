"""What EC2 offers: live where a machine config names a place and credentials allow, by the dated table everywhere else.

A plan costs one round of calls, all regions at once: sizes, zones, and the prices that the table does not have fresh (one
call for each type; one for all on the spot market). A config without instance types costs two rounds: the region's GPU types
by name first, then the rest.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ...model.errors import ProviderError
from ...model.offer import Offer
from ...model.spec import MachineSpec, Resources
from ..base import ProviderSettings
from ..offers import offers_from_table
from .clients import Clients
from .credentials import credentials_source
from .market import Wanted, live_offers
from .pricing import CPU_IMAGE_GIB, GPU_IMAGE_GIB, beside_usd_per_hour
from .translate import is_not_opted_in

THREADS = 16

Answers = Mapping[str, list[Offer] | ProviderError]
"""What each region answered."""


def offers(settings: ProviderSettings, clients: Clients, need: Resources) -> Sequence[Offer]:
    """Return all that satisfies the need: what the machine config names as it is now, the table's offers beside it.

    Without a machine config, without credentials or the SDK nobody is asked. A region that does not answer is the table's,
    as a whole.

    Raises:
        ProviderUnavailableError: the table is missing or damaged.
    """
    machine = settings.machine
    known = offers_from_table(settings, "aws", Resources())
    if machine is not None and credentials_source():
        known = _with_live(machine, known, settings, clients)
    disk_gb = machine.disk_gb if machine is not None else None
    return tuple(
        replace(offer, beside_usd_per_hour=beside_usd_per_hour(disk_gb or _image_gib(offer)))
        for offer in known
        if offer.satisfies(need)
    )


def _image_gib(offer: Offer) -> int:
    """Return what the image for an offer needs when nobody says how large the disk is to be, GiB."""
    return GPU_IMAGE_GIB if offer.gpu else CPU_IMAGE_GIB


def _with_live(machine: MachineSpec, listed: Sequence[Offer], settings: ProviderSettings, clients: Clients) -> Sequence[Offer]:
    by_place = {(offer.instance_type, offer.region, offer.market): offer for offer in listed}
    wanted = Wanted(machine.instance_types, machine.market, by_place, settings.clock.now())
    try:
        answers = _ask(clients, wanted)
    except ProviderError:
        return listed  # A profile that cannot be read: `check` names it, and so would a launch.
    answered = _settled(answers)
    live = [offer for found in answers.values() if not isinstance(found, ProviderError) for offer in found]
    return [*live, *(offer for offer in listed if not (offer.region in answered and _is_meant(offer, machine)))]


def _ask(clients: Clients, wanted: Wanted) -> Answers:
    regions = clients.wanted_regions()

    def ask(region: str) -> list[Offer] | ProviderError:
        try:
            return live_offers(clients, region, wanted, calls)
        except ProviderError as error:
            return error

    # Two pools, so that a region that waits for its calls takes no thread from them.
    with ThreadPoolExecutor(THREADS) as calls, ThreadPoolExecutor(len(regions)) as places:
        return dict(zip(regions, places.map(ask, regions), strict=True))


def _settled(answers: Answers) -> set[str]:
    """Return the regions whose market is known: those that answered, and those that are not switched on while others are."""
    refused = {region: found for region, found in answers.items() if isinstance(found, ProviderError)}
    answered = set(answers) - set(refused)
    return answered | {region for region, error in refused.items() if answered and is_not_opted_in(error)}


def _is_meant(offer: Offer, machine: MachineSpec) -> bool:
    """Say whether the cloud was asked for this: its market, and its type or, where none is named, any with a GPU."""
    named = offer.instance_type in machine.instance_types if machine.instance_types else bool(offer.gpu)
    return named and offer.market is machine.market
