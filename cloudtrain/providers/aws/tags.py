"""What we write on everything we make: the cloud's tags are the truth about a machine."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ...model.instance import LaunchOrder
from ...model.lease import Lease
from ...model.offer import Offer
from ..birth import at_deadline
from ..written import moment

OURS = "cloudtrain"
"""The key all of ours carries; what a look in every region filters by."""

NAME, TOKEN, OWNER, RUN = "cloudtrain:name", "cloudtrain:token", "cloudtrain:owner", "cloudtrain:run"
DEADLINE, ISSUED, AT_DEADLINE = "cloudtrain:deadline", "cloudtrain:issued", "cloudtrain:at-deadline"
PRICE, BESIDE, MARKET, GPUS = (
    "cloudtrain:usd-per-hour",
    "cloudtrain:beside-usd-per-hour",
    "cloudtrain:market",
    "cloudtrain:gpu-count",
)
USER, DISK = "cloudtrain:user", "cloudtrain:disk-gb"
NETWORK = "cloudtrain:network"

Tags = Mapping[str, str]


def of_order(order: LaunchOrder, issued_at: datetime, user: str, disk_gb: int) -> Tags:
    """Return everything a machine is to remember of its order."""
    return {
        **of_thing(order),
        RUN: order.run_id,
        **of_lease(order.lease, issued_at),
        **of_price(order.offer),
        AT_DEADLINE: at_deadline(order).value,
        MARKET: order.offer.market.value,
        USER: user,
        DISK: str(disk_gb),
    }


def of_thing(order: LaunchOrder) -> Tags:
    """Return whose a thing is that is made beside a machine."""
    return {OURS: "1", "Name": order.machine.name, NAME: order.machine.name, TOKEN: order.token, OWNER: order.owner}


def of_lease(lease: Lease, issued_at: datetime) -> Tags:
    """Return when a machine ends, and when that was said."""
    return {DEADLINE: moment(lease.deadline), ISSUED: moment(issued_at)}


def of_price(offer: Offer) -> Tags:
    """Return what a machine costs; an unknown price is an empty text."""
    price = "" if offer.usd_per_hour is None else repr(offer.usd_per_hour)
    return {PRICE: price, BESIDE: repr(offer.beside_usd_per_hour), GPUS: str(offer.gpu_count)}


def as_list(tags: Tags) -> list[dict[str, str]]:
    """Return tags as EC2 takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def read(thing: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of what EC2 described."""
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", ())}


def filters(**wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Return EC2 filters; an underscore in a name stands for a dash. What has not our key is always left out."""
    named = [{"Name": name.replace("_", "-"), "Values": list(values)} for name, values in wanted.items()]
    return [{"Name": "tag-key", "Values": [OURS]}, *named]


def with_token(token: str) -> list[dict[str, Any]]:
    """Return EC2 filters for what one order made."""
    return [{"Name": f"tag:{TOKEN}", "Values": [token]}]
