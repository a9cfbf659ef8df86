"""The plan and what would travel, for `plan` and `train --dry-run`."""

from collections.abc import Sequence

from .. import workflow
from ..journey import Tools
from ..model import words
from ..model.errors import NotSetUpError
from ..model.plain import to_plain
from ..model.plan import Plan
from ..model.spec import JobSpec, MachineSpec
from ..preflight import look_at_storage
from ..stages.upload import choose_files
from ..wiring import open_tools
from .plain_lines import PlainLines
from .render import answer, document
from .show import show_plan
from .words import dollars, size


def show_planned(job: JobSpec, machine: MachineSpec, *, allow_unsupported_gpu: bool, as_json: bool) -> None:
    """Print the plan. Spends nothing."""
    files = choose_files(job)
    with open_tools(PlainLines().tell) as tools:
        the_plan = workflow.plan(job, machine, tools, allow_unsupported_gpu=allow_unsupported_gpu)
        told = _told_of_storage(job, the_plan, tools)
        now = tools.clock.now()
    if as_json:
        document(to_plain(the_plan) | {"upload": {"files": len(files.entries), "bytes": files.total_bytes}})
        return
    show_plan(the_plan, now)
    answer(f"Upload: {words.files(len(files.entries))}, {size(files.total_bytes)}")
    answer(f"Command: {job.command}")
    for sentence in told:
        answer(sentence)


def _told_of_storage(job: JobSpec, the_plan: Plan, tools: Tools) -> Sequence[str]:
    try:
        sentences, way_usd = look_at_storage(job, the_plan, tools.open_provider(the_plan.machine))
    except NotSetUpError:  # a plan is made without an account, too
        return ()
    return (*sentences, f"Its way to the machine costs up to {dollars(way_usd)}, off the budget.") if way_usd else sentences
