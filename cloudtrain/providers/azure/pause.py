"""Deallocating a machine so that only its disk and address cost, starting it under a new lease, giving it another size."""

from concurrent.futures import ThreadPoolExecutor

from ...model.errors import ProviderError, ProviderUnavailableError
from ...model.instance import Instance, InstanceRef, InstanceState
from ...model.lease import Lease
from ...model.offer import Offer
from ..keys import Keys
from . import leasing, tags
from .account import Account
from .describe import is_being_switched_off, power_of, zone_of
from .machines import Found, living, within, write_tags
from .names import zone_number
from .network import let_caller_in
from .versions import COMPUTE
from .virtual_machine import user_data

_MACHINE = "Microsoft.Compute/virtualMachines"


def stop(ref: InstanceRef, account: Account) -> None:
    """Deallocate a machine, also one that is merely powered off, which bills. See `Pausable.stop`."""
    found = living(ref, account)
    machine = found.machine or {}
    if power_of(machine) != "deallocated" and not is_being_switched_off(machine):
        account.arm.begin(f"{_MACHINE}/deallocate/action", "POST", f"{found.places.machine}/deallocate", api=COMPUTE)


def start(ref: InstanceRef, lease: Lease, account: Account) -> Instance:
    """Start a machine under a new lease. See `Pausable.start`."""
    found = living(ref, account)
    if found.state is InstanceState.STOPPING:
        raise ProviderUnavailableError(f"{found.name} is still stopping", "Try again in a minute.")
    if found.state not in (InstanceState.STOPPED, InstanceState.POWERED_OFF):
        return leasing.move(found, lease, account).shown(account)
    account.arm.time.must_agree()
    told = user_data(_keys(found, account), lease.deadline, account.now(), tags.guest_end_of(found.tags))
    with ThreadPoolExecutor(3) as pool:
        written = pool.submit(_changed, found, {"properties": {"userData": told}}, account)
        opened = pool.submit(let_caller_in, found, account)
        moved = pool.submit(leasing.move, found, lease, account)
        written.result()
        opened.result()
        fresh = moved.result()
    path = f"{found.places.machine}/start"
    account.arm.begin(f"{_MACHINE}/start/action", "POST", path, api=COMPUTE).wait()
    return within(fresh.group, account).shown(account)


def resize(ref: InstanceRef, offer: Offer, account: Account) -> None:
    """Give a deallocated machine another size and its price. See `Resizable.resize`."""
    found = living(ref, account)
    if found.state is not InstanceState.STOPPED:
        raise ProviderError(
            f"{found.name} is {found.state.value}, and a machine that is deallocated alone takes any other size",
            f"Stop it first: cloudtrain stop {found.name}",
        )
    zone = zone_of(found.machine or {}, found.region)
    if offer.region != found.region or zone_number(offer.zone) not in ("", zone_number(zone)):
        raise ProviderError(
            f"{found.name} is in {zone or found.region}, and a disk does not move to {offer.zone or offer.region}"
        )
    has = (found.machine or {}).get("properties", {}).get("hardwareProfile", {}).get("vmSize")
    if has != offer.instance_type:
        _changed(found, {"properties": {"hardwareProfile": {"vmSize": offer.instance_type}}}, account)
    write_tags(found, tags.of_price(offer), account)


def _changed(found: Found, change: dict[str, object], account: Account) -> None:
    account.arm.begin(f"{_MACHINE}/write", "PATCH", found.places.machine, api=COMPUTE, body=change).wait()


def _keys(found: Found, account: Account) -> Keys:
    keys = account.keys.keys_of(found.id)
    if keys is None:
        raise ProviderError(
            f"{found.name} ({found.id}) was rented from another computer, and its keys are there",
            f"Start it there, or end it: cloudtrain terminate {found.name}",
        )
    return keys
