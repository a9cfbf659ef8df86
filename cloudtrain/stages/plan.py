"""Plan: which offers fit, in which order, and how long the money lasts. Spends nothing."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from ..config.machine import list_machines
from ..model.errors import ConfigError, NoOfferFitsError
from ..model.lease import Lease
from ..model.money import cents_up
from ..model.offer import Offer
from ..model.plan import Attempt, Plan
from ..model.spec import Budget, Framework, JobSpec, MachineSpec, Market, OnFinish, Resources
from ..model.support import why_unsupported
from ..providers.base import OfferSource, Pausable

Cap = Callable[[Budget], tuple[Budget, str]]
"""Returns the smaller of a budget and what may be spent at all, with a sentence when it is the latter."""

SHORTEST_LEASE_S = 300.0
"""A lease shorter than this, in seconds, is spent on booting and installing: nothing would come back."""


def make_plan(
    machine: MachineSpec,
    source: OfferSource,
    now: datetime,
    *,
    job: JobSpec | None = None,
    budget: Budget | None = None,
    on_finish: OnFinish | None = None,
    allow_unsupported_gpu: bool = False,
    within: Cap | None = None,
) -> Plan:
    """Choose the offers a job (or a machine without a job) could take, most wanted first, each with its lease.

    `within` turns the budget of a machine with a meter into what the month's cap leaves of it.

    Raises:
        NoOfferFitsError: nothing fits the resources, the framework or the budget; says which of them.
        ConfigError: the job asks for something this provider cannot do.
    """
    budget = budget or (job.budget if job else Budget())
    on_finish = on_finish or (job.on_finish if job else OnFinish.TERMINATE)
    _refuse_impossible_finish(on_finish, machine, source)
    need = _needed(machine, job)
    offers = _offers(machine, source, need)
    warnings: list[str] = []
    if job is not None:
        offers, warnings = _supported(offers, job.framework, source, need, allow_unsupported_gpu)
    else:
        warnings = _gpu_of_yesterday(offers[0], source, need)
    offers.sort(key=_preference(machine))
    if within is not None and any(offer.usd_per_hour != 0.0 for offer in offers):
        budget, why = within(budget)
        warnings = [*warnings, why] if why else warnings
    return Plan(
        machine,
        tuple(_attempts(offers, budget, now, machine)),
        tuple(warnings),
        OnFinish.STOP if on_finish is OnFinish.STOP else OnFinish.TERMINATE,
        job.checkpoints if job else "",
    )


def _offers(machine: MachineSpec, source: OfferSource, need: Resources) -> list[Offer]:
    """Return what the machine config allows and the need asks for, at least one."""
    offers = [offer for offer in source.offers(need) if offer.named_by(machine)]
    if not offers:
        raise NoOfferFitsError(
            f"{machine.name}: {machine.provider} has no known offer of {_describe(machine, need)}",
            f"{_meant_regions(machine, source)}See what there is: cloudtrain offers --provider {machine.provider}",
        )
    return offers


def _meant_regions(machine: MachineSpec, source: OfferSource) -> str:
    """Say which regions were perhaps meant by names that no offer has; "" when every name is one."""
    known = sorted({offer.region for offer in source.offers(Resources())})
    unknown = [region for region in machine.regions if region not in known]
    if not unknown or not known:
        return ""
    import difflib  # here, because only a mistyped name needs it

    near = [near for region in unknown for near in difflib.get_close_matches(region, known, n=1)]
    meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    return f"No offer is in {' or '.join(unknown)}; {meant}\n"


def _refuse_impossible_finish(on_finish: OnFinish, machine: MachineSpec, source: OfferSource) -> None:
    if on_finish is not OnFinish.STOP:
        return
    if machine.market is Market.SPOT:
        raise ConfigError(
            f"{machine.name} is a spot machine: it can be ended and not stopped",
            "Set on_finish: terminate, or rent it on demand: --market on-demand",
            field="on_finish",
        )
    if not isinstance(source, Pausable):
        raise ConfigError(
            f"{machine.provider} cannot stop a machine and keep its disk",
            "Set on_finish: terminate (or keep), or pass --on-finish terminate.",
            field="on_finish",
        )


def _needed(machine: MachineSpec, job: JobSpec | None) -> Resources:
    """Return the larger of what the machine config and the job ask for, resource by resource."""
    if job is None:
        return machine.resources
    a, b = machine.resources, job.resources
    return Resources(
        gpu=b.gpu or a.gpu,
        gpus=max(a.gpus, b.gpus),
        gpu_memory_gb=max(a.gpu_memory_gb, b.gpu_memory_gb),
        cpus=max(a.cpus, b.cpus),
        memory_gb=max(a.memory_gb, b.memory_gb),
        disk_gb=max(a.disk_gb, b.disk_gb),
    )


def _describe(machine: MachineSpec, need: Resources) -> str:
    parts = []
    if need.gpus or need.gpu:
        parts.append(f"{need.gpus or 1} {need.gpu or 'GPU'}")
    if need.gpu_memory_gb:
        parts.append(f"{need.gpu_memory_gb:g} GiB per GPU")
    if need.cpus:
        parts.append(f"{need.cpus} vCPU")
    if need.memory_gb:
        parts.append(f"{need.memory_gb:g} GiB memory")
    types = " or ".join(machine.instance_types) or "a machine"
    where = f" in {' or '.join(machine.regions)}" if machine.regions else ""
    return f"{types} ({machine.market.value}){where}" + (f" with {', '.join(parts)}" if parts else "")


def _supported(
    offers: Sequence[Offer], framework: Framework, source: OfferSource, need: Resources, allow: bool
) -> tuple[list[Offer], list[str]]:
    """Leave out the offers whose GPU the framework cannot use; when that leaves none, say what would do instead."""
    reasons = {offer: why_unsupported(framework, offer) for offer in offers}
    if allow:
        warned = {f"{o.instance_type} ({o.gpu}): {why}" for o, why in reasons.items() if why}
        return list(offers), sorted(warned)
    good = [offer for offer, why in reasons.items() if not why]
    if good:
        return good, []
    first = offers[0]
    raise NoOfferFitsError(
        f"{first.instance_type}'s GPU is a {first.gpu}: {reasons[first]}",
        _cheapest_alternative(source.offers(need), framework) + "To rent it all the same: --allow-unsupported-gpu",
    )


def _gpu_of_yesterday(offer: Offer, source: OfferSource, need: Resources) -> list[str]:
    """Return a warning about a GPU that the most used framework does not compute on; whoever has no job yet may want one."""
    why = why_unsupported(Framework.TENSORFLOW, offer)
    if not why:
        return []
    instead = _cheapest_alternative(source.offers(need), Framework.TENSORFLOW).strip()
    return [f"{offer.instance_type}'s GPU is a {offer.gpu}: {why}. {instead}".strip()]


def _cheapest_alternative(offers: Iterable[Offer], framework: Framework) -> str:
    usable = [
        offer
        for offer in offers
        if offer.gpu_count
        and offer.compute_capability
        and offer.usd_per_hour is not None
        and not why_unsupported(framework, offer)
    ]
    if not usable:
        return ""
    best = min(usable, key=lambda offer: offer.usd_per_hour or 0.0)
    return (
        f"The cheapest that will do is {best.instance_type} ({best.gpu}) at ${best.usd_per_hour:.3f}/h "
        f"in {best.region} ({best.market.value}, price of {best.priced_on}){_as_config(best)}.\n"
    )


def _as_config(offer: Offer) -> str:
    """Return under which name a person can rent this offer, when there is one."""
    machines, _ = list_machines()
    names = [machine.name for machine in machines if offer.instance_type in machine.instance_types and offer.named_by(machine)]
    return f": {names[0]}" if names else ""


def _preference(machine: MachineSpec) -> Callable[[Offer], tuple[int, float, int]]:
    """Order by the config's own list of types, then by price (unknown last), then by its list of regions."""

    def key(offer: Offer) -> tuple[int, float, int]:
        types, regions = machine.instance_types, machine.regions
        return (
            types.index(offer.instance_type) if types else 0,
            float("inf") if offer.usd_per_hour is None else offer.usd_per_hour,
            regions.index(offer.region) if regions else 0,
        )

    return key


def _attempts(offers: Sequence[Offer], budget: Budget, now: datetime, machine: MachineSpec) -> list[Attempt]:
    attempts = []
    for offer in offers:
        if offer.usd_per_hour is None and budget.usd is not None:
            continue  # A cap in dollars cannot become a deadline without a price.
        lease = Lease.grant(budget, offer.most_usd_per_hour or 0.0, now)
        if lease.bound_by != "budget" or (lease.deadline - now).total_seconds() >= SHORTEST_LEASE_S:
            attempts.append(Attempt((offer,), lease))
    if attempts:
        return attempts
    priced = [offer.most_usd_per_hour for offer in offers if offer.most_usd_per_hour is not None]
    if not priced:
        raise NoOfferFitsError(
            f"{machine.name}: no price is known, so a budget cannot be turned into a deadline",
            "Leave the budget out and set max_lifetime, or choose another machine: cloudtrain configs",
        )
    enough = cents_up(min(priced) * SHORTEST_LEASE_S / 3600).lstrip("$")
    raise NoOfferFitsError(
        f"{machine.name}: ${budget.usd:.2f} buys less than {SHORTEST_LEASE_S / 60:.0f} minutes at ${min(priced):.3f}/h",
        f"Pass --budget {enough} or more, or choose a cheaper machine: cloudtrain offers --provider {machine.provider}",
    )
