"""What exists now, on every provider that was ever used, whatever the ledger believes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from .journey import Tools
from .ledger.holder import is_alive
from .model.errors import CloudtrainError, NotSetUpError
from .model.finding import Finding
from .model.instance import Instance, InstanceState, Leftover
from .model.run import Run
from .model.spec import MachineSpec
from .providers.base import OfferSource, Provider
from .spending import noted, settle_vanished
from .whereabouts import remember_all, settle_old_launches

KEYS = "keys"
"""The kind of leftover that lies on this computer."""


class Standing(StrEnum):
    """How a machine stands to what we wrote down."""

    KNOWN = "known"
    FORGOTTEN = "forgotten"  # mine by its tag, and the ledger does not know it
    ANOTHERS = "another's"
    OVERDUE = "over its deadline"


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """One machine that exists.

    Attributes:
        run: id of the live run that uses it, or "".
        usd_so_far: since its launch, USD, as if it had run all the time; None when the price is unknown.
    """

    name: str
    provider: str
    instance: Instance
    standing: Standing
    run: str = ""
    usd_so_far: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """Machines that exist, runs newest first, the providers that did not answer, and what else of ours may cost."""

    machines: tuple[MachineStatus, ...]
    runs: tuple[Run, ...]
    silent: tuple[Finding, ...]
    leftovers: tuple[Leftover, ...] = ()


def status(tools: Tools, *, runs: int = 20) -> Status:
    """Ask every provider what we have there, whatever the ledger believes.

    A provider that does not answer is named, never assumed empty. A machine of ours that the ledger had forgotten is
    remembered again, so that it can be ended by its name.
    """
    machines: list[MachineStatus] = []
    leftovers: list[Leftover] = []
    silent: list[Finding] = []
    used = used_providers(tools)
    tools = replace(tools, open_provider=_opened_once(tools))
    for spec in accounts(tools):
        try:
            machines += machines_at(spec, tools)
            leftovers += leftovers_at(spec, tools)
        except CloudtrainError as error:
            if isinstance(error, NotSetUpError) and spec.provider not in used:
                continue  # A cloud that this computer cannot ask and never did is no news.
            silent.append(Finding(False, spec.provider, f"did not answer: {error.message}", error.hint))
            machines += _as_remembered(spec, tools)
    # Two configs may name the same machine of one's own.
    once = {(machine.provider, machine.instance.ref.id): machine for machine in reversed(machines)}
    return Status(tuple(reversed(once.values())), tuple(tools.ledger.runs(runs)), tuple(silent), tuple(leftovers))


def _as_remembered(spec: MachineSpec, tools: Tools) -> list[MachineStatus]:
    """Return what the ledger has of a provider that does not answer, as machines of which nobody knows what they do."""
    now = tools.clock.now()
    live = {ref: run.id for run in tools.ledger.open_runs() for ref in run.instances}
    known = [record.instance for record in tools.ledger.machines() if record.spec.provider == spec.provider]
    unknown = [replace(instance, state=InstanceState.UNKNOWN) for instance in known if instance is not None]
    return [MachineStatus(i.name, spec.provider, i, Standing.KNOWN, live.get(i.ref, ""), _usd_so_far(i, now)) for i in unknown]


def _opened_once(tools: Tools) -> Callable[[MachineSpec], OfferSource]:
    """Return what opens a provider at its first question and hands out the same one at the next: it knows its regions then."""
    opened: dict[int, OfferSource] = {}

    def open_provider(spec: MachineSpec) -> OfferSource:
        if id(spec) not in opened:
            opened[id(spec)] = tools.open_provider(spec)
        return opened[id(spec)]

    return open_provider


def used_providers(tools: Tools) -> set[str]:
    """Return the providers that the ledger has ever heard of."""
    specs = [record.spec for record in tools.ledger.machines()]
    return {spec.provider for spec in specs} | {order.machine.provider for order in tools.ledger.open_intents()}


def leftovers_at(spec: MachineSpec, tools: Tools) -> list[Leftover]:
    """Return what of this person's is left at one provider, is no machine and may cost.

    What belongs to a launch that another process is just making is none: its order is open, and the process lives. Nor are
    the keys of a machine that the ledger remembers: it may live in an account that is not the one asked.

    Raises:
        ProviderError: it does not answer.
    """
    provider = tools.open_provider(spec)
    if not isinstance(provider, Provider):
        return []
    under_way = {order.token for order in tools.ledger.open_intents() if is_alive(order.holder)}
    remembered = {record.instance.token for record in tools.ledger.machines() if record.instance is not None}
    return [
        leftover
        for leftover in provider.leftovers()
        if leftover.owner in ("", tools.owner)
        and leftover.token not in (under_way | remembered if leftover.kind == KEYS else under_way) - {""}
    ]


def accounts(tools: Tools) -> list[MachineSpec]:
    """Return one machine config for each provider, and for each endpoint and each set of own machines the ledger has seen."""
    specs = [MachineSpec(name, name) for name in tools.provider_names]
    specs += [record.spec for record in tools.ledger.machines()]
    specs += [order.machine for order in tools.ledger.open_intents()]
    return list({(*spec.way, *(host.name for host in spec.hosts)): spec for spec in specs}.values())


def machines_at(spec: MachineSpec, tools: Tools) -> list[MachineStatus]:
    """Return what exists at one provider, and remember what is ours.

    Raises:
        ProviderError: it does not answer.
    """
    provider = tools.open_provider(spec)
    if not isinstance(provider, Provider):
        return []  # Where nothing can be rented, nothing is ours.
    owned = provider.list_owned()
    settle_old_launches(provider, owned, tools)
    with noted(tools.tell):
        tools.ledger.spend.seen_all([instance for instance in owned if instance.owner == tools.owner], tools.clock.now())
        settle_vanished(spec, provider, owned, tools.ledger, tools.clock.now())
    known = {record.instance.ref for record in tools.ledger.machines() if record.instance is not None}
    live = {ref: run.id for run in tools.ledger.open_runs() for ref in run.instances}
    now = tools.clock.now()
    found = [
        MachineStatus(
            instance.name,
            provider.name,
            instance,
            _standing(instance, instance.ref in known or instance.ref in live, tools.owner, now),
            live.get(instance.ref, ""),
            _usd_so_far(instance, now),
        )
        for instance in owned
    ]
    forgotten = [machine.instance for machine in found if machine.standing is Standing.FORGOTTEN]
    remember_all([(spec.named(instance.name), instance) for instance in forgotten], tools)
    return found


def _standing(instance: Instance, known: bool, owner: str, now: datetime) -> Standing:
    if instance.owner != owner:
        return Standing.ANOTHERS
    if instance.deadline is not None and now > instance.deadline and instance.state.bills_compute:
        return Standing.OVERDUE
    return Standing.KNOWN if known else Standing.FORGOTTEN


def _usd_so_far(instance: Instance, now: datetime) -> float | None:
    if instance.full_usd_per_hour is None or instance.launched_at is None:
        return None
    return round(max(0.0, (now - instance.launched_at).total_seconds()) / 3600 * instance.full_usd_per_hour, 6)
