"""The public Python interface: what the command line does, for a script or a notebook.

    import cloudtrain

    job, machine = cloudtrain.load("local", folder="digits")
    run = cloudtrain.train(job, machine)
    print(run.outcome, run.folder)

Every function raises only `cloudtrain.CloudtrainError` and its kinds. `tell` hears the story's events while it goes on.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from . import overview, spending, workflow
from .config.job import load_job
from .config.machine import load_machine
from .config.settings import load_settings
from .model.event import Tell
from .model.plan import Plan
from .model.run import Run
from .model.spec import JobSpec, MachineSpec
from .model.statement import Statement
from .overview import Status
from .wiring import open_tools, silence


def load(
    machine: str,
    folder: str | Path = ".",
    *,
    command: str | None = None,
    overrides: Mapping[str, object] | None = None,
) -> tuple[JobSpec, MachineSpec]:
    """Read the job in a folder and a machine config by name.

    `overrides` replaces settings of `cloudtrain.yaml` by their dotted names: `{"budget": 5, "resources.gpus": 1}`.

    Raises:
        ConfigError: a file or an override cannot be used as it is.
        NotFoundError: there is no such machine config.
    """
    return load_job(Path(folder), command=command, overrides=overrides), load_machine(machine)


def plan(job: JobSpec, machine: MachineSpec) -> Plan:
    """Say what `train` would rent, at which price and until when. Spends nothing."""
    with open_tools() as tools:
        return workflow.plan(job, machine, tools)


def train(job: JobSpec, machine: MachineSpec, *, detach: bool = False, tell: Tell = silence) -> Run:
    """Take a job from its folder to results on this disk, and leave nothing behind that bills.

    A job that failed is an outcome of the run, not an exception. With `detach` it returns once the job runs.
    """
    with open_tools(tell) as tools:
        return workflow.train(job, machine, tools, detach=detach)


def resume(run_id: str, *, tell: Tell = silence) -> Run:
    """Go on with a run that was detached or interrupted: follow its job, collect, shut down."""
    with open_tools(tell) as tools:
        return workflow.resume(tools.ledger.run(run_id), tools)


def cost(*, run: str | None = None, machine: str | None = None, month: datetime | None = None) -> Statement:
    """Say what a run cost, by its id or an unmistakable part of it; or a calendar month (UTC), this one when none is given.

    Of a month, `machine` picks the machines of one name; of all of them what the monthly cap leaves is said too.

    Raises:
        ConfigError: the settings file cannot be used as it is.
        NotFoundError: there is no such run.
    """
    with open_tools() as tools:
        now = tools.clock.now()
        if run is not None:
            return spending.statement_of_run(tools.ledger, tools.ledger.run(run).id, now)
        cap = load_settings().monthly_budget
        return spending.statement_of_month(tools.ledger, month or now, now, machine=machine, cap_usd=cap)


def status() -> Status:
    """Say which machines exist and what became of the latest runs."""
    with open_tools() as tools:
        return overview.status(tools)
