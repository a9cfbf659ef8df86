"""A run on its way: where it is, what it found out, and the ledger and `run.json` kept in step with it."""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from .ledger.ledger import Ledger
from .model.clock import Clock
from .model.errors import CloudtrainError, ConfigError, HostUnreachableError, LedgerError, NotFoundError, ProviderError
from .model.event import Note, StageEnded, StageStarted, Tell
from .model.instance import Instance, LaunchOrder
from .model.offer import Offer
from .model.plain import to_plain
from .model.run import JobState, Outcome, Run, RunPhase
from .model.spec import Budget, JobSpec, MachineSpec
from .providers.base import Guarded, OfferSource
from .remote.base import Remote
from .remote.guest import Guest
from .report.first_record import LEDGER_KEY, first_record, ledger_part
from .report.page import write_report
from .report.run_file import read_run_file, write_run_file
from .spending import allowance, capped, cost_of_run, cost_record, noted, refuse_beyond_cap
from .stages.connect import CONNECT_TIMEOUT_S, OpenRemote, connect


class Interrupt(StrEnum):
    """What a person wants who pressed Ctrl-C while the job ran."""

    DETACH = "detach"
    SHUT_DOWN = "shut-down"


def nobody_to_ask(question: str, without_asking: str) -> None:
    """Refuse what a person would have to agree to.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(f"{question} There is nobody to ask", without_asking)


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything the story needs from the world, handed in.

    Attributes:
        provider_names: every provider there is, used before or not: what was forgotten is looked for in all of them.
        environ: this computer's environment variables, for the job's secrets.
        owner: a name for this person on this computer.
        on_interrupt: asked once when Ctrl-C comes while the job runs.
        uninterrupted: keeps Ctrl-C from breaking the shutting down.
        must_agree: asks a person a question, or raises ConfigError with the line to type where nobody can be asked.
        wait: waits so many seconds for a flag to be set, and returns whether it is; for what goes on beside the story.
        monthly_budget: reads the person's cap for a calendar month, USD, or None. Read only where money is about to be spent: a
            settings file that is broken must not keep a machine from being ended.
    """

    ledger: Ledger
    clock: Clock
    tell: Tell
    open_provider: Callable[[MachineSpec], OfferSource]
    open_remote: OpenRemote
    owner: str
    on_interrupt: Callable[[Run], Interrupt]
    provider_names: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext
    monthly_budget: Callable[[], float | None] = lambda: None
    must_agree: Callable[[str, str], None] = nobody_to_ask
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait

    def cap(self, machine: str) -> Callable[[Budget], tuple[Budget, str]]:
        """Return what turns a budget into what the month leaves of it, for a machine of this name."""
        return lambda budget: capped(
            budget, allowance(self.ledger, self.monthly_budget(), self.clock.now(), apart_from=machine)
        )

    def let_in(self, machine: MachineSpec, instance: Instance) -> Callable[[], None]:
        """Return what opens a machine's port to the address this computer is seen under now, where a cloud guards it."""

        def open_the_way() -> None:
            provider = self.open_provider(machine)
            if isinstance(provider, Guarded):
                self.tell(Note(f"{instance.name} does not answer yet; seeing that it lets this computer's address in …"))
                with suppress(ProviderError):  # whether it helped shows when it is tried again
                    provider.let_in(instance.ref)

        return open_the_way

    def vet(self, order: LaunchOrder) -> None:
        """Refuse an order that, with those written down before it, is more than the month has left.

        Raises:
            NoOfferFitsError: it is.
        """
        refuse_beyond_cap(order, self.ledger, self.monthly_budget(), self.clock.now())


class Journey:
    """One run, its job and its machine config, with every change written down before it is acted on."""

    def __init__(self, run: Run, job: JobSpec, machine: MachineSpec, tools: Tools, record: dict[str, Any]) -> None:
        self.run = run
        self.job = job
        self.machine = machine
        self.tools = tools
        self.record = record
        self.instance: Instance | None = None
        self.remote: Remote | None = None
        self.guest: Guest | None = None
        self.job_state: JobState | None = None
        self.is_ending = False
        # Of a run that another process brought this far nobody knows whether its start was still asked for.
        self.job_may_run = run.phase in (RunPhase.UPLOADING, RunPhase.RUNNING, RunPhase.COLLECTING)

    @classmethod
    def begin(cls, job: JobSpec, machine: MachineSpec, tools: Tools, continues: str = "") -> "Journey":
        """Give a new run its name and its folder, and write it down. It may go on from a run that was reclaimed."""
        now = tools.clock.now()
        run_id = f"{now:%Y%m%d-%H%M%S}-{job.name}-{uuid.uuid4().hex[:4]}"
        run = Run(run_id, job.name, machine.name, job.folder / "runs" / run_id, created_at=now, continues=continues)
        try:
            run.folder.mkdir(parents=True)
        except OSError as error:
            raise ConfigError(
                f"The results have no place: {run.folder} cannot be made ({error.strerror})",
                "Train in a folder you may write to, where `runs` is a folder or does not exist.",
            ) from error
        tools.ledger.add_run(run, job)
        journey = cls(run, job, machine, tools, first_record(run, job, machine))
        journey.write_record()
        return journey

    @classmethod
    def again(cls, run: Run, machine: MachineSpec, tools: Tools) -> "Journey":
        """Take up a run that another process began."""
        job = tools.ledger.job_of(run.id)
        try:
            record = dict(read_run_file(run.folder))
        except CloudtrainError as error:
            tools.tell(Note(f"{error.message} It is written anew from what the ledger knows.", "warning"))
            run.folder.mkdir(parents=True, exist_ok=True)
            record = first_record(run, job, machine)
        return cls(run, job, machine, tools, record)

    def home(self, remote: Remote) -> PurePosixPath:
        """Return the run's folder on the machine."""
        return remote.home / "runs" / self.run.id

    def connect(self, timeout_s: float = CONNECT_TIMEOUT_S) -> Guest:
        """Open a line to the run's machine, or a new one in place of a broken one, and return the guest there."""
        if self.instance is None:
            raise HostUnreachableError(f"{self.run.id} has no machine to connect to")
        self.disconnect()
        let_in = self.tools.let_in(self.machine, self.instance)
        self.remote, self.guest = connect(self.instance, self.tools.open_remote, self.tools.clock, timeout_s, let_in)
        return self.guest

    def disconnect(self) -> None:
        """Let the line go, if there is one."""
        if self.remote is not None:
            self.remote.close()
            self.remote = None

    def now_is(self, run: Run) -> None:
        """Write down what the run has become. While the run is ending, a ledger that fails stops nothing."""
        try:
            self.run = self.tools.ledger.advance(self.run, run)
        except LedgerError as error:
            if not self.is_ending:
                raise
            self.run = run
            self._insist_on(run, error)

    def _insist_on(self, run: Run, error: LedgerError) -> None:
        """Write down an end although the ledger and we disagree on where the run was: a Ctrl-C may have come in between."""
        try:
            self.tools.ledger.advance(self.tools.ledger.run(run.id), run)
        except (LedgerError, NotFoundError):
            self.tools.tell(Note(f"The ledger could not be written: {error.message}", "warning"))

    def enter(self, phase: RunPhase) -> None:
        """Write down the next phase."""
        self.now_is(replace(self.run, phase=phase))

    @contextmanager
    def stage(self, name: str, detail: str = "") -> Iterator[None]:
        """Tell that a stage begins and ends, and keep how long it took, also when it broke off."""
        began = self.tools.clock.monotonic()
        self.tools.tell(StageStarted(name, detail))
        try:
            yield
        finally:
            seconds = self.tools.clock.monotonic() - began
            self.record.setdefault("stages", []).append({"stage": name, "seconds": round(seconds, 3)})
        self.tools.tell(StageEnded(name, "", seconds))

    def rented(self, instance: Instance, offer: Offer) -> None:
        """Write down which machine the run is on."""
        self.instance = instance
        self.now_is(replace(self.run, instances=(*self.run.instances, instance.ref), offer=offer))
        if instance.state.bills_compute:  # one that is off is written down by whoever switches it on
            with noted(self.tools.tell):
                # A machine that was there before has its own price; the plan's offer is another's.
                paid = None if self.run.found_running else offer
                self.tools.ledger.spend.opened(instance, paid, self.run.id, self.tools.clock.now())
        self.record |= {
            # A machine that was there before the run costs the run only from here on.
            "machine_started_at": to_plain(self.tools.clock.now() if self.run.found_running else instance.launched_at),
            "instance": {
                "id": instance.ref.id,
                "instance_type": offer.instance_type,
                "region": offer.region,
                "zone": offer.zone,
                "gpu": offer.gpu,
                "gpu_count": offer.gpu_count,
            },
            "price": {
                "usd_per_hour": offer.full_usd_per_hour,
                "priced_on": to_plain(offer.priced_on),
                "market": offer.market.value,
            },
        }
        self.write_record()

    def usd_until(self, moment: datetime) -> float:
        """Return what the machine cost from its start to a moment, USD; 0.0 while nothing was rented."""
        started = self.record.get("machine_started_at")
        if started is None or self.run.offer is None:
            return 0.0
        hours = (moment - datetime.fromisoformat(started)).total_seconds() / 3600
        return round(max(0.0, hours) * (self.run.offer.full_usd_per_hour or 0.0), 6)

    def usd_now(self) -> float | None:
        """Return what the machine has cost by now, USD; None when it costs nothing or its price is unknown."""
        has_price = self.run.offer is not None and self.run.offer.full_usd_per_hour
        return self.usd_until(self.tools.clock.now()) if has_price else None

    def settled_usd(self, moment: datetime) -> float:
        """Return what the run has cost by a moment, USD, and put it into the record."""
        usd = self.usd_until(moment)
        with noted(self.tools.tell):
            usd = cost_of_run(self.tools.ledger, self.run.id, moment).total_usd
            self.record["cost"] = cost_record(
                self.tools.ledger, self.run.id, moment, budget_usd=self.job.budget.usd, cap_usd=None
            )
        return round(usd, 6)

    def conclude(self, outcome: Outcome, reason: str, exit_code: int | None) -> None:
        """Write down why the run ended; the first reason stands."""
        if self.run.outcome is None:
            ended = self.tools.clock.now()
            self.now_is(replace(self.run, outcome=outcome, reason=reason, exit_code=exit_code, ended_at=ended))

    def results_missed(self, missed: Sequence[str]) -> None:
        """Write down that results exist and did not come home: a job that succeeded is then no success."""
        self.record["not_collected"] = list(missed)
        if self.run.outcome is Outcome.SUCCEEDED:
            reason = f"The job succeeded; not all of its results came home: {missed[0]}"
            self.now_is(replace(self.run, outcome=Outcome.FAILED, reason=reason))

    def write_record(self) -> None:
        """Write `run.json` beside the results."""
        run, state = self.run, self.job_state
        self.record |= {
            "outcome": to_plain(run.outcome),
            "phase": run.phase.value,
            "reason": run.reason,
            "exit_code": run.exit_code,
            "signal": state.signal if state else "",
            "usd": run.usd,
            "started_at": to_plain(run.started_at),
            "ended_at": to_plain(run.ended_at),
            LEDGER_KEY: ledger_part(run, self.job, self.machine),
        }
        write_run_file(run.folder, self.record)

    def write_report(self) -> None:
        """Write `run.json` and `report.html` beside the results."""
        self.write_record()
        write_report(self.run.folder)
