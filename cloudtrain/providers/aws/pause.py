"""Switching a machine off so that only its disk costs, on again under a new lease, and giving it another type meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...model.errors import ProviderError, ProviderUnavailableError
from ...model.instance import Instance, InstanceRef, InstanceState
from ...model.lease import Lease
from ...model.offer import Offer
from ..birth import user_data
from ..keys import Keys
from . import leasing, spot, tags
from .account import Account
from .again import asked_again
from .groups import let_caller_in
from .machines import Found, living
from .translate import calling


def stop(ref: InstanceRef, account: Account) -> None:
    """Switch a machine off. See `Pausable.stop`."""
    found = living(ref, account)
    if found.state in (InstanceState.STOPPED, InstanceState.STOPPING):
        return
    spot.refuse_stop(found)
    # First, for it might end the stopped machine, whose disk is to be kept; meanwhile the machine's own deadline stands.
    leasing.disarm_schedule(found, account)
    with calling(found.region):
        account.clients.ec2(found.region).stop_instances(InstanceIds=[found.id])


def start(ref: InstanceRef, lease: Lease, account: Account) -> Instance:
    """Switch a machine on under a new lease. See `Pausable.start`."""
    found = living(ref, account)
    if found.state is InstanceState.STOPPING:
        raise ProviderUnavailableError(f"{found.name} is still stopping", "Try again in a minute.")
    if found.state is not InstanceState.STOPPED:
        return leasing.move(found, lease, account).shown(account)
    account.clients.time.must_agree()
    told = user_data(_keys(found, account), lease.deadline, account.now())
    with ThreadPoolExecutor(3) as pool:
        written = pool.submit(_write_user_data, found, told, account)
        opened = pool.submit(let_caller_in, found.machine, found.region, account)
        moved = pool.submit(leasing.move, found, lease, account)
        written.result()
        opened.result()
        fresh = moved.result()
    reply = asked_again(lambda: _switch_on(found, account), account.settings.clock)
    return fresh.with_tags({}, reply["StartingInstances"][0]["CurrentState"]["Name"]).shown(account)


def resize(ref: InstanceRef, offer: Offer, account: Account) -> None:
    """Give a stopped machine another type and its price. See `Resizable.resize`."""
    found = living(ref, account)
    if found.state is not InstanceState.STOPPED:
        raise ProviderError(
            f"{found.name} is {found.state.value}, and EC2 changes the type of a stopped machine only",
            f"Stop it first: cloudtrain stop {found.name}",
        )
    if offer.region != found.region:
        raise ProviderError(f"{found.name} is in {found.region}, and a disk does not move to {offer.region}")
    ec2 = account.clients.ec2(found.region)
    with calling(found.region):
        if found.machine.get("InstanceType") != offer.instance_type:
            ec2.modify_instance_attribute(InstanceId=found.id, InstanceType={"Value": offer.instance_type})
        ec2.create_tags(Resources=[found.id], Tags=tags.as_list(tags.of_price(offer)))


def _switch_on(found: Found, account: Account) -> Any:
    """Ask once: a machine that starts already is no error, and "no capacity" comes as HTTP 500, which the SDK would repeat."""
    with calling(found.region):
        return account.clients.launching(found.region).start_instances(InstanceIds=[found.id])


def _keys(found: Found, account: Account) -> Keys:
    keys = account.keys.keys_of(found.token)
    if keys is None:
        raise ProviderError(
            f"{found.name} ({found.id}) was rented from another computer, and its keys are there",
            f"Start it there, or end it: cloudtrain terminate {found.name}",
        )
    return keys


def _write_user_data(found: Found, told: bytes, account: Account) -> None:
    with calling(found.region):
        account.clients.ec2(found.region).modify_instance_attribute(InstanceId=found.id, UserData={"Value": told})
