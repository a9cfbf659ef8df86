"""Provision: walk down the plan until a machine runs, with its deadline armed and read back. Here money begins."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..ledger.holder import is_alive, this_process
from ..ledger.ledger import Ledger
from ..model.clock import Clock
from ..model.errors import (
    CloudQuotaExceededError,
    CloudtrainError,
    CredentialsError,
    InstanceNotFoundError,
    NoCapacityError,
    NoOfferFitsError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RunHeldError,
    ShutdownError,
)
from ..model.event import Note, Tell
from ..model.instance import Instance, InstanceState, LaunchOrder
from ..model.lease import Lease
from ..model.offer import Offer
from ..model.plan import Plan
from ..providers.base import Provider
from ..providers.waiting import look_for, wait_until

BOOT_TIMEOUT_S = 600.0
"""How long a machine may take from launch to running, in seconds."""

DEADLINE_SLACK = timedelta(minutes=1)
"""How much later than promised a deadline may read back: clouds round to the minute."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A machine, what is paid for it and the lease it was born with."""

    instance: Instance
    offer: Offer
    lease: Lease


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who orders machines, and what it takes to do so.

    Attributes:
        owner: a name for the person and computer.
        run_id: the run the machines are for, or "" for a machine that a person starts by name.
        vet: asked when an order is written down and the cloud has not been asked; may refuse with NoOfferFitsError or
            RunHeldError.
        on_launched: hears of a machine the moment it exists, before anything is waited for, so that whoever guards the run can
            end it.
    """

    ledger: Ledger
    clock: Clock
    tell: Tell
    owner: str
    run_id: str
    vet: Callable[[LaunchOrder], None]
    on_launched: Callable[[Instance, Offer], None]


def provision(plan: Plan, provider: Provider, buyer: Buyer) -> Provisioned:
    """Launch the first offer that can be had and wait until it runs. See `launch_first`."""
    launched = launch_first(plan, provider, buyer)
    ready = armed_and_running(launched.instance, launched.lease.deadline, provider, buyer.clock)
    return replace(launched, instance=ready)


def launch_first(plan: Plan, provider: Provider, buyer: Buyer) -> Provisioned:
    """Launch the first offer that can be had; return as soon as the cloud has accepted it, its deadline armed.

    Orders of this run (or of this name, when it is for no run) that nobody heard back from are asked again first, with the
    token they had: that cannot make a second machine.

    Raises:
        NoOfferFitsError: every offer of the plan was refused, or may not be paid for; nothing was rented.
        ProviderError: the cloud refused for a reason that no other offer would cure.
        RunHeldError: another process that lives is ordering the same; nothing was rented here.
    """
    refused: list[str] = []
    cures: dict[str, None] = {}
    full_regions: set[str] = set()
    for order in _orders(plan, buyer):
        if order.offer.region in full_regions:
            continue
        if _is_more_than_wanted(order, plan, buyer):
            _undo(order, provider, buyer)
            continue
        try:
            instance = _launch(order, provider, buyer)
        except CloudQuotaExceededError:
            raise  # no other offer of this cloud would do
        except (NoCapacityError, QuotaExceededError) as error:
            refused.append(_refusal(order.offer, error))
            cures.update(dict.fromkeys(error.hint.splitlines()))
            buyer.tell(Note(f"{refused[-1]}; trying the next offer.", "warning"))
            if isinstance(error, QuotaExceededError):
                full_regions.add(order.offer.region)
        else:
            return Provisioned(instance, order.offer, order.lease)
    raise NoOfferFitsError(
        f"{plan.machine.name}: no offer of the plan could be had; nothing was rented.",
        "\n".join([*refused, *cures]) + f"\nTry later, or look elsewhere: cloudtrain offers --provider {plan.machine.provider}",
    )


def armed_and_running(instance: Instance, latest: datetime, provider: Provider, clock: Clock) -> Instance:
    """Wait until a machine runs, and see that its deadline is armed for `latest` or earlier.

    Raises:
        ProviderError: it did not come up in time, or vanished.
        CloudtrainError: it runs without the deadline it was ordered with.
    """
    seen = wait_until(provider, instance.ref, _SETTLED, clock, BOOT_TIMEOUT_S)
    if seen is None:
        raise InstanceNotFoundError(f"{instance.ref.id} vanished while it was starting")
    if seen.state is not InstanceState.RUNNING:
        raise ProviderError(f"{instance.ref.id} did not start: it is {seen.state.value} after {BOOT_TIMEOUT_S:.0f} s")
    return armed(seen, latest)


def armed(seen: Instance, latest: datetime) -> Instance:
    """Return the machine as it is, its deadline being `latest` or earlier.

    Raises:
        CloudtrainError: it lives without the deadline it was ordered with.
    """
    if seen.deadline is None or seen.deadline > latest + DEADLINE_SLACK:
        raise CloudtrainError(
            f"{seen.ref.id} exists, but its deadline does not read back as armed "
            f"(wanted {latest:%H:%M}, found {seen.deadline or 'none'}); it is not used."
        )
    return seen


def _orders(plan: Plan, buyer: Buyer) -> Iterator[LaunchOrder]:
    for order in _unheard(plan.machine.name, buyer):
        _refuse_anothers(order)
        yield order
    for attempt in plan.attempts:
        yield LaunchOrder(
            f"ct-{uuid.uuid4().hex}",
            plan.machine,
            attempt.offers[0],
            attempt.lease,
            buyer.owner,
            plan.machine.disk_gb,
            buyer.run_id,
            plan.at_deadline,
            plan.checkpoints,
            this_process(),
        )


def _is_more_than_wanted(order: LaunchOrder, plan: Plan, buyer: Buyer) -> bool:
    """Say whether an earlier order would live longer, or cost more, than what is wanted now."""
    wanted = plan.attempts[0].lease
    if order.lease.deadline > wanted.deadline + DEADLINE_SLACK:
        return True
    return wanted.budget_usd is not None and order.lease.most_usd(buyer.clock.now()) > wanted.budget_usd


def _unheard(name: str, buyer: Buyer) -> list[LaunchOrder]:
    """Return the orders for the same that are open and whose machine might still live, oldest first."""
    now = buyer.clock.now()
    orders = buyer.ledger.open_intents()
    return [o for o in orders if (o.run_id, o.machine.name) == (buyer.run_id, name) and o.lease.deadline > now]


def _refuse_anothers(order: LaunchOrder) -> None:
    if order.holder not in ("", this_process()) and is_alive(order.holder):
        raise RunHeldError(
            f"{order.machine.name} is being started by another cloudtrain just now", "Look in a moment: cloudtrain status"
        )


def _undo(order: LaunchOrder, provider: Provider, buyer: Buyer) -> None:
    """End what an earlier, unheard order has made: its lease is longer than what is wanted now."""
    for instance in look_for((order.token,), provider, buyer.clock):
        provider.terminate(instance.ref)
        wait_until(provider, instance.ref, (InstanceState.TERMINATED,), buyer.clock, BOOT_TIMEOUT_S)
        provider.terminate(instance.ref)  # what the cloud lets go of only now
    buyer.ledger.settle(order.token, None)


def _refusal(offer: Offer, error: ProviderError) -> str:
    kind = "Quota" if isinstance(error, QuotaExceededError) else "No capacity"
    return f"{kind}: {offer.instance_type} in {offer.zone or offer.region}: {error.message}"


def _launch(order: LaunchOrder, provider: Provider, buyer: Buyer) -> Instance:
    """Write the order down, then ask. An error that says nothing certain is answered by looking for the token."""
    ledger = buyer.ledger
    if order.token not in {known.token for known in ledger.open_intents()}:
        ledger.intend(order)
    try:
        # Two terminals may have written down the same at once: the first of them goes on.
        _refuse_anothers(_unheard(order.machine.name, buyer)[0])
        buyer.vet(order)
        instance = provider.launch(order)
    except (NoCapacityError, QuotaExceededError, NoOfferFitsError, RunHeldError):
        ledger.settle(order.token, None)
        raise
    except ProviderError as error:
        was_made = _end_what_may_exist(order, provider, buyer.clock, error)
        ledger.settle(order.token, None)
        if was_made:
            raise CloudtrainError(f"{error.message}. A machine was made all the same; it was ended.", error.hint) from error
        raise
    # The intent stays open until somebody answers for the machine: in between a Ctrl-C finds one or the other.
    buyer.on_launched(instance, order.offer)
    ledger.settle(order.token, instance.ref)
    return instance


def _end_what_may_exist(order: LaunchOrder, provider: Provider, clock: Clock, cause: ProviderError) -> bool:
    """End what a launch that failed has made all the same; say whether it had made something.

    Raises:
        ShutdownError: nobody knows whether it did.
    """
    if isinstance(cause, CredentialsError | PermissionDeniedError):
        return False  # Whom a cloud does not know or let, it makes nothing for.
    try:
        found = look_for((order.token,), provider, clock)
        for instance in found:
            provider.terminate(instance.ref)
            wait_until(provider, instance.ref, (InstanceState.TERMINATED,), clock, BOOT_TIMEOUT_S)
            provider.terminate(instance.ref)  # what the cloud lets go of only now
    except ProviderError as error:
        raise _may_exist(order, f"{cause.message}; and then {provider.name} could not be asked: {error.message}") from cause
    if not found and isinstance(cause, ProviderUnavailableError):
        raise _may_exist(order, cause.message) from cause
    return bool(found)


def _may_exist(order: LaunchOrder, why: str) -> ShutdownError:
    return ShutdownError(
        f"The launch of {order.machine.name} was not answered ({why}). A machine may have been made; if so, it ends by itself "
        f"by {order.lease.deadline:%Y-%m-%d %H:%M} UTC.",
        "Look again in a minute: cloudtrain status",
    )


_SETTLED = (InstanceState.RUNNING, InstanceState.STOPPED, InstanceState.TERMINATED, InstanceState.POWERED_OFF)
