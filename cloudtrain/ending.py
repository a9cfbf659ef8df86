"""How a run ends: whatever happened, results are brought home and nothing is left that bills.

`Ending` is the guard around the whole story. It is entered before the launch and left exactly once; on the way out it
collects, shuts down, looks, and writes down why. Between collecting and shutting down nothing can keep a machine alive: not
a full disk, not a damaged ledger, not a second Ctrl-C. The one thing that does is a line that broke before the results were
home: then the machine lives on under its lease, and the person is told so.
"""

from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from .homecoming import Homecoming
from .journey import Journey
from .model.errors import (
    CloudtrainError,
    ExitCode,
    HostUnreachableError,
    InstanceNotFoundError,
    ProviderError,
    RemoteError,
    RunFailedError,
    ShutdownError,
)
from .model.event import Event, Note, Tell
from .model.instance import Instance, InstanceState
from .model.plain import to_plain
from .model.run import JobState, Outcome, RunPhase
from .model.spec import OnFinish
from .pacing import paced
from .providers.base import Provider
from .reconnecting import persist
from .rescuing import settle
from .spending import noted
from .stages.execute import GRACE_S, RECONNECT_FOR_S
from .stages.shut_down import clear_beside, stop, terminate
from .verdict import lives_until, results_wait, verdict_on_gone_machine, verdict_on_job
from .whereabouts import forget, look_for_launched, remember

IMPATIENT_S = 60.0
"""How long a broken line is tried again for the results of a run that somebody cancelled, in seconds."""

_HOLDS_RESULTS = (RunPhase.UPLOADING, RunPhase.RUNNING, RunPhase.COLLECTING)


class Ending:
    """The guard: leave it, and the run is over, or was let go on purpose."""

    def __init__(self, journey: Journey, provider: Provider) -> None:
        self._journey = journey
        self._provider = provider
        self._let_go = False
        self._homecoming = Homecoming(journey)

    def __enter__(self) -> Self:
        return self

    def let_go(self, why: str) -> None:
        """Leave the machine and its job alone: they go on, and the lease ends them."""
        journey = self._journey
        self._let_go = True
        journey.write_record()
        lines = (
            f"{why}{lives_until(journey.instance)}",
            results_wait(journey.instance, journey.job),
            f"Follow it and collect: cloudtrain attach {journey.run.id}",
        )
        journey.tools.tell(Note("\n".join(line for line in lines if line)))

    def job_ended(self, state: JobState) -> None:
        """Write down how the job ended."""
        self._journey.job_state = state
        outcome, reason = verdict_on_job(state, self._journey)
        self._journey.conclude(outcome, reason, state.exit_code)

    def machine_silent(self, error: HostUnreachableError) -> None:
        """Find out what a dead line means: a machine that is gone, or one that works on without us.

        Raises:
            ShutdownError: it still runs, or nobody knows: no job is ended because of a bad line.
        """
        journey = self._journey
        try:
            seen = self._provider.get(journey.run.instances[-1])
        except InstanceNotFoundError:
            return self.machine_gone()
        except ProviderError as silent:
            raise self._still_out_there(f"neither it nor {self._provider.name} answers") from silent
        if seen.state is InstanceState.STOPPED:
            return self.let_go(f"{seen.name} was switched off under the run; its disk is kept.")
        if seen.state.bills_compute:
            raise self._still_out_there(f"it is {seen.state.value} and does not answer ({error.message})")
        return self.machine_gone()

    def machine_is_gone(self) -> bool:
        """Say whether the cloud shows that the machine has ended; not where it does not answer."""
        try:
            return not self._provider.get(self._journey.run.instances[-1]).state.bills_compute
        except InstanceNotFoundError:
            return True
        except ProviderError:
            return False

    def run_unknown(self, error: RemoteError) -> None:
        """Find out why a machine that answers knows nothing of the run: it is another by now, or was emptied."""
        journey = self._journey
        if self.machine_is_gone():
            return self.machine_gone()
        return journey.conclude(Outcome.LOST, f"The machine knows nothing of the run any more: {error.message}", None)

    def machine_gone(self) -> None:
        """Write down that the machine ended before the job did."""
        journey = self._journey
        journey.disconnect()
        with noted(journey.tools.tell):
            for ref in journey.run.instances:
                journey.tools.ledger.spend.gone(ref, journey.tools.clock.now())
        journey.conclude(verdict_on_gone_machine(self._journey), "The machine ended before the job did.", None)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        journey = self._journey
        try:
            if self._let_go:
                return False
            journey.is_ending = True
            journey.tools = replace(journey.tools, tell=_whoever_listens(journey.tools.tell))
            with journey.tools.uninterrupted():
                self._end(error)
        finally:
            journey.disconnect()
        if isinstance(error, KeyboardInterrupt):
            return True  # The run says that it was cancelled; that is the answer.
        if isinstance(error, CloudtrainError) and journey.run.instances:
            hint = f"{error.hint}\nWhat came back: {journey.run.folder}".strip()
            failed = RunFailedError(f"{error.message} ({self._what_became_of_it()})", hint)
            if journey.run.phase is RunPhase.KEPT:
                failed.exit_code = ExitCode.MAY_STILL_BILL
            raise failed from error
        return False

    def _end(self, error: BaseException | None) -> None:
        try:
            self._say_why(error)
            self._collect()
        finally:
            if not self._let_go:
                self._shut_down_and_close()

    def _shut_down_and_close(self) -> None:
        try:
            self._shut_down()
        except BaseException:
            self._journey.write_record()
            raise  # Not confirmed: the run stays open, so that it can be taken up again.
        self._close()

    def _say_why(self, error: BaseException | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._journey.conclude(Outcome.CANCELLED, "Interrupted.", None)
        elif error is not None:
            self._journey.conclude(Outcome.FAILED, str(error).split("\n", 1)[0], None)

    def _collect(self) -> None:
        """Bring home what there is. Only a line that stays broken under a job that may have run lets the machine live on."""
        journey = self._journey
        if journey.remote is None or journey.run.phase not in _HOLDS_RESULTS:
            return
        tell = paced(journey.tools.tell, journey.tools.clock, 0, journey.usd_now)
        try:
            self._collect_once(tell)
        except HostUnreachableError as error:
            if journey.job_may_run:
                self._collect_again(error, tell)
            else:
                journey.tools.tell(Note("The line broke; the job had not started, so nothing of it is lost.", "warning"))
        except ShutdownError:
            raise  # The person insists on leaving.
        except (CloudtrainError, OSError) as error:
            journey.tools.tell(Note(f"Not everything could be collected: {error}", "warning"))

    def _collect_once(self, tell: Tell) -> None:
        journey = self._journey
        if journey.remote is None:
            return
        if journey.run.outcome is Outcome.CANCELLED and journey.run.phase in (RunPhase.UPLOADING, RunPhase.RUNNING):
            self._end_job()
        with journey.stage("collect", str(journey.run.folder)):
            journey.enter(RunPhase.COLLECTING)
            self._homecoming.bring(journey.remote, tell)

    def _collect_again(self, error: HostUnreachableError, tell: Tell) -> None:
        """Go on over new lines as long as they bring anything; a person who cancelled wants an end more than results."""
        journey = self._journey
        patience_s = IMPATIENT_S if journey.run.outcome is Outcome.CANCELLED else RECONNECT_FOR_S
        tell(Note(f"The line broke while collecting ({error.message}); reconnecting …", "warning"))

        def collect_the_rest(heard: Tell) -> None:
            journey.connect(patience_s)
            self._collect_once(heard)

        try:
            persist(collect_the_rest, tell, journey.tools.clock, patience_s=patience_s)
        except HostUnreachableError as again:
            if journey.run.outcome is not Outcome.CANCELLED:
                self.machine_silent(again)
        except (CloudtrainError, OSError) as again:
            tell(Note(f"Not everything could be collected: {again}", "warning"))

    def _end_job(self) -> None:
        journey = self._journey
        if journey.guest is None or journey.remote is None:
            return
        journey.tools.tell(Note(f"Ending the job; it has {GRACE_S:.0f} s to write a checkpoint …"))
        try:
            journey.job_state = journey.guest.signal(journey.home(journey.remote), "TERM", GRACE_S)
        except HostUnreachableError:
            raise
        except RemoteError:
            if journey.run.phase is RunPhase.RUNNING:
                raise  # Before that the job may not have been started, and then there is nothing to end.

    def _shut_down(self) -> None:
        journey, tools = self._journey, self._journey.tools
        instance = journey.instance or look_for_launched(journey.run, self._provider, tools)
        if journey.run.phase is not RunPhase.PLANNED:
            journey.enter(RunPhase.SHUTTING_DOWN)
        if instance is None:
            if journey.run.instances and not journey.run.found_running:
                clear_beside(journey.run.instances[-1], self._provider, tools.tell)
            return
        with journey.stage("shut down", instance.name):
            if journey.run.found_stopped or (journey.job.on_finish is OnFinish.STOP and not journey.run.found_running):
                stopped = stop(instance, self._provider, tools.clock, tools.tell)
                with noted(tools.tell):
                    tools.ledger.spend.stopped(stopped, tools.clock.now())
                remember(journey.machine, stopped, tools)
            elif self._keeps_machine():
                with noted(tools.tell):
                    tools.ledger.spend.moved_to_run(instance.ref, "", tools.clock.now())
                self._tell_kept(instance)
            else:
                terminate(instance, self._provider, tools.clock, tools.tell)
                with noted(tools.tell):
                    tools.ledger.spend.ended(instance.ref, tools.clock.now())
                forget(journey.machine, instance, tools)

    def _keeps_machine(self) -> bool:
        """Say whether the machine lives on: it was there before the run, or the job asks for it and came to its end."""
        run, policy = self._journey.run, self._journey.job.on_finish
        came_to_its_end = run.outcome not in (Outcome.FAILED, Outcome.CANCELLED)
        return run.found_running or policy is OnFinish.STOP or (policy is OnFinish.KEEP and came_to_its_end)

    def _what_became_of_it(self) -> str:
        if self._journey.run.phase is not RunPhase.KEPT:
            return "The machine was ended."
        return f"The machine is kept: cloudtrain terminate {self._journey.run.machine}"

    def _tell_kept(self, instance: Instance) -> None:
        price = f"${instance.full_usd_per_hour:.3f}/h" if instance.full_usd_per_hour is not None else "an unknown price"
        kept = f"{instance.name} is kept at {price}.{lives_until(instance)}"
        self._journey.tools.tell(Note(f"{kept} End it: cloudtrain terminate {instance.name}"))

    def _close(self) -> None:
        journey = self._journey
        now = journey.tools.clock.now()
        phase = (
            RunPhase.KEPT
            if self._keeps_machine() and journey.instance and journey.run.phase is RunPhase.SHUTTING_DOWN
            else RunPhase.CLOSED
        )
        journey.record["machine_ended_at"] = to_plain(now)
        journey.now_is(replace(journey.run, phase=phase, usd=journey.settled_usd(now)))
        try:
            settle(journey)
            journey.write_report()
        except (CloudtrainError, OSError) as error:
            journey.tools.tell(Note(f"The report could not be written: {error}", "warning"))

    def _still_out_there(self, why: str) -> ShutdownError:
        journey = self._journey
        self._let_go = True
        journey.write_record()
        return ShutdownError(
            f"The line to {journey.run.machine} is lost: {why}. It may bill.{lives_until(journey.instance)}",
            f"Go on where it broke: cloudtrain attach {journey.run.id}\n"
            f"End it now, results lost: cloudtrain terminate {journey.run.machine}",
        )


def _whoever_listens(tell: Tell) -> Tell:
    """Wrap a listener so that its failure, a closed terminal say, stops nothing."""

    def told(event: Event) -> None:
        with suppress(Exception):
            tell(event)

    return told
