"""Machines by name: the verbs that need no job."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .journey import Tools
from .leasing import arm_guest, say_who_keeps_it
from .model.errors import ConfigError, NoOfferFitsError, NotSetUpError, ProviderError, RunHeldError, ShutdownError
from .model.event import Note, StageEnded, StageStarted
from .model.instance import Instance, InstanceRef, InstanceState, LaunchOrder, Outlook
from .model.offer import Offer
from .model.plan import Plan
from .model.spec import Budget, MachineSpec, Market, OnFinish, Resources
from .providers.base import Foreseeing, OfferSource, Provider, Resizable
from .spending import noted
from .stages import shut_down
from .stages.connect import connect
from .stages.make_ready import make_ready
from .stages.plan import make_plan
from .stages.provision import Buyer, armed, armed_and_running, launch_first
from .waking import wake
from .whereabouts import (
    existing,
    find,
    forget,
    is_half_made,
    look_for_started,
    remember_name,
    remembered,
    rentable,
    switched_on,
)


@dataclass(frozen=True, slots=True)
class View:
    """What `get` found: the machine that exists, or the plan for one that does not and what it would make."""

    machine: MachineSpec
    instance: Instance | None
    plan: Plan | None
    outlook: Outlook | None = None


def get(machine: MachineSpec, tools: Tools, budget: Budget | None = None) -> View:
    """Find the machine of this name, whatever state it is in, or say what would be launched. Remembers what it found."""
    source = tools.open_provider(machine)
    instance = _find_where_we_can(machine, source, tools)
    tools.ledger.save_machine(machine, instance)
    if instance is not None:
        return View(machine, instance, None)
    plan = make_plan(machine, source, tools.clock.now(), budget=budget)
    return View(machine, None, plan, _outlook(plan, source, tools))


def _find_where_we_can(machine: MachineSpec, source: OfferSource, tools: Tools) -> Instance | None:
    """Find the machine; where this computer is not set up to ask and never asked, there is none."""
    if not isinstance(source, Provider):
        return None
    try:
        return find(machine, source, tools)
    except NotSetUpError as error:
        if any(record.instance is not None for record in tools.ledger.machines() if record.spec.provider == source.name):
            raise
        tools.tell(Note(f"{error.message}. The plan is from the dated table.\n{error.hint}", "warning"))
        return None


def _outlook(plan: Plan, source: OfferSource, tools: Tools) -> Outlook | None:
    """Return what the first offer would make; None where nobody can say."""
    if not isinstance(source, Foreseeing):
        return None
    try:
        return source.outlook(plan.machine, plan.attempts[0].offers[0])
    except NotSetUpError:
        return None
    except ProviderError as error:
        tools.tell(Note(f"Image and quota could not be looked up: {error.message}", "warning"))
        return None


def start(
    machine: MachineSpec,
    tools: Tools,
    *,
    budget: Budget | None = None,
    on_finish: OnFinish = OnFinish.TERMINATE,
    wait: bool = True,
) -> Instance:
    """Launch the machine of this name, or switch it on again, under a new lease. A running one is left as it is.

    With `wait` it returns when the machine can be spoken to and its GPUs answer, else when the cloud has accepted and the
    deadline is armed. `on_finish` (terminate or stop) is what the deadline does to a new machine.

    Raises:
        NoOfferFitsError, ProviderError, RunHeldError: nothing was rented.
        ShutdownError: something may have been.
    """
    provider = rentable(tools.open_provider(machine), machine)
    remember_name(machine, tools)
    known = remembered(machine.name, tools)  # before the look: what is new when an order is written down was made meanwhile
    found = find(machine, provider, tools)
    tools.tell(StageStarted("start", machine.name))
    began = tools.clock.monotonic()
    if found is None or is_half_made(found, tools):
        within = tools.cap(machine.name)
        plan = make_plan(machine, provider, tools.clock.now(), budget=budget, on_finish=on_finish, within=within)
        instance = _launch(plan, known, provider, tools)
    else:
        instance = _again(found, machine.market, budget or Budget(), provider, tools)
    tools.ledger.save_machine(machine, instance)
    if wait:
        instance = _wait_until_usable(machine, instance, provider, tools)
    tools.tell(StageEnded("start", instance.address, tools.clock.monotonic() - began))
    return instance


def _again(found: Instance, market: Market, budget: Budget, provider: Provider, tools: Tools) -> Instance:
    """Switch a machine on that is there, however it was bought; one that is on already is left as it is."""
    if found.market is not market:
        bought = f"{found.name} is there already, bought {found.market.value}; {market.value} is for a new machine"
        tools.tell(Note(f"{bought}. First end this one, disk included: cloudtrain terminate {found.name}", "warning"))
    if found.state in (InstanceState.PENDING, InstanceState.RUNNING):
        _refuse_a_runs_machine(found, tools)
        if found.deadline is None:
            raise ShutdownError(
                f"{found.name} runs, and nothing ends it: no deadline is armed",
                f"End it: cloudtrain terminate {found.name}",
            )
        tools.tell(Note(f"{found.name} runs already; its lease stays as it is: cloudtrain extend moves it."))
        return found
    return wake(found, budget, "", provider, tools)


def _wait_until_usable(machine: MachineSpec, instance: Instance, provider: Provider, tools: Tools) -> Instance:
    """Wait until the machine runs, can be spoken to, keeps its own deadline and shows its GPUs."""
    try:
        running = armed_and_running(instance, instance.deadline or tools.clock.now(), provider, tools.clock)
        tools.ledger.save_machine(machine, running)
        remote, guest = connect(running, tools.open_remote, tools.clock, on_silence=tools.let_in(machine, running))
        with remote:
            arm_guest(running, guest, tools)
            if running.usd_per_hour != 0.0:  # one's own computer is as it is
                make_ready(remote, running.gpu_count, tools.clock, tools.tell)
        return running
    except KeyboardInterrupt:
        tools.tell(Note(f"{machine.name} runs all the same. End it: cloudtrain terminate {machine.name}", "warning"))
        raise


def _launch(plan: Plan, known: InstanceRef | None, provider: Provider, tools: Tools) -> Instance:
    """Launch and see that the deadline is armed; whatever goes wrong once a machine exists ends that machine."""
    for warning in plan.warnings:
        tools.tell(Note(warning, "warning"))
    made: list[Instance] = []

    def vet(order: LaunchOrder) -> None:
        tools.vet(order)
        if remembered(plan.machine.name, tools) != known:
            name = plan.machine.name
            raise RunHeldError(f"{name} was started by another cloudtrain meanwhile", f"Use it: cloudtrain ssh {name}")

    def launched(instance: Instance, offer: Offer) -> None:
        made.append(instance)
        tools.ledger.save_machine(plan.machine, instance)
        tools.ledger.spend.opened(instance, offer, "", tools.clock.now())

    try:
        buyer = Buyer(tools.ledger, tools.clock, tools.tell, tools.owner, "", vet, launched)
        first = launch_first(plan, provider, buyer)
        say_who_keeps_it(provider, tools)
        return armed(first.instance, first.lease.deadline)
    except BaseException:
        with tools.uninterrupted():
            for instance in made or look_for_started(plan.machine, provider, tools):
                _end(instance, provider, tools)
                tools.ledger.settle(instance.token, instance.ref)
                forget(plan.machine, instance, tools)
        raise


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
    machine, instance, provider = _to_be_ended(name, "stop", tools)
    if instance.market is Market.SPOT:
        raise ConfigError(f"{name} is a spot machine: it can be ended and not stopped", f"cloudtrain terminate {name}")
    with tools.uninterrupted():
        stopped = _stop(instance, provider, tools)
    tools.ledger.save_machine(machine, stopped)
    return stopped


def _stop(instance: Instance, provider: Provider, tools: Tools) -> Instance:
    stopped = shut_down.stop(instance, provider, tools.clock, tools.tell)
    with noted(tools.tell):
        tools.ledger.spend.stopped(stopped, tools.clock.now())
    return stopped


def terminate(name: str, tools: Tools) -> Instance:
    """End the machine, disk included, and see that it is gone. Return it as it was.

    Raises:
        NotFoundError: there is no machine of this name.
        ShutdownError: the cloud does not confirm.
    """
    machine, instance, provider = _to_be_ended(name, "terminate", tools)
    with tools.uninterrupted():
        _end(instance, provider, tools)
    tools.ledger.save_machine(machine, None)
    return instance


def _to_be_ended(name: str, verb: str, tools: Tools) -> tuple[MachineSpec, Instance, Provider]:
    """Return a machine as it is now; one that cannot even be looked at bills on, as far as anybody knows."""
    try:
        return existing(name, tools)
    except ProviderError as error:
        known = tools.ledger.machine(name).instance
        if known is None:
            raise
        raise shut_down.unconfirmed(known, error.message, verb, error.hint) from error


def _end(instance: Instance, provider: Provider, tools: Tools) -> None:
    shut_down.terminate(instance, provider, tools.clock, tools.tell)
    with noted(tools.tell):
        tools.ledger.spend.ended(instance.ref, tools.clock.now())


def resize(name: str, instance_type: str, tools: Tools) -> Instance:
    """Give the machine another instance type, its disk kept. A running one is switched off first; it stays off.

    Raises:
        NotFoundError: there is no machine of this name.
        NoOfferFitsError: there is no such type where the machine's disk is.
        ProviderError: the provider cannot do this.
        ShutdownError: the cloud does not confirm that it is switched off.
    """
    machine, instance, provider = existing(name, tools)
    if not isinstance(provider, Resizable):
        raise ProviderError(
            f"{provider.name} cannot change the type of a machine and keep its disk",
            f"End it and rent another: cloudtrain terminate {name}",
        )
    offer = _offer_of_type(machine, instance, instance_type, tools)
    with tools.uninterrupted():
        if instance.state is not InstanceState.STOPPED:
            _refuse_a_runs_machine(instance, tools)
            tools.ledger.save_machine(machine, _stop(instance, provider, tools))
        provider.resize(instance.ref, offer)
    resized = provider.get(instance.ref)
    tools.ledger.save_machine(machine, resized)
    return resized


def _offer_of_type(machine: MachineSpec, instance: Instance, instance_type: str, tools: Tools) -> Offer:
    """Return the offer of a type in the zone where the machine's disk is."""
    regions, market = (instance.ref.region,), instance.market
    wanted = replace(machine, instance_types=(instance_type,), regions=regions, market=market, resources=Resources())
    offers = [offer for offer in tools.open_provider(wanted).offers(Resources()) if offer.named_by(wanted)]
    here = [offer for offer in offers if offer.zone in ("", instance.ref.zone)]
    if not here:
        raise NoOfferFitsError(
            f"{machine.provider} offers no {instance_type} in {instance.ref.zone or instance.ref.region}, where the disk is",
            f"See what there is: cloudtrain offers --provider {machine.provider}",
        )
    return here[0]


def open_shell(name: str, argv: Sequence[str], tools: Tools) -> int:
    """Give the terminal to a shell or a command on the machine and return its exit code.

    One word is a text that the machine's shell reads, as ssh does it; several are a command and its arguments, as they are.

    Raises:
        NotFoundError: there is no machine of this name, or it is switched off.
        HostUnreachableError: it does not answer.
    """
    machine, instance = switched_on(name, tools)
    remote, _ = connect(instance, tools.open_remote, tools.clock, on_silence=tools.let_in(machine, instance))
    with remote:
        return remote.shell(("sh", "-c", argv[0]) if len(argv) == 1 else argv)
