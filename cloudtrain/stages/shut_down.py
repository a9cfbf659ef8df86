"""Shut down: nothing bills, and we looked."""

from collections.abc import Callable

from ..model.clock import Clock
from ..model.errors import InstanceNotFoundError, ProviderError, ShutdownError
from ..model.event import Note, Tell
from ..model.instance import Instance, InstanceRef, InstanceState
from ..providers.base import Pausable, Provider
from ..providers.waiting import wait_until

CONFIRM_TIMEOUT_S = 300.0
"""How long the cloud may take to confirm an end, in seconds."""

TRIES = 5
"""How often a cloud that fails is asked to end a machine."""


def terminate(instance: Instance, provider: Provider, clock: Clock, tell: Tell) -> None:
    """End the machine, disk included, and look until the cloud says that it is gone.

    Raises:
        ShutdownError: it is not confirmed; says what may still bill and what to type.
    """
    _insist(lambda: provider.terminate(instance.ref), "terminate", instance, provider, clock)
    seen = _look(instance, (InstanceState.TERMINATED,), "terminate", provider, clock)
    if seen is not None and seen.state is not InstanceState.TERMINATED:
        raise unconfirmed(instance, f"it is still {seen.state.value}", "terminate")
    # Some of what was made beside it a cloud lets go of only now.
    _insist(lambda: provider.terminate(instance.ref), "terminate", instance, provider, clock)
    tell(Note(f"{instance.name} ({instance.ref.id}) is terminated; nothing of it bills."))


def clear_beside(ref: InstanceRef, provider: Provider, tell: Tell) -> None:
    """Remove what was made beside a machine that its cloud has ended and knows no more; what cannot be removed is told."""
    try:
        provider.terminate(ref)
    except ProviderError as error:
        left = f"What was made beside the machine may still be there ({error.message}). Look: cloudtrain sweep --dry-run"
        tell(Note(left, "warning"))


def stop(instance: Instance, provider: Provider, clock: Clock, tell: Tell) -> Instance:
    """Switch the machine off, keep its disk, and look until the meter stands still. Return it as it is then.

    Raises:
        ShutdownError: it is not confirmed.
        InstanceNotFoundError: there is no such machine.
        ProviderError: this provider cannot stop machines.
    """
    if not isinstance(provider, Pausable):
        raise ProviderError(
            f"{provider.name} cannot stop a machine and keep its disk",
            f"End it instead, disk included: cloudtrain terminate {instance.name}",
        )
    _insist(lambda: provider.stop(instance.ref), "stop", instance, provider, clock)
    seen = _look(instance, (InstanceState.STOPPED, InstanceState.TERMINATED), "stop", provider, clock)
    if seen is None:
        raise InstanceNotFoundError(f"{instance.name} ({instance.ref.id}) was gone before it could be stopped")
    if seen.state.bills_compute:
        raise unconfirmed(instance, f"it is still {seen.state.value}", "stop")
    tell(Note(f"{instance.name} ({instance.ref.id}) is {seen.state.value}; it now costs ${_residual(seen):.2f} per month."))
    return seen


def unconfirmed(instance: Instance, why: str, verb: str, cure: str = "") -> ShutdownError:
    """Return the error that says what may still bill and what to type; `cure`, where there is one, comes first."""
    price = "at an unknown price" if instance.full_usd_per_hour is None else f"at ${instance.full_usd_per_hour:.3f}/h"
    deadline = "none is known" if instance.deadline is None else f"{instance.deadline:%Y-%m-%d %H:%M} UTC"
    lines = [cure, f"Try again: cloudtrain {verb} {instance.name}", "Look: cloudtrain status"]
    lines.append(f"Or end it there: {instance.console_url}" if instance.console_url else "")
    return ShutdownError(
        f"{instance.ref.provider} did not confirm that {instance.name} ({instance.ref.id}) ended: {why}. "
        f"It may still bill {price}. Its own deadline: {deadline}.",
        "\n".join(line for line in lines if line),
    )


def _residual(instance: Instance) -> float:
    return instance.usd_per_month_stopped if instance.state is InstanceState.STOPPED else 0.0


def _insist(act: Callable[[], None], verb: str, instance: Instance, provider: Provider, clock: Clock) -> None:
    """Ask again while the cloud fails: giving up here is what leaves a bill."""
    for attempt in range(1, TRIES + 1):
        try:
            act()
            return
        except ProviderError as error:
            if isinstance(error, InstanceNotFoundError) and _is_gone(instance, provider):
                raise
            if attempt == TRIES:
                raise unconfirmed(instance, error.message, verb) from error
            clock.sleep(2.0**attempt)


def _is_gone(instance: Instance, provider: Provider) -> bool:
    """Say whether the cloud knows the machine no more when it is asked for the machine itself."""
    try:
        provider.get(instance.ref)
    except ProviderError as error:
        return isinstance(error, InstanceNotFoundError)
    return False


def _look(
    instance: Instance, wanted: tuple[InstanceState, ...], verb: str, provider: Provider, clock: Clock
) -> Instance | None:
    try:
        return wait_until(provider, instance.ref, wanted, clock, CONFIRM_TIMEOUT_S)
    except ProviderError as error:
        raise unconfirmed(instance, error.message, verb) from error
