"""The request that makes a TPU machine: a place in Google's queue, and how long the machine may run once it has come."""

from datetime import datetime, timedelta
from typing import Any

from ...model.instance import LaunchOrder
from ...model.lease import GuestEnd
from ...model.spec import Market
from .. import boot
from ..keys import Keys
from ..reach import DEFAULT_USER
from . import notes, service_account
from .account import Account
from .network import Place
from .tpu_machines import ATTENDED
from .tpu_types import kind_of

QUEUE_S = 300.0
"""How long a request waits for a TPU, in seconds: whoever rents wants one now, or the next offer."""

COMING_S = 300.0
"""How long a TPU may take from its turn in the queue until it runs, in seconds; Google counts its running from then."""

LONGEST_FLEX = timedelta(days=7)
"""How long flex-start rents at most."""

SCOPE = "https://www.googleapis.com/auth/logging.write"
"""All that the default service account may do there. Google gives every TPU machine one, and where no scope is named all of
them."""


def request(order: LaunchOrder, keys: Keys, place: Place, account: Account) -> dict[str, Any]:
    """Return what queuedResources.create is asked for."""
    name = notes.name_of(order.token)
    node = _node(order, keys, place, account)
    spec = {"parent": account.below(f"locations/{order.offer.zone}"), "nodeId": name, "node": node}
    return {"tpu": {"nodeSpec": [spec]}, "queueingPolicy": {"validUntilDuration": f"{QUEUE_S:.0f}s"}, **_bought(order, account)}


def run_length(order: LaunchOrder, now: datetime) -> timedelta:
    """Return how long the order's machine may run, so that it ends by its deadline however long it waits to come.

    It is counted from when the machine runs: what is taken off for the queue is more than it can lose there, and no machine
    runs, or costs, longer than its lease.
    """
    left = order.lease.deadline - now
    reserve = min(timedelta(seconds=QUEUE_S + COMING_S), left / 2)
    length = left - reserve
    return min(length, LONGEST_FLEX) if order.offer.market is not Market.SPOT else length


def _bought(order: LaunchOrder, account: Account) -> dict[str, Any]:
    """Return how it is bought, and when Google ends it; an attended machine has no end of Google's."""
    if order.machine.attended and order.offer.market is not Market.SPOT:
        return {"guaranteed": {}}
    how: dict[str, Any] = {"spot": {}} if order.offer.market is Market.SPOT else {"provisioningModel": "FLEX_START"}
    length = run_length(order, account.now())
    return {**how, "runDuration": {"maxRunDuration": f"{int(length.total_seconds())}s"}}


def _node(order: LaunchOrder, keys: Keys, place: Place, account: Account) -> dict[str, Any]:
    kind = kind_of(order.offer.instance_type)
    image, name = order.machine.image, notes.name_of(order.token)
    user = order.machine.ssh.user or DEFAULT_USER
    attended = {ATTENDED: "1"} if order.machine.attended and order.offer.market is not Market.SPOT else {}
    note = {**notes.of_order(order, keys.issued_at, user, order.disk_gb or 0), **attended}
    return {
        "acceleratorType": order.offer.instance_type,
        "runtimeVersion": kind.runtime if image == "auto" and kind is not None else image,
        "description": "Rented by cloudtrain",
        "labels": notes.labels(note),
        "tags": [name],
        "networkConfig": {
            "network": place.network,
            "subnetwork": place.subnetwork,
            "enableExternalIps": place.is_public,
        },
        "serviceAccount": _service_account(order, account),
        "metadata": _metadata(order, keys, user, note),
        **({"bootDiskConfig": {"diskSizeGb": str(order.disk_gb)}} if order.disk_gb else {}),
    }


def _service_account(order: LaunchOrder, account: Account) -> dict[str, Any]:
    email = service_account.email_for(order, account)
    return {"email": email, "scope": [service_account.SCOPE, SCOPE]} if email else {"scope": [SCOPE]}


def _metadata(order: LaunchOrder, keys: Keys, user: str, note: notes.Note) -> dict[str, str]:
    born_with = boot.BootOrder(
        deadline=order.lease.deadline,
        issued_at=keys.issued_at,
        guest_end=GuestEnd.NONE,
        authorized_key=keys.authorized_key,
        host_key=keys.host_key,
        host_public_key=keys.host_public_key,
    )
    return {
        notes.OURS: notes.text(note),
        "user-data": boot.cloud_config(born_with).decode(),
        "startup-script": host_key_script(keys),
        "ssh-keys": f"{user}:{keys.authorized_key}",
        "block-project-ssh-keys": "TRUE",
        "enable-oslogin": "FALSE",
    }


def host_key_script(keys: Keys) -> str:
    """Return a script that gives the machine its host key: Google promises that a TPU machine runs a start-up script."""
    kind = keys.host_public_key.split(maxsplit=1)[0].removeprefix("ssh-")
    place = f"/etc/ssh/ssh_host_{kind}_key"
    return (
        "#!/bin/sh\numask 077\n"
        f"cat >{place}.new <<'KEY'\n{keys.host_key.strip()}\nKEY\n"
        f"if cmp -s {place}.new {place}; then rm {place}.new; exit; fi\n"
        f"rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub\n"
        f"mv {place}.new {place}\n"
        f"echo '{keys.host_public_key.strip()}' >{place}.pub\nchmod 644 {place}.pub\n"
        "systemctl restart ssh\n"
    )
