"""Boarding: a machine settled, the job brought to it and started, over a new line where the old one breaks."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from .journey import Journey
from .leasing import arm_guest
from .model import words
from .model.errors import HostUnreachableError
from .model.instance import Instance
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
from .stages.execute import accept_gpu, check_gpu, prepare, read_secrets, start
from .stages.make_ready import make_ready
from .stages.upload import choose_files, upload
from .steadying import steadily

WORTH_MEASURING_BYTES = 1_000_000
"""A smaller upload says more about the round trips than about the line."""


def settle_in(journey: Journey) -> None:
    """Let a rented machine keep its own deadline, and wait until its first boot is over and its GPUs answer."""
    instance = journey.instance
    if instance is None or instance.guest_end is GuestEnd.NONE or journey.run.phase is not RunPhase.CONNECTING:
        return
    steadily(journey, lambda _: _settle_over_this_line(journey, instance))


def board(journey: Journey, provider: Provider) -> None:
    """Bring files and stored data, make the environment, see that the GPU computes, start the job.

    Every step is safe to repeat: where the line breaks all of it is gone through again over a new one, and what has been done
    already costs next to nothing then.

    Raises:
        HostUnreachableError: the line did not come back, or brought nothing any further, for too long.
    """
    steadily(journey, lambda has_broken: _board_over_this_line(journey, provider, has_broken=has_broken))


def _settle_over_this_line(journey: Journey, instance: Instance) -> None:
    tools, remote, guest = journey.tools, journey.remote, journey.guest
    if remote is None or guest is None:
        raise _no_line()
    if not journey.run.found_running:
        arm_guest(instance, guest, tools, journey.job)
    make_ready(remote, _rented_gpus(journey.run), tools.clock, tools.tell)


def _board_over_this_line(journey: Journey, provider: Provider, *, has_broken: bool) -> None:
    job, tools, guest = journey.job, journey.tools, journey.guest
    if journey.remote is None or guest is None:
        raise _no_line()
    home = journey.home(journey.remote)
    journey.enter(RunPhase.UPLOADING)
    facts = dict(guest.facts())
    journey.record["machine_facts"] = facts
    _bring_files(journey, home / "work", journey.remote, has_broken=has_broken)
    checkpoints = _bring_stored(journey, home / "work", guest, provider)
    with journey.stage("prepare", job.framework.value):
        environment = prepare(job, home / "work", guest, tools.tell)
        journey.record["environment"] = {"python": environment.python, "packages": dict(environment.packages)}
    with journey.stage("check", job.framework.value):
        _check_gpus(journey, environment.python, facts, guest)
    secrets, deadline = read_secrets(job, tools.environ), _job_deadline(journey)
    journey.job_may_run = True
    state = start(job, home, environment, secrets, deadline, guest, _notice(journey), checkpoints)
    journey.now_is(replace(journey.run, phase=RunPhase.RUNNING, started_at=state.started_at or tools.clock.now()))
    journey.write_record()


def _bring_files(journey: Journey, work: PurePosixPath, remote: Remote, *, has_broken: bool) -> None:
    tools, files = journey.tools, choose_files(journey.job)
    with journey.stage("upload", f"{words.files(len(files.entries))}, {files.total_bytes} bytes"):
        began = tools.clock.monotonic()
        upload(files, work, remote, paced(tools.tell, tools.clock, len(files.entries), journey.usd_now))
        if not has_broken:  # else some of it was there already, and the time says nothing of the line
            _note_speed(journey, files.total_bytes, tools.clock.monotonic() - began)
        _carry_over(journey, work, remote)


def _check_gpus(journey: Journey, python: str, facts: Mapping[str, object], guest: Guest) -> None:
    job, tools, gpus = journey.job, journey.tools, facts.get("gpus")
    wanted = max(_rented_gpus(journey.run), job.resources.gpus)
    found = check_gpu(job, python, guest, wanted=wanted, seen=len(gpus) if isinstance(gpus, list) else 0, tell=tools.tell)
    journey.record["gpu_check"] = to_plain(found)
    accept_gpu(found, job, wanted=wanted, tell=tools.tell)


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
    left = min(journey.instance.deadline, journey.instance.cloud_ends_at or journey.instance.deadline) - now
    reserve = min(timedelta(minutes=2), left * 0.1) if journey.instance.full_usd_per_hour else timedelta(0)
    # A machine that was there before may have a longer lease than this job has money.
    own = Lease.grant(journey.job.budget, journey.instance.full_usd_per_hour or 0.0, now)
    return min(now + left - reserve, own.deadline)


def _no_line() -> HostUnreachableError:
    return HostUnreachableError("There is no line to the machine", "Look whether it runs: cloudtrain status")
