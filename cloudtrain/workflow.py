"""The story: a job's folder, a rented machine, trained results on this disk, and nothing that bills afterwards.

Read `train` and `_travel` from top to bottom: that is all that happens. Every step is safe to repeat, so `resume` is the
same story taken up in the middle.
"""

from dataclasses import replace

from .boarding import board, settle_in
from .ending import Ending
from .journey import Interrupt, Journey, Tools
from .leasing import say_who_keeps_it
from .ledger.holder import this_process
from .model.errors import HostUnreachableError, InstanceNotFoundError, NotFoundError, RemoteError, RunHeldError
from .model.event import Note
from .model.instance import InstanceState
from .model.plan import Plan
from .model.run import Outcome, Run, RunPhase
from .model.spec import JobSpec, MachineSpec
from .preflight import (
    advice,
    agree_to_upload,
    look_at_storage,
    reclaimed_offer_last,
    refuse_after_failed_sample,
    refuse_checkpoints_there,
)
from .providers.base import Provider
from .rescuing import rescued
from .spending import came_to_its_deadline
from .stages.execute import RECONNECT_FOR_S, follow, read_secrets
from .stages.plan import make_plan
from .stages.provision import Buyer, armed_and_running, provision
from .stages.upload import choose_files
from .waking import wake
from .whereabouts import find_idle, remember, remember_name, rentable

MOST_MOVES = 50
"""How often a job that is reclaimed again and again goes on elsewhere."""


def plan(job: JobSpec, machine: MachineSpec, tools: Tools, *, allow_unsupported_gpu: bool = False) -> Plan:
    """Say what `train` would rent, at which price and until when. Spends nothing.

    Raises:
        NoOfferFitsError, ConfigError, ProviderError: as `train` would, before money.
    """
    source = tools.open_provider(machine)
    return make_plan(
        machine,
        source,
        tools.clock.now(),
        job=job,
        allow_unsupported_gpu=allow_unsupported_gpu,
        within=tools.cap(machine.name),
    )


def train(
    job: JobSpec,
    machine: MachineSpec,
    tools: Tools,
    *,
    detach: bool = False,
    allow_unsupported_gpu: bool = False,
    sure: bool = False,
) -> Run:
    """Take a job from its folder to results on this disk, and leave nothing behind that bills.

    Returns the run with its outcome; a job that failed is an outcome, too. With `detach` it returns when the job runs; `sure`
    trains on a paid machine also when the job failed on a part of its data, and uploads however much there is.

    Raises:
        CloudtrainError: of the kinds in `model/errors.py`; the exit code says whether money was spent and whether
            something may still bill.
    """
    read_secrets(job, tools.environ)
    files = choose_files(job)
    the_plan = plan(job, machine, tools, allow_unsupported_gpu=allow_unsupported_gpu)
    provider = rentable(tools.open_provider(machine), machine)
    refuse_after_failed_sample(job, the_plan, tools, sure=sure)
    warnings, way_usd = look_at_storage(job, the_plan, provider)
    if way_usd and job.budget.usd is not None:  # what the way costs is not on the machine's meter
        job = replace(job, budget=replace(job.budget, usd=max(0.0, job.budget.usd - way_usd)))
        the_plan = plan(job, machine, tools, allow_unsupported_gpu=allow_unsupported_gpu)
    if not sure:
        price = the_plan.attempts[0].offers[0].full_usd_per_hour
        agree_to_upload(files, machine.name, price, tools, f"cloudtrain train {machine.name} --yes")
    for sentence in (*the_plan.warnings, *warnings, *advice(job, the_plan, files, tools)):
        tools.tell(Note(sentence, "warning"))
    remember_name(machine, tools)
    journey = Journey.begin(job, machine, tools)
    run = _travel(journey, provider, the_plan, detach=detach)
    return _go_on_elsewhere(run, job, machine, tools)


def resume(run: Run, tools: Tools) -> Run:
    """Go on with a run that another process began: follow its job, collect, shut down.

    Raises:
        NotFoundError: the run is over.
        RunHeldError: another process looks after it.
    """
    if run.phase.is_over:
        raise NotFoundError(f"{run.id} is over ({run.outcome})", f"Its results: {run.folder}")
    machine = tools.ledger.machine(run.machine).spec
    provider = rentable(tools.open_provider(machine), machine)
    journey = Journey.again(run, machine, tools)
    # A run that has its machine, or its end, needs no plan, and is not to fail because prices have changed since.
    the_plan = None if run.instances or run.outcome else plan(journey.job, machine, tools, allow_unsupported_gpu=True)
    return _go_on_elsewhere(_travel(journey, provider, the_plan, detach=False), journey.job, machine, tools)


def _go_on_elsewhere(run: Run, job: JobSpec, machine: MachineSpec, tools: Tools) -> Run:
    """Take a job whose machine was reclaimed up again on the next offer, with its outputs, as long as its money lasts."""
    for _ in range(MOST_MOVES):
        if run.outcome is not Outcome.RECLAIMED or not job.resume:
            break
        tools.tell(Note(f"{run.machine} was reclaimed; the job goes on elsewhere with what its outputs hold."))
        if job.budget.usd is not None:
            job = replace(job, budget=replace(job.budget, usd=max(0.0, job.budget.usd - run.usd)))
        the_plan = reclaimed_offer_last(plan(job, machine, tools, allow_unsupported_gpu=True), run.offer)
        provider = rentable(tools.open_provider(machine), machine)
        run = _travel(Journey.begin(job, machine, tools, continues=run.id), provider, the_plan, detach=False)
    return run


def _travel(journey: Journey, provider: Provider, the_plan: Plan | None, *, detach: bool) -> Run:
    holder = this_process()
    if not journey.tools.ledger.claim(journey.run.id, holder):
        raise RunHeldError(
            f"Another cloudtrain process looks after {journey.run.id}",
            f"To watch it: cloudtrain logs -f {journey.run.id}",
        )
    try:
        # Entered before the launch: a launch that failed here may have succeeded there.
        with Ending(journey, provider) as ending:
            if the_plan is not None:
                _provision(journey, provider, the_plan)
            if journey.run.instances:
                _have_job(journey, provider, ending, detach=detach)
    finally:
        journey.tools.ledger.release(journey.run.id, holder)
    return journey.run


def _provision(journey: Journey, provider: Provider, the_plan: Plan) -> None:
    """Put the run on a machine: one that was started under this name before, or a new one."""
    tools = journey.tools
    with journey.stage("provision", the_plan.machine.name):
        if journey.run.phase is RunPhase.PLANNED:
            journey.enter(RunPhase.PROVISIONING)
        idle = find_idle(journey.machine, provider, tools)
        if idle is None:
            run_id = journey.run.id
            buyer = Buyer(tools.ledger, tools.clock, tools.tell, tools.owner, run_id, tools.vet, journey.rented)
            provision(the_plan, provider, buyer)
            say_who_keeps_it(provider, tools)
        else:
            tools.tell(Note(f"{idle.name} is there already ({idle.ref.id}); it is used, and left as it was found."))
            refuse_checkpoints_there(journey.job, idle)
            off = idle.state is InstanceState.STOPPED
            journey.now_is(replace(journey.run, found_running=True, found_stopped=off))
            journey.rented(idle, the_plan.attempts[0].offers[0])


def _on_its_machine(journey: Journey, provider: Provider) -> bool:
    """Find the run's machine, switched on; False when it is gone."""
    tools = journey.tools
    try:
        seen = provider.get(journey.run.instances[-1])
    except InstanceNotFoundError:
        return False
    if seen.state is InstanceState.STOPPED:
        if journey.run.found_running or not came_to_its_deadline(seen.ref, tools.ledger, tools.clock.now()):
            # Switched off before the run or under it; either way it is switched off again when the results are home.
            journey.now_is(replace(journey.run, found_running=True, found_stopped=True))
        woken = wake(seen, journey.job.budget, journey.run.id, provider, tools)
        seen = armed_and_running(woken, woken.deadline or tools.clock.now(), provider, tools.clock)
    journey.instance = seen
    if not seen.state.bills_compute:
        return False
    remember(journey.machine, seen, tools)
    if journey.run.phase is RunPhase.PROVISIONING and journey.run.outcome is None:
        # Taken up again while it was booting, perhaps: ordered it was, running and armed it must be seen to be.
        latest = seen.deadline or tools.clock.now()
        journey.instance = armed_and_running(seen, latest, provider, tools.clock)
        journey.enter(RunPhase.CONNECTING)
    return True


def _have_job(journey: Journey, provider: Provider, ending: Ending, *, detach: bool) -> None:
    """Connect, start the job if it was not started yet, and follow it to its end."""
    if not _on_its_machine(journey, provider):
        ending.machine_gone()
        return
    may_hold_results = journey.run.phase in (RunPhase.RUNNING, RunPhase.COLLECTING)
    if journey.run.outcome is not None and not may_hold_results:
        return  # Taken up again at the very end: only the machine is still to be ended.
    try:
        with journey.stage("connect", journey.instance.address if journey.instance else ""):
            journey.connect()
            settle_in(journey)
    except HostUnreachableError as error:
        if may_hold_results:
            ending.machine_silent(error)
            return
        raise
    if journey.run.phase in (RunPhase.CONNECTING, RunPhase.UPLOADING) and not _boarded(journey, provider, ending):
        return
    if journey.run.outcome is not None:
        return  # Taken up again before everything was home; that is seen to on the way out.
    if detach:
        ending.let_go("The job runs detached.")
        return
    _follow(journey, ending)


def _boarded(journey: Journey, provider: Provider, ending: Ending) -> bool:
    """Bring the job to the machine and start it; False when the machine was gone before that."""
    try:
        board(journey, provider)
    except HostUnreachableError:
        if not ending.machine_is_gone():
            raise
        ending.machine_gone()
        return False
    return True


def _follow(journey: Journey, ending: Ending) -> None:
    """Carry the log here until the job ends. Ctrl-C asks once: let it go on, or end it."""
    tools, guest = journey.tools, journey.guest
    if journey.remote is None or guest is None:
        raise HostUnreachableError("there is no line to the machine")
    home, log = journey.home(journey.remote), journey.run.folder / "job.log"
    try:
        with journey.stage("run", journey.job.command), rescued(journey):
            state = follow(home, log, guest, lambda: journey.connect(RECONNECT_FOR_S), tools.clock, tools.tell)
        ending.job_ended(state)
    except HostUnreachableError as error:
        ending.machine_silent(error)
    except RemoteError as error:
        ending.run_unknown(error)
    except KeyboardInterrupt:
        if tools.on_interrupt(journey.run) is Interrupt.SHUT_DOWN:
            raise
        ending.let_go("Detached: the job goes on.")
