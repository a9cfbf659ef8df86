"""The plan and what would travel, for `plan` and `train --dry-run`."""

from .. import workflow
from ..model.plain import to_plain
from ..model.spec import JobSpec, MachineSpec
from ..stages.upload import choose_files
from ..wiring import open_tools
from .plain_lines import PlainLines
from .render import answer, document
from .show import show_plan
from .words import size


def show_planned(job: JobSpec, machine: MachineSpec, *, allow_unsupported_gpu: bool, as_json: bool) -> None:
    """Print the plan. Spends nothing."""
    files = choose_files(job)
    with open_tools(PlainLines().tell) as tools:
        the_plan = workflow.plan(job, machine, tools, allow_unsupported_gpu=allow_unsupported_gpu)
        now = tools.clock.now()
    if as_json:
        document(to_plain(the_plan) | {"upload": {"files": len(files.entries), "bytes": files.total_bytes}})
        return
    show_plan(the_plan, now)
    answer(f"Upload: {len(files.entries)} files, {size(files.total_bytes)}")
    answer(f"Command: {job.command}")
    if job.checkpoints:
        answer(f"Right:  the machine may read and write {job.checkpoints}; it is given that alone, and loses it when it ends")
