"""The request that makes a machine. The same order gives the same request, or Google would not know it again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...model.instance import LaunchOrder
from ...model.spec import Market, OnFinish
from ..birth import at_deadline, user_data
from ..caller import Network
from ..keys import Keys
from ..written import moment
from . import notes, service_account
from .account import Account
from .describe import AHEAD
from .image import Image
from .machine_types import parts
from .network import Place

PUBLIC_ADDRESS = {"type": "ONE_TO_ONE_NAT", "name": "External NAT"}
NOTICE_S = "120"
"""How long before a spot machine is switched off its metadata server says so, seconds. Google takes 0 and 120."""

NOTICE_ATTRIBUTE = "cloudtrain-preemption-notice-s"
"""Tells the guest how long before the end the notice comes; it reads it by this name (guest/notice.py)."""

_HYPERDISK_ONLY = re.compile(r"(a3-ultragpu|a4|a4x|c4|c4a|c4d|g4|h4d|n4|n4a|n4d)-")
_WITH_LOCAL_SSD = re.compile(r"(a2-ultragpu|a3|a4|a4x)-|.*-lssd")
_ONLY_MIGRATES = re.compile(r"e2-")


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything a launch needs that was there before it.

    Attributes:
        zones: where the machine may stand, the most wanted first.
    """

    image: Image
    place: Place
    allowed: tuple[Network, ...]
    keys: Keys
    zones: tuple[str, ...]


def request(order: LaunchOrder, ready: Ready, zone: str, account: Account) -> dict[str, Any]:
    """Return what instances.insert is asked for."""
    name, size = notes.name_of(order.token), disk_gb(order.disk_gb, ready.image)
    user = order.machine.ssh.user or ready.image.user
    note = notes.of_order(order, ready.keys.issued_at, user, size)
    wanted = parts(order.offer.instance_type)
    place = account.below(f"zones/{zone}")
    return {
        "name": name,
        "description": "Rented by cloudtrain",
        "machineType": f"{place}/machineTypes/{wanted.machine_type}",
        "labels": notes.labels(note),
        "tags": {"items": [name]},
        "disks": [_disk(order, ready.image, size, note, place)],
        "networkInterfaces": [_interface(ready.place)],
        "metadata": {"items": notes.items(_metadata(order, ready, user, note))},
        "scheduling": scheduling(order),
        **service_account.of_request(order, account),
        **({"guestAccelerators": [_accelerator(wanted.accelerator, wanted.count, place)]} if wanted.count else {}),
    }


def disk_gb(asked: int | None, image: Image) -> int:
    """Return the boot disk's size, GiB: what was asked for, and never less than the image needs."""
    return max(asked or 0, image.disk_gb)


def scheduling(order: LaunchOrder) -> dict[str, Any]:
    """Return how an order's machine is bought, and when and how Google ends it."""
    machine_type, end = parts(order.offer.instance_type).machine_type, at_deadline(order)
    is_spot = order.offer.market is Market.SPOT
    only_migrates = _ONLY_MIGRATES.match(machine_type) and not is_spot
    discards = end is OnFinish.STOP and _WITH_LOCAL_SSD.match(machine_type)
    return {
        "provisioningModel": "SPOT" if is_spot else "STANDARD",
        "automaticRestart": False,  # a second paid life that nobody asked for
        "onHostMaintenance": "MIGRATE" if only_migrates else "TERMINATE",
        "instanceTerminationAction": "STOP" if end is OnFinish.STOP else "DELETE",
        # Not `maxRunDuration`: that counts from when the machine runs, and would end it later than its lease says.
        "terminationTime": moment(order.lease.deadline - AHEAD),
        **({"preemptionNoticeDuration": {"seconds": NOTICE_S}} if is_spot else {}),
        **({"onInstanceStopAction": {"discardLocalSsd": True}} if discards else {}),
    }


def _disk(order: LaunchOrder, image: Image, size: int, note: notes.Note, place: str) -> dict[str, Any]:
    kind = "hyperdisk-balanced" if _HYPERDISK_ONLY.match(order.offer.instance_type) else "pd-balanced"
    return {
        "boot": True,
        "autoDelete": True,
        "initializeParams": {
            "sourceImage": image.self_link,
            "diskSizeGb": str(size),
            "diskType": f"{place}/diskTypes/{kind}",
            "labels": notes.labels(note),
            "description": notes.text(notes.of_thing(order)),
        },
    }


def _interface(place: Place) -> dict[str, Any]:
    access = {"accessConfigs": [PUBLIC_ADDRESS]} if place.is_public else {}
    return {"network": place.network, "subnetwork": place.subnetwork, **access}


def _accelerator(accelerator: str, count: int, place: str) -> dict[str, Any]:
    return {"acceleratorType": f"{place}/acceleratorTypes/{accelerator}", "acceleratorCount": count}


def _metadata(order: LaunchOrder, ready: Ready, user: str, note: notes.Note) -> Mapping[str, str]:
    keys = ready.keys
    return {
        notes.OURS: notes.text(note),
        "user-data": user_data(keys, order.lease.deadline, keys.issued_at).decode(),
        # For images whose accounts Google's own agent makes; only this machine's key, and none of the project's.
        "ssh-keys": f"{user}:{keys.authorized_key}",
        "block-project-ssh-keys": "TRUE",
        "enable-oslogin": "FALSE",
        **ready.image.metadata,
        **({NOTICE_ATTRIBUTE: NOTICE_S} if order.offer.market is Market.SPOT else {}),
    }
