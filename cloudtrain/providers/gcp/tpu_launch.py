"""Making a TPU machine: asked for in Google's queue, with its end in the request, and followed until its turn has come."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...model.errors import NoCapacityError, ProviderError
from ...model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from ...model.spec import Market, OnFinish
from ..acts import all_of
from ..birth import at_deadline
from ..caller import Network, allowed_from
from ..keys import Keys
from . import notes, service_account
from .account import NAME, Account
from .ending import remove_beside
from .launch import make_beside
from .network import Place, find_place
from .operations import request_id
from .tpu_ending import delete_request
from .tpu_machines import PREFIX, WAITING, FoundTpu, find_tpu, of_name
from .tpu_request import QUEUE_S, request
from .tpu_types import KINDS, ends_itself, kind_of
from .translate import code_of, failed, is_unanswered, status_of

PACE_S = 5.0
CREATE = "tpu.projects.locations.queuedResources.create"

_OF_ITS_END = ("runDuration", "maxRunDuration", "max_run_duration", "FLEX_START", "provisioningModel", "provisioning model")


def launch_tpu(order: LaunchOrder, account: Account) -> Instance:
    """Make the order's machine, or return the one it made. See `Provider.launch`. Waits in the queue: 5 minutes at most."""
    _refuse_what_cannot_be(order)
    service_account.refuse_address(order)
    ready = _looked_up(order, account)
    if isinstance(ready, FoundTpu):
        return ready.shown(account)
    place, allowed, keys = ready
    name = notes.name_of(order.token)
    make_beside(order, place, allowed, account)
    try:
        _ask_until_known(order, request(order, keys, place, account), account)
        return _armed(_come(_ref(order), account), order).shown(account)
    except ProviderError as error:
        # Without an answer a machine may have been made: it and what is beside it stay until somebody has looked for it.
        if not is_unanswered(error):
            _undo(name, order, account)
        raise


def _refuse_what_cannot_be(order: LaunchOrder) -> None:
    """Refuse what no TPU machine does, before anything is asked.

    Raises:
        ProviderError: always with what to write instead.
    """
    kind, offer = kind_of(order.offer.instance_type), order.offer
    if kind is None:
        sizes = ", ".join(f"{prefix}-{chips}" for prefix, each in KINDS.items() for chips in each.sizes)
        raise ProviderError(f"{offer.instance_type} is no TPU that is one machine", f"Choose one of these: {sizes}")
    if at_deadline(order) is OnFinish.STOP:
        raise ProviderError("A TPU machine is not stopped and kept: it can only be ended", "Use --on-finish terminate")
    if not ends_itself(offer.instance_type, offer.zone, offer.market) and not order.machine.attended:
        raise _unattended(order, f"Google rents {offer.instance_type} in {offer.zone} without an end of its own")


def _unattended(order: LaunchOrder, why: str) -> ProviderError:
    kind = kind_of(order.offer.instance_type)
    zones = kind.self_ending if kind is not None else ()
    regions = ", ".join(zone.rpartition("-")[0] for zone in zones)
    return ProviderError(
        f"{why}, and a TPU that switches itself off is paid for all the same: without this computer nothing would end it",
        f"Rent where it ends by itself: regions: [{regions}]; or spot: market: spot\n"
        f"Or stay with it and end it yourself: cloudtrain start {order.machine.name} --attended",
    )


def _looked_up(order: LaunchOrder, account: Account) -> tuple[Place, tuple[Network, ...], Keys] | FoundTpu:
    """Ask for everything at once. Nothing is made but the keys here, which go again when something is missing."""
    name, machine, offer = notes.name_of(order.token), order.machine, order.offer
    had_keys = account.keys.keys_of(name) is not None
    with ThreadPoolExecutor(3) as pool:
        existing = pool.submit(of_name, name, account)
        place = pool.submit(find_place, machine, offer, account)
        allowed = pool.submit(allowed_from, machine)
        keys = account.keys.made_for(name, account.now())
        try:
            found = existing.result()
            if found is not None:
                return _not_ended(find_tpu(_ref(order), account))
            ready = place.result(), allowed.result(), keys
            account.rest.time.must_agree()
            return ready
        except ProviderError:
            if not had_keys:
                account.keys.forget(name)
            raise


def _not_ended(found: FoundTpu) -> FoundTpu:
    if found.state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        raise NoCapacityError(f"The TPU this order asked for ({found.name}) has ended; an order makes one machine")
    return found


def _ref(order: LaunchOrder) -> InstanceRef:
    return InstanceRef(NAME, f"{PREFIX}{notes.name_of(order.token)}", order.offer.region, order.offer.zone)


def _ask_until_known(order: LaunchOrder, wanted: dict[str, Any], account: Account) -> None:
    def once(again: str) -> None:
        _ask(order, wanted, account, again)

    if order.checkpoints:
        service_account.until_known(once, account)
    else:
        once("")


def _ask(order: LaunchOrder, wanted: dict[str, Any], account: Account, again: str) -> None:
    path = account.below(f"locations/{order.offer.zone}/queuedResources")
    query = {"queuedResourceId": notes.name_of(order.token), "requestId": request_id(order.token + again, CREATE, path)}
    try:
        account.rest.call(CREATE, "POST", path, query=query, body=wanted)
    except ProviderError as error:
        if code_of(error) in ("alreadyExists", "ALREADY_EXISTS"):
            return
        if status_of(error) == 400 and any(word in error.message for word in _OF_ITS_END):
            raise _unattended(order, f"Google does not take an end for this TPU ({error.message})") from error
        raise


def _come(ref: InstanceRef, account: Account) -> FoundTpu:
    """Return the machine when its turn has come.

    Raises:
        NoCapacityError: it did not come in time; ProviderError: of the kind the table says, when Google gave it up.
    """
    clock = account.settings.clock
    give_up_at = clock.monotonic() + QUEUE_S + PACE_S
    while True:
        found = find_tpu(ref, account)
        if found.queue_state == "FAILED":
            data = found.request["state"].get("failedData", {})
            raise failed(CREATE, found.path, {"error": data.get("error") or {"code": 8}}) or _too_late(found)
        if found.queue_state not in WAITING:
            return _not_ended(found)
        if clock.monotonic() >= give_up_at:
            raise _too_late(found)
        clock.sleep(PACE_S)


def _too_late(found: FoundTpu) -> NoCapacityError:
    return NoCapacityError(
        f"{found.zone} had no {found.wanted.get('acceleratorType', 'TPU')} within {QUEUE_S / 60:.0f} minutes",
        "Another zone or market may have one: cloudtrain offers --gpu TPU-v5e --provider gcp",
    )


def _armed(found: FoundTpu, order: LaunchOrder) -> FoundTpu:
    """Return a machine whose end Google shows; that of an attended one is in nobody's hands but ours.

    Raises:
        ProviderError: Google shows no end, or a later one than was asked for.
    """
    is_attended = order.machine.attended and order.offer.market is not Market.SPOT
    length = found.run_length
    longest = order.lease.deadline - (found.asked_at or order.lease.deadline)
    if is_attended or (length is not None and length <= longest):
        return found
    seen = "no end" if length is None else f"that it may run for {length}"
    raise ProviderError(
        f"Google took the request for {found.name} and shows {seen} where an end by "
        f"{order.lease.deadline:%Y-%m-%d %H:%M} UTC was asked for; "
        "it is ended, for a machine without its deadline is not used",
        "If it happens again: cloudtrain check",
    )


def _undo(name: str, order: LaunchOrder, account: Account) -> None:
    """End what a launch that failed may have made, then remove what is beside it.

    Raises:
        ProviderError: the request could not be deleted: what is beside it stays, and shuts it to the world.
    """
    delete_request(account.below(f"locations/{order.offer.zone}/queuedResources/{name}"), account)
    all_of(lambda: remove_beside(name, account))
