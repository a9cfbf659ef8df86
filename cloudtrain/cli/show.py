"""How plans, machines, runs and findings look."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ..model.finding import Finding
from ..model.instance import Instance, Outlook
from ..model.lease import Lease
from ..model.offer import Offer
from ..model.plan import Attempt, Plan
from ..model.run import Run
from ..overview import MachineStatus, Standing, Status
from .render import answer, note, warning
from .tables import pairs, table
from .words import dollars, hourly, moment, span, until

SHOWN_ATTEMPTS = 10


def show_plan(plan: Plan, now: datetime) -> None:
    """Print what would be rented, in order, with prices and deadlines."""
    for sentence in plan.warnings:
        warning(sentence)
    headers = ("", "TYPE", "WHERE", "MARKET", "HARDWARE", "$/H", "PRICE OF", "ENDS BY", "AT MOST")
    rows = [_attempt(number, attempt, now) for number, attempt in enumerate(plan.attempts[:SHOWN_ATTEMPTS], 1)]
    table(headers, rows, right=("$/H", "AT MOST"))
    hidden = len(plan.attempts) - SHOWN_ATTEMPTS
    if hidden > 0:
        note(f"… and {hidden} more: --json")
    answer(f"Lease: {_lease(plan.attempts[0].lease, now)}")


def show_outlook(outlook: Outlook | None) -> None:
    """Print what the first offer of a plan would make, where that is known."""
    if outlook is None:
        return
    pairs(
        (
            ("Image:", outlook.image),
            ("Disk:", f"{outlook.disk_gb} GiB, {dollars(outlook.usd_per_month_stopped)}/month while the machine is stopped"),
            ("Quota:", outlook.quota),
        )
    )
    if not outlook.enough_quota:
        warning("The account's quota is too small for this machine: cloudtrain check says what to ask for.")


def show_instance(instance: Instance, now: datetime) -> None:
    """Print one machine, a line for each thing known."""
    pairs(
        (
            ("name", instance.name),
            ("state", instance.state.value),
            ("id", instance.ref.id),
            ("where", _where(instance.ref.region, instance.ref.zone)),
            ("type", instance.instance_type),
            ("address", instance.address),
            ("price", _price(instance)),
            ("launched", moment(instance.launched_at) if instance.launched_at else ""),
            ("ends by", until(instance.deadline, now) if instance.state.bills_compute else ""),
        )
    )


def show_status(status: Status, now: datetime) -> None:
    """Print the machines that exist, the latest runs, and who did not answer."""
    if status.machines:
        headers = ("MACHINE", "PROVIDER", "STATE", "TYPE", "WHERE", "$/H", "SO FAR", "ENDS BY", "RUN", "")
        table(headers, [_machine(machine, now) for machine in status.machines], right=("$/H", "SO FAR"))
    else:
        answer("No machine exists" + _what_bills(status))
    if status.runs:
        answer("")
        table(("RUN", "MACHINE", "PHASE", "OUTCOME", "COST", "TOOK"), [_run(run) for run in status.runs], right=("COST",))
    _show_leftovers_and_silent(status)
    for machine in filter(_is_endless, status.machines):
        warning(f"Nothing ends {machine.name} ({machine.instance.ref.id}): no deadline is armed on it.")
        note(f"  End it, disk included: cloudtrain terminate {machine.name}")


def show_unneeded(status: Status, found: Sequence[MachineStatus], now: datetime) -> None:
    """Print what a sweep would end, and which machines stay and go on billing, and why."""
    if found or not status.machines:
        show_status(replace(status, machines=tuple(found), runs=()), now)
    else:
        answer("No machine is there that nobody needs.")
        _show_leftovers_and_silent(status)
    for machine in status.machines:
        if machine not in found:
            note(f"{machine.name} ({machine.instance.ref.id}) stays, {machine.instance.state.value}: {_why_it_stays(machine)}")


def _why_it_stays(machine: MachineStatus) -> str:
    if machine.standing is Standing.ANOTHERS:
        return f"it is {machine.instance.owner}'s."
    return (
        f"{machine.run} uses it. Go on with that: cloudtrain attach {machine.run}. "
        f"Or end the machine, disk included: cloudtrain terminate {machine.name}"
    )


def _is_endless(machine: MachineStatus) -> bool:
    """Say whether a machine of ours costs money by the hour and will do so for good."""
    instance = machine.instance
    costs = instance.state.bills_compute and instance.full_usd_per_hour != 0.0
    return costs and instance.deadline is None and machine.standing is not Standing.ANOTHERS


def _show_leftovers_and_silent(status: Status) -> None:
    if status.leftovers:
        answer("")
        answer("Left over from machines that are gone (cloudtrain sweep removes it):")
        rows = [(x.provider, x.kind, x.id, x.region, f"{dollars(x.usd_per_month)}/month") for x in status.leftovers]
        table(("PROVIDER", "WHAT", "ID", "WHERE", "COST"), rows, right=("COST",))
    for finding in status.silent:
        warning(f"{finding.subject} {finding.message}")
        if finding.hint:
            note(f"  {finding.hint}")


def _what_bills(status: Status) -> str:
    if status.silent:
        return " where we could look."
    return "." if status.leftovers else "; nothing bills."


def show_findings(findings: Sequence[Finding]) -> None:
    """Print a doctor's report, a line each, with what to type below what is not well."""
    width = max((len(finding.subject) for finding in findings), default=0)
    for finding in findings:
        answer(f"{'✓ ok    ' if finding.ok else '✗ not ok'}  {finding.subject:<{width}}  {finding.message}")
        if not finding.ok:
            for line in finding.hint.splitlines():
                answer(f"{'':<{width + 12}}{line}")


def show_offers(offers: Sequence[Offer]) -> None:
    """Print offers, one a line."""
    headers = ("PROVIDER", "TYPE", "WHERE", "MARKET", "HARDWARE", "$/H", "PRICE OF")
    rows = [
        (o.provider, o.instance_type, _where(o.region, o.zone), o.market.value, hardware(o), hourly(o.usd_per_hour), day(o))
        for o in offers
    ]
    table(headers, rows, right=("$/H",))


def hardware(offer: Offer) -> str:
    """Return what a machine has: "1 × T4 16 GiB, 4 CPUs, 16 GiB"."""
    gpu = f"{offer.gpu_count} × {offer.gpu} {offer.gpu_memory_gib:g} GiB" if offer.gpu_count else ""
    if offer.gpu and not offer.gpu_count:
        gpu = f"part of a {offer.gpu}, {offer.gpu_memory_gib:g} GiB"
    parts = (gpu, f"{offer.vcpus} CPUs" if offer.vcpus else "", f"{offer.memory_gib:g} GiB" if offer.memory_gib else "")
    return ", ".join(part for part in parts if part)


def day(offer: Offer) -> str:
    """Return the day an offer's price was true."""
    return offer.priced_on.isoformat() if offer.priced_on is not None and offer.usd_per_hour is not None else "-"


def _attempt(number: int, attempt: Attempt, now: datetime) -> tuple[str, ...]:
    offer, lease = attempt.offers[0], attempt.lease
    return (
        str(number),
        offer.instance_type,
        _where(offer.region, offer.zone),
        offer.market.value,
        hardware(offer),
        hourly(offer.full_usd_per_hour),
        day(offer),
        moment(lease.deadline),
        "unknown" if offer.usd_per_hour is None else dollars(lease.most_usd(now)),
    )


def _lease(lease: Lease, now: datetime) -> str:
    set_by = f"the budget of {dollars(lease.budget_usd)}" if lease.bound_by == "budget" else "the longest lifetime"
    return f"the machine ends by {until(lease.deadline, now)}, set by {set_by}"


def _where(region: str, zone: str) -> str:
    return zone or region


def _price(instance: Instance) -> str:
    hour = hourly(instance.full_usd_per_hour)
    running = hour if hour in ("free", "unknown") else f"{hour}/h while running"
    stopped = f", {dollars(instance.usd_per_month_stopped)}/month while stopped" if instance.usd_per_month_stopped else ""
    return running + stopped


def _price_now(instance: Instance) -> str:
    """Return what the machine costs as it is: by the hour while it bills compute, else by the month."""
    return (
        hourly(instance.full_usd_per_hour) if instance.state.bills_compute else f"{dollars(instance.usd_per_month_stopped)}/mo"
    )


def _machine(machine: MachineStatus, now: datetime) -> tuple[str, ...]:
    instance = machine.instance
    return (
        machine.name,
        machine.provider,
        instance.state.value,
        instance.instance_type,
        _where(instance.ref.region, instance.ref.zone),
        _price_now(instance),
        dollars(machine.usd_so_far),
        until(instance.deadline, now) if instance.state.bills_compute else "-",
        machine.run or "-",
        "" if machine.standing is Standing.KNOWN else machine.standing.value,
    )


def _run(run: Run) -> tuple[str, ...]:
    outcome = run.outcome.value if run.outcome is not None else "-"
    return (run.id, run.machine, run.phase.value, outcome, cost(run), took(run))


def cost(run: Run) -> str:
    """Return what a run cost."""
    if run.offer is not None and run.offer.usd_per_hour is None:
        return "unknown"
    return "free" if run.offer is not None and run.offer.usd_per_hour == 0 else dollars(run.usd)


def took(run: Run) -> str:
    """Return how long a run took from its beginning to its end, "-" while it goes on."""
    if run.created_at is None or run.ended_at is None:
        return "-"
    return span((run.ended_at - run.created_at).total_seconds())
