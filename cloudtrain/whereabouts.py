"""Where machines are: which instance a name stands for, by what we wrote down and by what the clouds show."""

from collections.abc import Sequence

from .journey import Tools
from .ledger.holder import is_alive, this_process
from .model.errors import InstanceNotFoundError, NotFoundError, ProviderError, ProviderUnavailableError, ShutdownError
from .model.instance import Instance, InstanceRef, InstanceState, LaunchOrder
from .model.run import Run
from .model.spec import MachineSpec
from .providers.base import OfferSource, Provider
from .providers.waiting import look_for

_THERE = (
    InstanceState.PENDING,
    InstanceState.RUNNING,
    InstanceState.POWERED_OFF,
    InstanceState.STOPPING,
    InstanceState.STOPPED,
)


def rentable(source: OfferSource, machine: MachineSpec) -> Provider:
    """Return the source as a provider.

    Raises:
        ProviderUnavailableError: this version knows its prices but cannot rent there.
    """
    if isinstance(source, Provider):
        return source
    raise ProviderUnavailableError(
        f"{machine.name}: this version of cloudtrain shows {source.name}'s offers but cannot rent there yet",
        f"What is missing: cloudtrain check {source.name}\nTrain here instead: cloudtrain train local",
    )


def existing(name: str, tools: Tools) -> tuple[MachineSpec, Instance, Provider]:
    """Return the machine of this name as it is now.

    Raises:
        NotFoundError: the name is unknown, or its machine is gone.
    """
    machine = tools.ledger.machine(name).spec
    provider = rentable(tools.open_provider(machine), machine)
    instance = find(machine, provider, tools)
    if instance is None:
        raise NotFoundError(f"There is no machine {name} now", f"Make one: cloudtrain start {name}")
    tools.ledger.save_machine(machine, instance)
    return machine, instance, provider


def switched_on(name: str, tools: Tools) -> tuple[MachineSpec, Instance]:
    """Return the machine of this name, which is not one that a person has switched off.

    Raises:
        NotFoundError: the name is unknown, its machine is gone, or it is stopped: nothing answers there, and no GPU bills.
    """
    machine, instance, _ = existing(name, tools)
    if instance.state is InstanceState.STOPPED:
        raise NotFoundError(f"{name} is stopped and has no address", f"Switch it on: cloudtrain start {name}")
    return machine, instance


def find(machine: MachineSpec, provider: Provider, tools: Tools) -> Instance | None:
    """Return the person's machine of this name, by what we wrote down or else by its tags; None when there is none."""
    for record in tools.ledger.machines():
        if record.spec.name == machine.name and record.instance is not None:
            try:
                seen = provider.get(record.instance.ref)
            except InstanceNotFoundError:
                break
            if seen.state in _THERE:
                return seen
    owned = provider.list_owned()
    _settle_started(owned, tools)
    mine = [i for i in owned if i.name == machine.name and i.owner == tools.owner and i.state in _THERE]
    return mine[0] if mine else None


def is_half_made(instance: Instance, tools: Tools) -> bool:
    """Say whether a machine started by name was accepted and nothing ends it yet: its order is open. A run's is never one."""
    started = {order.token for order in tools.ledger.open_intents() if not order.run_id}
    return _is_unarmed(instance) and instance.token in started


def _is_unarmed(instance: Instance) -> bool:
    return instance.deadline is None and instance.state in (InstanceState.PENDING, InstanceState.RUNNING)


def _settle_started(owned: Sequence[Instance], tools: Tools) -> None:
    """Close the book on machines that were started by name and nobody heard of. A run's is for whoever takes the run up.

    So is one that nothing ends yet for whoever starts it again: by its order the launch is finished.
    """
    by_token = {instance.token: instance.ref for instance in owned if not _is_unarmed(instance)}
    for order in tools.ledger.open_intents():
        if order.token in by_token and not order.run_id:
            tools.ledger.settle(order.token, by_token[order.token])


def find_idle(machine: MachineSpec, provider: Provider, tools: Tools) -> Instance | None:
    """Return a machine that a person started under this name and that no live run is using, or None.

    Raises:
        ShutdownError: there is one that bills and that nothing ends.
    """
    found = find(machine, provider, tools)
    if found is None or found.state not in (InstanceState.RUNNING, InstanceState.STOPPED):
        return None
    in_use = {ref for run in tools.ledger.open_runs() for ref in run.instances}
    ordered_for_a_run = {order.token for order in tools.ledger.open_intents() if order.run_id}
    if found.ref in in_use or found.token in ordered_for_a_run:
        return None
    if _is_unarmed(found):
        raise ShutdownError(
            f"{found.name} runs, and nothing ends it: no deadline is armed",
            f"Finish it: cloudtrain start {found.name}. Or end it: cloudtrain terminate {found.name}",
        )
    return found


def remembered(name: str, tools: Tools) -> InstanceRef | None:
    """Return the machine that a name that was written down stands for, or None."""
    instance = tools.ledger.machine(name).instance
    return None if instance is None else instance.ref


def remember_name(machine: MachineSpec, tools: Tools) -> None:
    """Write down what a name stands for, before anything is launched under it; a machine it has already stays with it."""
    known = [record.instance for record in tools.ledger.machines() if record.spec.name == machine.name]
    tools.ledger.save_machine(machine, known[0] if known else None)


def remember(machine: MachineSpec, instance: Instance, tools: Tools) -> None:
    """Let the other verbs find a run's machine by name, unless the name stands for another machine that lives."""
    remember_all([(machine, instance)], tools)


def remember_all(found: Sequence[tuple[MachineSpec, Instance]], tools: Tools) -> None:
    """Remember machines, as `remember` does with one."""
    if not found:
        return
    known = {record.spec.name: record for record in tools.ledger.machines()}
    for machine, instance in found:
        record = known.get(machine.name)
        if record is None:
            tools.ledger.save_machine(machine, instance)
        elif record.instance is None or record.instance.ref == instance.ref:
            tools.ledger.save_machine(record.spec, instance)


def forget(machine: MachineSpec, instance: Instance, tools: Tools) -> None:
    """Keep the name and let the instance go, when the name stands for this one."""
    for record in tools.ledger.machines():
        if record.spec.name == machine.name and record.instance is not None and record.instance.ref == instance.ref:
            tools.ledger.save_machine(machine, None)


def look_for_launched(run: Run, provider: Provider, tools: Tools) -> Instance | None:
    """Return the machine of a launch of this run that nobody heard back from; None when there is none.

    Raises:
        ShutdownError: the cloud cannot be asked, or does not show yet what was just asked for; a machine may exist.
    """
    orders = {order.token: order for order in tools.ledger.open_intents() if order.run_id == run.id}
    if not orders:
        return None
    try:
        owned = look_for(orders, provider, tools.clock)
    except ProviderError as error:
        until = max(order.lease.deadline for order in orders.values())
        raise ShutdownError(
            f"{provider.name} cannot be asked whether the launch for {run.id} made a machine: {error.message}. "
            f"If it did, it ends by itself by {until:%Y-%m-%d %H:%M} UTC.",
            f"Look again in a minute: cloudtrain attach {run.id}",
        ) from error
    for instance in owned:
        tools.ledger.settle(instance.token, instance.ref)
        return instance
    _refuse_to_call_it_nothing([order for order in orders.values() if order.holder == this_process()], f"attach {run.id}")
    return None


def look_for_started(machine: MachineSpec, provider: Provider, tools: Tools) -> list[Instance]:
    """Return what an interrupted launch under this name has made: one of this process, or of one that died.

    Raises:
        ShutdownError: the cloud does not show yet what this process has just asked for; a machine may exist.
    """
    orders = [order for order in tools.ledger.open_intents() if order.machine.name == machine.name and not order.run_id]
    unheard = {order.token: order for order in orders if order.holder in ("", this_process()) or not is_alive(order.holder)}
    found = look_for(unheard, provider, tools.clock) if unheard else []
    for instance in found:
        tools.ledger.settle(instance.token, instance.ref)
        unheard.pop(instance.token)
    _refuse_to_call_it_nothing([order for order in unheard.values() if order.holder == this_process()], "status")
    return found


def _refuse_to_call_it_nothing(orders: Sequence[LaunchOrder], look: str) -> None:
    """Refuse to conclude, from a cloud's lists alone, that a launch which nobody heard back from made nothing."""
    for order in orders:
        raise ShutdownError(
            f"The launch of {order.machine.name} was interrupted before {order.machine.provider} answered. A machine may have "
            f"been made and does not show yet; if so, it ends by itself by {order.lease.deadline:%Y-%m-%d %H:%M} UTC.",
            f"Look again in a minute: cloudtrain {look}",
        )


def settle_old_launches(provider: Provider, owned: Sequence[Instance], tools: Tools) -> None:
    """Close the book on launches nobody heard back from, now that we have looked at what exists.

    The order of a run that can be taken up stays open: by it the run knows its machine for its own. So does that of a machine
    that nothing ends yet: by it the launch is finished.
    """
    by_token = {instance.token: instance for instance in owned}
    open_runs = {run.id for run in tools.ledger.open_runs()}
    for order in tools.ledger.open_intents():
        if order.machine.provider != provider.name:
            continue
        instance = by_token.get(order.token)
        is_over = tools.clock.now() > order.lease.deadline
        if instance is not None and (is_over or (order.run_id not in open_runs and not _is_unarmed(instance))):
            tools.ledger.settle(order.token, instance.ref)
            remember(order.machine, instance, tools)
        elif is_over:
            tools.ledger.settle(order.token, None)
