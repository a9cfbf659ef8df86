"""Spot machines: bought once, ended when reclaimed, their request cancelled with them."""

from collections.abc import Mapping
from typing import Any

from ...model.errors import ProviderError
from ...model.spec import Market
from .account import Account
from .describe import market_of
from .machines import Found
from .translate import calling, code_of

OPTIONS: Mapping[str, Any] = {
    "MarketType": "spot",
    # A persistent request would launch the machine again after it was ended.
    "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"},
}


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
