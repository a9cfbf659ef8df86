"""Making a machine: what it needs is looked up at once, its group and network are made, then it is, and its ends are armed.

Azure accepts a machine and says later, in the operation, that it has none; what it could not make stays in its group. So the
operation is followed to its end, and the group goes with everything in it when anything fails.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ...model.errors import CloudtrainError, LedgerError, NoCapacityError, ProviderError
from ...model.instance import Instance, LaunchOrder
from ...model.lease import GuestEnd
from ..caller import allowed_from
from . import checkpoints, killers, tags
from .account import Account
from .describe import failure_of, is_ending
from .driver import bring_driver
from .ending import delete_group
from .image import find_image
from .killers import Killers
from .leasing import say_what_is_missing
from .machines import Found, made_before, within, write_tags
from .names import Places, name_of
from .network import make_network, subnet_of
from .operation import Operation, resumed
from .role import GIVE, find_role
from .translate import failed, is_unanswered
from .versions import COMPUTE, RESOURCES
from .virtual_machine import Ready, disk_gb, request

_MAKE = "Microsoft.Compute/virtualMachines/write"


def launch(order: LaunchOrder, account: Account) -> Instance:
    """Make the order's machine, or return the one it made. See `Provider.launch`."""
    subnet_of(order.machine)
    places = account.places(name_of(order.token))
    ready, group = _looked_up(order, places, account)
    begun = within(group, account) if group is not None else None
    try:
        found = _made(order, ready, places, account) if begun is None else _taken_up(order, ready, begun, account)
    except (ProviderError, LedgerError) as error:
        # What this call began goes also where no answer came: a machine that was made all the same lies in the group. One
        # that was there before is not ended because a line broke.
        if begun is None or (isinstance(error, ProviderError) and not is_unanswered(error)):
            _undo(ready, places, account)
        raise
    account.settings.operations.forget(order.token)
    return found.shown(account)


def _looked_up(order: LaunchOrder, places: Places, account: Account) -> tuple[Ready, Mapping[str, Any] | None]:
    """Ask for everything at once. Nothing is made but the keys here, which go again when something is missing."""
    had_keys = account.keys.keys_of(places.name) is not None
    with ThreadPoolExecutor(6) as pool:
        existing = pool.submit(made_before, places.name, account)
        image = pool.submit(find_image, order.machine, order.offer, account.arm)
        allowed = pool.submit(allowed_from, order.machine)
        role = pool.submit(find_role, account)
        container = pool.submit(checkpoints.find_container, order, account)
        keys = pool.submit(account.keys.made_for, places.name, account.now())
        try:
            group = existing.result()
            if group is not None and is_ending(group):
                raise NoCapacityError(
                    f"The machine this order made ({places.name}) is being deleted; an order makes one machine"
                )
            ready = Ready(image.result(), allowed.result(), keys.result(), role.result(), container.result())
            account.arm.time.must_agree()
            return ready, group
        except CloudtrainError:
            if not had_keys and keys.exception() is None:
                account.keys.forget(places.name)
            raise


def _taken_up(order: LaunchOrder, ready: Ready, found: Found, account: Account) -> Found:
    """Return the machine of an order that was begun before: finished where it was broken off."""
    was_armed = bool(found.tags.get(tags.DEADLINE))
    if found.machine is None and was_armed:
        raise NoCapacityError(f"The machine this order made ({found.id}) is gone; an order makes one machine")
    if found.machine is None:
        return _made(order, ready, found.places, account)
    failure = failure_of(found.machine)
    if failure is not None:
        raise failed(_MAKE, found.places.machine, failure)
    operation = _noted(order, account)
    if operation is None and was_armed:
        checkpoints.give(order, found, ready.container, account)
        _bring_driver(order, ready, found, account)
        return found
    return _finished(order, ready, operation, found, account)


def _noted(order: LaunchOrder, account: Account) -> Operation | None:
    """Return what Azure was doing for an order when it was broken off; None when nothing readable is noted."""
    continuation = account.settings.operations.noted(order.token)
    with suppress(ProviderError):  # the machine itself is looked at then
        return resumed(account.arm, continuation) if continuation else None
    return None


def _made(order: LaunchOrder, ready: Ready, places: Places, account: Account) -> Found:
    size = disk_gb(order.disk_gb, ready.image)
    known = {**tags.of_order(order, ready.keys.issued_at, ready.user(order), size), **checkpoints.as_tags(ready.container)}
    act, body = "Microsoft.Resources/subscriptions/resourceGroups/write", {"location": order.offer.region, "tags": dict(known)}
    group = account.arm.call(act, "PUT", places.group, api=RESOURCES, body=body)
    make_network(order, ready.allowed, places, account)
    operation = account.arm.begin(_MAKE, "PUT", places.machine, api=COMPUTE, body=request(order, ready, places))
    account.settings.operations.note(order.token, operation.token())
    return _finished(order, ready, operation, Found(group, operation.content, "", places), account)


def _finished(order: LaunchOrder, ready: Ready, operation: Operation | None, begun: Found, account: Account) -> Found:
    """Arm what ends the machine while Azure makes it, and once more what could not be armed yet; return it when it is made.

    Its right to its checkpoints takes minutes to count, so it is given as soon as its identity is known.

    Raises:
        ProviderError: Azure could not make it, or nothing would end it.
    """
    early, _ = _armed(order, ready, begun, account)
    if early.principal:
        checkpoints.give(order, early, ready.container, account)
    if operation is not None:
        operation.wait()
    made = within(early.group, account)
    if made.machine is None:
        raise NoCapacityError(f"The machine this order made ({made.id}) is gone; an order makes one machine")
    found, armed = _armed(order, ready, made, account)
    if not armed.is_armed:
        raise killers.unarmed(found.id, armed)
    say_what_is_missing(found.name, armed, order.lease.deadline, account)
    if ready.role is not None and armed.guest_end is GuestEnd.NONE:
        account.settings.say(
            f"{found.name} was not given the right to end itself (this login lacks {GIVE}): Azure alone keeps its deadline, "
            "and nothing on the machine ends it sooner when it is idle."
        )
    if not early.principal:
        checkpoints.give(order, found, ready.container, account)
    if found.principal and armed.guest_end is GuestEnd.NONE and not ready.container:
        found = _without_identity(found, account)
    _bring_driver(order, ready, found, account)
    return found


def _armed(order: LaunchOrder, ready: Ready, found: Found, account: Account) -> tuple[Found, Killers]:
    """Arm what is not armed yet, and write down what is: from then on the machine has its deadline."""
    already, own = Killers.noted(found.tags), ready.own(order, found.principal)
    armed = killers.arm(found.places, order.offer.region, order.lease.deadline, own, account, already)
    if not armed.is_armed or armed.as_tags() == already.as_tags():
        return found, armed
    return write_tags(found, {**tags.of_lease(order.lease, ready.keys.issued_at), **armed.as_tags()}, account), armed


def _bring_driver(order: LaunchOrder, ready: Ready, found: Found, account: Account) -> None:
    if ready.image.wants_driver:
        bring_driver(found.places, order.offer.region, account)


def _without_identity(found: Found, account: Account) -> Found:
    """Take away an identity that nobody here may give any right to."""
    body = {"identity": {"type": "None"}}
    account.arm.begin(_MAKE, "PATCH", found.places.machine, api=COMPUTE, body=body).wait()
    return within(found.group, account)


def _undo(ready: Ready, places: Places, account: Account) -> None:
    """Delete the group of a launch that failed, and with it whatever it had come to; take back its machine's right."""
    with suppress(ProviderError):  # what stays bears our tags, and is found as a machine or a leftover
        delete_group(places, account)
        checkpoints.take_back(checkpoints.as_tags(ready.container), places, account)
        account.keys.forget(places.name)
