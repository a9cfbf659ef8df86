"""Switching a machine off so that only its disk costs, on again under a new lease, and giving it another type meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...model.errors import ProviderError, ProviderUnavailableError
from ...model.instance import Instance, InstanceRef, InstanceState
from ...model.lease import Lease
from ...model.offer import Offer
from ...model.spec import Market
from ..birth import user_data
from ..keys import Keys
from . import leasing, notes
from .account import Account
from .describe import last, latest_of, market_of
from .firewall import let_caller_in
from .machine_types import parts
from .machines import Found, find, living
from .operations import asked, until_done


def stop(ref: InstanceRef, account: Account) -> None:
    """Switch a machine off. See `Pausable.stop`: Google forgets its end then, and it costs its disk."""
    found = living(ref, account)
    if found.state not in (InstanceState.STOPPED, InstanceState.STOPPING):
        _switch_off(found, account)


def start(ref: InstanceRef, lease: Lease, account: Account) -> Instance:
    """Switch a machine on under a new lease. See `Pausable.start`."""
    found = living(ref, account)
    if found.state is InstanceState.STOPPING:
        raise ProviderUnavailableError(f"{found.name} is still stopping", "Try again in a minute.")
    if found.state is not InstanceState.STOPPED:
        return leasing.move(found, lease, account).shown(account)
    account.rest.time.must_agree()
    keys = _keys(found, account)
    with ThreadPoolExecutor(2) as pool:
        opened = pool.submit(let_caller_in, found, account)
        told = pool.submit(_tell, found, lease, keys, account)
        opened.result()
        told.result()
    until_done(asked(account, "compute.instances.start", "POST", f"{found.path(account)}/start"), account)
    return _armed(find(ref, account), account).shown(account)


def resize(ref: InstanceRef, offer: Offer, account: Account) -> None:
    """Give a stopped machine another type and its price. See `Resizable.resize`."""
    found = living(ref, account)
    if found.state is not InstanceState.STOPPED:
        raise ProviderError(
            f"{found.name} is {found.state.value}, and Google changes the type of a stopped machine only",
            f"Stop it first: cloudtrain stop {found.name}",
        )
    if offer.region != found.region or offer.zone not in ("", found.zone):
        raise ProviderError(f"{found.name} is in {found.zone}, and a disk does not move to {offer.zone or offer.region}")
    _refuse_other_gpus(found, offer)
    _refuse_other_maintenance(found, offer)
    wanted = parts(offer.instance_type).machine_type
    if last(found.machine.get("machineType", "")) != wanted:
        body = {"machineType": f"zones/{found.zone}/machineTypes/{wanted}"}
        path = f"{found.path(account)}/setMachineType"
        until_done(asked(account, "compute.instances.setMachineType", "POST", path, body=body), account)
    leasing.written(found, {**found.note, **notes.of_price(offer)}, {}, account)


def _switch_off(found: Found, account: Account) -> None:
    has_local_ssd = any(disk.get("type") == "SCRATCH" for disk in found.machine.get("disks", ()))
    query = {"discardLocalSsd": "true"} if has_local_ssd else {}
    asked(account, "compute.instances.stop", "POST", f"{found.path(account)}/stop", query=query)


def _tell(found: Found, lease: Lease, keys: Keys, account: Account) -> None:
    now = account.now()
    note = {**found.note, **notes.of_lease(lease, now)}
    leasing.written(found, note, {"user-data": user_data(keys, lease.deadline, now).decode()}, account)
    leasing.schedule_end(found, lease.deadline, account)


def _armed(found: Found, account: Account) -> Found:
    """Return a machine whose end Google shows; one that runs without is switched off again.

    Raises:
        ProviderError: Google shows none.
    """
    if latest_of(found.machine) is None:
        _switch_off(found, account)
        raise ProviderError(f"Google started {found.name} and shows no end for it; it was switched off again")
    return found


def _refuse_other_gpus(found: Found, offer: Offer) -> None:
    has = [(last(each.get("acceleratorType", "")), each.get("acceleratorCount")) for each in _attached(found)]
    wanted = parts(offer.instance_type)
    if has != ([(wanted.accelerator, wanted.count)] if wanted.count else []):
        raise ProviderError(
            f"{offer.instance_type} has other GPUs attached than {found.name}, and those stay as they were made",
            f"End it and launch anew: cloudtrain terminate {found.name}",
        )


def _refuse_other_maintenance(found: Found, offer: Offer) -> None:
    """Refuse a type whose way through maintenance is not the machine's: E2 on demand only moves, and a GPU never does."""
    only_moves = offer.instance_type.startswith("e2-") and market_of(found.machine) is Market.ON_DEMAND
    moves = found.machine.get("scheduling", {}).get("onHostMaintenance") == "MIGRATE"
    if (moves and offer.gpu_count) or (only_moves and not moves):
        raise ProviderError(
            f"{found.name} is a {last(found.machine.get('machineType', ''))}, and Google makes no {offer.instance_type} of it: "
            "the two go through its maintenance in different ways",
            f"End it and launch anew: cloudtrain terminate {found.name}",
        )


def _attached(found: Found) -> list[dict[str, Any]]:
    """Return the GPUs that were attached to a general machine; those of a type of their own come and go with the type."""
    is_general = last(found.machine.get("machineType", "")).startswith("n1-")
    return list(found.machine.get("guestAccelerators", ())) if is_general else []


def _keys(found: Found, account: Account) -> Keys:
    keys = account.keys.keys_of(found.id)
    if keys is None:
        raise ProviderError(
            f"{found.name} ({found.id}) was rented from another computer, and its keys are there",
            f"Start it there, or end it: cloudtrain terminate {found.name}",
        )
    return keys
