"""What a person should hear before money is spent: how long the upload takes, and what the job did when it was tried."""

from collections.abc import Sequence
from dataclasses import replace

from .journey import Tools
from .ledger.holder import this_process
from .ledger.past import SAMPLE_VARIABLE
from .model.errors import ConfigError
from .model.instance import Instance
from .model.money import cents_up, upload_cost
from .model.offer import Offer
from .model.plan import Plan
from .model.spec import JobSpec
from .providers.base import OfferSource
from .providers.object_storage import ObjectStorage
from .remote.fileset import FileSet
from .stages import fetch as stored

ASK_ABOVE_BYTES = 10_000_000_000
"""More than this is not uploaded before somebody has agreed: 10 GB take a quarter of an hour at 100 Mbit/s."""

_WORTH_TELLING_S = 10.0


def is_paid(the_plan: Plan) -> bool:
    """Say whether the machine that would be rented first has a meter."""
    return the_plan.attempts[0].offers[0].usd_per_hour != 0.0


def advice(job: JobSpec, the_plan: Plan, files: FileSet, tools: Tools) -> Sequence[str]:
    """Return sentences about a paid plan: what the upload will take, and that a job that never ran is tried small first."""
    if not is_paid(the_plan):
        return ()
    told = [*_left_behind(tools), _upload(the_plan, files, tools)]
    if not tools.ledger.past.history(job.name, job.folder).ever and SAMPLE_VARIABLE not in job.env:
        told.append("This job has never run: try it on a part of its data first, --sample 0.1, or here: cloudtrain train local")
    return tuple(sentence for sentence in told if sentence)


def _left_behind(tools: Tools) -> list[str]:
    """Return a sentence for each run that may hold a machine and that no process looks after."""
    me, told = this_process(), []
    for run in tools.ledger.open_runs():
        if run.phase.may_bill and tools.ledger.claim(run.id, me):
            tools.ledger.release(run.id, me)
            told.append(
                f"The run {run.id} is not over and nobody looks after it; its machine {run.machine} may bill. "
                f"Take it up: cloudtrain attach {run.id}"
            )
    return told


def refuse_after_failed_sample(job: JobSpec, the_plan: Plan, tools: Tools, *, sure: bool) -> None:
    """Refuse to pay for a job that failed when it was last tried on a part of its data, unless the person is sure.

    Raises:
        ConfigError: it did.
    """
    if sure or not is_paid(the_plan) or SAMPLE_VARIABLE in job.env:
        return
    if tools.ledger.past.history(job.name, job.folder).sample_failed:
        raise ConfigError(
            f"{job.name} failed when it was last tried on a part of its data, and {the_plan.machine.name} costs money",
            "Try it again: --sample 0.1. Or pass --yes to train all the same.",
        )


def agree_to_upload(files: FileSet, machine: str, usd_per_hour: float | None, tools: Tools, line: str) -> None:
    """Have a person agree to an upload of more than `ASK_ABOVE_BYTES`: what it is, how long it takes, what that costs.

    Raises:
        ConfigError: there is nobody to ask; `line` is what to type instead.
    """
    if files.total_bytes <= ASK_ABOVE_BYTES:
        return
    speed = tools.ledger.past.speed(machine)
    if speed is None:
        took = "how long that takes is not known, nothing was ever uploaded there"
        took += "" if not usd_per_hour else f"; every hour of it costs {cents_up(usd_per_hour)}"
    else:
        cost = upload_cost(files.total_bytes, speed, usd_per_hour)
        took = f"{cost.seconds / 60:.0f} minutes at the speed of the last upload there"
        took += f", {cents_up(cost.usd)} at the machine's price" if cost.usd else ""
    tools.must_agree(f"{file_count(files)}, {files.total_bytes} bytes, would travel to {machine}: {took}. Upload them?", line)


def file_count(files: FileSet) -> str:
    """Return how many files, links and folders that is, in words."""
    count = len(files.entries)
    return f"{count} file{'' if count == 1 else 's'}"


def look_at_storage(job: JobSpec, the_plan: Plan, source: OfferSource) -> tuple[Sequence[str], float]:
    """Look at what the job has in object storage; return what a person should read of it, and what its way costs at most, USD.

    Raises:
        ConfigError, ProviderError: it is not there, may not be read, or cannot be reached from this provider's machines.
    """
    found, kept_in = stored.look(job, source), stored.region_of_checkpoints(job, source)
    regions = dict.fromkeys(attempt.offers[0].region for attempt in the_plan.attempts)
    told = [
        sentence
        for region in regions
        for sentence in (*stored.warn_or_refuse(found, region), *stored.warn_of_checkpoints(job, kept_in, region))
    ]
    if job.checkpoints and isinstance(source, ObjectStorage):
        told.append(source.right_to(job.checkpoints))
    return told, max(stored.transfer_usd(found, region) for region in regions)


def refuse_checkpoints_there(job: JobSpec, idle: Instance) -> None:
    """Refuse a machine that was there before for a job that copies its outputs to object storage: it has no right to.

    Raises:
        ConfigError: it is one.
    """
    if job.checkpoints:
        raise ConfigError(
            f"{idle.name} is there already and was not rented with a right to write to {job.checkpoints}",
            f"End it first: cloudtrain terminate {idle.name}. Or remove checkpoints from the job.",
            field="checkpoints",
        )


def reclaimed_offer_last(the_plan: Plan, reclaimed: Offer | None) -> Plan:
    """Return the plan with everything else before an offer: what was just taken back is likely to be taken back again."""
    if reclaimed is None:
        return the_plan
    place = (reclaimed.instance_type, reclaimed.region, reclaimed.zone)
    attempts = sorted(
        the_plan.attempts, key=lambda a: (a.offers[0].instance_type, a.offers[0].region, a.offers[0].zone) == place
    )
    return replace(the_plan, attempts=tuple(attempts))


def _place(offer: Offer) -> tuple[str, str, str]:
    return offer.instance_type, offer.region, offer.zone


def _upload(the_plan: Plan, files: FileSet, tools: Tools) -> str:
    speed = tools.ledger.past.speed(the_plan.machine.name)
    if speed is None:
        return ""
    cost = upload_cost(files.total_bytes, speed, the_plan.attempts[0].offers[0].full_usd_per_hour)
    if cost.seconds < _WORTH_TELLING_S:
        return ""
    money = "" if cost.usd is None else f", {cents_up(cost.usd)} at the machine's price"
    return f"At the speed of the last upload there, {files.total_bytes} bytes take {cost.seconds:.0f} s{money}."
