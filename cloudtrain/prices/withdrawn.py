"""What price lists still show and nobody can rent any more. A price is no proof of availability."""

import re
from dataclasses import dataclass

from ..model.offer import Offer
from ..model.spec import Market


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Instance types that are not offered, whatever the table says.

    Attributes:
        types: regular expression for the whole instance type.
        market: the market it is withdrawn from, or None for all.
        reason: why, with the date where one is known.
    """

    provider: str
    types: re.Pattern[str]
    reason: str
    market: Market | None = None


WITHDRAWALS = (
    Withdrawal("azure", re.compile(r"Standard_NC\d+r?s_v3"), "the NCv3 series was retired on 2025-09-30"),
    Withdrawal("gcp", re.compile(r".*nvidia-tesla-k80"), "Google ended its K80 GPUs in May 2024"),
    Withdrawal(
        "gcp",
        re.compile(r"a3-highgpu-[124]g"),
        "A3 High with fewer than 8 GPUs is sold as Spot or Flex-start only",
        Market.ON_DEMAND,
    ),
)


def why_withdrawn(offer: Offer) -> str:
    """Return why this is not to be had, or "" when nothing speaks against it."""
    for withdrawal in WITHDRAWALS:
        if (
            offer.provider == withdrawal.provider
            and withdrawal.market in (None, offer.market)
            and withdrawal.types.fullmatch(offer.instance_type)
        ):
            return withdrawal.reason
    return ""
