"""What we write on everything we make: labels to find it by, and a note that tells all of it.

A label's value is at most 63 lower-case letters, digits, dashes and underscores, and a firewall rule has no labels. So the note
is the truth: one JSON object, in a machine's metadata, in a disk's or rule's description.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...model.instance import LaunchOrder
from ...model.lease import Lease
from ...model.offer import Offer
from ..birth import at_deadline
from ..written import moment

OURS = "cloudtrain"
"""The label all of ours carries, and the key of a machine's note."""

FILTER = f"labels.{OURS}=1"
"""What a look in every zone filters by."""

MACHINE, TOKEN, OWNER, RUN = "name", "token", "owner", "run"
DEADLINE, ISSUED, AT_DEADLINE = "deadline", "issued", "at-deadline"
TYPE, PRICE, BESIDE, GPUS = "instance-type", "usd-per-hour", "beside-usd-per-hour", "gpu-count"
USER, DISK = "user", "disk-gb"
ACCOUNT = "service-account"
"""In the note of what was made beside a machine that has an account of its own, and of the machine."""

Note = Mapping[str, str]

_AS_LABELS = (MACHINE, TOKEN, OWNER, RUN, AT_DEADLINE)
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,48}[a-z0-9])?")
"""What Google takes as a name, with room for what a rule's name adds."""


def name_of(token: str) -> str:
    """Return Google's name of an order's machine: the token itself where it can be one, else one that only it gives."""
    return token if _NAME.fullmatch(token) else "ct-" + hashlib.sha256(token.encode()).hexdigest()[:32]


def of_order(order: LaunchOrder, issued_at: datetime, user: str, disk_gb: int) -> Note:
    """Return everything a machine is to remember of its order."""
    return {
        **of_thing(order),
        RUN: order.run_id,
        **of_lease(order.lease, issued_at),
        **of_price(order.offer),
        AT_DEADLINE: at_deadline(order).value,
        USER: user,
        DISK: str(disk_gb),
    }


def of_thing(order: LaunchOrder) -> Note:
    """Return whose a thing is that is made beside a machine."""
    own = {ACCOUNT: "own"} if order.checkpoints else {}
    return {MACHINE: order.machine.name, TOKEN: order.token, OWNER: order.owner, **own}


def of_lease(lease: Lease, issued_at: datetime) -> Note:
    """Return when a machine ends, and when that was said."""
    return {DEADLINE: moment(lease.deadline), ISSUED: moment(issued_at)}


def of_price(offer: Offer) -> Note:
    """Return what a machine is and costs; an unknown price is an empty text."""
    price = "" if offer.usd_per_hour is None else repr(offer.usd_per_hour)
    return {
        TYPE: offer.instance_type,
        PRICE: price,
        BESIDE: repr(offer.beside_usd_per_hour),
        GPUS: str(offer.gpu_count),
    }


def labels(note: Note) -> dict[str, str]:
    """Return what of a note can be labels, for whoever looks at the console or at a bill."""
    shown = {f"{OURS}-{key}": note[key] for key in _AS_LABELS if _LABEL.fullmatch(note.get(key, ""))}
    return {OURS: "1", **shown}


def text(note: Note) -> str:
    """Return a note as it is written."""
    return json.dumps(note, separators=(",", ":"))


def of_machine(instance: Mapping[str, Any]) -> Note:
    """Return the note in a machine's metadata; empty where there is none that can be read."""
    return read(metadata(instance).get(OURS, ""))


def metadata(instance: Mapping[str, Any]) -> dict[str, str]:
    """Return a machine's metadata."""
    return {item["key"]: item.get("value", "") for item in instance.get("metadata", {}).get("items", ())}


def items(metadata: Mapping[str, str]) -> list[dict[str, str]]:
    """Return metadata as Google takes it."""
    return [{"key": key, "value": value} for key, value in metadata.items()]


def read(written: str) -> Note:
    """Return the note in a text; empty where it is none, for anybody may write there."""
    try:
        note = json.loads(written)
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in note.items()} if isinstance(note, dict) else {}
