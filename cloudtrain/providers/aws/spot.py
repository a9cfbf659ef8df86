"""Spot machines: bought once, ended when reclaimed, their request cancelled with them."""

from collections.abc import Mapping
from typing import Any

from ...model.errors import ProviderError
from ...model.instance import LaunchOrder
from ...model.spec import Market
from .account import Account
from .describe import market_of
from .machines import Found
from .translate import calling, code_of


def options(order: LaunchOrder) -> Mapping[str, Any]:
    """Return how an order's spot machine is bought: for no more than its lease was reckoned with, when dollars are capped.

    A price that rises above that takes the machine away; a bill that rises with it would break the cap.
    """
    # A persistent request would launch the machine again after it was ended.
    bought: dict[str, str] = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
    if order.lease.budget_usd is not None:
        bought["MaxPrice"] = f"{order.lease.usd_per_hour - order.offer.beside_usd_per_hour:.4f}"
    return {"MarketType": "spot", "SpotOptions": bought}


def refuse_stop(found: Found) -> None:
    """Refuse to stop what EC2 lets nobody stop.

    Raises:
        ProviderError: it is a spot machine.
    """
    if market_of(found.machine) is Market.SPOT:
        raise ProviderError(
            f"{found.name} is a spot machine, and EC2 cannot stop those and keep the disk",
            f"End it, disk included: cloudtrain terminate {found.name}",
        )


def cancel_request(found: Found, account: Account) -> None:
    """Cancel the request a spot machine was bought by. An absent one is a success."""
    request = found.machine.get("SpotInstanceRequestId")
    if not request:
        return
    try:
        with calling(found.region):
            account.clients.ec2(found.region).cancel_spot_instance_requests(SpotInstanceRequestIds=[request])
    except ProviderError as error:
        if code_of(error) != "InvalidSpotInstanceRequestID.NotFound":
            raise
