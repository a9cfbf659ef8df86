"""A machine that is off is switched on again: its lease and its cost are written down before its cloud is asked."""

from dataclasses import replace

from .journey import Tools
from .model.errors import (
    CloudtrainError,
    CredentialsError,
    NoCapacityError,
    NoOfferFitsError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    ShutdownError,
)
from .model.event import Note
from .model.instance import Instance, InstanceState
from .model.lease import Lease
from .model.money import cents_up
from .model.spec import Budget
from .providers.base import Pausable, Provider
from .providers.waiting import wait_until
from .spending import refuse_overcommitted
from .stages.plan import SHORTEST_LEASE_S
from .stages.provision import BOOT_TIMEOUT_S, armed

LOOK_FOR_S = 10.0
"""How long a start that was not answered is looked for, in seconds: a cloud's descriptions lag behind."""

_REFUSALS = (NoCapacityError, QuotaExceededError, CredentialsError, PermissionDeniedError, NoOfferFitsError)
"""Whoever hears one of these knows that the machine is off."""


def wake(found: Instance, budget: Budget, run_id: str, provider: Provider, tools: Tools) -> Instance:
    """Switch a machine on; return when its cloud has accepted and the new deadline is armed. It bills for a run, or none ("").

    One that is just stopping is waited for. In the books it is on before the cloud is asked, so that another terminal that
    wants the rest of the month at the same moment sees it there.

    Raises:
        NoOfferFitsError: the dollars buy too little, or nobody knows how long they last; it stays off.
        ProviderError: it cannot be switched on.
        ShutdownError: nobody knows whether it was.
        CloudtrainError: it came on without its deadline, and was switched off again.
    """
    if not isinstance(provider, Pausable):
        raise ProviderError(
            f"{found.name} is {found.state.value} and {provider.name} cannot switch it on",
            f"End it and launch anew: cloudtrain terminate {found.name}",
        )
    if found.state is InstanceState.STOPPING:
        wait_until(provider, found.ref, (InstanceState.STOPPED, InstanceState.TERMINATED), tools.clock, BOOT_TIMEOUT_S)
    books, began = tools.ledger.spend, tools.clock.now()
    books.found_off(found, began)
    lease = _lease_for(found, budget, tools)
    books.opened(replace(found, state=InstanceState.PENDING, deadline=lease.deadline), None, run_id, began)
    try:
        refuse_overcommitted(tools.ledger, tools.monthly_budget(), began)
        woken = provider.start(found.ref, lease)
    except _REFUSALS:
        books.stopped(found, began)  # as if it had never been on
        raise
    except ProviderError as error:
        seen = _on_all_the_same(found, lease, error, provider, tools)
        if seen is None:
            raise  # On in the books until a later look says what is so: descriptions may lag behind for longer.
        woken = seen
    return _armed(woken, lease, provider, tools)


def _on_all_the_same(found: Instance, lease: Lease, error: ProviderError, provider: Provider, tools: Tools) -> Instance | None:
    """Look whether a machine came on although its cloud did not say so; None when it is off.

    Raises:
        ShutdownError: nobody knows.
    """
    try:
        seen = wait_until(provider, found.ref, (InstanceState.PENDING, InstanceState.RUNNING), tools.clock, LOOK_FOR_S)
    except ProviderError as silent:
        raise ShutdownError(
            f"{found.name} was told to start, and {provider.name} does not say whether it did ({error.message}). "
            f"If so, it ends by itself by {lease.deadline:%Y-%m-%d %H:%M} UTC.",
            f"Look in a minute: cloudtrain status\nSwitch it off: cloudtrain stop {found.name}",
        ) from silent
    return seen if seen is not None and seen.state.bills_compute else None


def _armed(woken: Instance, lease: Lease, provider: Pausable, tools: Tools) -> Instance:
    """Return a machine whose deadline is armed; switch one off again that has none."""
    try:
        return armed(woken, lease.deadline)
    except CloudtrainError:
        with tools.uninterrupted():
            provider.stop(woken.ref)
        raise


def _lease_for(found: Instance, budget: Budget, tools: Tools) -> Lease:
    now, price = tools.clock.now(), found.full_usd_per_hour
    if price != 0.0:
        budget, why = tools.cap(found.name)(budget)
        if why:
            tools.tell(Note(why, "warning"))
    if budget.usd is not None and price is None:
        raise NoOfferFitsError(
            f"{found.name}: its price is unknown, so a budget cannot be turned into a deadline",
            f"Leave the budget out: cloudtrain start {found.name} --max-lifetime 2h",
        )
    lease = Lease.grant(budget, price or 0.0, now)
    if lease.bound_by == "budget" and (lease.deadline - now).total_seconds() < SHORTEST_LEASE_S:
        enough = (price or 0.0) * SHORTEST_LEASE_S / 3600
        raise NoOfferFitsError(
            f"{found.name}: ${budget.usd:.2f} buys less than {SHORTEST_LEASE_S / 60:.0f} minutes at ${price:.3f}/h",
            f"Pass --budget {cents_up(enough).lstrip('$')} or more",
        )
    return lease
