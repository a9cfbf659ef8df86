"""Boarding: a machine settled, the job brought to it and started."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from .journey import Journey
from .leasing import arm_guest
from .model.errors import HostUnreachableError
from .model.lease import GuestEnd, Lease
from .model.plain import to_plain
from .model.run import Run, RunPhase
from .model.spec import Market
from .pacing import paced
from .providers.base import Provider
from .remote.base import Remote
from .remote.fileset import gather
from .remote.guest import Guest
from .rescuing import begin_with
from .spending import noted
from .stages import fetch as stored
from .stages.execute import check_gpu, prepare, read_secrets, start
from .stages.make_ready import make_ready
from .stages.upload import choose_files, upload

WORTH_MEASURING_BYTES = 1_000_000
"""A smaller upload says more about the round trips than about the line."""


def settle_in(journey: Journey, guest: Guest) -> None:
    """Let a rented machine keep its own deadline, and wait until its first boot is over and its GPUs answer."""
    instance, remote = journey.instance, journey.remote
    if (
        instance is None
        or remote is None
        or instance.guest_end is GuestEnd.NONE
        or journey.run.phase is not RunPhase.CONNECTING
    ):
        return
    if not journey.run.found_running:
        arm_guest(instance, guest, journey.tools, journey.job)
    make_ready(remote, _rented_gpus(journey.run), journey.tools.clock, journey.tools.tell)


def board(journey: Journey, guest: Guest, provider: Provider) -> None:
    """Bring files and stored data, make the environment, see that the GPU computes, start the job.

    Every step is safe to repeat.
    """
    job, tools = journey.job, journey.tools
    if journey.remote is None:
        raise HostUnreachableError("there is no line to the machine")
    home = journey.home(journey.remote)
    journey.enter(RunPhase.UPLOADING)
    facts = dict(guest.facts())
    journey.record["machine_facts"] = facts
    files = choose_files(job)
    count = len(files.entries)
    with journey.stage("upload", f"{count} file{'' if count == 1 else 's'}, {files.total_bytes} bytes"):
        began = tools.clock.monotonic()
        upload(files, home / "work", journey.remote, paced(tools.tell, tools.clock, count, journey.usd_now))
        _note_speed(journey, files.total_bytes, tools.clock.monotonic() - began)
        _carry_over(journey, home / "work", journey.remote)
    checkpoints = _bring_stored(journey, home / "work", guest, provider)
    with journey.stage("prepare", job.framework.value):
        environment = prepare(job, home / "work", guest, tools.tell)
        journey.record["environment"] = {"python": environment.python, "packages": dict(environment.packages)}
    with journey.stage("check", job.framework.value):
        gpus = facts.get("gpus")
        seen, rented = len(gpus) if isinstance(gpus, list) else 0, _rented_gpus(journey.run)
        found = check_gpu(job, environment.python, guest, rented_gpus=rented, gpus_seen=seen, tell=tools.tell)
        journey.record["gpu_check"] = to_plain(found)
    secrets, deadline = read_secrets(job, tools.environ), _job_deadline(journey)
    state = start(job, home, environment, secrets, deadline, guest, _notice(journey), checkpoints)
    journey.now_is(replace(journey.run, phase=RunPhase.RUNNING, started_at=state.started_at or tools.clock.now()))
    journey.write_record()


def _bring_stored(journey: Journey, work: PurePosixPath, guest: Guest, provider: Provider) -> Mapping[str, Any] | None:
    """Let the machine read the job's data in object storage and an earlier run's checkpoints; return where those are kept."""
    job, tools, instance = journey.job, journey.tools, journey.instance
    found = stored.look(job, provider)
    if found and instance is not None:
        until = instance.deadline or tools.clock.now() + timedelta(days=1)
        with journey.stage("fetch", ", ".join(data.url for data in found)):
            stored.fetch(found, until, work, provider, guest, tools.tell)
    kept_in = stored.region_of_checkpoints(job, provider)
    stored.restore(job, kept_in, work, guest, tools.tell)
    return stored.checkpoint_order(job, kept_in)


def _carry_over(journey: Journey, work: PurePosixPath, remote: Remote) -> None:
    """Bring the outputs of the reclaimed run that this one goes on from: its checkpoints are among them.

    A run that was reclaimed before it had any passes on those of the run before it.
    """
    earlier = journey.run.continues
    while earlier:
        before = journey.tools.ledger.run(earlier)
        outputs = [name for name in journey.job.outputs if (before.folder / name).exists()]
        if outputs:
            begin_with(before.folder, outputs, journey.run.folder)
            upload(gather(before.folder, outputs), work, remote, journey.tools.tell)
            return
        earlier = before.continues


def _note_speed(journey: Journey, count: int, seconds: float) -> None:
    """Remember how fast the line is, for the next plan; what is over at once says nothing of it."""
    if count >= WORTH_MEASURING_BYTES and seconds > 0:
        with noted(journey.tools.tell):
            journey.tools.ledger.past.note_speed(journey.run.machine, count / seconds)


def _rented_gpus(run: Run) -> int:
    """Return how many GPUs are paid for: those of a machine without a meter are not."""
    return run.offer.gpu_count if run.offer is not None and run.offer.usd_per_hour != 0.0 else 0


def _notice(journey: Journey) -> str:
    """Return whose word of a reclaim the guest is to listen for: that of a cloud whose spot machine this is."""
    instance = journey.instance
    return instance.ref.provider if instance is not None and instance.market is Market.SPOT else ""


def _job_deadline(journey: Journey) -> datetime | None:
    """Return when the job must end: before the machine does, so that its results can still be collected."""
    if journey.instance is None or journey.instance.deadline is None:
        return None
    now = journey.tools.clock.now()
    left = journey.instance.deadline - now
    reserve = min(timedelta(minutes=2), left * 0.1) if journey.instance.full_usd_per_hour else timedelta(0)
    # A machine that was there before may have a longer lease than this job has money.
    own = Lease.grant(journey.job.budget, journey.instance.full_usd_per_hour or 0.0, now)
    return min(now + left - reserve, own.deadline)
