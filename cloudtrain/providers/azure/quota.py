"""The subscription's limits in vCPUs: which ones a machine counts against, how much is used, how to ask for more.

On demand a machine counts against two at once, that of its family and that of all families in the region; a spot machine
against the one that all spot machines share. Azure writes a family's name with other capitals and spaces in each of its lists.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ...model.errors import ProviderError
from ...model.offer import Offer
from ...model.spec import Market
from .arm import Arm
from .sizes import sizes
from .versions import COMPUTE

REQUEST = "{portal}/#view/Microsoft_Azure_Capacity/QuotaMenuBlade/~/myQuotas"

LIST_USAGES = "Microsoft.Compute/locations/usages/read"
REGIONAL, SPOT = "cores", "lowPriorityCores"

Usages = Mapping[str, Mapping[str, Any]]
"""What Azure says of each limit of a region, by its plain name."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit a machine counts against.

    Attributes:
        name: Azure's name of it ("standardNCASv3_T4Family").
        what: what is counted, in words ("Standard NCASv3_T4 Family vCPUs").
        limit: how many there may be. used: how many there are now, anybody's. need: how many the machine takes.
    """

    name: str
    what: str
    region: str
    limit: int
    used: int
    need: int

    @property
    def is_enough(self) -> bool:
        """Say whether the machine still fits."""
        return self.used + self.need <= self.limit

    @property
    def words(self) -> str:
        """Return "4 of 24 Standard NCASv3_T4 Family vCPUs used in eastus"."""
        return f"{self.used} of {self.limit} {self.what} used in {self.region}"


def outlook_quota(arm: Arm, offer: Offer) -> tuple[str, bool]:
    """Return what the limits for a machine say ("4 of 24 … vCPUs used in eastus"), and whether it still fits.

    Of the limits that are too small all are told, else the first. What cannot be found out is "" and fits.
    """
    try:
        found = limits(arm, offer)
    except ProviderError:
        return "", True
    short = [limit for limit in found if not limit.is_enough]
    told = [f"{limit.words}, {limit.need} needed" for limit in short] or [limit.words for limit in found[:1]]
    return "; ".join(told), not short


def limits(arm: Arm, offer: Offer) -> list[Limit]:
    """Return the limits a machine of this offer counts against, its family's first. One that Azure does not list binds nobody.

    Raises:
        ProviderError: Azure refused or did not answer.
    """
    with ThreadPoolExecutor(1) as pool:
        usages_asked = pool.submit(usages, arm, offer.region)
        family = "" if offer.market is Market.SPOT else _family(arm, offer)
        return limits_among(usages_asked.result(), offer, family)


def usages(arm: Arm, region: str) -> Usages:
    """Return a region's limits and how much of each is used, by their plain names.

    Raises:
        ProviderError: Azure refused or did not answer.
    """
    path = arm.below(f"providers/Microsoft.Compute/locations/{region}/usages")
    return {plain(each["name"]["value"]): each for each in arm.pages(LIST_USAGES, path, api=COMPUTE)}


def limits_among(found: Usages, offer: Offer, family: str) -> list[Limit]:
    """Return those of a region's limits that a machine of this offer and family counts against, its family's first."""
    names = (SPOT,) if offer.market is Market.SPOT else (family, REGIONAL)
    need = max(offer.vcpus, 1)
    return [_limit(found[plain(name)], offer.region, need) for name in names if plain(name) in found]


def request_line(limit: Limit, portal: str) -> str:
    """Return where more is asked for. `portal` is the address of Azure's console."""
    return f"Ask for {limit.used + limit.need}: {REQUEST.format(portal=portal)} ({limit.what}, {limit.region})"


def plain(name: str) -> str:
    """Return a limit's name so that two spellings of it are one: without spaces, in small letters."""
    return "".join(name.split()).lower()


def _family(arm: Arm, offer: Offer) -> str:
    """Return the family an offer's size counts in, "" where Azure does not tell."""
    size = sizes(arm, offer.region).get(offer.instance_type)
    return size.family if size is not None else ""


def _limit(usage: Mapping[str, Any], region: str, need: int) -> Limit:
    name = usage["name"]
    what = str(name.get("localizedValue") or name["value"])
    return Limit(str(name["value"]), what, region, int(usage["limit"]), int(usage["currentValue"]), need)
