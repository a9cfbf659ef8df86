"""Machines by name: the verbs that need no job, and what the story asks about machines that are there already."""

from collections.abc import Sequence
from dataclasses import dataclass

from .journey import Tools
from .model.errors import (
    InstanceNotFoundError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RunHeldError,
    ShutdownError,
)
from .model.event import Note, StageEnded, StageStarted
from .model.instance import Instance, InstanceState
from .model.offer import Offer
from .model.plan import Plan
from .model.run import Run
from .model.spec import Budget, MachineSpec
from .providers.base import OfferSource, Provider
from .stages import shut_down
from .stages.connect import connect
from .stages.plan import make_plan
from .stages.provision import provision, wake

_THERE = (
    InstanceState.PENDING,
    InstanceState.RUNNING,
    InstanceState.POWERED_OFF,
    InstanceState.STOPPING,
    InstanceState.STOPPED,
)


@dataclass(frozen=True, slots=True)
class View:
    """What `get` found: the machine that exists, or the plan for one that does not."""

    machine: MachineSpec
    instance: Instance | None
    plan: Plan | None


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


def get(machine: MachineSpec, tools: Tools, budget: Budget | None = None) -> View:
    """Find the machine of this name, whatever state it is in, or say what would be launched. Remembers what it found."""
    source = tools.open_provider(machine)
    instance = find(machine, source, tools) if isinstance(source, Provider) else None
    tools.ledger.save_machine(machine, instance)
    if instance is not None:
        return View(machine, instance, None)
    return View(machine, None, make_plan(machine, source, tools.clock.now(), budget=budget))


def start(machine: MachineSpec, tools: Tools, *, budget: Budget | None = None, wait: bool = True) -> Instance:
    """Launch the machine of this name, or switch it on again, under a new lease. A running one is left as it is.

    With `wait` it returns when the machine can be spoken to.

    Raises:
        NoOfferFitsError, ProviderError: nothing was rented.
        ShutdownError: something may have been.
    """
    provider = rentable(tools.open_provider(machine), machine)
    plan = make_plan(machine, provider, tools.clock.now(), budget=budget)
    remember_name(machine, tools)
    found = find(machine, provider, tools)
    tools.tell(StageStarted("start", machine.name))
    began = tools.clock.monotonic()
    if found is None:
        instance = _launch(plan, provider, tools)
    elif found.state is InstanceState.RUNNING:
        _refuse_a_runs_machine(found, tools)
        tools.tell(Note(f"{machine.name} runs already; its lease stays as it is."))
        instance = found
    else:
        instance = wake(found, plan.attempts[0].lease, provider, tools.clock)
    tools.ledger.save_machine(machine, instance)
    try:
        if wait:
            connect(instance, tools.open_remote, tools.clock)[0].close()
    except KeyboardInterrupt:
        tools.tell(Note(f"{machine.name} runs all the same. End it: cloudtrain terminate {machine.name}", "warning"))
        raise
    tools.tell(StageEnded("start", instance.address, tools.clock.monotonic() - began))
    return instance


def _launch(plan: Plan, provider: Provider, tools: Tools) -> Instance:
    """Launch; whatever goes wrong once a machine exists ends that machine."""
    made: list[Instance] = []

    def launched(instance: Instance, _: Offer) -> None:
        made.append(instance)
        tools.ledger.save_machine(plan.machine, instance)

    try:
        return provision(
            plan,
            provider,
            tools.ledger,
            tools.clock,
            tools.tell,
            tools.owner,
            "",
            launched,
        ).instance
    except BaseException:
        with tools.uninterrupted():
            unheard = _launched_unheard(plan.machine, provider, tools)
            for instance in made or unheard:
                shut_down.terminate(instance, provider, tools.clock, tools.tell)
                forget(plan.machine, instance, tools)
        raise


def _launched_unheard(machine: MachineSpec, provider: Provider, tools: Tools) -> list[Instance]:
    """Return what an interrupted launch under this name may have made."""
    tokens = {order.token for order in tools.ledger.open_intents() if order.machine.name == machine.name and not order.run_id}
    found = [instance for instance in provider.list_owned() if instance.token in tokens] if tokens else []
    for token in tokens:
        tools.ledger.settle(token, next((instance.ref for instance in found if instance.token == token), None))
    return found


def _refuse_a_runs_machine(found: Instance, tools: Tools) -> None:
    for run in tools.ledger.open_runs():
        if found.ref in run.instances:
            raise RunHeldError(
                f"{found.name} is the machine of the run {run.id} and ends with it",
                f"Follow the run: cloudtrain attach {run.id}",
            )


def stop(name: str, tools: Tools) -> Instance:
    """Switch the machine off, keep its disk, see that the meter stands still.

    Raises:
        NotFoundError: there is no machine of this name.
        ShutdownError: the cloud does not confirm.
    """
    machine, instance, provider = existing(name, tools)
    with tools.uninterrupted():
        stopped = shut_down.stop(instance, provider, tools.clock, tools.tell)
    tools.ledger.save_machine(machine, stopped)
    return stopped


def terminate(name: str, tools: Tools) -> Instance:
    """End the machine, disk included, and see that it is gone. Return it as it was.

    Raises:
        NotFoundError: there is no machine of this name.
        ShutdownError: the cloud does not confirm.
    """
    machine, instance, provider = existing(name, tools)
    with tools.uninterrupted():
        shut_down.terminate(instance, provider, tools.clock, tools.tell)
    tools.ledger.save_machine(machine, None)
    return instance


def open_shell(name: str, argv: Sequence[str], tools: Tools) -> int:
    """Give the terminal to a shell or a command on the machine and return its exit code.

    Raises:
        NotFoundError: there is no machine of this name.
        HostUnreachableError: it does not run or does not answer.
    """
    _, instance, _ = existing(name, tools)
    remote, _ = connect(instance, tools.open_remote, tools.clock)
    with remote:
        return remote.shell(argv)


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
    mine = [i for i in provider.list_owned() if i.name == machine.name and i.owner == tools.owner and i.state in _THERE]
    return mine[0] if mine else None


def find_idle(machine: MachineSpec, provider: Provider, tools: Tools) -> Instance | None:
    """Return a machine that a person started under this name and that no live run is using, or None."""
    found = find(machine, provider, tools)
    if found is None or found.state not in (InstanceState.RUNNING, InstanceState.STOPPED):
        return None
    in_use = {ref for run in tools.ledger.open_runs() for ref in run.instances}
    ordered_for_a_run = {order.token for order in tools.ledger.open_intents() if order.run_id}
    return None if found.ref in in_use or found.token in ordered_for_a_run else found


def remember_name(machine: MachineSpec, tools: Tools) -> None:
    """Write down what a name stands for, before anything is launched under it; a machine it has already stays with it."""
    known = [record.instance for record in tools.ledger.machines() if record.spec.name == machine.name]
    tools.ledger.save_machine(machine, known[0] if known else None)


def remember(machine: MachineSpec, instance: Instance, tools: Tools) -> None:
    """Let the other verbs find a run's machine by name, unless the name stands for another machine that lives."""
    for record in tools.ledger.machines():
        if record.spec.name == machine.name:
            if record.instance is None or record.instance.ref == instance.ref:
                tools.ledger.save_machine(record.spec, instance)
            return
    tools.ledger.save_machine(machine, instance)


def forget(machine: MachineSpec, instance: Instance, tools: Tools) -> None:
    """Keep the name and let the instance go, when the name stands for this one."""
    for record in tools.ledger.machines():
        if record.spec.name == machine.name and record.instance is not None and record.instance.ref == instance.ref:
            tools.ledger.save_machine(machine, None)


def look_for_launched(run: Run, provider: Provider, tools: Tools) -> Instance | None:
    """Return the machine of a launch of this run that nobody heard back from; None when there is none.

    Raises:
        ShutdownError: the cloud cannot be asked; a machine may exist.
    """
    orders = {order.token: order for order in tools.ledger.open_intents() if order.run_id == run.id}
    if not orders:
        return None
    try:
        owned = provider.list_owned()
    except ProviderError as error:
        until = max(order.lease.deadline for order in orders.values())
        raise ShutdownError(
            f"{provider.name} cannot be asked whether the launch for {run.id} made a machine: {error.message}. "
            f"If it did, it ends by itself by {until:%Y-%m-%d %H:%M} UTC.",
            f"Look again in a minute: cloudtrain attach {run.id}",
        ) from error
    for instance in owned:
        if instance.token in orders:
            tools.ledger.settle(instance.token, instance.ref)
            return instance
    return None


def settle_old_launches(provider: Provider, owned: Sequence[Instance], tools: Tools) -> None:
    """Close the book on launches nobody heard back from, now that we have looked at what exists."""
    by_token = {instance.token: instance for instance in owned}
    for order in tools.ledger.open_intents():
        if order.machine.provider != provider.name:
            continue
        instance = by_token.get(order.token)
        if instance is not None:
            tools.ledger.settle(order.token, instance.ref)
            remember(order.machine, instance, tools)
        elif tools.clock.now() > order.lease.deadline:
            tools.ledger.settle(order.token, None)
