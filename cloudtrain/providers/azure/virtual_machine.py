"""The request that makes a machine: what it is made of, what it is told at birth, and how it is bought."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...model.instance import LaunchOrder
from ...model.lease import GuestEnd
from ...model.spec import Market, OnFinish
from .. import boot
from ..birth import at_deadline
from ..caller import Network
from ..keys import Keys
from . import tags
from .image import Image
from .killers import Own
from .names import Places, zone_number

DISK_KIND = "StandardSSD_LRS"


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything a launch needs that was there before it.

    Attributes:
        role: the id of the role by which machines end themselves, None where there is none.
        container: the path of the container the machine is to read and write, "" for none.
    """

    image: Image
    allowed: tuple[Network, ...]
    keys: Keys
    role: str | None
    container: str = ""

    def own(self, order: LaunchOrder, principal: str) -> Own:
        """Return how the order's machine may end itself, its identity being known."""
        return Own(principal, self.role or "", self.guest_end(order))

    def guest_end(self, order: LaunchOrder) -> GuestEnd:
        """Return what the order's machine does at its deadline."""
        if self.role is None:
            return GuestEnd.NONE
        return GuestEnd.DEALLOCATE if at_deadline(order) is OnFinish.STOP else GuestEnd.DELETE

    def user(self, order: LaunchOrder) -> str:
        """Return who logs in."""
        return order.machine.ssh.user or self.image.user


def disk_gb(asked: int | None, image: Image) -> int:
    """Return the boot disk's size, GiB: what was asked for, and never less than the image needs."""
    return max(asked or 0, image.disk_gb)


def request(order: LaunchOrder, ready: Ready, places: Places) -> dict[str, Any]:
    """Return the body of the request. The same order gives the same one."""
    offer = order.offer
    told = user_data(ready.keys, order.lease.deadline, ready.keys.issued_at, ready.guest_end(order))
    properties = {
        "hardwareProfile": {"vmSize": offer.instance_type},
        "storageProfile": {"imageReference": dict(ready.image.reference), "osDisk": _disk(order, ready, places)},
        "osProfile": _system(ready.user(order), ready.keys, places),
        "networkProfile": {
            "networkInterfaces": [{"id": places.interface, "properties": {"primary": True, "deleteOption": "Delete"}}]
        },
        # Secure Boot would refuse the NVIDIA driver, which Microsoft has not signed.
        "securityProfile": {"securityType": "Standard"},
        "userData": told,
        **_bought(order),
    }
    identity = {"identity": {"type": "SystemAssigned"}} if ready.role is not None or ready.container else {}
    zones = {"zones": [zone_number(offer.zone)]} if offer.zone else {}
    return {"location": offer.region, "tags": dict(tags.of_thing(order)), **zones, **identity, "properties": properties}


def user_data(keys: Keys, deadline: datetime, issued_at: datetime, end: GuestEnd) -> str:
    """Return what cloud-init finds on the machine, as Azure takes it.

    User data and not custom data: that one cannot be changed any more, and a machine that is started again would keep the
    lease it had before.
    """
    order = boot.BootOrder(deadline, issued_at, end, keys.authorized_key, keys.host_key, keys.host_public_key)
    return base64.b64encode(boot.cloud_config(order)).decode("ascii")


def _disk(order: LaunchOrder, ready: Ready, places: Places) -> dict[str, Any]:
    return {
        "name": places.disk,
        "createOption": "FromImage",
        "deleteOption": "Delete",
        "caching": "ReadWrite",
        "diskSizeGB": disk_gb(order.disk_gb, ready.image),
        "managedDisk": {"storageAccountType": DISK_KIND},
    }


def _system(user: str, keys: Keys, places: Places) -> dict[str, Any]:
    key = {"path": f"/home/{user}/.ssh/authorized_keys", "keyData": keys.authorized_key}
    return {
        "computerName": places.name,
        "adminUsername": user,
        "linuxConfiguration": {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [key]}},
    }


def _bought(order: LaunchOrder) -> Mapping[str, Any]:
    """Return how the machine is bought: on spot for no more than its lease was reckoned with, when dollars are capped.

    A price that rises above that takes the machine away; a bill that rises with it would break the cap.
    """
    if order.offer.market is not Market.SPOT:
        return {}
    eviction = "Deallocate" if at_deadline(order) is OnFinish.STOP else "Delete"
    bought: dict[str, Any] = {"priority": "Spot", "evictionPolicy": eviction}
    if order.lease.budget_usd is not None:
        bought["billingProfile"] = {"maxPrice": round(order.lease.usd_per_hour - order.offer.beside_usd_per_hour, 5)}
    return bought
