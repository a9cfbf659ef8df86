"""train: a job's folder to trained results on this disk."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from ... import workflow
from ...model.errors import ConfigError
from ..job_flags import JobFlags
from ..options import (
    AllowUnsupportedGpu,
    Attended,
    Config,
    Dollars,
    EnvironmentOption,
    FrameworkOption,
    Gpus,
    IdleTimeout,
    JobFolder,
    JsonLines,
    Lifetime,
    MarketOption,
    OnFinishOption,
    Sample,
    Yes,
)
from ..outcome import leave
from ..planning import show_planned
from ..session import open_session
from ..verb import command_of

TAKES_COMMAND = True
EXAMPLES = """
cloudtrain train local
cloudtrain train aws-g5 --budget 5 --max-lifetime 4h
cloudtrain train aws-g5 --sample 0.1 -- python train.py --epochs 1
cloudtrain train aws-g5 --detach && cloudtrain attach
"""

OnInterrupt = Annotated[
    Literal["ask", "detach", "shut-down"], typer.Option(help="What Ctrl-C means while the job runs; asks only at a terminal.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and spend nothing.")]
Detach = Annotated[bool, typer.Option("--detach", help="Return as soon as the job runs.")]


def train(
    context: typer.Context,
    name: Config = None,
    folder: JobFolder = Path(),
    budget: Dollars = None,
    max_lifetime: Lifetime = None,
    idle_timeout: IdleTimeout = None,
    on_finish: OnFinishOption = None,
    framework: FrameworkOption = None,
    gpus: Gpus = None,
    market: MarketOption = None,
    env: EnvironmentOption = None,
    sample: Sample = None,
    allow_unsupported_gpu: AllowUnsupportedGpu = False,
    attended: Attended = False,
    dry_run: DryRun = False,
    detach: Detach = False,
    on_interrupt: OnInterrupt = "ask",
    yes: Yes = False,
    as_json: JsonLines = False,
) -> None:
    """Train the job in this folder on a machine, and give it back.

    Uploads the folder, makes the environment, checks the GPU, runs the command of cloudtrain.yaml (or the one after --),
    follows its log, brings the results to runs/ and ends the machine. Flags replace what the files say.
    """
    if attended and detach:
        raise ConfigError("--attended means that this command stays to end the machine", "Leave out --detach, or --attended")
    flags = JobFlags(budget, max_lifetime, idle_timeout, on_finish, framework, gpus, market, tuple(env or ()), sample)
    job, configured = flags.load(name, folder, command_of(context))
    machine = replace(configured, attended=attended)
    if dry_run:
        show_planned(job, machine, allow_unsupported_gpu=allow_unsupported_gpu, as_json=as_json)
        return
    with open_session(as_json=as_json, on_interrupt="shut-down" if yes else on_interrupt) as session:
        run = workflow.train(job, machine, session.tools, detach=detach, allow_unsupported_gpu=allow_unsupported_gpu, sure=yes)
    leave(run, as_json=as_json, interrupted=session.signals.detached)
