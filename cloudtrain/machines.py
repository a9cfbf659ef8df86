"""Machines by name: the verbs that need no job."""

from collections.abc import Sequence
from dataclasses import dataclass

from .journey import Tools
from .model.errors import RunHeldError
from .model.event import Note, StageEnded, StageStarted
from .model.instance import Instance, InstanceState
from .model.offer import Offer
from .model.plan import Plan
from .model.spec import Budget, MachineSpec
from .providers.base import Provider
from .stages import shut_down
from .stages.connect import connect
from .stages.plan import make_plan
from .stages.provision import provision, wake
from .whereabouts import existing, find, forget, remember_name, rentable


@dataclass(frozen=True, slots=True)
class View:
    """What `get` found: the machine that exists, or the plan for one that does not."""

    machine: MachineSpec
    instance: Instance | None
    plan: Plan | None


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
