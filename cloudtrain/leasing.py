"""The lease of a machine that lives: kept by the machine itself, and moved only when a person says so."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from .journey import Tools
from .model.errors import CloudtrainError, ConfigError, HostUnreachableError, NoOfferFitsError
from .model.event import Note
from .model.instance import Instance, InstanceState
from .model.lease import BILLED_STEP_S, GuestEnd, Lease
from .model.money import cents_down, cents_up
from .model.spec import DEFAULT_IDLE_TIMEOUT_S, JobSpec
from .providers.base import Preparable, Provider
from .remote.guest import Guest
from .spending import left_of_month, noted
from .stages.connect import connect
from .whereabouts import existing

LONGEST_LIFETIME = timedelta(days=120)
"""A lease may not reach further than this from now."""


@dataclass(frozen=True, slots=True)
class Extended:
    """A lease that was moved.

    Attributes:
        before: the deadline it had.
        most_usd: what the machine costs at most from its launch to the new deadline, USD; None when its price is unknown.
    """

    instance: Instance
    before: datetime
    most_usd: float | None


def arm_guest(instance: Instance, guest: Guest, tools: Tools, job: JobSpec | None = None) -> bool:
    """Let the machine itself keep its deadline and watch for idleness, read back that it does, and return True.

    False says that nothing on this machine can end it.

    Raises:
        CloudtrainError: it does not keep a deadline, or a later one than the cloud shows.
    """
    if instance.guest_end is GuestEnd.NONE or instance.deadline is None:
        return False
    kept = guest.set_lease(
        deadline=instance.deadline,
        issued_at=tools.clock.now(),
        end=instance.guest_end,
        idle_timeout_s=job.idle_timeout_s if job else DEFAULT_IDLE_TIMEOUT_S,
        stall_timeout_s=job.stall_timeout_s if job else None,
        finish_grace_s=job.idle_timeout_s if job else None,
    )
    if not kept.armed or kept.deadline > instance.deadline + timedelta(minutes=1):
        raise CloudtrainError(
            f"{instance.name} does not keep its deadline itself: it says "
            f"{'nothing is armed' if not kept.armed else f'{kept.deadline:%Y-%m-%d %H:%M} UTC'}",
            f"It is not to be trusted; end it: cloudtrain terminate {instance.name}",
        )
    return True


def say_who_keeps_it(provider: Provider, tools: Tools) -> None:
    """Say what protects a machine where one more line could keep its deadline and the account is not prepared for it."""
    if isinstance(provider, Preparable) and not provider.is_prepared():
        tools.tell(Note(f"{provider.kept_without()} Once, for nothing: cloudtrain setup {provider.name}"))


def extend(name: str, tools: Tools, *, usd: float | None = None, seconds: float | None = None) -> Extended:
    """Move a machine's deadline: by what more dollars buy, or by a time. The only way that it moves.

    Raises:
        NotFoundError: there is no machine of this name.
        ConfigError: it does not run, or dollars cannot be turned into time.
        NoOfferFitsError: it would cost more than the month's cap leaves.
        ProviderError: the cloud does not move it; it stands as it was.
        HostUnreachableError: the machine cannot be told, and nothing was moved; or the line broke over it: it ends as before.
    """
    machine, instance, provider = existing(name, tools)
    if instance.state is not InstanceState.RUNNING or instance.deadline is None:
        raise ConfigError(
            f"{name} is {instance.state.value} and has no deadline to move", f"Start it with a new one: cloudtrain start {name}"
        )
    lease = _longer(instance, instance.deadline, usd, seconds, tools)
    _refuse_beyond_cap(lease, instance.deadline, tools)
    with ExitStack() as line:
        guest: Guest | None = None
        if instance.guest_end is not GuestEnd.NONE:  # before anything moves: a machine that cannot be told ends as before
            remote, guest = connect(instance, tools.open_remote, tools.clock, 60.0, tools.let_in(machine, instance))
            line.enter_context(remote)
        provider.extend(instance.ref, lease)
        moved = provider.get(instance.ref)
        with noted(tools.tell):
            tools.ledger.spend.extended(instance.ref, lease.deadline)
        tools.ledger.save_machine(machine, moved)
        if guest is not None:
            _tell_machine(instance, guest, remote.home, lease, tools)
    return Extended(moved, instance.deadline, _most_usd(instance, lease.deadline))


def _longer(instance: Instance, deadline: datetime, usd: float | None, seconds: float | None, tools: Tools) -> Lease:
    price = instance.full_usd_per_hour
    if usd is not None:
        if not price:
            raise ConfigError(f"{instance.name} has no known price, so dollars buy no time there", "Pass --for 2h instead.")
        seconds = usd / price * 3600 // BILLED_STEP_S * BILLED_STEP_S  # a minute that is begun may be billed whole
    if not seconds or seconds <= 0:
        raise ConfigError("By how much?", f"cloudtrain extend {instance.name} --for 2h, or --budget 5")
    later = deadline + timedelta(seconds=int(seconds))
    if later > tools.clock.now() + LONGEST_LIFETIME:
        raise ConfigError(f"{later:%Y-%m-%d} is too far away: a lease reaches {LONGEST_LIFETIME.days} days at most")
    return Lease(later, price or 0.0, usd, "budget" if usd is not None else "max_lifetime")


def _refuse_beyond_cap(lease: Lease, before: datetime, tools: Tools) -> None:
    left, more = left_of_month(tools.ledger, tools.monthly_budget(), tools.clock.now()), lease.most_usd(before)
    if left is not None and more > left:
        raise NoOfferFitsError(
            f"That would cost {cents_up(more)} more, and the month's cap leaves {cents_down(left)}",
            "What spent it: cloudtrain cost\nRaise it: cloudtrain settings --monthly-budget N",
        )


def _tell_machine(instance: Instance, guest: Guest, home: PurePosixPath, lease: Lease, tools: Tools) -> None:
    """Let the machine and the jobs on it know the new deadline."""
    try:
        kept = guest.lease()
        guest.set_lease(
            deadline=lease.deadline,
            # Of two leases the machine keeps the one issued later; the clock here may be behind another computer's.
            issued_at=max(tools.clock.now(), kept.issued_at + timedelta(seconds=1)),
            end=instance.guest_end,
            idle_timeout_s=kept.idle_timeout_s,
            stall_timeout_s=kept.stall_timeout_s,
            finish_grace_s=kept.finish_grace_s,
        )
        for run in tools.ledger.open_runs():
            if instance.ref in run.instances:
                guest.move_deadline(home / "runs" / run.id, lease.deadline)
    except HostUnreachableError as error:
        raise HostUnreachableError(
            f"The cloud moved the deadline of {instance.name} and the line broke before the machine knew ({error.message}): "
            f"it may end itself as before, by {instance.deadline:%Y-%m-%d %H:%M} UTC",
            f"Tell it again: cloudtrain extend {instance.name} --for 1m",
        ) from error


def _most_usd(instance: Instance, deadline: datetime) -> float | None:
    if instance.full_usd_per_hour is None or instance.launched_at is None:
        return None
    return (deadline - instance.launched_at).total_seconds() / 3600 * instance.full_usd_per_hour
