"""Making a machine: what it needs is looked up at once, its firewall rules are made, then it is, its end in the same call.

Google accepts a machine and says later, in the operation, that it has none: the operation is followed to its end.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ...model.errors import InstanceNotFoundError, NoCapacityError, ProviderError, ProviderUnavailableError
from ...model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from ...model.offer import Offer
from ..caller import Network, allowed_from
from . import notes, service_account
from .account import NAME, Account
from .describe import latest_of, region_of
from .firewall import make_rules, remove_rules
from .image import find_image
from .insert import NOTICE_ATTRIBUTE, Ready, request
from .machines import Found, find, of_token
from .market import machine_types
from .network import Place, find_place
from .operations import Accepted, asked, until_done
from .translate import code_of, is_unanswered, status_of


def launch(order: LaunchOrder, account: Account) -> Instance:
    """Make the order's machine, or return the one it made. See `Provider.launch`."""
    service_account.refuse_address(order)
    ready = _looked_up(order, account)
    if isinstance(ready, Found):
        return ready.shown(account)
    make_beside(order, ready.place, ready.allowed, account)
    try:
        return _made_in_one_of(order, ready, account).shown(account)
    except ProviderError as error:
        # Without an answer a machine may have been made: its rules and keys stay until somebody has looked for it.
        if not is_unanswered(error):
            _undo(order, ready.place.project, account)
        raise


def make_beside(order: LaunchOrder, place: Place, allowed: Sequence[Network], account: Account) -> None:
    """Make the order's firewall rules, and its service account where it asks for one. What was made is gone when one fails.

    Raises:
        ProviderError: Google refused.
    """
    with ThreadPoolExecutor(2) as pool:
        rules = pool.submit(make_rules, order, place, allowed, account)
        own = pool.submit(service_account.make, order, account)
    try:
        own.result()
        rules.result()
    except ProviderError:
        if rules.exception() is None:
            _undo(order, place.project, account)
        else:
            service_account.undo(order, account)
            account.keys.forget(notes.name_of(order.token))
        raise


def _looked_up(order: LaunchOrder, account: Account) -> Ready | Found:
    """Ask for everything at once. Nothing is made but the keys here, which go again when something is missing."""
    name, machine, offer = notes.name_of(order.token), order.machine, order.offer
    had_keys = account.keys.keys_of(name) is not None
    with ThreadPoolExecutor(6) as pool:
        existing = pool.submit(of_token, order.token, account)
        image = pool.submit(find_image, machine.image, offer, account.rest)
        place = pool.submit(find_place, machine, offer, account)
        allowed = pool.submit(allowed_from, machine)
        keys = pool.submit(account.keys.made_for, name, account.now())
        zones = pool.submit(_zones, offer, account)
        try:
            found = existing.result()
            if found is not None:
                return _not_ended(found)
            ready = Ready(image.result(), place.result(), allowed.result(), keys.result(), zones.result())
            account.rest.time.must_agree()
            return ready
        except ProviderError:
            if not had_keys and keys.exception() is None:
                account.keys.forget(name)
            raise


def _zones(offer: Offer, account: Account) -> tuple[str, ...]:
    """Return the offer's zone; where it names none, those of its region that have the type: Google chooses none itself."""
    if offer.zone:
        return (offer.zone,)
    known = machine_types(account.rest, (offer.instance_type,))
    zones = sorted({each.zone for each in known if each.name == offer.instance_type and each.region == offer.region})
    if not zones:
        raise NoCapacityError(f"No zone of {offer.region} has {offer.instance_type}", "Another region or type may do.")
    return tuple(zones)


def _not_ended(found: Found) -> Found:
    if found.state is InstanceState.TERMINATING:
        raise NoCapacityError(f"The machine this order made ({found.id}) is being deleted; an order makes one machine")
    return found


def _made_in_one_of(order: LaunchOrder, ready: Ready, account: Account) -> Found:
    *others, last = ready.zones
    for zone in others:
        with suppress(NoCapacityError):  # the next zone of the region may have one
            return _made(order, ready, zone, account)
    return _made(order, ready, last, account)


def _made(order: LaunchOrder, ready: Ready, zone: str, account: Account) -> Found:
    def once(again: str) -> Found:
        return _made_once(order, ready, zone, account, again)

    return service_account.until_known(once, account) if order.checkpoints else once("")


def _made_once(order: LaunchOrder, ready: Ready, zone: str, account: Account, again: str) -> Found:
    ref = InstanceRef(NAME, notes.name_of(order.token), region_of(zone), zone)
    accepted = _inserted(order.token + again, request(order, ready, zone, account), zone, account)
    try:
        if accepted is not None:
            until_done(accepted, account)
        return _armed(find(ref, account), order)
    except InstanceNotFoundError as error:
        raise NoCapacityError(f"The machine this order made ({ref.id}) is gone; an order makes one machine") from error
    except ProviderError as error:
        if not is_unanswered(error):
            _end(ref, error, account)
        raise


def _inserted(known_by: str, wanted: Mapping[str, Any], zone: str, account: Account) -> Accepted | None:
    """Ask for the machine; None when it is there already."""
    path = account.below(f"zones/{zone}/instances")
    try:
        return asked(account, "compute.instances.insert", "POST", path, body=wanted, known_by=known_by)
    except ProviderError as error:
        if code_of(error) == "alreadyExists":
            return None
        if status_of(error) != 400 or "preemptionNoticeDuration" not in error.message:
            raise
    # Where Google does not know it yet, the notice is shorter.
    plain = {key: value for key, value in wanted["scheduling"].items() if key != "preemptionNoticeDuration"}
    told = [item for item in wanted["metadata"]["items"] if item["key"] != NOTICE_ATTRIBUTE]
    body = {**wanted, "scheduling": plain, "metadata": {"items": told}}
    return asked(account, "compute.instances.insert", "POST", path, body=body, known_by=f"{known_by} plain")


def _armed(found: Found, order: LaunchOrder) -> Found:
    """Return a machine whose end Google shows.

    Raises:
        ProviderError: Google shows no end, or a later one than was asked for.
    """
    latest = latest_of(found.machine)
    if latest is None or latest > order.lease.deadline:
        seen = "no end" if latest is None else f"an end for {latest:%Y-%m-%d %H:%M} UTC"
        raise ProviderError(
            f"Google made {found.id} and shows {seen} where {order.lease.deadline:%Y-%m-%d %H:%M} UTC was asked for; "
            "it is ended, for a machine without its deadline is not used",
            "If it happens again: cloudtrain check",
        )
    return found


def _end(ref: InstanceRef, why: ProviderError, account: Account) -> None:
    """Delete what a launch that failed may have made."""
    try:
        asked(account, "compute.instances.delete", "DELETE", account.below(f"zones/{ref.zone}/instances/{ref.id}"))
    except ProviderError as error:
        if status_of(error) != 404:
            raise ProviderUnavailableError(
                f"{why.message}. {ref.id} may exist all the same, and was not ended: {error.message}",
                "Look: cloudtrain status; cloudtrain sweep",
            ) from why


def _undo(order: LaunchOrder, project: str, account: Account) -> None:
    """Remove what was made beside the machine."""
    name = notes.name_of(order.token)
    service_account.undo(order, account)
    with suppress(ProviderError):  # what stays bears our note and is found as a leftover
        remove_rules(name, account, project)
        account.keys.forget(name)
